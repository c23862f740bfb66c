"""The runner finds what fails, names the input, and makes it smaller."""

from collections.abc import Iterator

import numpy as np
import pytest

from tests.fuzz.runner import Finding, Run, Worker, minimized, run_input
from tests.fuzz.targets import all_targets
from tests.fuzz.targets.failing import (
    ALLOCATE,
    DIE,
    FAILING,
    HANG,
    KEEPING,
    RAISE,
    REFUSE,
)
from tests.fuzz.targets.graph import BATCH, UNCHECKED

TARGETS = all_targets()


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker(patience=3) as made:
        yield made


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (DIE, "died with -11"),
        (RAISE, "KeyError"),
        (ALLOCATE, "MemoryError"),
        (HANG, "hangs"),
        (REFUSE, None),
        (b"well", None),
    ],
)
def test_what_an_input_does(said: bytes, kind: str | None, worker: Worker) -> None:
    found = run_input(worker, FAILING.name, (b"first", said))
    assert (None if found is None else found.kind) == kind
    if found is not None and kind != "MemoryError":
        assert "failing.py" in found.text


def test_an_input_is_made_smaller(worker: Worker) -> None:
    parts = b"first", b"x" * 60 + RAISE + b"yz"
    found = run_input(worker, FAILING.name, parts)
    assert found is not None
    assert minimized(worker, found).parts == (b"", RAISE)


def test_a_run_goes_on_after_a_process_has_died() -> None:
    dying = [DIE in b"".join(FAILING.input(4, number)) for number in range(12)]
    reported: list[Finding] = []
    run = Run([FAILING], 4, reported.append, minimize=False)
    run.run(12, None, 1)
    outcome = run.outcomes[FAILING.name]
    assert outcome.inputs == 12
    assert dict(outcome.counts) == {(FAILING.name, "died with -11", ""): sum(dying)}
    (finding,) = reported
    assert finding.parts == FAILING.input(4, dying.index(True))


def test_memory_of_several_inputs_is_no_finding() -> None:
    run = Run([KEEPING], 1, pytest.fail, minimize=False)
    run.run(4, None, 1)
    outcome = run.outcomes[KEEPING.name]
    assert outcome.accumulated and not outcome.counts
    assert outcome.inputs == 4


@pytest.mark.parametrize("name", [name for name, target in TARGETS.items() if target.cost < 100])
def test_an_input_depends_on_its_number_only(name: str) -> None:
    target = TARGETS[name]
    inputs = [target.input(5, number) for number in range(2)]
    assert inputs == [target.input(5, number) for number in range(2)]
    assert len(set(inputs)) > 1


def test_inputs_of_all_kinds_are_read_or_refused() -> None:
    """A few of each target; ``python -m tests.fuzz`` runs more."""
    usual = [target for target in TARGETS.values() if target.default and target.cost < 100]
    reported: list[Finding] = []
    run = Run(usual, 1, reported.append, minimize=False)
    run.run(60, None, 1)
    assert reported == []
    assert all(outcome.inputs for outcome in run.outcomes.values())


def test_images_that_are_not_checked_are_a_finding(worker: Worker) -> None:
    """Whether DALI's process dies of it or not."""
    target = TARGETS[UNCHECKED]
    parts = target.make(np.random.default_rng(3))
    assert len(parts) == 1 + BATCH
    assert run_input(worker, UNCHECKED, parts) is not None
