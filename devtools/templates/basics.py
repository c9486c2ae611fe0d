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

NIGHT = "at night"
MOON = "a yellow moon at the top and a red house at the bottom"


def shape(key: str, title: str, value: str) -> Node:
    return Node(key, "FluxDuetShape", title, links={"value": value})


TWO_PROMPTS = Template(
    "dual_prompt",
    "01 Two Prompts, start here",
    (
        files(),
        column(PROMPT, clip_prompt(NIGHT), t5_prompt(MOON)),
        column(STAGE, dual()),
        column(STAGE, sampler()),
        column(STAGE, decode()),
        column(PICTURE, save(height=470)),
    ),
    note(
        "**Press Run. Then change one prompt and press Run again.** CLIP's prompt sets the scene: light, mood, "
        "background, style. T5's prompt says what is where. Only the encoder whose prompt has changed runs again.",
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
        column(STAGE, dual(), shape("vec shape", "CLIP's vector", "vec"), shape("txt shape", "T5's rows", "txt")),
        column(STAGE, sampler(), shape("cond shape", "What the prompts became", "dual")),
        column(STAGE, decode(), shape("latent shape", "The picture, not yet decoded", "sampler")),
        column(PICTURE, save(height=470), shape("image shape", "The picture", "decode")),
    ),
    note(
        "**FLUX.1 from prompt to picture, a node for each stage.** *Show Shape* tells what its wire carries. CLIP-L "
        "makes one vector of its prompt, which acts on the whole picture alike. T5 makes a row for each token, and "
        "each spot of the picture attends to them in its own way. The two encoders never read each other.",
        "**Change** the CLIP prompt: T5 does not run again. Change the seed: neither does.",
        first=0,
        last=4,
    ),
)

NATIVE_NODES = Template(
    "native_nodes",
    "20 With KSampler, our prompts among native nodes",
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
        "**Our prompts work with ComfyUI's own nodes.** *(red:1.3)* raises how much the picture attends to a word. "
        "Such a weight, a timeline, a region or a route travels in the CONDITIONING, and **Apply Duet** before a "
        "native sampler carries it out. Without it the run stops and says so.",
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
        "**Save Embedding** writes what both encoders made of a prompt into one file in the output folder. *Load "
        "Embedding* gives the same picture without any encoder.",
        "**Embedding Store** does so by itself for your own prompts: what was encoded once is kept on disk, and T5 is "
        "not even read for it. Run twice and look at the report.",
        last=2,
    ),
)

TRAVEL = Template(
    "prompt_schedule",
    "03 Prompt Travel, other prompts later in the run",
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
                height=680,
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
        "border, double-click to split. What was drawn early stays, so the picture has things that no single prompt "
        "describes. *Prompt at Step* takes out the prompts of one step.",
        NATIVE,
        last=3,
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
                height=740,
            ),
        ),
        column(STAGE, sample(positive="tracks")),
        column(PICTURE, save(height=470)),
    ),
    note(
        "**Prompts as numbers on a track.** T5 fades from prompt 1 to prompt 2 in steps 3 to 6: drag the border, split "
        "a track by double-click. Anything may come before it: blends, regions, saved embeddings.",
        NATIVE,
        first=2,
        last=4,
    ),
)

TEMPLATES = [TWO_PROMPTS, FLOWCHART, TRAVEL, TRACKS, NATIVE_NODES, SHARE]
