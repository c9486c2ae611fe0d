"""dev.py: errors during setup are reported in one line."""

import ast
import io
import runpy
import sys
import tarfile
from types import SimpleNamespace

import pytest

from flux_duet.devtools import ROOT, SetupError, build, environment, inside
from flux_duet.devtools.environment import ensure
from flux_duet.tests.unit.dev.builder import VERSION, Builder


def one_line(error) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


# ---- Failures


def test_an_old_python_is_reported_in_one_line(monkeypatch):
    source = ROOT / "dev.py"
    ast.parse(source.read_text(encoding="utf-8"), feature_version=(3, 4))  # it has to read the file to say so
    with monkeypatch.context() as patch, pytest.raises(SystemExit) as error:
        patch.setattr(sys, "version_info", (3, 9, 18))
        patch.setattr(sys, "version", "3.9.18 (main)")
        runpy.run_path(str(source), run_name="__main__")
    assert "needs Python 3.10 or newer and this is 3.9.18" in one_line(error)


def test_a_full_disk_is_told_before_anything_is_built(monkeypatch):
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _: SimpleNamespace(free=2 * environment.GB))
    builder = Builder()
    with pytest.raises(SetupError) as error:
        ensure(VERSION, builder)
    assert "has 2.0 GB free" in one_line(error) and "FLUX_DUET_CACHE" in one_line(error)
    assert not builder.calls


def test_a_python_without_venv_is_reported(monkeypatch):
    monkeypatch.setattr(build, "can_make_venv", lambda: False)
    with pytest.raises(SetupError) as error:
        ensure(VERSION, Builder())
    assert "-venv" in one_line(error)


def test_an_unknown_version_is_reported():
    with pytest.raises(SetupError) as error:
        ensure("9.9", Builder())
    assert "9.9" in one_line(error) and "0.27.0" in one_line(error) and "--comfy-path" in one_line(error)


NO_INDEX = """WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError()': /simple/torch/
ERROR: Could not find a version that satisfies the requirement torch==2 (from versions: none)
ERROR: No matching distribution found for torch==2"""
NO_WHEEL = """ERROR: Could not find a version that satisfies the requirement torch==2 (from versions: 1.0, 1.1)
ERROR: No matching distribution found for torch==2"""
NO_SPACE = "Collecting torch\nERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n"


def printing(text: str, code: int = 1) -> list[str]:
    return [sys.executable, "-c", f"print({text!r}); raise SystemExit({code})"]


@pytest.mark.parametrize(
    ("output", "reason", "missing"),
    [
        (NO_INDEX, "no connection to the package index", False),
        (NO_WHEEL, "No matching distribution found for torch==2", True),
        (NO_SPACE, "No space left on device", False),
        ("", "no output", False),
    ],
)
def test_a_failing_pip_is_reported_in_one_line(tmp_path, output, reason, missing):
    log = tmp_path / "build.log"
    runner = build.Runner(log)
    runner.run("1/2 going well", printing("ERROR: of an earlier step", 0))
    with pytest.raises(SetupError) as error:
        runner.run("2/2 installing PyTorch", printing(output))
    assert one_line(error).startswith("installing PyTorch failed: ") and f"{reason}. Check" in one_line(error)
    assert str(log) in one_line(error) and output.strip() in log.read_text()
    assert runner.version_is_missing() is missing


@pytest.mark.parametrize(
    ("output", "installed"),
    [
        (NO_WHEEL, [build.TORCH, build.ANY_TORCH, ["--no-deps", build.ANY_TORCHAUDIO]]),
        (None, [build.TORCH, ["--no-deps", build.TORCHAUDIO]]),
    ],
)
def test_torch_falls_back_where_the_known_good_one_is_missing(tmp_path, capsys, output, installed):
    runner, ran = build.Runner(tmp_path / "build.log"), []

    def run(step, command):
        ran.append(command[2:])
        if output and command[2:] == build.TORCH:
            runner.last_output = output
            raise SetupError("pip failed")

    runner.run = run
    build.install_torch(runner, ["pip"])
    assert ran == installed
    assert ("cannot be had" in capsys.readouterr().err) is bool(output)


def test_without_a_network_torch_does_not_fall_back(tmp_path):
    runner = build.Runner(tmp_path / "build.log")
    real = runner.run
    runner.run = lambda step, command: real(step, printing(NO_INDEX))
    with pytest.raises(SetupError, match="no connection"):
        build.install_torch(runner, ["pip"])


# ---- Downloads


def test_only_comfyui_is_unpacked(tmp_path):
    with tarfile.open(tmp_path / "x-1.tar.gz", "w:gz") as tar:
        for name in ("x-1/setup.py", "x-1/vendor/ComfyUI/main.py", "x-1/vendor/ComfyUI/../../../out.py"):
            member = tarfile.TarInfo(name)
            member.size = 4
            tar.addfile(member, io.BytesIO(b"pass"))
    build.unpack(tmp_path, tmp_path / "a" / "ComfyUI")
    assert [path.name for path in tmp_path.rglob("*.py")] == ["main.py"]


def test_requirements_leave_the_torch_family_out(tmp_path):
    (tmp_path / "requirements.txt").write_text("torch\ntorchsde\ntorchvision>=0.1\ntorchaudio\nnumpy>=1\n")
    assert build.requirements_of(tmp_path) == ["torchsde", "numpy>=1"]


# ---- The user's own install


@pytest.fixture
def install(tmp_path):
    folder = tmp_path / "portable" / "ComfyUI"
    (folder / "comfy").mkdir(parents=True)
    (folder / "main.py").touch()
    (folder / "comfyui_version.py").write_text('__version__ = "0.31.2"\n')
    return folder


@pytest.mark.parametrize("place", ["ComfyUI/.venv", "ComfyUI/venv", "venv", "python_embeded"])
def test_the_python_of_an_install_is_found(install, place):
    base = install.parent / place
    python = base / "python.exe" if place == "python_embeded" else build.venv_python(base)
    python.parent.mkdir(parents=True)
    python.touch()
    found = environment.existing(str(install))
    assert (found.python, found.comfyui, found.version) == (python, install, "0.31.2")


def test_the_python_of_an_install_can_be_named(install):
    assert environment.existing(str(install), sys.executable).python.samefile(sys.executable)


@pytest.mark.parametrize(
    ("folder", "python", "reason"),
    [
        ("portable", None, "name the folder that holds main.py"),
        ("portable/ComfyUI", None, "name its Python with --python"),
        ("portable/ComfyUI", "no-such-python", "--python no-such-python is not a file"),
    ],
)
def test_a_wrong_install_is_reported(install, tmp_path, folder, python, reason):
    with pytest.raises(SetupError) as error:
        environment.existing(str(tmp_path / folder), python)
    assert reason in one_line(error)


# ---- A given Python


REQUIREMENTS = """torch
no-such-package>=2.0  # for pictures

#non essential dependencies:
another.missing_one==1.2; python_version > "3"
"""


def test_all_that_a_given_python_lacks_is_told_at_once(monkeypatch, tmp_path):
    def run(*args):
        raise ModuleNotFoundError("No module named 'no_such_package'", name="no_such_package")

    (tmp_path / "requirements.txt").write_text(REQUIREMENTS)
    monkeypatch.setenv(inside.COMFYUI, str(tmp_path))
    monkeypatch.setattr(inside, "run", run)
    with pytest.raises(SystemExit) as error:
        inside.main("check.run")
    assert "has no module no_such_package" in str(error.value)
    assert "it lacks: no-such-package, another.missing_one. " in str(error.value)
    assert f"{sys.executable} -m pip install no-such-package another.missing_one" in str(error.value)


def test_a_module_that_is_missing_although_all_requirements_are_there_is_an_error_of_its_own(monkeypatch, tmp_path):
    def run(*args):
        raise ModuleNotFoundError("No module named 'own_mistake'", name="own_mistake")

    (tmp_path / "requirements.txt").write_text("torch\n")
    monkeypatch.setenv(inside.COMFYUI, str(tmp_path))
    monkeypatch.setattr(inside, "run", run)
    with pytest.raises(ModuleNotFoundError, match="own_mistake"):
        inside.main("check.run")
