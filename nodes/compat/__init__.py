"""The one door to ComfyUI's private API, so that a core update fails here and says what changed.

Public is what ComfyUI promises to node packs: `comfy_api`, `folder_paths`, `server.PromptServer` and its aiohttp; any
adapter may import it. Everything else is private and may change with any version: the rest of `comfy*`,
`latent_preview`, `node_helpers`, `execution`. It is imported in this folder and nowhere else (test_architecture.py).

The rule: each thing the pack needs is one thin function, or a class under its own name where it is needed for
`isinstance`, as a base or in annotations. A function looks its target up when it is called, so that what other packs
and tests put in its place acts here as well. Nothing is assigned into ComfyUI's modules and classes, and its objects
are not wrapped. Attributes of objects that ComfyUI hands us (a patcher's `patches`, a guider's `conds`) have a function
here, too. Exceptions are FLUX.1's layers under BFL's names (`flux.vector_in`), an SDTokenizer's numbers, which pure
modules read, and the list of a patcher's attributes in disk/fingerprints.py; they have contract tests as well.

Each function has a test in tests/contracts, which says what the pack relies on: values and order of arguments, not only
names. To support a new ComfyUI, run those tests first.

    autoencoders.py   VAE objects
    execution.py      graph expansion, progress, which node runs
    flux_model.py     FLUX.1's classes and relatives, its sizes, its sinusoidal embedding
    guiders.py        what a run's guider holds, whose method a wrapper stands around
    machine.py        device, attention kernels, command-line options, version
    memory.py         free memory, running out of it, interruption, devices of results
    patches.py        ModelPatcher, what it carries, LoRA adapters, hooks
    previews.py       progress bars and rough pictures
    sampling.py       samplers, schedules, noise, areas and masks of a prompt
    text_encoders.py  CLIP objects, and the encoders and tokenizers in them
    weights.py        model files and their quantised layouts
    wrappers.py       the points around which a run can be wrapped
"""
