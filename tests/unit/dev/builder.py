"""A stand-in for what builds an environment, and the version it is asked for."""

from flux_duet.devtools import build

VERSION = build.DEFAULT


class Builder:
    """Stands in for build.build: lays out the few files that make an environment look whole."""

    def __init__(self, fail: BaseException | None = None):
        self.fail, self.calls = fail, 0

    def __call__(self, folder, version, keep):
        self.calls += 1
        assert not list(folder.iterdir())
        (folder / f"half-done-{self.calls}").touch()
        if self.fail:
            raise self.fail
        python, comfyui = build.venv_python(folder / "venv"), folder / "ComfyUI"
        for file in (python, comfyui / "main.py"):
            file.parent.mkdir(parents=True)
            file.touch()
        return python, comfyui
