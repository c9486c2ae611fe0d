"""Templates: the first pictures, and how a prompt becomes one."""

from .parts import (
    NATIVE,
    PICTURE,
    PROMPT,
    REAL,
    STAGE,
    Node,
    Template,
    clip_prompt,
    column,
    decode,
    dual,
    files,
    loaders,
    note,
    sample,
    sampler,
    save,
    t5_prompt,
)

SCENE = "at the beach"
THINGS = "a red house on the left and a green tree on the right"


def shape(key: str, title: str, value: str) -> Node:
    return Node(key, "FluxDuetShape", title, links={"value": value})


TWO_PROMPTS = Template(
    "dual_prompt",
    "01 Two Prompts, start here",
    (
        files(),
        column(PROMPT, clip_prompt(SCENE), t5_prompt(THINGS)),
        column(STAGE, dual()),
        column(STAGE, sampler()),
        column(STAGE, decode()),
        column(PICTURE, save(height=470)),
    ),
    note(
        "**Press Run. Then change one prompt and press Run again.** The CLIP prompt sets the scene: light, mood, "
        "background, style. The T5 prompt says what is where. Only the encoder of the changed prompt runs again.",
        REAL,
        first=1,
        last=4,
    ),
)

FLOWCHART = Template(
    "flowchart",
    "02 FLUX Step by Step, what flows on each wire",
    (
        files(),
        column(PROMPT, clip_prompt("at sunset"), t5_prompt("a white boat in the middle")),
        column(STAGE, dual(), shape("vec shape", "The CLIP vector", "vec"), shape("txt shape", "The T5 tokens", "txt")),
        column(STAGE, sampler(), shape("cond shape", "Both prompts together", "dual")),
        column(STAGE, decode(), shape("latent shape", "The latent picture", "sampler")),
        column(PICTURE, save(height=470), shape("image shape", "The picture", "decode")),
    ),
    note(
        "**FLUX.1 from prompt to picture, one node per stage.** *Show Shape* shows what a wire carries. CLIP-L turns "
        "its prompt into one vector, which acts on the whole picture equally. T5 makes one embedding per token, and "
        "every part of the picture attends to them separately. The encoders do not read each other's prompt.",
        "**Try** another CLIP prompt: T5 does not run again. Another seed: neither encoder runs again.",
        first=0,
        last=4,
    ),
)

NATIVE_NODES = Template(
    "native_nodes",
    "20 With KSampler, Duet prompts in a native graph",
    (
        files(),
        column(
            PROMPT,
            clip_prompt("at sunset"),
            Node(
                "txt",
                "FluxDuetT5Encode",
                "",
                {"text": "a (red:1.3) car in the middle", "weights": "attention"},
                {"clip": "t5"},
            ),
            t5_prompt("a blue car in the middle", "not", "T5 Encode: negative"),
        ),
        column(
            STAGE,
            Node("apply", "FluxDuetApply"),
            dual(txt="txt"),
            dual("minus", "Dual Prompt: negative", txt="not"),
        ),
        column(
            STAGE,
            Node(
                "ksampler",
                "KSampler",
                "",
                {"seed": 1, "control_after_generate": "fixed", "steps": 20, "cfg": 2.0},
                {"positive": "dual", "negative": "minus"},
            ),
        ),
        column(STAGE, Node("decode", "VAEDecode")),
        column(PICTURE, save(height=470)),
    ),
    note(
        "**Duet prompts work with ComfyUI's own nodes.** *(red:1.3)* makes the picture attend more to a word. Native "
        "samplers do not know such weights, schedules, regions or block routing: put **Apply Duet** before them. "
        "Without it the run stops with a message.",
        first=2,
        last=5,
    ),
)

SHARE = Template(
    "share_embedding",
    "21 A Prompt as a File, for runs without encoders",
    (
        loaders(),
        column(PROMPT, clip_prompt("under water"), t5_prompt("an orange fish in the middle")),
        column(
            STAGE,
            dual(),
            Node(
                "file",
                "FluxDuetSaveStream",
                "",
                {"filename_prefix": "FluxDuet/orange_fish"},
                {"vec": "vec", "txt": "txt"},
            ),
        ),
        column(STAGE, sample(), Node("store", "FluxDuetStore")),
        column(
            PICTURE, save(height=430), Node("report", "PreviewAny", "What the store holds", links={"source": "store"})
        ),
    ),
    note(
        "**Save Embedding** writes both encoded prompts to one file in the output folder. With *Load Embedding* "
        "the same picture needs no encoder.",
        "**Embedding Store** does this automatically on your machine: it keeps every encoded prompt on disk, so T5 "
        "is not loaded for it again. Run twice and read the report.",
        last=2,
    ),
)

TRAVEL = Template(
    "prompt_schedule",
    "03 Prompt Travel, prompts that change during the run",
    (
        loaders(),
        column(
            480,
            Node(
                "schedule",
                "FluxDuetScheduleText",
                "",
                {
                    "clip_text": "at sunset\n@4..9 at night",
                    "t5_text": "a big yellow sun in the middle\n@11 a small red heart in the middle",
                },
                {"clip": "clip", "t5": "t5"},
                height=600,
            ),
        ),
        column(STAGE, Node("last", "FluxDuetPromptAt", "", {"when": "19"}, {"conditioning": "schedule"})),
        column(
            STAGE,
            sample("travel", "Sample: the schedule", 2, positive="schedule"),
            sample("end", "Sample: the last prompts alone", 2, positive="last"),
        ),
        column(PICTURE, save("The schedule", "travel"), save("The last prompts alone", "end")),
    ),
    note(
        "**Each prompt has a timeline.** *@11* switches at step 11, *@40%* at 40 % of the run, *@4..9* fades. Drag a "
        "border to move it, double-click a track to split it. What early steps drew remains, so the picture combines "
        "both prompts. *Prompt at Step* gives the prompts of one step alone.",
        NATIVE,
        first=2,
        last=4,
    ),
)

TRACKS = Template(
    "timeline",
    "04 Prompt Tracks, a timeline of encoded prompts",
    (
        loaders(),
        column(
            PROMPT,
            clip_prompt("at night", "vec1", "CLIP 1"),
            t5_prompt("a small white cloud in the middle", "txt1", "T5 1"),
            t5_prompt("a large yellow moon in the middle", "txt2", "T5 2"),
        ),
        column(
            440,
            Node(
                "tracks",
                "FluxDuetSchedule",
                "",
                {"clip_timeline": "1", "t5_timeline": "1\n@3..6 2"},
                {"vecs.vec1": "vec1", "txts.txt1": "txt1", "txts.txt2": "txt2"},
                height=640,
            ),
        ),
        column(STAGE, sample(positive="tracks")),
        column(PICTURE, save(height=470)),
    ),
    note(
        "**Prompts as numbers on a track.** T5 fades from prompt 1 to prompt 2 in steps 3 to 6. Drag a border to move "
        "it, double-click a track to split it. Blends, regions and saved embeddings can be inputs too.",
        NATIVE,
        first=3,
        last=4,
    ),
)

TEMPLATES = [TWO_PROMPTS, FLOWCHART, TRAVEL, TRACKS, NATIVE_NODES, SHARE]
