"""A real Ray of two CPUs on loopback, and a ComfyUI that sends grids to it. Its tests are in test_ray.py."""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
STORE = 80 * 10**6  # bytes of Ray's object store
PORT = 6_400
TRIES, LONGEST = 3, 120  # to start Ray, and seconds for each
PICTURE = "start.png"  # in the driver's input folder
# Ray's clusters on Linux listen on all addresses; so switched they listen on loopback, and drivers look there.
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
# Else Ray asks for a token where the user's home holds one.
os.environ["RAY_AUTH_MODE"] = "disabled"


class Cluster:
    """`with Cluster(folder) as cluster:` starts Ray in a process of its own, which outlives the drivers."""

    def __init__(self, folder: Path):
        self.folder, self.address = folder, ""
        self.process: subprocess.Popen | None = None

    def __enter__(self) -> "Cluster":
        """Starts Ray; again if it gave up, as it does on a machine that is too busy to answer it in time."""
        for number in range(TRIES):
            self.address = f"127.0.0.1:{PORT + (os.getpid() + 500 * number) % 2000}"
            try:
                if self._started(self.folder / f"start{number}.log"):
                    return self
            except BaseException:
                self.__exit__()
                raise
            self.__exit__()
        raise AssertionError((self.folder / f"start{TRIES - 1}.log").read_text())

    def _started(self, path: Path) -> bool:
        port = self.address.split(":")[1]
        command = [
            *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats"),
            *("--port", port, "--num-cpus", "2", "--num-gpus", "0"),
            *("--object-store-memory", str(STORE), "--include-dashboard", "false", "--temp-dir", str(self.folder)),
        ]
        variables = {**os.environ, "RAY_worker_niceness": "0"}
        with path.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=variables, stdin=subprocess.DEVNULL)
        until = time.monotonic() + LONGEST
        while self.process.poll() is None and time.monotonic() < until:
            if "Ray runtime started" in path.read_text():
                return True
            time.sleep(0.2)
        return False

    def __exit__(self, *_) -> None:
        """Ends Ray's processes and their children: those that descend from ours, and no others."""
        if self.process.poll() is None:
            mine = psutil.Process(self.process.pid).children(recursive=True)
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(3)
            for each in [self.process, *mine]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()

    def servers(self) -> list[psutil.Process]:
        """The ComfyUIs of the workers."""
        found = psutil.Process(self.process.pid).children(recursive=True)
        return [each for each in found if "main.py" in " ".join(_command(each)) and "--listen" in _command(each)]

    def actors(self) -> list[psutil.Process]:
        """The processes of the workers: their ComfyUIs' parents."""
        return [each.parent() for each in self.servers()]


def _command(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


def grid(clips: int, seeds: int, steps: int, **inputs) -> dict:
    """Prompt Grid on the tiny models, in the API's format; its LATENT is saved, its JSON shown."""
    prompt = json.loads((ROOT / "workflows" / "api" / "prompt_grid.json").read_text())
    names = {"clip_name": "tiny_clip_l", "t5_name": "tiny_t5xxl", "unet_name": "tiny_flux", "vae_name": "tiny_ae"}
    for node in prompt.values():
        node["inputs"] |= {key: f"{name}.safetensors" for key, name in names.items() if key in node["inputs"]}
    lines = "\n".join(f"prompt {number}" for number in range(clips))
    given = {"clip_prompts": lines, "t5_prompts": "a star\na heart", "seeds": seeds, "steps": steps, **inputs}
    prompt["6"]["inputs"] |= given
    prompt["5"]["inputs"] |= {"width": 64, "height": 64}
    prompt["7"] = {"class_type": "SaveLatent", "inputs": {"samples": ["6", 1], "filename_prefix": "grid"}}
    prompt["8"] = {"class_type": "PreviewAny", "inputs": {"source": ["6", 3]}}
    return prompt


def with_everything(resume: bool) -> dict:
    """Prompt Grid on the nano models, from a picture in the input folder, with a mask in `like`, and with a LoRA."""
    prompt = json.loads((ROOT / "workflows" / "api" / "prompt_grid.json").read_text())

    def add(id: str, kind: str, **inputs) -> list:
        prompt[id] = {"class_type": kind, "inputs": inputs}
        return [id, 0]

    picture = add("20", "LoadImage", image=PICTURE)
    vec = add("21", "FluxDuetClipEncode", clip=["1", 0], text="x")
    txt = add("22", "FluxDuetT5Encode", clip=["2", 0], text="x", length="ComfyUI")
    like = add("23", "FluxDuetDualPrompt", vec=vec, txt=txt, guidance=3.5)
    mask = add("24", "SolidMask", value=0.7, width=128, height=128)
    masked = add("25", "ConditioningSetMask", conditioning=like, mask=mask, strength=0.8, set_cond_area="default")
    prompt["6"]["inputs"] |= {
        "clip_prompts": "at night", "t5_prompts": "a red circle\na ring", "seeds": 2, "steps": 3, "resume": resume,
        "loras": "none\nnano_trigger.safetensors 0.8", "like": masked,
        "latent": add("26", "VAEEncode", pixels=picture, vae=["4", 0]),
    }  # fmt: skip
    add("7", "SaveLatent", samples=["6", 1], filename_prefix="grid")
    add("8", "PreviewAny", source=["6", 3])
    return prompt


def on(prompt: dict, address: str, arguments: str, comfyui: str = "", count: int = 0) -> dict:
    """The same grid, on workers."""
    inputs = {"address": address, "count": count, "gpus": 0, "comfyui": comfyui, "arguments": arguments}
    prompt["9"] = {"class_type": "FluxDuetRay", "inputs": inputs}
    prompt["6"]["inputs"]["workers"] = ["9", 0]
    return prompt


def study(resume: bool) -> dict:
    """Influence Study of three prompts on the tiny models; its JSON is shown."""
    prompt = {**grid(1, 1, 2), "6": {"class_type": "FluxDuetStudy"}}
    links = {"model": ["3", 0], "clip": ["1", 0], "t5": ["2", 0], "latent": ["5", 0]}
    texts = {"prompts": "a star\nat night || a heart\na ring", "file": "(none)", "resume": resume}
    plan = {"seed": 3, "seeds": 2, "steps": 2, "sampler": "euler", "scheduler": "simple", "guidance": 3.5}
    prompt["6"]["inputs"] = {**links, **texts, **plan}
    prompt["8"]["inputs"]["source"] = ["6", 2]
    del prompt["7"]
    return prompt


def sweep(resume: bool) -> dict:
    """Switch Sweep of two T5 prompts on the tiny models; its JSON is shown. `resume` is of no use to it."""
    prompt = {**grid(1, 1, 2), "6": {"class_type": "FluxDuetSweep"}}
    for name, text in (("a", "a star"), ("b", "a heart")):
        prompt[f"{name}v"] = {"class_type": "FluxDuetClipEncode", "inputs": {"clip": ["1", 0], "text": "at night"}}
        prompt[f"{name}t"] = {
            "class_type": "FluxDuetT5Encode",
            "inputs": {"clip": ["2", 0], "text": text, "length": "ComfyUI"},
        }
        joined = {"vec": [f"{name}v", 0], "txt": [f"{name}t", 0], "guidance": 3.5}
        prompt[name] = {"class_type": "FluxDuetDualPrompt", "inputs": joined}
    links = {"model": ["3", 0], "a": ["a", 0], "b": ["b", 0], "latent": ["5", 0]}
    plan = {"switch": "T5", "seed": 3, "steps": 4, "sampler": "euler", "scheduler": "simple", "every": 1, "batch": 4}
    prompt["6"]["inputs"] = {**links, **plan}
    prompt["8"]["inputs"]["source"] = ["6", 3]
    del prompt["7"]
    return prompt
