"""Prompt Grid, Switch Sweep and Influence Study on a real Ray: the same numbers, and what a fault costs.

One cluster of two CPUs for all tests. Its two workers stay between runs, as they do for users, so each ComfyUI starts
once, and again where a test kills it.
"""

import json
import shlex
import subprocess
import sys
import time

import psutil
import pytest
import safetensors.torch
import torch
from PIL import Image

pytest.importorskip("ray")

from flux_duet.devtools import ROOT
from flux_duet.tests.server.ray_cluster import PICTURE, Cluster, grid, on, study, sweep, with_everything

INSIDE = ROOT / "devtools" / "inside.py"

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("r")) as started:
        yield started


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The folder of the driver's ComfyUI, in which cells are kept."""
    return tmp_path_factory.mktemp("driver")


@pytest.fixture(scope="module")
def arguments(make_server):
    """The workers' command-line arguments: the pack, and the tiny models."""
    server = make_server()
    server.command()  # writes the file of extra paths
    paths = server.scratch / "extra_model_paths.yaml"
    yield shlex.join(_own(server, paths))
    server.stop()


def _own(server, paths) -> list[str]:
    return ["--extra-model-paths-config", str(paths), "--disable-api-nodes", "--disable-all-custom-nodes",
            "--whitelist-custom-nodes", *server.packs]  # fmt: skip


class Driver:
    """The ComfyUI that sends work; `again()` starts another one on the same folders."""

    def __init__(self, make_server, base):
        self.make = lambda: make_server(base=base).start()
        self.server = self.make()

    def again(self):
        self.server.stop()
        self.server = self.make()


@pytest.fixture(scope="module")
def driver(make_server, base):
    made = Driver(make_server, base)
    yield made
    made.server.stop()


@pytest.fixture
def run(driver, cluster, arguments):
    """Runs a workflow on the workers: its JSON, or the error's text."""

    def run_one(prompt, on_event=None, check=True, **more):
        prompt = on(prompt, cluster.address, more.pop("arguments", arguments), **more)
        result = driver.server.run(prompt, on_event=on_event, check=check, timeout=400)
        return json.loads(result.outputs["8"]["text"][0]) if result.status == "success" else result

    return run_one


def latents(base) -> torch.Tensor:
    """The newest that SaveLatent wrote."""
    path = max((base / "output").glob("grid*"), key=lambda path: path.stat().st_mtime_ns)
    return safetensors.torch.load_file(path)["latent_tensor"]


class At:
    """Does something once when `count` cells are there."""

    def __init__(self, count: int, act):
        self.count, self.act, self.done = count, act, False

    def __call__(self, kind, data):
        if kind == "progress" and data.get("node") == "6" and data["value"] >= self.count and not self.done:
            self.done = True
            self.act()


LISTENING = """
import importlib, psutil
from flux_duet.nodes.cluster import crew
ray = crew.ray_or_how_to_install()
with crew._on_loopback(ray, True):
    ray.init(address="local", num_cpus=1, include_dashboard=False, object_store_memory=80 * 10**6, log_to_driver=False)
mine = [each.pid for each in psutil.Process().children(recursive=True)]
found = [each.laddr.ip for each in psutil.net_connections("inet") if each.status == "LISTEN" and each.pid in mine]
ray.shutdown()
print(*sorted({*found}))
"""


def test_a_ray_of_our_own_listens_on_this_machine_alone():
    code = f"import runpy, sys; sys.argv = ['inside.py']; i = runpy.run_path({str(INSIDE)!r}); i['boot'](){LISTENING}"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    addresses = told.stdout.split()
    assert addresses and {each.removeprefix("::ffff:") for each in addresses} <= {"127.0.0.1", "::1"}, told


def test_the_grid_is_the_local_one_to_the_last_bit(driver, run, base):
    """With a LoRA, a picture to start from and a mask: all that a worker gets from the running workflow."""
    Image.radial_gradient("L").resize((128, 128)).convert("RGB").save(base / "input" / PICTURE)
    driver.server.run(with_everything(resume=False))
    here = latents(base)
    data = run(with_everything(resume=True))
    assert torch.equal(latents(base), here) and len(here) == 8 and not torch.equal(here[:4], here[4:])
    assert data["cells_from_before"] == 0 and {each["tries"] for each in data["cells"]} == {1}
    assert sum(data["machines"].values()) == 8 and len(data["machines"]) == 1 and data["machine"] is None


def test_a_killed_server_and_a_killed_worker_cost_their_cells_alone(run, cluster):
    killed = []

    def kill(processes):
        killed.append(processes[0].pid)
        processes[0].kill()

    first = run(grid(3, 4, 2, seed=50), At(4, lambda: kill(cluster.servers())))
    second = run(grid(3, 4, 2, seed=90), At(4, lambda: kill(cluster.actors())))
    for data in (first, second):
        tries = [each["tries"] for each in data["cells"]]
        assert len(tries) == 24 and data["cells_from_before"] == 0 and sum(tries) <= 24 + 1
    assert len(killed) == 2 and not any(map(psutil.pid_exists, killed))


def test_a_killed_driver_loses_nothing(run, driver):
    """The next one finds all that had arrived."""
    prompt, seen = grid(3, 4, 2, seed=200), []
    kill = At(6, driver.server.process.kill)

    def watch(kind, data):
        seen.append((kind, data))
        kill(kind, data)

    with pytest.raises(Exception, match="stopped unexpectedly|broke off"):
        run(prompt, on_event=watch)
    arrived = max(data["value"] for kind, data in seen if kind == "progress" and data.get("node") == "6")
    driver.again()
    data = run(grid(3, 4, 2, seed=200))
    assert arrived <= data["cells_from_before"] <= arrived + 2 and len(data["cells"]) == 24


def test_an_interruption_stops_the_workers(run, driver, cluster):
    begun = []

    def interrupt():
        begun.append(time.monotonic())
        driver.server.post("/interrupt")

    result = run(grid(3, 4, 400, seed=300), At(1, interrupt), check=False)
    assert result.status == "interrupted" and time.monotonic() - begun[0] < 10
    idle = [each for each in cluster.servers() if each.cpu_percent(1.0) < 50]
    assert len(idle) == len(cluster.servers())


def test_a_study_and_a_sweep_on_workers_give_what_they_give_here(driver, run):
    for make in (study, sweep):
        here = json.loads(driver.server.run(make(resume=False)).outputs["8"]["text"][0])
        there = run(make(resume=True))
        if make is study:
            assert there["parts"] == here["parts"] and there["sentence"] == here["sentence"]
        else:
            one, other = ([row["latents"]["way"] for row in data["runs"]] for data in (here, there))
            assert one == pytest.approx(other, abs=1e-4) and sum(there["settings"]["machines"].values()) == len(one)


def test_another_model_under_the_same_name_is_refused(run, arguments, make_server, tmp_path):
    from flux_duet.nano import layouts

    for path in layouts.save(tmp_path, seed=7).values():
        path.rename(path.with_name(path.name.replace("nano_", "tiny_")))
    server = make_server(model_folders={path.name: path for path in tmp_path.iterdir() if path.is_dir()})
    server.command()
    other = shlex.join(_own(server, server.scratch / "extra_model_paths.yaml"))
    result = run(grid(1, 2, 2, seed=400), arguments=other, count=1, check=False)
    server.stop()
    assert result.status == "error"
    assert "its tiny_flux.safetensors in models/diffusion_models differs from the one on this machine" in result.why()
    assert "no worker can be used" in result.why()
