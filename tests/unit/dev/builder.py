"""A stand-in for the builder of environments, and the version that tests build."""

from flux_duet.devtools import build

VERSION = build.DEFAULT


class Builder:
    """Replaces build.build: writes the few files that make an environment look complete."""

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
