"""Templates: what a LoRA changes, and what is read of its captions."""

from pathlib import Path

from .parts import (
    PROMPT,
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
)

ALWAYS, TRIGGERED = "nano_always.safetensors", "nano_trigger.safetensors"
ENCODERS = {"clip": "clip", "t5": "t5"}
CAPTIONS = (Path(__file__).parent / "captions.txt").read_text(encoding="utf-8").strip()

PARTS = Template(
    "lora_by_stream",
    "15 A LoRA by Its Parts, a strength for each",
    (
        loaders(),
        column(PROMPT, clip_prompt("in the snow"), t5_prompt("a blue car in the top right")),
        column(
            320,
            Node("lora", "FluxDuetLora", "", {"lora_name": ALWAYS, "t5_stream": 0.0, "image": 0.0, "joint": 0.0}),
            dual(),
        ),
        column(STAGE, sample("before", model="unet"), sample("after", model="lora")),
        column(380, save("Without the LoRA", "before"), save("Its CLIP side alone", "after")),
    ),
    note(
        "**Which part of a LoRA causes its effect?** *nano_always* adds an orange filter to every picture. Its weights "
        "are in the modulation, which the CLIP prompt controls: with all other parts at 0 the filter remains.",
        "**Try** *clip_stream* at 0 and the others at 1. With your own LoRA, set one part at a time to 0. A name in "
        "*save_as* saves the LoRA with these strengths.",
        last=3,
    ),
)

ANATOMY = Template(
    "lora_anatomy",
    "16 Inside a LoRA, which blocks two files change",
    (
        loaders(),
        column(
            980,
            Node(
                "anatomy",
                "FluxDuetLoraAnatomy",
                "",
                {"lora_name": TRIGGERED, "compare_with": ALWAYS},
                {"clip": "clip", "t5": "t5"},
                height=960,
            ),
        ),
        column(480, Node("table", "PreviewAny", "Table", links={"source": "anatomy/3"}, height=560)),
    ),
    note(
        "**What does a LoRA change?** The files are compared without sampling. A darker block has a larger change "
        "relative to its weights; an empty outline has none. *nano_trigger* changes double block 1, *nano_always* the "
        "modulation of the single blocks: they share no weight.",
        "**Try** your own *flux1-dev* and two LoRAs, such as two epochs of one training.",
        first=2,
        last=2,
    ),
)

ACTS = Template(
    "lora_influence",
    "17 How a LoRA Acts, through which part and when",
    (
        files(),
        column(
            480,
            Node(
                "influence",
                "FluxDuetLoraInfluence",
                "",
                {
                    **SEED,
                    "lora_name": TRIGGERED,
                    "clip_prompt": "at sunset",
                    "t5_prompt": "snowy, a blue car in the top right",
                    "steps": 12,
                },
                ENCODERS | {"vae": "vae"},
                height=900,
            ),
        ),
        column(
            620,
            Node("maps", "PreviewImage", "Where each part acts", links={"images": "influence/1"}, height=330),
            Node("plot", "PreviewImage", "How much, and when", links={"images": "influence"}, height=500),
        ),
    ),
    note(
        "**Which part of a LoRA acts, and when?** The model runs with the LoRA, without it, with each part alone and "
        "with each part removed. *snowy* is the trigger word of this LoRA: delete it and run again.",
        first=2,
        last=2,
    ),
)

TRIGGER = Template(
    "trigger_test",
    "18 Does the Trigger Word Work, in CLIP or in T5",
    (
        files(),
        column(
            480,
            Node(
                "trigger",
                "FluxDuetTrigger",
                "",
                {
                    **SEED,
                    "lora_name": TRIGGERED,
                    "trigger": "snowy",
                    "clip_prompt": "at sunset",
                    "t5_prompt": "a blue car in the top right",
                    "steps": 8,
                },
                ENCODERS | {"vae": "vae"},
                height=900,
            ),
        ),
        column(
            620,
            Node("pictures", "PreviewImage", "Without and with the LoRA", links={"images": "trigger/1"}, height=400),
            Node("plot", "PreviewImage", "Plot", links={"images": "trigger"}, height=440),
        ),
    ),
    note(
        "**Write the prompts without the trigger word; the node adds it** to neither prompt, to one, and to both. "
        "*nano_trigger* acts only if the T5 prompt contains *snowy*. Try *nano_always*: it always acts.",
        first=2,
        last=2,
    ),
)

CAPTION_CHECK = Template(
    "caption_check",
    "19 What CLIP and T5 Read of My Captions",
    (
        column(
            400,
            Node("lines", "PrimitiveStringMultiline", "Captions, one per line", {"value": CAPTIONS}, height=560),
        ),
        column(
            760,
            Node(
                "check",
                "FluxDuetCaptions",
                "",
                {"folder": "", "trigger": "ohwx", "t5_length": "77"},
                {"captions": "lines"},
                height=980,
            ),
        ),
        column(520, Node("table", "PreviewAny", "Table", links={"source": "check/1"}, height=560)),
    ),
    note(
        "**How many tokens has each caption, and what is cut?** CLIP reads 75; the T5 length is a setting of your "
        "trainer. The words on the right occur with the trigger in most captions, so the LoRA learns them with it.",
        "**Your own captions:** copy their folder into ComfyUI's *input* folder and write its name into *folder*.",
        last=0,
    ),
)

TEMPLATES = [PARTS, ANATOMY, ACTS, TRIGGER, CAPTION_CHECK]
