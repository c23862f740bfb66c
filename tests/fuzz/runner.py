"""Runs targets in processes of their own, and makes the inputs smaller with which they fail."""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.fuzz.target import Parts, Target, decode_parts, encode_parts

ROOT = Path(__file__).parents[2]

# Seconds of CPU time after which an input is stopped; more than a worker allows, so that it usually
# says itself what took so long. And those of silence between two looks at it: a process that has
# done nothing since the last one waits for ever.
CPU_LIMIT, PATIENCE, IDLE = 20.0, 15.0, 0.01  # IDLE: as a fraction of that time
# Seconds in which a process must have started and imported what it needs.
START = 120.0

# Inputs of a request, of those whose cost is 1; and how often a smaller input is tried, and for how
# many seconds.
CHUNK, TRIES, MINIMIZE_SECONDS = 400, 300, 60.0


class Finding(NamedTuple):
    """What must not happen.

    Attributes
    ----------
    target : its name
    kind : the class of an exception; "died" with a signal, "hangs", or "slow"
    where : file and function that raised the exception
    text : the end of the traceback, or of what the process wrote to standard error
    parts : the input
    origin : how the input was made
    """

    target: str
    kind: str
    where: str
    text: str
    parts: Parts
    origin: str

    @property
    def signature(self) -> tuple[str, str, str]:
        """Equal for inputs that fail in the same way."""
        return self.target, self.kind, self.where


class EndedError(Exception):
    """A worker has died, or was stopped because an input took too long.

    Attributes
    ----------
    kind, text : as in `Finding`
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(kind)
        self.kind, self.text = kind, text


class Worker:
    """A process that runs inputs; it is started when it is first needed, and again after an end.

    Parameters
    ----------
    patience : seconds of silence between two looks at what the process is doing
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._folder = tempfile.TemporaryDirectory(prefix="gpuio-fuzz-")
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = open(Path(self._folder.name) / "errors", "w+b")  # noqa: SIM115

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *raised: object) -> None:
        self.stop()
        self._errors.close()
        self._folder.cleanup()

    def ask(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The answers to a request, up to the last one.

        Raises
        ------
        EndedError : the process has died, or was stopped because it was silent for too long.
        """
        process = self._process or self._start()
        assert process.stdin is not None and process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        rest = b""
        before = last = _cpu_seconds(process.pid)
        # Imports take long, and wait for the disk.
        patience = START
        while True:
            if not select.select([process.stdout], [], [], patience)[0]:
                used = _cpu_seconds(process.pid)
                if used - before > CPU_LIMIT or used - last <= IDLE * patience:
                    # faulthandler writes where the threads are.
                    raise EndedError("hangs", self._end(signal.SIGABRT))
                last = used
                continue
            before = last = _cpu_seconds(process.pid)
            received = os.read(process.stdout.fileno(), 1 << 16)
            if not received:
                text = self._end()
                raise EndedError(f"died with {process.returncode}", text)
            *lines, rest = (rest + received).split(b"\n")
            for line in lines:
                answer = json.loads(line)
                if "started" in answer:
                    patience = self._patience
                yield answer
                if "done" in answer:
                    return

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._end(signal.SIGKILL)

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            # Memory that is freed is overwritten, so that its use is seen.
            "MALLOC_PERTURB_": "165",
            "OPENCV_LOG_LEVEL": "SILENT",
            "PYTHONPATH": str(ROOT),
            "TMPDIR": self._folder.name,
        }
        self._errors.seek(0)
        self._errors.truncate()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.worker", str(Path(self._folder.name) / "input")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=self._folder.name,  # for files that damaged names make
            env=environment,
            start_new_session=True,  # Ctrl-C is for the runner
        )
        return self._process

    def _end(self, number: signal.Signals | None = None) -> str:
        """End the process by a signal, or wait for its end; the last that it said."""
        process, self._process = self._process, None
        assert process is not None and process.stdin is not None and process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.stdout.close()
        if number is not None:
            process.send_signal(number)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        # Of hours of warnings, the end.
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - 4000))
        return self._errors.read().decode(errors="replace")


def _cpu_seconds(pid: int) -> float:
    """CPU time of a process so far."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return 0.0
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@dataclass
class Outcome:
    """What came of a target's inputs.

    Attributes
    ----------
    inputs : damaged files, images or values
    refused : inputs that gpuio refused
    seconds : of all workers together
    peak : resident memory of a process, MiB
    largest : how much an input has added to that at most, MiB, and its number
    counts : findings by signature
    accumulated : inputs that took too much memory in a process that had run others, but not alone
    """

    inputs: int = 0
    refused: int = 0
    accumulated: int = 0
    seconds: float = 0.0
    peak: int = 0
    largest: tuple[int, int] = (0, 0)
    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)


class Run:
    """Inputs of several targets, in several processes.

    Parameters
    ----------
    targets : what is fuzzed
    seed : determines the inputs
    report : is given each finding that has a new signature, made as small as possible
    minimize : make inputs smaller

    Attributes
    ----------
    outcomes : by the target's name
    """

    def __init__(
        self,
        targets: Sequence[Target],
        seed: int,
        report: Callable[[Finding], None],
        minimize: bool = True,
    ) -> None:
        self.outcomes = {target.name: Outcome() for target in targets}
        self._targets = {target.name: target for target in targets}
        self._seed = seed
        self._report = report
        self._minimize = minimize
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._deadline = math.inf

    def run(self, count: int | None, seconds: float | None, jobs: int) -> None:
        """Run inputs.

        Parameters
        ----------
        count : inputs of all targets together; None: without end
        seconds : time after which no further inputs begin; None: no limit
        jobs : processes
        """
        self._deadline = math.inf if seconds is None else time.monotonic() + seconds
        chunks = self._chunks(count)

        def work() -> None:
            with Worker() as worker:
                while not self._is_over():
                    with self._lock:
                        chunk = next(chunks, None)
                    if chunk is None:
                        return
                    self._run_chunk(worker, *chunk)

        with ThreadPoolExecutor(jobs) as pool:
            try:
                for done in as_completed([pool.submit(work) for _ in range(jobs)]):
                    done.result()
            finally:
                self._stopped.set()

    def _is_over(self) -> bool:
        """Whether no further input should begin."""
        return self._stopped.is_set() or time.monotonic() > self._deadline

    def _chunks(self, count: int | None) -> Iterator[tuple[Target, range]]:
        """The numbers of inputs of one target after another, round after round."""
        total = sum(target.size / target.cost for target in self._targets.values())
        # A round, or less where that has all inputs.
        round_ = CHUNK * total if count is None else min(count, CHUNK * total)
        done: Counter[str] = Counter()
        while (
            count is None or sum(self._targets[name].size * n for name, n in done.items()) < count
        ):
            for target in self._targets.values():
                cases = max(1, round(round_ / total / target.cost))
                first = done[target.name]
                done[target.name] += cases
                yield target, range(first, first + cases)

    def _run_chunk(self, worker: Worker, target: Target, numbers: range) -> None:
        outcome = self.outcomes[target.name]
        began = time.monotonic()
        while numbers and not self._is_over():
            number = numbers.start
            request = {
                "target": target.name,
                "seed": self._seed,
                "numbers": [numbers.start, numbers.stop],
            }
            try:
                for answer in worker.ask(request):
                    if answer.get("started", number) != number:
                        number = answer["started"]
                        if self._is_over():
                            raise EndedError("", "")
                    if "found" in answer:
                        found = answer["found"]
                        self._found(target, number, found)
                        if is_poisoned(found):
                            raise EndedError("", "")
                    elif "done" in answer:
                        with self._lock:
                            outcome.refused += answer["done"]
                    elif "peak" in answer:
                        with self._lock:
                            outcome.peak = max(outcome.peak, answer["peak"])
                            outcome.largest = max(outcome.largest, (answer["more"], number))
                done, numbers = len(numbers), range(0)
            except EndedError as end:
                if end.kind:
                    found = {"kind": end.kind, "where": "", "text": end.text}
                    self._found(target, number, found)
                worker.stop()
                done = number + 1 - numbers.start
                numbers = range(number + 1, numbers.stop)
            with self._lock:
                outcome.inputs += done * target.size
        with self._lock:
            outcome.seconds += time.monotonic() - began

    def _input(self, target: Target, number: int) -> Parts:
        """An input; made in another process, since that too takes memory and time."""
        with Worker() as worker:
            request = {"target": target.name, "seed": self._seed, "make": number}
            (answer,) = worker.ask(request)
            return decode_parts(answer["done"])

    def _found(self, target: Target, number: int, found: dict[str, str]) -> None:
        signature = target.name, found["kind"], found["where"]
        outcome = self.outcomes[target.name]
        if is_poisoned(found) and not self._is_found_alone(target, number):
            # What libraries keep of one input for the next counts for neither.
            with self._lock:
                outcome.accumulated += 1
            return
        with self._lock:
            outcome.counts[signature] += 1
            if outcome.counts[signature] > 1:
                return
        parts, origin = self._input(target, number), f"seed {self._seed}, number {number}"
        finding = Finding(*signature, found["text"], parts, origin)
        if self._minimize:
            with Worker() as worker:
                finding = minimized(worker, finding)
        with self._lock:
            self._report(finding)

    def _is_found_alone(self, target: Target, number: int) -> bool:
        """Whether an input is a finding in a process that has run no other."""
        with Worker() as worker:
            return run_input(worker, target.name, self._input(target, number)) is not None


def is_poisoned(found: dict[str, str]) -> bool:
    """Whether a process is of no use after a finding: it has no more memory or threads."""
    return found["kind"] in ("MemoryError", "memory") or "start new thread" in found["text"]


def run_input(worker: Worker, target: str, parts: Parts) -> Finding | None:
    """What is found with one input."""
    request = {"target": target, "parts": encode_parts(parts)}
    try:
        answers = list(worker.ask(request))
    except EndedError as end:
        return Finding(target, end.kind, "", end.text, parts, "")
    for answer in answers:
        if "found" in answer:
            found = answer["found"]
            if is_poisoned(found):
                worker.stop()
            return Finding(target, found["kind"], found["where"], found["text"], parts, "")
    return None


def minimized(worker: Worker, finding: Finding) -> Finding:
    """The same finding with a smaller input, by leaving out and then zeroing what it does not need.

    The number of tries and their time are limited.
    """
    best = finding
    deadline, tries = time.monotonic() + MINIMIZE_SECONDS, 0

    def attempt(parts: Parts) -> bool:
        nonlocal best, tries
        tries += 1
        if tries > TRIES or time.monotonic() > deadline:
            return False
        found = run_input(worker, finding.target, parts)
        if found is None or found.signature != finding.signature:
            return False
        best = found._replace(origin=finding.origin)
        return True

    if not attempt(finding.parts):
        return finding._replace(origin=finding.origin + ", not on its own")
    for number in range(len(finding.parts)):
        _shrink_part(number, lambda: best.parts, attempt)
    return best


def _shrink_part(
    number: int, current: Callable[[], Parts], attempt: Callable[[Parts], bool]
) -> None:
    """Make one part of an input smaller: without it, then without ever shorter ranges, then with
    zeros."""

    def replaced(part: bytes) -> Parts:
        parts = current()
        return (*parts[:number], part, *parts[number + 1 :])

    if not current()[number] or attempt(replaced(b"")):
        return
    for fill in (False, True):
        size = max(1, len(current()[number]) // 2)
        while size:
            at = 0
            while at < len(part := current()[number]):
                cut = part[at : at + size]
                new = part[:at] + (bytes(len(cut)) if fill else b"") + part[at + size :]
                if new == part or not attempt(replaced(new)) or fill:
                    at += size
            # Single bytes of long files would take too long.
            size = size // 2 if size > len(part) // 64 or len(part) < 64 else 0
