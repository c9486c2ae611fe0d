"""What a worker must have, which files travel to it, and what is said without Ray."""

import importlib

import folder_paths
import pytest

from flux_duet.nodes.cluster import crew, fingerprint
from flux_duet.nodes.cluster.choices import Workers
from flux_duet.nodes.routes import worker
from flux_duet.nodes.routes.http import Refused

HOME = {"comfyui": "0.30.0", "flux_duet": "ab", "files": {"x.safetensors": {"loras": "1", "vae": "2"}}}
REFUSALS = {
    "another ComfyUI": ({"comfyui": "0.29.0"}, "it runs ComfyUI 0.29.0, this machine 0.30.0"),
    "another pack": ({"flux_duet": "cd"}, "its Flux Duet is cd, here it is ab"),
    "no node": ({"missing": ["UnetLoaderGGUF"]}, "its ComfyUI has no node UnetLoaderGGUF"),
    "no file": ({"files": {"x.safetensors": {"vae": "2"}}}, "it has no readable x.safetensors in models/loras"),
    "no files": ({"files": {}}, "it has no readable x.safetensors in models/loras"),
    "other bytes": ({"files": {"x.safetensors": {"loras": "1", "vae": "3"}}}, "in models/vae differs from the one"),
    "no pack": ({"fault": "Flux Duet does not work in its ComfyUI"}, "Flux Duet does not work in its ComfyUI"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_an_unlike_worker_is_refused_with_the_reason(case):
    change, reason = REFUSALS[case]
    assert fingerprint.refusal(HOME, HOME) == ""
    assert reason in fingerprint.refusal(HOME, {**HOME, **change})


def test_only_files_inside_the_input_and_output_folders_travel(tmp_path, monkeypatch):
    for kind in ("input", "output"):
        (tmp_path / kind / "deep").mkdir(parents=True)
        (tmp_path / kind / "deep" / "a.png").write_bytes(kind.encode())
        monkeypatch.setattr(folder_paths, f"{kind}_directory", str(tmp_path / kind))
    (tmp_path / "secret.txt").write_text("no")
    names = ["deep/a.png", "deep/a.png [output]", "../secret.txt", str(tmp_path / "secret.txt"), "deep", "", "euler"]
    found = {"input/deep/a.png": b"input", "output/deep/a.png": b"output"}
    assert fingerprint.input_files(names) == found


def test_names_of_model_files_are_found_and_others_are_not(tmp_path, monkeypatch):
    (tmp_path / "x.safetensors").write_bytes(b"abc")
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "loras", ([str(tmp_path)], {".safetensors"}))
    found = fingerprint.facts(["x.safetensors", "y.safetensors", "euler"])["files"]
    assert {name: [*places] for name, places in found.items()} == {"x.safetensors": ["loras"]}


WRONG = [[], {}, {"files": "x"}, {"files": [1]}, {"files": ["x" * 501]}, {"files": [], "a": 1}]


@pytest.mark.parametrize("body", WRONG)
def test_wrong_requests_are_refused(body):
    with pytest.raises(Refused):
        worker.checked(body)


def test_without_ray_the_error_says_what_to_install(monkeypatch):
    def missing(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ValueError, match=r"-m pip install \"ray\[default\]\""):
        crew.Crew(Workers(), "owner", "/comfyui")
