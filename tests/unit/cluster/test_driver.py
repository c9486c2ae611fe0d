"""The driver's loop over cells, with workers that fail, are lost and come back as told."""

import pytest

from flux_duet.nodes.cluster import driver
from flux_duet.nodes.cluster.driver import TRIES, Loop, Seat


class Crew:
    """Answers at once. `faults[cell]` are the faults of its first tries: "lost", "failed"."""

    def __init__(self, faults: dict[int, list[str]] | None = None):
        self.faults = {cell: list(each) for cell, each in (faults or {}).items()}
        self.computed, self.described, self.interrupted = [], [], []

    def run(self, worker: int, prompt: dict, files: dict):
        self.computed.append((prompt["cell"], worker))
        return ("run", worker, prompt["cell"], len(self.computed))

    def describe(self, worker: int, files, nodes):
        self.described.append(worker)
        return ("describe", worker, None, len(self.described))

    def progress(self, worker: int):
        return ("progress", worker, None, 0)

    def interrupt(self, worker: int):
        self.interrupted.append(worker)
        return ("interrupt", worker, None, 0)

    def wait(self, futures, seconds: float):
        return list(futures)[:1]

    def result(self, future):
        kind, worker, cell, _ = future
        if kind == "run" and self.faults.get(cell):
            return None, self.faults[cell].pop(0), f"cell {cell} went wrong"
        return {"by": worker}, "", ""


def loop(crew: Crew, workers: int = 2, **more) -> tuple[Loop, dict[int, dict]]:
    done: dict[int, dict] = {}
    seats = [Seat(number) for number in range(workers)]
    given = {"ask": lambda number: crew.describe(number, [], []), **more}
    return Loop(crew, seats, lambda cell: ({"cell": cell}, {}), done.__setitem__, **given), done


def test_every_cell_is_computed_once_and_workers_share_them():
    crew = Crew()
    run, done = loop(crew)
    assert run.run(range(20)) == [] and sorted(done) == [*range(20)]
    assert sorted(cell for cell, _ in crew.computed) == [*range(20)]
    assert {worker for _, worker in crew.computed} == {0, 1} and {each["tries"] for each in done.values()} == {1}


@pytest.mark.parametrize("fault", ["lost", "failed"])
def test_a_fault_costs_its_cell_one_more_try(fault):
    crew = Crew({3: [fault], 7: [fault, fault]})
    run, done = loop(crew)
    assert run.run(range(10)) == [] and sorted(done) == [*range(10)]
    assert len(crew.computed) == 10 + 3 and done[3]["tries"] == 2 and done[7]["tries"] == 3
    assert len(crew.described) == (3 if fault == "lost" else 0), "a lost worker is asked what it is before it works"


def test_a_worker_that_comes_back_on_another_machine_may_be_refused():
    crew = Crew({3: ["lost"]})
    run, done = loop(crew, admit=lambda seat, answer: False)
    assert run.run(range(10)) == [] and len(done) == 10 and len({worker for _, worker in crew.computed[5:]}) == 1


def test_without_any_worker_the_reason_is_told(monkeypatch):
    monkeypatch.setattr(driver, "TOLD", 0)
    run, done = loop(Crew({0: ["lost"] * TRIES}), workers=1, admit=lambda seat, answer: False)
    with pytest.raises(ValueError, match="all workers are lost. Last error: 0: cell 0 went wrong"):
        run.run(range(3))
    assert not done


def test_a_cell_that_fails_three_times_is_given_up_and_the_rest_goes_on():
    crew = Crew({2: ["failed"] * TRIES})
    run, done = loop(crew)
    (failure,) = run.run(range(5))
    assert failure.cell == 2 and len(failure.why) == TRIES and "cell 2 went wrong" in failure.why[-1]
    assert sorted(done) == [0, 1, 3, 4]


def test_an_interruption_stops_what_is_being_computed():
    crew, checks = Crew(), iter(range(100))

    def check():
        if next(checks) == 3:
            raise KeyboardInterrupt

    run, done = loop(crew, check=check)
    with pytest.raises(KeyboardInterrupt):
        run.run(range(50))
    assert set(crew.interrupted) <= {0, 1} and crew.interrupted and len(done) < 50
