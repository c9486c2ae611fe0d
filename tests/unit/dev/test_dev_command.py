"""dev.py's command line, the demo, and the browser."""

from types import SimpleNamespace

import pytest

from flux_duet.devtools import ROOT, SetupError, browser, cli, demo
from flux_duet.tests import parallel

# ---- The command line


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
        ("captions a/b --trigger ohwx --t5 256", "captions", ["a/b", "--trigger", "ohwx", "--t5", "256"]),
        ("run nano.train --steps 3", "run", ["--steps", "3"]),
        ("fuzz --minutes 10 --seed 3", "fuzz", []),
        ("demo --clip a --out b.png", "demo", ["--clip", "a", "--out", "b.png"]),
        ("check --scale small --comfy-path DIR --python PATH -h", "check", ["--scale", "small", "-h"]),
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
        ("test tests/unit/test_blend.py", 1),
        ("test tests/unit/test_blend.py::test_one -- -x", 1),
        ("test -- --pdb", 1),
        ("test -- -n 2", 1),  # pytest-xdist's own option is left as it is
        ("test --workers 2", 2),
        ("test --workers 0", 1),
        ("test --workers 2 tests/unit/test_blend.py", 2),
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
        ("tests/unit/test_blend.py::test_one[a]", "tests/unit/test_blend.py"),
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


# ---- Browser and CI


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
