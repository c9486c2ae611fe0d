"""dev.py: environments are set up whole or not at all, once, and what goes wrong is told in one line."""

import ast
import io
import runpy
import subprocess
import sys
import tarfile
import threading
from types import SimpleNamespace

import pytest

from flux_duet.devtools import ROOT, SetupError, browser, build, cli, demo, environment, lock
from flux_duet.devtools.environment import ensure
from flux_duet.devtools.lock import Lock
from flux_duet.tests import parallel

VERSION = build.DEFAULT


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of the test's own, on a disk that is large enough."""
    monkeypatch.setenv("FLUX_DUET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _: SimpleNamespace(free=100 * environment.GB))
    return tmp_path / "cache"


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


def one_line(error) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


# Setting up


def test_an_environment_is_built_once():
    builder = Builder()
    first = ensure(VERSION, builder)
    assert ensure(VERSION, builder) == first
    assert (first.version, builder.calls) == (VERSION, 1)


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), SetupError("no network"), SystemExit(143)])
def test_an_interrupted_set_up_is_rebuilt(failure, capsys):
    with pytest.raises(type(failure)):
        ensure(VERSION, Builder(failure))
    builder = Builder()
    found = ensure(VERSION, builder)
    assert builder.calls == 1 and found.python.exists()
    assert "interrupted" in capsys.readouterr().err


def test_an_environment_whose_python_has_gone_is_rebuilt():
    builder = Builder()
    ensure(VERSION, builder).python.unlink()
    assert ensure(VERSION, builder).python.exists()
    assert builder.calls == 2


def test_a_damaged_marker_counts_as_none(cache):
    builder = Builder()
    ensure(VERSION, builder)
    (cache / "envs" / environment.key(VERSION) / environment.READY).write_text('{"python": ')
    ensure(VERSION, builder)
    assert builder.calls == 2


def test_two_at_once_build_one(monkeypatch):
    builder, found, waits = Builder(), [], threading.Event()
    monkeypatch.setattr(lock, "say", lambda text: waits.set())

    def slow(folder, version, keep):
        assert waits.wait(60)  # the other one has found the lock taken
        return builder(folder, version, keep)

    threads = [threading.Thread(target=lambda: found.append(ensure(VERSION, slow))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert builder.calls == 1 and found[0] == found[1]


def test_the_lock_of_a_killed_process_is_free(tmp_path, monkeypatch):
    path = tmp_path / "lock"
    hold = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from devtools.lock import Lock; from pathlib "
        f"import Path; Lock(Path({str(path)!r})).__enter__(); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline().strip() == b"held"
        heard = []
        monkeypatch.setattr(lock, "say", lambda text: (heard.append(text), holder.kill()))
        with Lock(path, poll=0.05):
            assert f"process {holder.pid}" in heard[0]  # it waited, until the holder was killed


def test_a_changed_recipe_has_another_key(tmp_path, monkeypatch):
    requirements = tmp_path / "requirements.txt"
    monkeypatch.setattr(build, "REQUIREMENTS", requirements)

    def key_with(text):
        requirements.write_text(text, encoding="utf-8")
        return environment.key(VERSION)

    key = key_with("pytest==9\n")
    assert key_with("# why\r\npytest==9\r\n") == key
    assert key_with("pytest==10\n") != key
    assert key_with("pytest==9\n") == key
    assert environment.key("0.27.0") != key
    monkeypatch.setattr(build, "TORCH", ["torch==1"])
    assert environment.key(VERSION) != key


# What can go wrong


def test_an_old_python_is_told_in_one_line(monkeypatch):
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


def test_a_python_without_venv_is_told(monkeypatch):
    monkeypatch.setattr(build, "can_make_venv", lambda: False)
    with pytest.raises(SetupError) as error:
        ensure(VERSION, Builder())
    assert "-venv" in one_line(error)


def test_an_unknown_version_is_told():
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
    ("output", "told", "missing"),
    [
        (NO_INDEX, "no connection to the package index", False),
        (NO_WHEEL, "No matching distribution found for torch==2", True),
        (NO_SPACE, "No space left on device", False),
        ("", "no output", False),
    ],
)
def test_a_failing_pip_is_told_in_one_line(tmp_path, output, told, missing):
    log = tmp_path / "build.log"
    runner = build.Runner(log)
    runner.run("1/2 going well", printing("ERROR: of an earlier step", 0))
    with pytest.raises(SetupError) as error:
        runner.run("2/2 installing PyTorch", printing(output))
    assert one_line(error).startswith("installing PyTorch failed: ") and f"{told}. Check" in one_line(error)
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


# What is downloaded


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


# The user's own install


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
    ("folder", "python", "told"),
    [
        ("portable", None, "name the folder that holds main.py"),
        ("portable/ComfyUI", None, "name its Python with --python"),
        ("portable/ComfyUI", "no-such-python", "--python no-such-python is not a file"),
    ],
)
def test_a_wrong_install_is_told(install, tmp_path, folder, python, told):
    with pytest.raises(SetupError) as error:
        environment.existing(str(tmp_path / folder), python)
    assert told in one_line(error)


# The command line


@pytest.mark.parametrize(
    "line",
    [
        "--comfy 0.27.0 bench edit --n 3 -h",
        "bench --comfy 0.27.0 edit --n 3 -h",
        "bench edit --n 3 --comfy=0.27.0 -h",
    ],
)
def test_shared_options_stand_before_or_after_the_command(line):
    options, rest = cli.parse(line.split())
    assert (options.command, options.name, options.comfy, rest) == ("bench", "edit", "0.27.0", ["--n", "3", "-h"])


@pytest.mark.parametrize(
    ("line", "command", "rest"),
    [
        ("test --fast -- -k vec --comfy x", "test", ["-k", "vec", "--comfy", "x"]),
        ("test tests/unit -x", "test", ["tests/unit", "-x"]),
        ("comfy --port 9 -- --lowvram", "comfy", ["--lowvram"]),
        ("train-nano --steps 3 -h", "train-nano", ["--steps", "3", "-h"]),
        ("run nano.train --steps 3", "run", ["--steps", "3"]),
        ("fuzz --minutes 10 --seed 3", "fuzz", []),
        ("demo --clip a --out b.png", "demo", ["--clip", "a", "--out", "b.png"]),
        ("lint ruff format --fix -- a.py b.py", "lint", ["a.py", "b.py"]),
        ("env", "env", []),
        ("", None, []),
    ],
)
def test_the_rest_goes_to_what_the_command_starts(line, command, rest):
    options, got = cli.parse(line.split())
    assert (options.command, got) == (command, rest)


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("test", 3),
        ("test --fast", 3),
        ("test tests/unit", 3),
        ("test -- -k vec", 3),
        ("test tests/unit/test_dev.py", 1),
        ("test tests/unit/test_dev.py::test_a_changed_recipe_has_another_key -- -x", 1),
        ("test -- --pdb", 1),
        ("test -- -n 2", 1),  # pytest-xdist's own option is left as it is
        ("test --workers 2", 2),
        ("test --workers 0", 1),
        ("test --workers 2 tests/unit/test_dev.py", 2),
    ],
)
def test_the_suite_runs_on_every_core_and_a_file_in_one_process(line, number, monkeypatch):
    monkeypatch.setattr(cli, "cores", lambda: 3)
    monkeypatch.chdir(ROOT)
    options, rest = cli.parse(line.split())
    assert cli.workers(options.workers, rest) == (["-n", str(number)] if number > 1 else [])


def test_more_cores_than_memory_for_them_are_left(monkeypatch):
    monkeypatch.setattr(cli, "cores", lambda: 64)
    assert cli.workers(None, []) == ["-n", str(cli.MOST_WORKERS)]


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("tests/unit/test_dev.py::test_one[a]", "tests/unit/test_dev.py"),
        ("tests/comfy/test_x.py::test_one", "tests/comfy/test_x.py"),
        ("tests/browser/test_link.py::test_one[vue-a-b]", "tests/browser/test_link.py"),
        ("tests/browser/test_workflows.py::test_one[vue-blend]", "tests/browser/test_workflows.py blend"),
        ("tests/browser/test_workflows.py::test_two[litegraph-blend]", "tests/browser/test_workflows.py blend"),
    ],
)
def test_a_process_is_given_a_file_or_a_workflow(test, expected):
    assert parallel.piece(test) == expected


@pytest.mark.parametrize("line", ["env --nope", "nope", "--comfy 1 env --comfy-path x", "env --python x"])
def test_wrong_arguments_are_refused(line, capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.parse(line.split())
    assert "error:" in capsys.readouterr().err


def test_an_error_is_one_line_and_exit_code_1(capsys):
    assert cli.main(["env", "--comfy", "9.9"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ComfyUI 9.9") and captured.err.count("\n") == 1 and not captured.out


def test_the_demo_puts_options_into_their_nodes():
    prompt = demo.load(demo.WORKFLOW)
    options = demo.parse(["--clip", "C", "--t5", "T", "--seed", "7", "--steps", "2"])
    demo.fill(prompt, options)
    assert demo.look_up(prompt, "FluxDuetClipEncode", "text") == "C"
    assert demo.look_up(prompt, "FluxDuetT5Encode", "text") == "T"
    assert demo.look_up(prompt, "FluxDuetSampler", "seed") == 7
    assert demo.look_up(prompt, "FluxDuetSampler", "steps") == 2
    with pytest.raises(SetupError, match="no FluxDuetClipEncode"):
        demo.fill({}, options)


# Browser and CI


def test_a_named_browser_comes_first(tmp_path, monkeypatch):
    chrome = tmp_path / "chrome"
    monkeypatch.setenv("CHROME_PATH", str(chrome))
    assert browser.find() is None
    chrome.touch()
    assert browser.find() == chrome


@pytest.mark.parametrize(("user", "installs"), [(0, ["update", "install"]), (1000, [])])
def test_a_missing_browser_is_installed_where_it_may_be(monkeypatch, capsys, user, installs):
    ran = []
    monkeypatch.setattr(browser, "find", lambda: "/usr/bin/chromium" if "install" in ran else None)
    monkeypatch.setattr(browser, "_apt", lambda action, *_: ran.append(action))
    monkeypatch.setattr(browser.os, "geteuid", lambda: user, raising=False)
    monkeypatch.setattr(browser.shutil, "which", lambda command: f"/usr/bin/{command}")
    assert bool(browser.provide()) is bool(installs) and ran == installs
    assert (browser.HOW_TO in capsys.readouterr().err) is not bool(installs)


@pytest.mark.parametrize(
    ("mark", "in_ci", "outcome"),
    [
        ("server", True, "failed"),
        ("browser", True, "failed"),
        ("slow", True, "skipped"),
        ("server", False, "skipped"),
    ],
)
def test_in_ci_a_skipped_server_or_browser_test_fails(request, monkeypatch, mark, in_ci, outcome):
    house_rules = request.config.pluginmanager.get_plugin(str(ROOT / "tests" / "conftest.py"))
    monkeypatch.setattr(house_rules, "IN_CI", in_ci)
    report = SimpleNamespace(skipped=True, outcome="skipped", longrepr=("file", 1, "Skipped: no browser"))
    item = SimpleNamespace(get_closest_marker=lambda name: name == mark)
    hook = house_rules.pytest_runtest_makereport(item, None)
    next(hook)
    with pytest.raises(StopIteration):
        hook.send(report)
    assert report.outcome == outcome
