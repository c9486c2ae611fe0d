"""What shared workflows depend on: the nodes' ids, and the order, names and types of their sockets."""

import asyncio

import pytest

from flux_duet import comfy_entrypoint

# node id -> (inputs, outputs). A workflow saves links by name and widgets by place, so a new widget goes to the end of
# its row. A question mark: the input may be left out.
SOCKETS = {
    "FluxDuetLoadClip": ("clip_name COMBO, device COMBO?", "CLIP"),
    "FluxDuetLoadT5": ("t5_name COMBO, device COMBO?", "CLIP"),
    "FluxDuetLora": (
        "model MODEL, clip CLIP?, t5 CLIP?, lora_name COMBO, strength FLOAT, clip_encoder FLOAT, t5_encoder FLOAT, "
        "clip_stream FLOAT, t5_stream FLOAT, image FLOAT, joint FLOAT, blocks STRING?, save_as STRING?",
        "MODEL, CLIP, CLIP",
    ),
    "FluxDuetClipEncode": ("clip CLIP, text STRING, past_75 COMBO?, weights BOOLEAN?", "FLUX_VEC"),
    "FluxDuetT5Encode": ("clip CLIP, text STRING, length COMBO, weights COMBO?", "FLUX_TXT"),
    "FluxDuetInspect": ("clip CLIP, text STRING, length COMBO", "IMAGE, STRING, STRING"),
    "FluxDuetSaveStream": ("filename_prefix STRING, vec FLUX_VEC?, txt FLUX_TXT?", ""),
    "FluxDuetLoadStream": ("file COMBO", "FLUX_VEC, FLUX_TXT, STRING"),
    "FluxDuetStore": ("use BOOLEAN, limit_mb INT, action COMBO", "STRING"),
    "FluxDuetDualPrompt": ("vec FLUX_VEC, txt FLUX_TXT, guidance FLOAT", "CONDITIONING"),
    "FluxDuetSplit": ("conditioning CONDITIONING", "FLUX_VEC, FLUX_TXT, FLOAT"),
    "FluxDuetBlendVec": ("vec FLUX_VEC, mode COMBO, weight FLOAT, other FLUX_VEC?, empty FLUX_VEC?", "FLUX_VEC"),
    "FluxDuetBlendTxt": ("txt FLUX_TXT, mode COMBO, weight FLOAT, other FLUX_TXT?, empty FLUX_TXT?", "FLUX_TXT"),
    "FluxDuetClipNegative": (
        "vec FLUX_VEC, negative FLUX_VEC, weight FLOAT, positive FLUX_VEC?, where COMBO?, blocks STRING?, "
        "start STRING?, end STRING?",
        "FLUX_VEC",
    ),
    "FluxDuetSchedule": (
        "vecs COMFY_AUTOGROW_V3, txts COMFY_AUTOGROW_V3, clip_timeline STRING, t5_timeline STRING, guidance FLOAT, "
        "sigmas SIGMAS?, model MODEL?",
        "CONDITIONING",
    ),
    "FluxDuetScheduleText": (
        "clip CLIP, t5 CLIP, clip_text STRING, t5_text STRING, guidance FLOAT, sigmas SIGMAS?, model MODEL?",
        "CONDITIONING",
    ),
    "FluxDuetPromptAt": ("conditioning CONDITIONING, when STRING, sigmas SIGMAS?, model MODEL?", "CONDITIONING"),
    "FluxDuetOnly": ("conditioning CONDITIONING, start STRING, end STRING", "CONDITIONING"),
    "FluxDuetRegion": (
        "base FLUX_TXT, region FLUX_TXT, mask MASK, strength FLOAT, base_ratio FLOAT, start STRING?, end STRING?, "
        "blocks STRING?",
        "FLUX_TXT",
    ),
    "FluxDuetRoute": ("a CONDITIONING, b CONDITIONING, clip_blocks STRING, t5_blocks STRING", "CONDITIONING"),
    "FluxDuetNag": (
        "txt FLUX_TXT, negative FLUX_TXT, scale FLOAT, tau FLOAT, alpha FLOAT, start STRING?, end STRING?, "
        "blocks STRING?",
        "FLUX_TXT",
    ),
    "FluxDuetSampler": (
        "model MODEL, positive CONDITIONING, latent LATENT, seed INT, steps INT, sampler COMBO, scheduler COMBO, "
        "denoise FLOAT, negative CONDITIONING?, cfg FLOAT?, start_step INT?, end_step INT?, add_noise BOOLEAN?, "
        "leftover_noise BOOLEAN?, modulation_table BOOLEAN?",
        "LATENT",
    ),
    "FluxDuetApply": ("model MODEL", "MODEL"),
    "FluxDuetTable": ("model MODEL", "MODEL"),
    "FluxDuetSigmas": ("steps INT, latent LATENT, shift COMBO, mu FLOAT?, denoise FLOAT", "SIGMAS"),
    "FluxDuetDecode": ("vae VAE, samples LATENT", "IMAGE"),
    "FluxDuetHeatmap": (
        "model MODEL, txt FLUX_TXT, words STRING, measure COMBO?, every INT?, heads BOOLEAN?, clip CLIP?, at STRING?, "
        "noises INT?, likeness BOOLEAN?",
        "MODEL, FLUX_HEATMAP",
    ),
    "FluxDuetConcepts": (
        "model MODEL, clip CLIP, words STRING, background STRING?, blocks STRING?, every INT?, likeness BOOLEAN?",
        "MODEL, FLUX_HEATMAP",
    ),
    "FluxDuetHeatmapShow": (
        "heatmap FLUX_HEATMAP, latent LATENT, image IMAGE?, first_step INT?, last_step INT?, blocks STRING?, "
        "masks COMBO?, save_as STRING?, word STRING?, head INT?, refine COMBO?",
        "IMAGE, MASK, STRING, STRING, MASK",
    ),
    "FluxDuetPictureHeatmap": (
        "model MODEL, clip CLIP, vae VAE, image IMAGE, words STRING, word STRING?, masks COMBO?, measure COMBO?, "
        "prompt STRING?, background STRING?, refine COMBO?, sigma FLOAT?, noises INT?, seed INT?, blocks STRING?, "
        "megapixels FLOAT?",
        "IMAGE, MASK, STRING, STRING, MASK",
    ),
    "FluxDuetInfluence": (
        "model MODEL, null COMBO, every INT, empty_vec FLUX_VEC?, empty_txt FLUX_TXT?, blocks STRING?, txt FLUX_TXT?",
        "MODEL, FLUX_INFLUENCE",
    ),
    "FluxDuetInfluenceShow": (
        "probe FLUX_INFLUENCE, latent LATENT, part COMBO, picture IMAGE?",
        "IMAGE, IMAGE, MASK, MASK, STRING, STRING, STRING",
    ),
    "FluxDuetWords": (
        "model MODEL, clip CLIP, t5 CLIP, clip_text STRING, t5_text STRING, latent LATENT, guidance FLOAT, seed INT, "
        "steps INT, sampler COMBO, scheduler COMBO, at STRING, words STRING?, like CONDITIONING?, vae VAE?",
        "IMAGE, STRING, STRING, IMAGE",
    ),
    "FluxDuetSweep": (
        "model MODEL, a CONDITIONING, b CONDITIONING, switch COMBO, latent LATENT, seed INT, steps INT, sampler COMBO, "
        "scheduler COMBO, every INT, batch INT, vae VAE?, workers FLUX_WORKERS?",
        "IMAGE, LATENT, IMAGE, STRING, STRING",
    ),
    "FluxDuetSweepPart": (
        "model MODEL, a CONDITIONING, b CONDITIONING, switch COMBO, latent LATENT, seed INT, steps INT, "
        "scheduler COMBO, only STRING, batch INT",
        "",
    ),
    "FluxDuetGrid": (
        "model MODEL, clip CLIP, t5 CLIP, vae VAE, clip_prompts STRING, t5_prompts STRING, latent LATENT, seed INT, "
        "seeds INT, steps INT, sampler COMBO, scheduler COMBO, guidance FLOAT, length COMBO?, weights COMBO?, "
        "past_75 COMBO?, clip_file COMBO?, t5_file COMBO?, sheet COMBO?, resume BOOLEAN?, "
        "like CONDITIONING?, loras STRING?, workers FLUX_WORKERS?",
        "IMAGE, LATENT, IMAGE, STRING, STRING",
    ),
    "FluxDuetCell": (
        "model MODEL, latent LATENT, vec_file STRING, txt_file STRING, guidance FLOAT, seed INT, steps INT, "
        "sampler COMBO, scheduler COMBO, like CONDITIONING?",
        "",
    ),
    "FluxDuetStudy": (
        "model MODEL, clip CLIP, t5 CLIP, prompts STRING, file COMBO, latent LATENT, seed INT, seeds INT, steps INT, "
        "sampler COMBO, scheduler COMBO, guidance FLOAT, null COMBO?, every INT?, length COMBO?, resume BOOLEAN?, "
        "workers FLUX_WORKERS?",
        "IMAGE, STRING, STRING, STRING",
    ),
    "FluxDuetRay": (
        "address STRING, count INT, gpus FLOAT, comfyui STRING?, arguments STRING?",
        "FLUX_WORKERS",
    ),
    "FluxDuetLoraAnatomy": (
        "model MODEL, clip CLIP?, t5 CLIP?, lora_name COMBO, compare_with COMBO?",
        "IMAGE, STRING, STRING, STRING",
    ),
    "FluxDuetLoraInfluence": (
        "model MODEL, clip CLIP, t5 CLIP, lora_name COMBO, strength FLOAT, clip_prompt STRING, t5_prompt STRING, "
        "latent LATENT, seed INT, steps INT, sampler COMBO, scheduler COMBO, guidance FLOAT, measured_steps INT, "
        "vae VAE?, length COMBO?, like CONDITIONING?",
        "IMAGE, IMAGE, MASK, STRING, STRING, STRING, LATENT",
    ),
    "FluxDuetTrigger": (
        "model MODEL, clip CLIP, t5 CLIP, lora_name COMBO, strength FLOAT, trigger STRING, clip_prompt STRING, "
        "t5_prompt STRING, instead STRING, latent LATENT, seed INT, seeds INT, steps INT, sampler COMBO, "
        "scheduler COMBO, guidance FLOAT, measured_steps INT, vae VAE?, length COMBO?, like CONDITIONING?",
        "IMAGE, IMAGE, STRING, STRING, STRING",
    ),
    "FluxDuetShape": ("value COMFY_MATCHTYPE_V3", "COMFY_MATCHTYPE_V3, STRING"),
    "FluxDuetCaptions": (
        "folder STRING, trigger STRING, t5_length COMBO, captions STRING?",
        "IMAGE, STRING, STRING, STRING, STRING",
    ),
}


def extension_nodes() -> dict:
    """Every node of the pack, as returned to ComfyUI."""

    async def listed():
        return await (await comfy_entrypoint()).get_node_list()

    return {node.GET_SCHEMA().node_id: node for node in asyncio.run(listed())}


NODES = extension_nodes()


def test_ids():
    assert list(NODES) == list(SOCKETS)  # in pipeline order
    assert all(name.startswith("FluxDuet") for name in NODES)


@pytest.fixture(params=NODES)
def schema(request):
    return NODES[request.param].GET_SCHEMA()


def test_sockets(schema):
    inputs = [f"{item.id} {item.get_io_type()}{'?' * bool(item.optional)}" for item in schema.inputs]
    outputs = [item.get_io_type() for item in schema.outputs]
    assert (", ".join(inputs), ", ".join(outputs)) == SOCKETS[schema.node_id]


def test_every_input_and_output_is_explained(schema):
    assert schema.description and schema.display_name and schema.category.startswith("Flux Duet/")
    for item in [*schema.inputs, *schema.outputs]:
        assert item.tooltip, item


def test_numbers_have_a_range_and_a_default_in_it(schema):
    for item in schema.inputs:
        if item.get_io_type() in ("INT", "FLOAT"):
            assert item.min <= item.default <= item.max, item.id
        if item.get_io_type() == "FLOAT":
            assert item.step and item.round, item.id
            assert item.round <= item.step, item.id


def test_choices_have_a_default_among_them(schema):
    for item in schema.inputs:
        if item.get_io_type() == "COMBO" and item.default is not None:
            assert item.default in item.options, item.id


def test_what_execute_takes_are_the_inputs(schema):
    """ComfyUI passes the inputs by name."""
    code = NODES[schema.node_id].execute.__func__.__code__
    names = set(code.co_varnames[1 : code.co_argcount])
    takes_more = bool(code.co_flags & 0x08)  # **plan
    ids = {item.id for item in schema.inputs}
    assert names == ids or (takes_more and names < ids)
