"""The workers on a Ray cluster: connects, finds or starts them, calls them. The one file that imports Ray.

Workers are named, detached actors: they outlive a driver that is killed, and the next run finds them with their models
loaded. A worker that nobody calls for two minutes ends by itself. On a Ray of our own (LOCAL) they end with the run.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import platform
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from . import server, worker
from .arguments import of_this_machine
from .choices import LOCAL, NAME, Workers
from .driver import FAILED, LOST

NAMESPACE = "flux_duet"
AUTH_MODE = "RAY_AUTH_MODE"  # Ray sets it to "token" for a Ray that it starts


def ray_or_how_to_install() -> Any:
    """The module `ray`. Raises ValueError, with what to install, if there is none."""
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise ValueError(
            f"{NAME}: Ray is not installed in the Python that runs ComfyUI ({error}). Install it there, and on every "
            f'machine with workers:\n  {sys.executable} -m pip install "ray[default]"'
        ) from None


class Crew:
    """`with Crew(workers, owner) as crew:` connects; the workers answer through futures, which `wait` looks at.

    `owner` is a text that is the same for later runs of this ComfyUI, and another for any other ComfyUI on the cluster.
    `options` are Ray's own, for a Ray that is started here.
    """

    def __init__(self, workers: Workers, owner: str, comfyui: str, options: Mapping[str, Any] | None = None):
        self.workers, self.owner, self.comfyui = workers, owner, workers.comfyui or comfyui
        self.options = dict(options or {})
        self.ray = ray_or_how_to_install()
        self.handles: list[Any] = []

    def __enter__(self) -> Crew:
        given = {"namespace": NAMESPACE, "log_to_driver": False, "configure_logging": False}
        if self.workers.address == LOCAL:
            quick = {"worker_niceness": 0}  # Ray makes its workers wait for every other process
            given |= {"include_dashboard": False, "_system_config": quick, **self.options}
        self.mode = os.environ.get(AUTH_MODE)
        try:
            with _on_loopback(self.ray, self.workers.address == LOCAL):
                self.ray.init(address=self.workers.address, **given)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise ValueError(
                f"{NAME}: no Ray answers at {self.workers.address!r} ({error}). Start it there (`ray start --head`), "
                f"join this machine with `ray start --address=HOST:6379`, or use the address {LOCAL}. If that Ray "
                "requires a token, start ComfyUI with RAY_AUTH_MODE=token and copy ~/.ray/auth_token from there."
            ) from error
        try:
            self._hire()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(self, *_) -> None:
        if self.workers.address == LOCAL:
            self.dismiss()
        self._leave()

    def _leave(self) -> None:
        """Disconnects, and takes back what Ray has set in the environment for its own processes."""
        self.ray.shutdown()
        if self.mode is None:
            os.environ.pop(AUTH_MODE, None)

    # ---- who works

    def count(self) -> int:
        """How many workers the cluster has room for, at most as many as are wanted. Raises ValueError if none."""
        found = self.ray.cluster_resources()
        kind, each = ("GPU", self.workers.gpus) if self.workers.gpus else ("CPU", 1)
        room = int(found.get(kind, 0) / each + 1e-9)
        if room < 1:
            raise ValueError(
                f"{NAME}: the cluster at {self.workers.address!r} has {found.get(kind, 0):g} {kind}s, but each "
                f"worker needs {each:g}. Add machines with `ray start`, or set `GPUs per worker` to 0 to use the CPU."
            )
        return min(room, self.workers.count or room)

    def _hire(self) -> None:
        cloudpickle = self.ray.cloudpickle
        for module in (server, worker):
            cloudpickle.register_pickle_by_value(module)
        try:
            kind = self.ray.remote(worker.Worker)
            own = of_this_machine(sys.argv[1:]) if self.workers.address == LOCAL else []
            arguments = [*own, *shlex.split(self.workers.arguments)]
            given = self.comfyui, not self.workers.gpus, arguments
            owner = _digest(platform.node(), self.owner)
            stem = f"{owner}-{_digest(*given, self.workers.gpus, *_sources())}"
            names = [f"{stem}-{number}" for number in range(self.count())]
            self._dismiss_others(owner, names)
            self.handles = [kind.options(**self._place(name)).remote(*given) for name in names]
        finally:
            for module in (server, worker):
                cloudpickle.unregister_pickle_by_value(module)

    def _place(self, name: str) -> dict[str, Any]:
        return {
            "name": name, "get_if_exists": True, "lifetime": "detached", "max_restarts": -1, "max_task_retries": 0,
            "max_concurrency": 8, "num_gpus": self.workers.gpus, "num_cpus": 0 if self.workers.gpus else 1,
        }  # fmt: skip

    def _dismiss_others(self, owner: str, names: Sequence[str]) -> None:
        """Ends this ComfyUI's workers with other settings, which hold the GPUs."""
        for name in self.ray.util.list_named_actors():
            if name.startswith(owner) and name not in names:
                self._end(self.ray.get_actor(name))

    def dismiss(self) -> None:
        """Ends the workers."""
        for handle in self.handles:
            self._end(handle)

    def _end(self, handle: Any) -> None:
        # Not by `stop`, which would wait for a worker that is being started: its ComfyUI ends with it.
        self.ray.kill(handle, no_restart=True)

    # ---- what they do

    def share(self, data: bytes) -> Any:
        """A reference to bytes in Ray's object store, for many cells."""
        return self.ray.put(data)

    def describe(self, number: int, files: Sequence[str], nodes: Sequence[str]) -> Any:
        return self.handles[number].describe.remote(list(files), list(nodes))

    def run(self, number: int, prompt: Mapping[str, Any], files: Mapping[str, Any]) -> Any:
        return self.handles[number].run.remote(prompt, files)

    def progress(self, number: int) -> Any:
        return self.handles[number].progress.remote()

    def interrupt(self, number: int) -> Any:
        return self.handles[number].interrupt.remote()

    def wait(self, futures: Sequence[Any], seconds: float) -> list[Any]:
        """Those futures that are done, after at most `seconds`."""
        if not futures:
            return []
        return self.ray.wait(list(futures), num_returns=1, timeout=seconds)[0]

    def result(self, future: Any) -> tuple[Any, str, str]:
        """(result, "", "") of a future that is done, or (None, LOST or FAILED, the reason)."""
        errors = self.ray.exceptions
        try:
            return self.ray.get(future), "", ""
        except errors.RayTaskError as error:
            return None, FAILED, str(error.cause or error)
        except errors.RayError as error:
            return None, LOST, " ".join(str(error).split())[:500]


@contextmanager
def _on_loopback(ray: Any, wanted: bool) -> Iterator[None]:
    """While a Ray of our own starts: it listens on 127.0.0.1 alone.

    On Linux Ray takes the machine's outer address, even if it is given 127.0.0.1, unless its clusters are switched off,
    as they are on Windows and macOS. The switch is a constant that Ray reads from the environment when it is imported.
    """
    constants = ray._private.ray_constants
    before = constants.ENABLE_RAY_CLUSTER
    constants.ENABLE_RAY_CLUSTER = before and not wanted
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = before


def _digest(*values: Any) -> str:
    return hashlib.sha256(json.dumps(values, default=str).encode()).hexdigest()[:16]


def _sources() -> list[str]:
    """The code that the workers run: those of another version of it are not used again."""
    import inspect

    return [inspect.getsource(module) for module in (server, worker)]
