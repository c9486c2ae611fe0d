"""Templates: what each prompt and each word does to the picture."""

from .parts import (
    DRAW,
    PROMPT,
    REPAINT,
    SEED,
    STAGE,
    Node,
    Template,
    clip_prompt,
    column,
    dual,
    files,
    loaders,
    note,
    sample,
    save,
    t5_prompt,
    vae,
)

HOUSE, TREE = "red house", "green tree"
SEEN = "a large red house on the left and a large blue car on the right"

HEATMAP = Template(
    "token_heatmap",
    "09 Where Does This Word Act, a map for each word",
    (
        loaders(),
        column(
            PROMPT,
            clip_prompt("on pink paper"),
            t5_prompt(f"a large {HOUSE} on the left and a large {TREE} on the right"),
        ),
        column(
            STAGE,
            dual(),
            Node(
                "probe",
                "FluxDuetHeatmap",
                "",
                {"words": f"{HOUSE}\n{TREE}", "measure": "through T5 x causal", "every": 1},
                {"clip": "t5"},
            ),
        ),
        column(STAGE, sample(model="probe", positive="dual")),
        column(
            580,
            Node(
                "show",
                "FluxDuetHeatmapShow",
                "",
                {"masks": "soft"},
                {"heatmap": "probe/1", "latent": "sample/1", "image": "sample"},
                height=760,
            ),
        ),
    ),
    note(
        "**Point at a word to see where it acts: where the picture attends to it and would change without it.** Point "
        "at the picture to see which words act there. You can change steps and blocks without sampling again. *Token "
        "Heatmap* does not change the picture.",
        "**Try** other *words*, one per line. *measure* mass shows attention alone and is faster; on FLUX.1 choose "
        "blocks 15-18 for it. The *masks* output gives one MASK per word.",
        last=3,
    ),
)

PICTURE_HEATMAP = Template(
    "picture_heatmap",
    "10 Find It in My Picture, a mask for each word",
    (
        loaders(vae()),
        column(
            300,
            Node(
                "picture",
                DRAW,
                "The picture",
                {
                    "CLIP prompt": "in the snow",
                    "T5 prompt": SEEN,
                },
                {"clip": "clip", "t5": "t5"},
                height=460,
            ),
        ),
        column(
            480,
            Node(
                "find",
                "FluxDuetPictureHeatmap",
                "",
                {
                    "words": "red house\nblue car",
                    "measure": "through T5 x causal",
                    "prompt": SEEN,
                    "masks": "hard",
                    "control_after_generate": "fixed",
                },
                {"clip": "t5"},
                height=960,
            ),
        ),
        column(
            300,
            Node(
                "repaint",
                REPAINT,
                "",
                {"new CLIP prompt": "in the snow", "new T5 prompt": "a green tree on the left", "new seed": 2},
                {"clip": "clip", "t5": "t5", "image": "picture", "mask": "find/4"},
                height=460,
            ),
        ),
        column(330, save("Repainted", "repaint")),
    ),
    note(
        "**Find a thing in any picture, and repaint it.** *Heatmap of a Picture* draws nothing: it adds noise to the "
        "picture and measures where the model sees each word. Click a word to use its map as the *mask*.",
        "**Your own picture:** connect *Load Image* instead of *The picture*, describe it in *prompt*, and take the "
        "*words* from there. **Try** *measure* concept: it needs no description, but points less exactly.",
        first=3,
        last=4,
    ),
)

INFLUENCE = Template(
    "encoder_influence",
    "11 Which Prompt Matters, step by step",
    (
        loaders(),
        column(
            PROMPT,
            clip_prompt("under water"),
            t5_prompt("a large orange fish in the middle"),
            clip_prompt("", "no vec", "CLIP-L Encode: empty", collapsed=True),
            t5_prompt("", "no txt", "T5 Encode: empty", collapsed=True),
        ),
        column(
            STAGE,
            dual(vec="vec", txt="txt"),
            Node(
                "probe",
                "FluxDuetInfluence",
                "",
                {"null": "empty prompt", "every": 1},
                {"empty_vec": "no vec", "empty_txt": "no txt"},
            ),
        ),
        column(STAGE, sample(model="probe", positive="dual")),
        column(
            600,
            Node(
                "show",
                "FluxDuetInfluenceShow",
                "",
                {},
                {"probe": "probe/1", "latent": "sample/1", "picture": "sample"},
                height=760,
            ),
        ),
    ),
    note(
        "**How much does each prompt do?** At every step the model also runs without the CLIP prompt, without the T5 "
        "prompt, and without both. *unique* is the change when a prompt is removed, *solo* what it does alone.",
        "**Try** the same text in both boxes: CLIP then adds little. Measure every 4 steps to save time.",
        last=3,
    ),
)

SWEEP = Template(
    "switch_sweep",
    "12 When Is It Decided, one run with the switch at each step",
    (
        files(),
        column(
            PROMPT,
            clip_prompt("in the snow"),
            t5_prompt("a large orange fish in the top left", "one", "T5 Encode: A"),
            t5_prompt("a large green tree in the bottom right", "other", "T5 Encode: B"),
        ),
        column(STAGE, dual("A", "Dual Prompt: A", txt="one"), dual("B", "Dual Prompt: B", txt="other")),
        column(
            800,
            Node(
                "sweep",
                "FluxDuetSweep",
                "",
                {**SEED, "switch": "T5", "steps": 12},
                {"a": "A", "b": "B", "vae": "vae"},
                height=720,
            ),
        ),
    ),
    note(
        "**One frame per step k:** prompt A until step k, prompt B after it, from the same noise. The picture is "
        "decided at the step where the frames change from B to A. Steps that runs share are computed once.",
        "**Try** two CLIP prompts, and *switch* set to CLIP.",
        first=2,
        last=3,
    ),
)

GRID = Template(
    "prompt_grid",
    "13 Prompt Grid, every CLIP prompt with every T5 prompt",
    (
        files(),
        column(
            760,
            Node(
                "grid",
                "FluxDuetGrid",
                "",
                {
                    **SEED,
                    "clip_prompts": "at night\non pink paper\nat the beach",
                    "t5_prompts": "a yellow moon in the middle\na black cat on the left\na red car on the right",
                    "seeds": 4,
                    "steps": 12,
                },
                {"clip": "clip", "t5": "t5"},
                height=1000,
            ),
        ),
        column(
            540,
            Node("shares", "PreviewImage", "What explains the differences", links={"images": "grid/2"}, height=560),
        ),
    ),
    note(
        "**One prompt per line; each is encoded once.** The plot on the right shows how much of the differences comes "
        "from the CLIP prompt, the T5 prompt, their combination and the seed. Use four seeds or more to tell prompts "
        "from chance. An interrupted grid resumes where it stopped.",
        first=2,
        last=2,
    ),
)

WORDS = Template(
    "word_ablation",
    "14 Which Word Made This, each word removed in turn",
    (
        loaders(
            Node("latent", "EmptySD3LatentImage", "Empty Latent", {"width": 128, "height": 128, "batch_size": 1}),
        ),
        column(
            760,
            Node(
                "words",
                "FluxDuetWords",
                "",
                {**SEED, "clip_text": "on pink paper", "t5_text": "a large orange fish in the top left", "steps": 20},
                {"clip": "clip", "t5": "t5"},
                height=980,
            ),
        ),
    ),
    note(
        "**Each word is removed in turn,** and the change is measured at three noise levels. For T5 it is measured "
        "twice: the word's own tokens deleted, and the text encoded again without it. The difference is what other "
        "tokens took over from the word.",
        "A word with a short bar has little effect.",
        last=0,
    ),
)

TEMPLATES = [HEATMAP, PICTURE_HEATMAP, INFLUENCE, SWEEP, GRID, WORDS]
