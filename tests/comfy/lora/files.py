"""Random LoRAs for the tiny FLUX.1, in every layout that ComfyUI's loader knows."""

import torch

DOUBLE = {  # BFL's names of a double block's layers -> diffusers' names, of which three make one
    "img_mod.lin": ["norm1.linear"],
    "txt_mod.lin": ["norm1_context.linear"],
    "img_attn.qkv": ["attn.to_q", "attn.to_k", "attn.to_v"],
    "img_attn.proj": ["attn.to_out.0"],
    "txt_attn.qkv": ["attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"],
    "txt_attn.proj": ["attn.to_add_out"],
    "img_mlp.0": ["ff.net.0.proj"],
    "img_mlp.2": ["ff.net.2"],
    "txt_mlp.0": ["ff_context.net.0.proj"],
    "txt_mlp.2": ["ff_context.net.2"],
}
SINGLE = ["linear1", "linear2", "modulation.lin"]
OUTSIDE = ["img_in", "txt_in", "vector_in.in_layer", "time_in.out_layer", "guidance_in.in_layer",
           "final_layer.linear", "final_layer.adaLN_modulation.1"]  # fmt: skip
ENCODERS = {
    "lora_te1_text_model_encoder_layers_1_mlp_fc1": (256, 64),
    "lora_te3_encoder_block_1_layer_1_DenseReluDense_wi_0": (256, 64),
}
RANK = 4


class Maker:
    """Random tensors, the same for the same seed; small, so that the picture stays one."""

    def __init__(self, model, seed: int = 0):
        self.random = torch.Generator().manual_seed(seed)
        weights = model.model.diffusion_model.state_dict()
        self.shapes = {name.removesuffix(".weight"): tuple(each.shape) for name, each in weights.items()
                       if name.endswith(".weight")}  # fmt: skip
        self.hidden = model.model.diffusion_model.hidden_size
        self.layers = [name for name, shape in self.shapes.items() if len(shape) == 2]

    def tensor(self, *shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=self.random) * 0.1

    def pair(self, name: str, shape, up: str, down: str, alpha=None, rank: int = RANK) -> dict:
        made = {f"{name}.{up}": self.tensor(shape[0], rank), f"{name}.{down}": self.tensor(rank, shape[1])}
        return {**made, **({} if alpha is None else {f"{name}.alpha": torch.tensor(alpha)})}

    def kohya(self, layers=None) -> dict:
        found = {}
        for layer in layers or self.layers:
            flat = f"lora_unet_{layer.replace('.', '_')}"
            found |= self.pair(flat, self.shapes[layer], "lora_up.weight", "lora_down.weight", 2.0)
        return found

    def encoders(self) -> dict:
        found = {}
        for name, shape in ENCODERS.items():
            found |= self.pair(name, shape, "lora_up.weight", "lora_down.weight", 2.0)
        return found

    def diffusers(self, prefix="transformer.", flat=False, sides=("lora_B.weight", "lora_A.weight"), alpha=None):
        found = {}

        def add(name: str, shape) -> None:
            name = name.replace(".", "_") if flat else name
            found.update(self.pair(f"{prefix}{name}", shape, *sides, alpha))

        for block in range(2):
            for layer, names in DOUBLE.items():
                rows, columns = self.shapes[f"double_blocks.{block}.{layer}"]
                for name in names:
                    add(f"transformer_blocks.{block}.{name}", (rows // len(names), columns))
        for block in range(3):
            at, hidden = f"single_transformer_blocks.{block}", self.hidden
            for name in ("attn.to_q", "attn.to_k", "attn.to_v"):
                add(f"{at}.{name}", (hidden, hidden))
            add(f"{at}.proj_mlp", (4 * hidden, hidden))
            add(f"{at}.proj_out", (hidden, 5 * hidden))
            add(f"{at}.norm.linear", (3 * hidden, hidden))
        return found

    def ai_toolkit(self) -> dict:
        return {key: each for layer in self.layers for key, each in self.pair(
            f"diffusion_model.{layer}", self.shapes[layer], "lora_B.weight", "lora_A.weight").items()}  # fmt: skip

    def xlabs(self) -> dict:
        """USO's and XLabs' layout, which ComfyUI knows by two blocks that the tiny model does not have."""
        found, hidden = {}, self.hidden
        for block in (0, 1, 18):
            for side in (1, 2):
                for name, rows in (("qkv", 3 * hidden), ("proj", hidden)):
                    layer = f"double_blocks.{block}.processor.{name}_lora{side}"
                    found |= self.pair(layer, (rows, hidden), "up.weight", "down.weight")
        for block in (0, 1, 2, 37):
            layer = f"single_blocks.{block}.processor"
            found |= self.pair(f"{layer}.qkv_lora", (3 * hidden, hidden), "up.weight", "down.weight")
            found |= self.pair(f"{layer}.proj_lora", (hidden, 5 * hidden), "up.weight", "down.weight")
        return found

    def bfl_control(self) -> dict:
        """Canny and Depth: img_in is widened, biases are changed, norms are set."""
        found = {}
        for layer in self.layers:
            rows, columns = self.shapes[layer]
            wide = 2 * columns if layer == "img_in" else columns
            found |= self.pair(layer, (rows, wide), "lora_B.weight", "lora_A.weight")
            found[f"{layer}.lora_B.bias"] = self.tensor(rows)
        for name, shape in self.shapes.items():
            if len(shape) == 1 and name.endswith("_norm"):
                found[f"{name}.scale"] = 1 + self.tensor(*shape)
        return found

    def lokr(self) -> dict:
        """Every other layer with both factors whole, the rest with a low-rank second one."""
        found = {}
        for number, layer in enumerate(self.layers):
            (rows, columns), name = self.shapes[layer], f"lora_unet_{layer.replace('.', '_')}"
            found[f"{name}.lokr_w1"] = self.tensor(4, 2)
            if number % 2:
                found[f"{name}.lokr_w2"] = self.tensor(rows // 4, columns // 2)
            else:
                found[f"{name}.lokr_w2_a"] = self.tensor(rows // 4, RANK)
                found[f"{name}.lokr_w2_b"] = self.tensor(RANK, columns // 2)
            found[f"{name}.alpha"] = torch.tensor(2.0)
        return found

    def loha(self) -> dict:
        found = {}
        for layer in self.layers:
            (rows, columns), name = self.shapes[layer], f"lora_unet_{layer.replace('.', '_')}"
            for each in ("w1", "w2"):
                found[f"{name}.hada_{each}_a"] = self.tensor(rows, RANK)
                found[f"{name}.hada_{each}_b"] = self.tensor(RANK, columns)
            found[f"{name}.alpha"] = torch.tensor(2.0)
        return found

    def dora(self) -> dict:
        found = self.kohya()
        for layer in self.layers:
            found[f"lora_unet_{layer.replace('.', '_')}.dora_scale"] = 1 + self.tensor(self.shapes[layer][0], 1)
        return found

    def diff(self) -> dict:
        """Whole changes of weights, of biases and of norms."""
        found = {}
        for name, shape in self.shapes.items():
            ending = "diff" if len(shape) == 2 else "w_norm"
            found[f"diffusion_model.{name}.{ending}"] = self.tensor(*shape)
            if len(shape) == 2:
                found[f"diffusion_model.{name}.diff_b"] = self.tensor(shape[0])
        return found

    def glora(self) -> dict:
        found = {}
        for layer in self.layers:
            (rows, columns), name = self.shapes[layer], f"lora_unet_{layer.replace('.', '_')}"
            sides = {"a1": (columns, RANK), "a2": (RANK, columns), "b1": (rows, RANK), "b2": (RANK, columns)}
            found |= {f"{name}.{side}.weight": self.tensor(*shape) for side, shape in sides.items()}
        return found

    def oft(self) -> dict:
        return {f"lora_unet_{layer.replace('.', '_')}.oft_blocks": self.tensor(self.shapes[layer][0] // 4, 4, 4)
                for layer in self.layers}  # fmt: skip

    def boft(self) -> dict:
        found = {}
        for layer in self.layers:
            name, rows = f"lora_unet_{layer.replace('.', '_')}", self.shapes[layer][0]
            found[f"{name}.oft_blocks"] = self.tensor(2, rows // 4, 4, 4)
            found[f"{name}.alpha"] = torch.tensor(2.0)
        return found


LAYOUTS = {
    "kohya": Maker.kohya,
    "diffusers": Maker.diffusers,
    "diffusers' older names": lambda maker: maker.diffusers(sides=("lora.up.weight", "lora.down.weight")),
    "ai-toolkit": Maker.ai_toolkit,
    "OneTrainer": lambda maker: maker.diffusers("lora_transformer_", True, ("lora_up.weight", "lora_down.weight"), 2.0),
    "SimpleTuner LyCORIS": lambda maker: maker.diffusers("lycoris_", True, ("lora_up.weight", "lora_down.weight"), 2.0),
    "XLabs and USO": Maker.xlabs,
    "BFL control": Maker.bfl_control,
    "LoKr": Maker.lokr,
    "LoHa": Maker.loha,
    "DoRA": Maker.dora,
    "GLoRA": Maker.glora,
    "OFT": Maker.oft,
    "BOFT": Maker.boft,
    "whole changes": Maker.diff,
}
