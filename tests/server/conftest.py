"""Shared by the server tests: one server with previews and a LoRA, and the shipped workflow to modify."""

import copy
import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

SHIPPED = Path(__file__).parents[2] / "workflows" / "api" / "dual_prompt.json"
SEED = 7
Link = list  # [node id, output slot], as the API format writes it


class Workflow(dict):
    """An API prompt whose nodes are found by their kind, and which grows by `add`."""

    def node(self, kind: str) -> str:
        """The id of the first node of this kind."""
        return next(node for node, data in self.items() if data["class_type"] == kind)

    def inputs(self, kind: str) -> dict:
        return self[self.node(kind)]["inputs"]

    def out(self, kind: str, slot: int = 0) -> Link:
        return [self.node(kind), slot]

    def add(self, kind: str, **inputs) -> Link:
        """Adds a node; returns its first output."""
        node = str(1 + max(map(int, self), default=0))
        self[node] = {"class_type": kind, "inputs": inputs}
        return [node, 0]

    def save(self, image: Link) -> str:
        """Adds a Save Image on this output; returns its id."""
        return self.add("SaveImage", images=image, filename_prefix="test")[0]

    def add_native_twin(self, **changes) -> str:
        """The same model, CONDITIONING and latent through KSampler and VAEDecode; gives the id of their Save Image."""
        ours = self.inputs("FluxDuetSampler")
        same = {name: ours[name] for name in ("model", "positive", "seed", "steps", "cfg", "scheduler", "denoise")}
        same.update(
            sampler_name=ours["sampler"],
            latent_image=ours["latent"],
            negative=ours.get("negative") or self.add("ConditioningZeroOut", conditioning=ours["positive"]),
        )
        samples = self.add("KSampler", **{**same, **changes})
        return self.save(self.add("VAEDecode", samples=samples, vae=self.inputs("FluxDuetDecode")["vae"]))

    def copy(self) -> "Workflow":
        return copy.deepcopy(self)


@pytest.fixture(scope="session")
def shipped() -> Workflow:
    """The dual-prompt workflow as shipped. Copy it before changing it."""
    return Workflow(json.loads(SHIPPED.read_text(encoding="utf-8")))


@pytest.fixture
def workflow(shipped) -> Workflow:
    """The shipped workflow on the tiny models in four steps; tests may change it."""
    own = Workflow(json.loads(json.dumps(shipped).replace("nano_", "tiny_")))
    own.inputs("FluxDuetSampler")["steps"] = 4
    return own


@pytest.fixture(scope="session")
def models(tiny_models, tmp_path_factory) -> Path:
    """The tiny models, a LoRA for them, and an autoencoder in the encoders' folder."""
    folder = tmp_path_factory.mktemp("server") / "models"
    shutil.copytree(tiny_models, folder)
    shutil.copy(folder / "vae" / "tiny_ae.safetensors", folder / "text_encoders" / "misplaced_ae.safetensors")
    (folder / "loras").mkdir()
    generator = torch.Generator().manual_seed(SEED)
    lora = {
        f"transformer.single_transformer_blocks.{block}.attn.to_q.{half}.weight": torch.randn(
            shape, generator=generator
        )
        / 4
        for block in (0, 1)
        for half, shape in (("lora_A", (4, 128)), ("lora_B", (128, 4)))
    }
    save_file(lora, folder / "loras" / "tiny_lora.safetensors")
    return folder


@pytest.fixture(scope="session")
def comfy_server(make_server, models):
    """Stands in for the suite's own server: sends previews, and knows `models`; half.png waits in its input folder."""
    folders = {folder.name: folder for folder in models.iterdir()}
    with make_server(model_folders=folders, args=["--preview-method", "latent2rgb"]) as server:
        noise = torch.randint(0, 256, (128, 128, 4), generator=torch.Generator().manual_seed(SEED), dtype=torch.uint8)
        noise[:, :, 3], noise[:, :64, 3] = 255, 0  # its left half is transparent, from which Load Image makes a mask
        Image.fromarray(noise.numpy(), "RGBA").save(server.base / "input" / "half.png")
        yield server


@pytest.fixture(scope="session")
def nano_server(make_server):
    """A server as a user has it, with only the models that come with the pack."""
    with make_server(model_folders={}) as server:
        yield server
