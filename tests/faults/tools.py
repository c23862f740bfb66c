"""Writers and tools that are killed at random moments, and run again."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from itertools import count, cycle
from pathlib import Path
from typing import Any, NamedTuple

from tests.faults.processes import Ended, Launcher, Process, Setup
from tests.faults.tally import Tallied, Tally
from tests.faults.writers import (
    UNFINISHED,
    WRITERS,
    Files,
    make_inputs,
    place_given,
    read_files,
    run,
    wrong_files,
)

# Signals that interrupt, and how often each is sent.
SIGNALS = {signal.SIGKILL: 6, signal.SIGINT: 2, signal.SIGTERM: 2}

# Exit statuses after each signal, besides its own: the tool had already done its work, or it ends
# in order, with the shells' status of that signal.
STATUSES = {signal.SIGKILL: (), signal.SIGINT: (130,), signal.SIGTERM: (143,)}

# What libjpeg prints about damaged images.
LIBJPEG = "Corrupt JPEG data"

# Operations on files that a process can be signaled before.
OPERATIONS = ("open", "os.rename", "os.remove", "os.mkdir", "os.truncate", "os.link", "fcntl.flock")


class Reference(NamedTuple):
    """A run without interruption.

    Attributes
    ----------
    files : what it left in ``out``
    out : what it printed
    seconds : how long it took
    """

    files: Files
    out: str
    seconds: float


def run_until(name: str, operation: int, number: int) -> int:
    """Run a writer, and signal this process before its n-th operation on a file in ``out``, from 1;
    0: print the number of these on stderr instead.
    """
    seen = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event not in OPERATIONS:
            return
        path = arguments[0]
        if isinstance(path, (str, os.PathLike)) and "out" not in os.fspath(path).split("/"):
            return
        seen += 1
        if seen == operation:
            signal.raise_signal(number)

    sys.addaudithook(hook)
    status = run(name)
    if not operation:
        print(seen, file=sys.stderr)
    return status


class Trial(NamedTuple):
    """A folder in which a writer runs.

    Attributes
    ----------
    name : of the writer
    folder : has ``in`` and ``out``
    old : the files in ``out`` before it ran
    """

    name: str
    folder: Path
    old: Files


class Interrupter(Tallied):
    """Interrupts writers.

    Parameters
    ----------
    launcher : runs them
    folder : for their files
    seed : of the moments
    """

    def __init__(self, launcher: Launcher, folder: Path, seed: int) -> None:
        super().__init__()
        self._launcher = launcher
        self._folder = folder
        self._random = random.Random(seed)
        self._numbers = count()
        self._inputs = folder / "inputs"
        make_inputs(self._inputs)
        self._original = read_files(self._inputs / "in")
        self._references: dict[str, Reference] = {}

    def kill(self, total: int) -> Tally:
        """Interrupt all writers at random moments until so many signals have ended one."""
        with self.tallied() as tally:
            for name in cycle(WRITERS):
                if tally.signals.total() >= total:
                    break
                trial = self.place(name, self._random.random() < 0.5)
                for _ in range(self._random.choice((1, 1, 2, 3))):
                    self._interrupt(trial)
                self.check_again(trial)
        return tally

    def kill_before_operations(self, name: str, most: int) -> Tally:
        """Kill a writer before its first operation on a file in ``out``, before its second, …; at
        random ones if there are more than `most`.
        """
        counted = self.run(self.place(name), "tools:run_until", name, 0, 0)
        operations = range(1, int(counted.err.split()[-1]) + 1)
        with self.tallied() as tally:
            for operation in sorted(self._random.sample(operations, min(most, len(operations)))):
                trial = self.place(name, replaces=operation % 2 == 0)
                ended = self.run(trial, "tools:run_until", name, operation, signal.SIGKILL)
                what = f"{name}, killed before operation {operation}"
                if ended.status == WRITERS[name].status:  # the first run had caches to fill
                    self.check_result(what, trial, ended)
                    continue
                if ended.status != -signal.SIGKILL:
                    tally.fail(what, ended)
                tally.signals["SIGKILL"] += 1
                self.check(what, trial)
                self.check_again(trial)
        return tally

    def _interrupt(self, trial: Trial) -> None:
        """Interrupt a writer at a random moment."""
        (number,) = self._random.choices([*SIGNALS], [*SIGNALS.values()])
        process = self.start(trial, "writers:run", trial.name)
        if process.runs(self._random.uniform(0, self.reference(trial.name).seconds)):
            process.signal(number)
        if number != signal.SIGKILL and process.runs(self._random.uniform(0, 0.01)):
            process.signal(number)
        ended = process.end()
        what = f"{trial.name}, {number.name}"
        writer = WRITERS[trial.name]
        if ended.hung or ended.status not in (writer.status, -number, *STATUSES[number]):
            self.tally.fail(what, ended)
        elif ended.status in STATUSES[number]:
            self.check_refused(what, trial, ended, names_file=False)
        self.tally.signals[number.name] += ended.signaled or ended.status in STATUSES[number]
        self.check(what, trial)

    def place(self, name: str, replaces: bool = False) -> Trial:
        """A folder for a run, with older outputs if it `replaces` them."""
        folder = self._folder / f"{next(self._numbers)}"
        (folder / "out").mkdir(parents=True)
        (folder / "in").symlink_to(self._inputs / "in")
        place_given(name, folder)
        for output in WRITERS[name].outputs if replaces else ():
            if output.endswith((".rec", ".idx")):
                old = self._inputs / "in" / f"head{output[-4:]}"
                shutil.copy(old, folder / "out" / output)
            elif not output.endswith(("/", ".lst", ".nd")):  # which would be read
                (folder / "out" / output).write_bytes(b"old")
        return Trial(name, folder, read_files(folder / "out"))

    def start(self, trial: Trial, job: str, *arguments: object, **changes: Any) -> Process:
        """Start a function of a module of this package, as "module:name", in a trial's folder;
        `changes` are those of a Setup.
        """
        setup = Setup(folder=str(trial.folder), **changes)
        return self._launcher.start(f"{__package__}.{job}", *arguments, setup=setup)

    def run(self, trial: Trial, job: str, *arguments: object, **changes: Any) -> Ended:
        """The same, to the end."""
        return self.start(trial, job, *arguments, **changes).end()

    def reference(self, name: str) -> Reference:
        """A run without interruption."""
        if name not in self._references:
            trial = self.place(name)
            begin = time.monotonic()
            ended = self.run(trial, "writers:run", name)
            seconds = time.monotonic() - begin
            files = read_files(trial.folder / "out")
            if ended.status != WRITERS[name].status or any(map(UNFINISHED.search, files)):
                self.tally.fail(f"{name}, not interrupted, gave {list(files)}", ended)
            shutil.rmtree(trial.folder)
            self._references[name] = Reference(files, ended.out, seconds)
        return self._references[name]

    def check(self, what: str, trial: Trial, folder: str = "out") -> None:
        """Check what a writer that was interrupted has left in one of a trial's folders."""
        expected = self.reference(trial.name).files
        found = read_files(trial.folder / folder)
        wrong = wrong_files(WRITERS[trial.name], found, trial.old, expected)
        if wrong:
            self.tally.fail(f"{what}: {wrong}")

    def check_refused(
        self,
        what: str,
        trial: Trial,
        ended: Ended,
        folder: str = "out",
        *,
        names_file: bool = True,
        short: bool = False,
    ) -> None:
        """Check a writer that failed: its message, and that it left nothing behind.

        Parameters
        ----------
        folder : that of the trial's folders that has its files
        names_file : whether the message has to name one of its files
        short : memory was: the message need not, and comes among what Python could not handle
        """
        found = read_files(trial.folder / folder)
        lines = [line for line in ended.err.splitlines() if not line.startswith(LIBJPEG)]
        if short:
            lines = [line for line in lines if line.startswith("gpuio: ")]
            names_file = False
        if (
            ended.status not in (2, 130, 143)
            or len(lines) != 1
            or not lines[0].startswith("gpuio: ")
        ):
            self.tally.fail(f"{what}: not refused in a line", ended)
        elif names_file and "out/x" not in lines[0]:
            self.tally.fail(f"{what}: names no file", ended)
        if not WRITERS[trial.name].keeps and (left := [*filter(UNFINISHED.search, found)]):
            self.tally.fail(f"{what}: left {left}")
        self.check(what, trial, folder)

    def check_again(self, trial: Trial) -> None:
        """Run a writer again that was interrupted, and compare its result with that of one that was
        not; the folder is removed.
        """
        ended = self.run(trial, "writers:run", trial.name)
        if ended.status == 2 and "--force" in ended.err:  # the files that are there
            command = f"{WRITERS[trial.name].command} --force"
            ended = self.run(trial, "writers:run_command", command)
        self.check_result(f"{trial.name}, run again", trial, ended)
        shutil.rmtree(trial.folder)

    def check_result(self, what: str, trial: Trial, ended: Ended, folder: str = "out") -> None:
        """Compare the result of a writer with that of one that was not interrupted."""
        expected = self.reference(trial.name)
        found = read_files(trial.folder / folder)
        missing = [path for path in expected.files if path not in found]
        others = [path for path in found if path not in expected.files]
        differ = [path for path in found if found[path] != expected.files.get(path, found[path])]
        wrong = f"{missing} missing, {others} left, {differ} differ"
        if missing or others or differ or ended.status != WRITERS[trial.name].status:
            self.tally.fail(f"{what}: {wrong}", ended)
        if ended.out != expected.out and not WRITERS[trial.name].keeps:  # which says what it kept
            self.tally.fail(f"{what}, printed {ended.out}")
        if read_files(self._inputs / "in") != self._original:
            self.tally.fail(f"{what}: an input has changed")
