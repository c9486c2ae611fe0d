"""dev.py: environments are set up completely or not at all, and once."""

import subprocess
import sys
import threading

import pytest

from flux_duet.devtools import ROOT, SetupError, build, environment, lock
from flux_duet.devtools.environment import ensure
from flux_duet.devtools.lock import Lock
from flux_duet.tests.unit.dev.builder import VERSION, Builder


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
