"""Templates: where and how a prompt acts."""

from .parts import (
    NATIVE,
    PROMPT,
    STAGE,
    Node,
    Template,
    clip_prompt,
    column,
    dual,
    loaders,
    note,
    sample,
    save,
    t5_prompt,
)

LEFT, RIGHT = "a red house on the left", "a green tree on the right"
MASK = Node("white", "SolidMask", "Everything", {"value": 1.0, "width": 128, "height": 128})
HALF = Node("half", "FeatherMask", "The right half", {"left": 72, "top": 0, "right": 0, "bottom": 0})

BLEND = Template(
    "blend",
    "05 Mix Two Prompts, half of each",
    (
        loaders(),
        column(PROMPT, clip_prompt("on the grass"), t5_prompt(LEFT, "one"), t5_prompt(RIGHT, "other")),
        column(
            STAGE,
            Node("mix", "FluxDuetBlendTxt", "", {"mode": "join", "weight": 0.5}, {"txt": "one", "other": "other"}),
        ),
        column(STAGE, dual("plain", txt="one"), dual("mixed", txt="mix")),
        column(STAGE, sample("first", positive="plain"), sample("both", positive="mixed")),
        column(360, save("The first prompt", "first"), save("Half and half", "both")),
    ),
    note(
        "**Blend T5** puts the tokens of both prompts side by side; *weight* sets how much the picture attends to "
        "each: 0 draws the house alone, 1 the tree alone. **Blend CLIP** mixes two moods.",
        NATIVE,
        first=2,
        last=4,
    ),
)

NEGATIVE = Template(
    "negative_prompts",
    "06 Not That Thing, a negative prompt for FLUX",
    (
        loaders(),
        column(
            PROMPT,
            clip_prompt("on pink paper"),
            t5_prompt("a big red or blue house in the middle"),
            t5_prompt("a big red house in the middle", "not", "T5 Encode: not this"),
        ),
        column(
            STAGE,
            Node(
                "nag",
                "FluxDuetNag",
                "",
                {"scale": 5.0, "tau": 2.5, "alpha": 0.25},
                {"txt": "txt", "negative": "not"},
            ),
        ),
        column(STAGE, dual("plain", txt="txt"), dual("with", txt="nag")),
        column(STAGE, sample("before", seed=3, positive="plain"), sample("after", seed=3, positive="with")),
        column(360, save("Without", "before"), save("Not red", "after")),
    ),
    note(
        "**FLUX.1-dev was not trained for negative prompts, but T5 Negative works:** it pushes the attention away from "
        "a thing, and the model still runs once per step. **CLIP Negative** does the same for a mood.",
        NATIVE,
        first=2,
        last=4,
    ),
)

REGION = Template(
    "t5_region",
    "07 Left and Right, a prompt for a part of the picture",
    (
        loaders(MASK),
        column(296, t5_prompt(LEFT, "base", "T5 Encode: left"), t5_prompt(RIGHT, "right", "T5 Encode: right"), HALF),
        column(
            296,
            clip_prompt("in the snow"),
            Node(
                "region",
                "FluxDuetRegion",
                "",
                {"strength": 1.0, "base_ratio": 0.0},
                {"base": "base", "region": "right", "mask": "half"},
            ),
        ),
        column(STAGE, dual("plain", txt="base"), dual("parts", txt="region")),
        column(STAGE, sample("one", positive="plain"), sample("two", positive="parts")),
        column(330, save("The left prompt alone", "one"), save("With the right region", "two")),
    ),
    note(
        "**T5 Region** gives the masked area its own prompt. Chain as many regions as you like, with hard or soft "
        "masks. *base_ratio* sets how much of the base prompt remains there. The CLIP prompt acts on the whole "
        "picture.",
        NATIVE,
        first=2,
        last=4,
    ),
)

BLOCKS = Template(
    "block_routing",
    "08 Which Blocks Draw It, one prompt for each half of FLUX",
    (
        loaders(),
        column(
            300,
            clip_prompt("at sunset"),
            t5_prompt("a big yellow moon in the middle", "one", "T5 Encode: a"),
            t5_prompt("a big black cat in the middle", "other", "T5 Encode: b"),
        ),
        column(STAGE, dual("a", "Dual Prompt: a", txt="one"), dual("b", "Dual Prompt: b", txt="other")),
        column(
            290,
            Node(
                "double",
                "FluxDuetRoute",
                "b in the double blocks",
                {"clip_blocks": "double", "t5_blocks": "double"},
                {"a": "a", "b": "b"},
            ),
            Node(
                "single",
                "FluxDuetRoute",
                "b in the single blocks",
                {"clip_blocks": "single, final", "t5_blocks": "single"},
                {"a": "a", "b": "b"},
            ),
        ),
        column(STAGE, sample("early", positive="double"), sample("late", positive="single")),
        column(330, save("b in the double blocks", "early"), save("b in the single blocks", "late")),
    ),
    note(
        "**Block Routing** gives prompt b to the blocks that you mark, and prompt a to all others. FLUX.1 has 19 "
        "double and 38 single blocks, the nano model 2 and 4. Which blocks decide what is drawn?",
        NATIVE,
        first=2,
        last=4,
    ),
)

TEMPLATES = [BLEND, NEGATIVE, REGION, BLOCKS]
