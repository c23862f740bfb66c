"""Limits of the operating system: on the size of files, on open files, on memory, on threads."""

import os
from itertools import product
from pathlib import Path

import pytest

from tests.faults.processes import Launcher, Setup, share
from tests.faults.tools import Interrupter
from tests.faults.training import Trainer, Training, trainings
from tests.faults.writers import WRITERS
from tests.io.records import jpeg, write_records

# Bytes. Messages are shorter than the least.
LEAST = 1000

# Bytes that a process may occupy further: from nothing, over a thread or a few, to enough.
ROOMS = [0, *(round(million * 2**20) for million in (0.5, 2, 5, 9, 14, 19, 27, 45, 90, 300))]

# With less Python itself fails in tools, once in some hundred runs: its reports of errors in
# threads are mixed with the tool's message.
LEAST_FOR_TOOLS = 2**23

NAMES = list(WRITERS)


@pytest.mark.parametrize("name", [name for name in NAMES if WRITERS[name].outputs])
def test_size_of_files(interrupter: Interrupter, name: str) -> None:
    files = interrupter.reference(name).files
    given = {target for target, _ in WRITERS[name].given}
    largest = max(len(content) for path, content in files.items() if path not in given)
    with interrupter.tallied() as tally:
        limits = sorted({min(LEAST, largest - 1), largest // 2, largest - 1})
        for limit, replaces in share([*product(limits, (False, True))], NAMES.index(name), 3):
            trial = interrupter.place(name, replaces)
            ended = interrupter.run(trial, "writers:run", name, limits={"RLIMIT_FSIZE": limit})
            interrupter.check_refused(f"{name} within {limit} bytes", trial, ended)
            interrupter.check_again(trial)
    assert tally.failures == []


def test_open_files(launcher: Launcher, place: Path) -> None:
    for number in range(6):
        write_records(place / f"{number}", [jpeg(number, 30, 30)])
    ended = launcher.run("tests.faults.conditions:open_many", str(place), 6)
    assert not ended.status, ended.err
    message, descriptors = ended.out.splitlines()
    before, after = descriptors.split()
    assert before == after
    assert str(place) in message and "Too many open files" in message


# A training of each kind.
KINDS = list({training.kind: training for training in trainings()}.values())

# Polars, which parses these iterators' files, ends the process when it cannot allocate memory, and
# never works if its threads could not be started.
POLARS = ("TestCSVIter", "TestLibSVMIter", "TestPrefetchingIter", "TestMixIterOfTwo")


WITHOUT_POLARS = [training for training in KINDS if training.kind not in POLARS]


@pytest.mark.parametrize("training", WITHOUT_POLARS, ids=str)
def test_memory(trainer: Trainer, training: Training) -> None:
    with trainer.tallied() as tally:
        for room in share(ROOMS, KINDS.index(training), 4):
            trainer.check(training, "conditions:train_in", "RLIMIT_AS", room, may_abort=True)
    assert tally.failures == []


@pytest.mark.parametrize("name", WRITERS)
def test_memory_of_tools(interrupter: Interrupter, name: str) -> None:
    with interrupter.tallied() as tally:
        rooms = [room for room in ROOMS if room >= LEAST_FOR_TOOLS]
        for room in share(rooms, NAMES.index(name), 3):
            trial = interrupter.place(name, replaces=True)
            ended = interrupter.run(trial, "writers:run", name, limits={"RLIMIT_AS": room})
            what = f"{name} in {room} bytes"
            if ended.aborted:
                interrupter.check(what, trial)
            elif ended.status == WRITERS[name].status:
                interrupter.check_result(what, trial, ended)
                continue
            else:
                interrupter.check_refused(what, trial, ended, short=True)
            interrupter.check_again(trial)
    assert tally.failures == []


# A user without processes.
USER = 60000 + os.getpid() % 5000
AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")


@AS_ROOT
@pytest.mark.parametrize("training", WITHOUT_POLARS, ids=str)
def test_threads(trainer: Trainer, training: Training) -> None:
    setup = Setup(user=USER)
    with trainer.tallied() as tally:
        for threads in share(range(4), KINDS.index(training), 2):
            trainer.check(training, "conditions:train_in", "RLIMIT_NPROC", 1 + threads, setup=setup)
    assert tally.failures == []


@AS_ROOT
def test_threads_of_polars(launcher: Launcher, place: Path) -> None:
    os.chmod(place, 0o777)
    ended = launcher.run("tests.faults.conditions:open_text", str(place), setup=Setup(user=USER))
    assert not ended.status, ended.err
    first, second = ended.out.splitlines()
    assert first == second and "refused a thread of Polars" in first
