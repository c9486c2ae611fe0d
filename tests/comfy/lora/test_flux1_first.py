"""Which LoRAs are listed first: those for FLUX.1, in any format."""

import pytest

from flux_duet.nodes.lora.choices import is_flux1

FLUX1 = {
    "kohya": "lora_unet_double_blocks_18_img_attn_proj.lora_down.weight",
    "ai-toolkit": "transformer.single_transformer_blocks.37.attn.to_q.lora_A.weight",
    "OneTrainer": "lora_transformer_single_transformer_blocks_0_attn_to_k.lora_down.weight",
    "SimpleTuner": "lycoris_single_transformer_blocks_0_attn_to_q.lokr_w1",
    "XLabs": "double_blocks.0.processor.proj_lora1.down.weight",
    "ComfyUI": "diffusion_model.single_blocks.0.linear1.lora_up.weight",
}
OTHERS = {
    "SDXL": "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_k.lora_down.weight",
    "SD3": "transformer.transformer_blocks.0.attn.to_q.lora_A.weight",
    "HunyuanVideo": "transformer.double_blocks.19.img_attn.proj.lora_A.weight",
    "FLUX.2": "diffusion_model.single_blocks.47.linear1.lora_A.weight",
    "an encoder's": "lora_te1_text_model_encoder_layers_0_mlp_fc1.alpha",
}


@pytest.mark.parametrize("kind", FLUX1)
def test_of_flux1(kind):
    assert is_flux1(frozenset({FLUX1[kind], "lora_te1_text_model_encoder_layers_0_mlp_fc1.alpha", "__metadata__"}))


@pytest.mark.parametrize("kind", OTHERS)
def test_of_others(kind):
    first = "double_blocks.0.img_attn.proj.lora_A.weight" if kind in ("HunyuanVideo", "FLUX.2") else "__metadata__"
    assert not is_flux1(frozenset({OTHERS[kind], first}))
