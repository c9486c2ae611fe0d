"""The only imports of ComfyUI's private API, so that a change in ComfyUI breaks here and nowhere else.

Public are the modules that ComfyUI offers to node packs: `comfy_api`, `folder_paths`, `server.PromptServer` and its
aiohttp; any file marked "Imports ComfyUI" may import them. All else (the rest of `comfy*`, `latent_preview`,
`node_helpers`, `execution`) is private and may change with any version. Only this folder imports it
(test_architecture.py).

For each use there is one thin function, or the class itself where it is needed for `isinstance`, as a base class or in
annotations. A function looks up its target when it is called, so that replacements by other packs and tests take
effect. Nothing is assigned into ComfyUI's modules and classes, and its objects are not wrapped; modulation.py replaces
layers' forwards and weights for the time of a `with`. Attributes of ComfyUI's
objects (a patcher's `patches`, a guider's `conds`) have a function here too. Exceptions are
FLUX.1's layers under BFL's names (`flux.vector_in`), an SDTokenizer's numbers, which pure modules read, and the list of
a patcher's attributes in disk/fingerprints.py; they have contract tests as well.

Each function has a test in tests/contracts for what the pack relies on: argument order and values, not only names. To
support a new ComfyUI, run those tests first.

    autoencoders.py   VAE objects
    execution.py      graph expansion, blocked outputs, the id of the running node, who asked for the run
    flux_model.py     classes of FLUX.1 and related models, parameters, sinusoidal embedding
    guiders.py        what a run's guider holds, whose method a wrapper stands around
    loras.py          LoRA files, the patches made of them, and what a patch does to a weight
    machine.py        device, attention kernels, command-line options, version
    memory.py         free memory, out-of-memory errors, interruption, devices and dtypes
    modulation.py     FLUX.1's modulation layers, what they compute, their weights
    offloading.py     a MODEL that leaves some modules offloaded
    patches.py        ModelPatcher, what it carries, LoRA adapters, hooks
    previews.py       progress bars and rough pictures
    sampling.py       samplers, schedules, noise, areas and masks of a prompt
    text_encoders.py  CLIP objects, and the encoders and tokenizers in them
    weights.py        model files and their quantised layouts
    wrappers.py       wrapper points of a sampling run
"""
