"""Training that is killed at random moments and resumed, compared with training that was not.

A training takes batches of an iterator and writes each to a `Journal`, with the iterator's state.
After a signal it is started again, from the last state in the journal. All iterators of the
conformance tests are trained with, in all their variants, and as one of two ranks.
"""

from __future__ import annotations

import inspect
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import gpuio as mx
from tests.faults.journal import Entry, Journal, difference, left_out
from tests.faults.processes import Launcher, Process, Setup
from tests.faults.tally import Tallied, Tally
from tests.io import test_conformance
from tests.io.conformance import Conformance, digest

# Calls of `next` in a training: several epochs of all iterators.
CALLS = 40

# Interrupts of one training that goes on.
INTERRUPTS = 8

END = "end"

# Signals that end a training with their default handlers, and how often each is sent.
SIGNALS = {signal.SIGKILL: 6, signal.SIGINT: 2, signal.SIGTERM: 2}


class Training(NamedTuple):
    """What is trained with.

    Attributes
    ----------
    kind : name of the iterator's class of conformance tests
    variant : one of its variants
    options : further options
    """

    kind: str
    variant: str
    options: dict[str, Any]

    def open(self, folder: Path) -> mx.io.DataIter:
        """Open the iterator over files in a folder, which are made if missing."""
        tests: Conformance = getattr(test_conformance, self.kind)()
        options = {**tests.variants[self.variant], **self.options}
        return tests.make(folder, mx.cpu(), **options)

    def __str__(self) -> str:
        extra = "".join(f", {name}={value}" for name, value in self.options.items())
        return f"{self.kind.removeprefix('Test')} ({self.variant}{extra})"


def trainings() -> list[Training]:
    """All of them."""
    found = [
        Training(name, variant, {})
        for name, kind in inspect.getmembers(test_conformance, inspect.isclass)
        if name.startswith("Test") and issubclass(kind, Conformance)
        for variant in kind.variants
    ]
    for kind in ("TestImageRecordIter", "TestImageRecordIterOnDali"):
        for rank in range(2):
            ranks = {"num_parts": 2, "part_index": rank, "partition": "global"}
            found.append(Training(kind, "pad shuffled", ranks))
    return found


def train(training: list[Any], folder: str, journal: str, calls: int = CALLS) -> None:
    """Resume a training where its journal ends, until it has so many entries; print the seconds
    from its first batch on.
    """
    book = Journal(Path(journal))
    entries = book.resume()
    with Training(*training).open(Path(folder)) as iterator:
        if entries:
            iterator.load_state_dict(entries[-1].state)
            if entries[-1].batch == END:
                iterator.reset()
        begin = time.monotonic()
        for _ in range(len(entries), calls):
            entry = Entry(take(iterator), iterator.state_dict())
            book.append(entry)
            if entry.batch == END:
                iterator.reset()
        print(time.monotonic() - begin)


def train_on(training: list[Any], folder: str, journal: str) -> None:
    """A training that goes on after each KeyboardInterrupt in `next` or `reset`, which is noted in
    the journal as the batch "interrupted".
    """
    book = Journal(Path(journal))
    taking = False

    def interrupt(*_: object) -> None:
        if taking:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    with Training(*training).open(Path(folder)) as iterator:
        calls, ended = 0, False
        while calls < CALLS:
            try:
                taking = True
                if ended:
                    iterator.reset()
                    ended = False
                found = take(iterator)
                taking = False
            except KeyboardInterrupt:
                taking = False
                found = "interrupted"
            calls += found != "interrupted"
            ended |= found == END
            book.append(Entry(found, None))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the interpreter would restore the default


def take(iterator: mx.io.DataIter) -> str:
    """The digest of the next batch, or END."""
    try:
        return digest(iterator.next())
    except StopIteration:
        return END


class Reference(NamedTuple):
    """A training without interruption.

    Attributes
    ----------
    batches : digests of its batches, of CALLS calls and some more
    seconds : from the start of its process to the end
    training : from its first batch on
    """

    batches: list[str]
    seconds: float
    training: float


class Trainer(Tallied):
    """Interrupts trainings.

    Parameters
    ----------
    launcher : runs them
    folder : for the iterators' files and the journals
    seed : of the moments

    Attributes
    ----------
    tally : what became of them
    """

    def __init__(self, launcher: Launcher, folder: Path, seed: int) -> None:
        super().__init__()
        self._launcher = launcher
        self._folder = folder
        self._random = random.Random(seed)
        self._numbers = count()
        self._references: dict[str, Reference] = {}

    def kill(self, total: int, chosen: list[Training] | None = None) -> Tally:
        """Interrupt trainings until so many signals have ended one."""
        with self.tallied() as tally:
            for training in self._forever(chosen or trainings()):
                if tally.signals.total() >= total:
                    break
                self._interrupt(training)
        return tally

    def _forever(self, chosen: list[Training]) -> Iterator[Training]:
        chosen = list(chosen)
        while True:
            self._random.shuffle(chosen)
            yield from chosen

    def _interrupt(self, training: Training) -> None:
        """Interrupt a training again and again until it is done."""
        reference = self._reference(training)
        if reference is None:
            return
        journal = self._journal()
        while True:
            process = self._start("training:train", training, journal)
            (number,) = self._random.choices([*SIGNALS], [*SIGNALS.values()])
            if process.runs(self._random.uniform(0, reference.seconds)):
                process.signal(number)
            if number != signal.SIGKILL and process.runs(self._random.uniform(0, 0.02)):
                process.signal(number)
            ended = process.end()
            if ended.hung or ended.status not in (0, -number):
                self.tally.fail(f"{training}, {number.name}", ended)
                return
            found = [entry.batch for entry in Journal(journal).read()]
            done = not ended.status and len(found) == CALLS
            wrong = difference(found, reference.batches[: len(found)])
            if wrong or (not ended.status and not done):
                self.tally.fail(f"{training}, {number.name}: {wrong}", ended)
                return
            if done:
                return
            self.tally.signals[number.name] += 1

    def interrupt(self, training: Training) -> None:
        """Interrupt calls of `next` of a training that goes on after each."""
        reference = self._reference(training)
        if reference is None:
            return
        journal = self._journal()
        process = self._start("training:train_on", training, journal)
        # Not before there is a handler.
        while not journal.exists() and process.runs(0.001):
            pass
        for _ in range(INTERRUPTS):
            if process.runs(self._random.uniform(0, reference.training / INTERRUPTS)):
                process.signal(signal.SIGINT)
        ended = process.end()
        found = [entry.batch for entry in Journal(journal).read()]
        caught = found.count("interrupted")
        batches = [batch for batch in found if batch != "interrupted"]
        missing = left_out(batches, reference.batches)
        self.tally.signals["caught"] += caught
        if ended.status or missing is None or missing > caught:
            lost = "others, or in another order" if missing is None else f"{missing} left out"
            self.tally.fail(f"{training}, {caught} interrupts caught: {lost}", ended)

    def check(
        self,
        training: Training,
        job: str,
        *more: object,
        setup: Setup | None = None,
        may_abort: bool = False,
    ) -> None:
        """Run a training that nothing interrupts, under other conditions.

        Parameters
        ----------
        job : the function that trains, in this package, as "module:name"
        more : its further arguments
        setup : of the process
        may_abort : whether C libraries may end it, so that batches are missing
        """
        reference = self._reference(training)
        if reference is None:
            return
        journal = self._journal()
        ended = self._start(job, training, journal, *more, setup=setup).end()
        found = [entry.batch for entry in Journal(journal).read()]
        if may_abort and ended.aborted:
            if difference(found, reference.batches[: len(found)]):
                self.tally.fail(f"{training}, {job} {more}", ended)
            return
        wrong = difference(found, reference.batches[:CALLS])
        if ended.status or wrong:
            self.tally.fail(f"{training}, {job} {more}: {wrong}", ended)

    def pause(self, training: Training) -> None:
        """Stop a training for a moment, and let it continue."""
        reference = self._reference(training)
        if reference is None:
            return
        journal = self._journal()
        process = self._start("training:train", training, journal)
        for _ in range(INTERRUPTS):
            if process.runs(self._random.uniform(0, reference.seconds / INTERRUPTS)):
                process.signal(signal.SIGSTOP)
                process.runs(0.02)
                process.signal(signal.SIGCONT)
        ended = process.end()
        found = [entry.batch for entry in Journal(journal).read()]
        wrong = difference(found, reference.batches[:CALLS])
        if ended.status or wrong:
            self.tally.fail(f"{training}, stopped and continued: {wrong}", ended)

    @contextmanager
    def data_read_only(self, training: Training) -> Iterator[None]:
        """Make the files of a training; nobody may write to their folder within the ``with``."""
        self._reference(training)
        os.chmod(self._data(training), 0o555)
        yield
        os.chmod(self._data(training), 0o755)

    def _start(
        self, job: str, training: Training, journal: Path, *more: object, setup: Setup | None = None
    ) -> Process:
        name, data = f"{__package__}.{job}", str(self._data(training))
        return self._launcher.start(name, training, data, str(journal), *more, setup=setup)

    def _data(self, training: Training) -> Path:
        folder = self._folder / training.kind
        folder.mkdir(exist_ok=True)
        return folder

    def _journal(self) -> Path:
        return self._folder / f"{next(self._numbers)}.journal"

    def _reference(self, training: Training) -> Reference | None:
        """An uninterrupted training; None if it failed."""
        if str(training) not in self._references:
            journal = self._journal()
            begin = time.monotonic()
            ended = self._start("training:train", training, journal, CALLS + INTERRUPTS).end()
            if ended.status:
                self.tally.fail(f"{training}, not interrupted", ended)
                return None
            found = [entry.batch for entry in Journal(journal).read()]
            self._references[str(training)] = Reference(
                found, time.monotonic() - begin, float(ended.out)
            )
        return self._references[str(training)]
