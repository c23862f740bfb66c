"""A contestant's process, and the CPU time that it and its children use."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from gpuio.tools.commands.bench.measure import has_runnable_thread
from tests.benchmarks.images.contestants import Contestant
from tests.benchmarks.images.job import Job

ROOT = Path(__file__).resolve().parents[3]

# Seconds that a request may take.
PATIENCE = 180.0


class LeftOutError(Exception):
    """A contestant is not installed, or failed."""


class ContestantProcess:
    """A contestant in a process of its own.

    Parameters
    ----------
    contestant : what to run
    interpreter : the Python that runs it

    Raises
    ------
    LeftOutError : (each method) it is not installed, fails, or does not answer.
    """

    def __init__(self, contestant: Contestant, interpreter: str = sys.executable) -> None:
        self.versions: dict[str, str] = {}
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115, closed with the process
        self._process = subprocess.Popen(
            [interpreter, "-m", "tests.benchmarks.images.worker", contestant.module,
             json.dumps(contestant.options)],
            cwd=ROOT,
            env={**os.environ, **contestant.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
        )  # fmt: skip

    def open(self, job: Job) -> None:
        """Open a job; further requests are about it."""
        self.versions = self._ask("open", asdict(job))["versions"]

    def save(self, batches: int, path: Path) -> None:
        """Write the next batches to ``data`` and ``labels`` of a NumPy archive."""
        self._ask("save", batches, str(path))

    def run(self, batches: int | None, seconds: float) -> int:
        """Take the next batches, but none after so many seconds; number of images.

        Parameters
        ----------
        batches : their number at most; None: any
        """
        count: int = self._ask("run", batches, seconds)["images"]
        return count

    def end(self) -> None:
        """Drop what was opened."""
        self._ask("end")

    def cpu_seconds(self) -> float:
        """User and system time of the process and its children so far."""
        return sum(map(_used, _family(self._process.pid)))

    def is_runnable(self) -> bool:
        """Whether a thread of them works, or waits for a CPU."""
        return any(map(has_runnable_thread, _family(self._process.pid)))

    def close(self) -> None:
        """End the process and its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()
        self._errors.close()

    def __enter__(self) -> ContestantProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, *request: Any) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise LeftOutError(f"its process ended: {self._last_words()}") from error
        if not select.select([self._process.stdout], [], [], PATIENCE)[0]:
            raise LeftOutError(f"it did not answer for {PATIENCE:.0f} seconds")
        line = self._process.stdout.readline()
        if not line:
            raise LeftOutError(f"its process ended: {self._last_words()}")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise LeftOutError(reply["error"])
        return reply

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "without a message"


def _family(pid: int) -> Iterator[int]:
    """A process and those below it."""
    yield pid
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in path.read_text().split():
                yield from _family(int(child))


def _used(pid: int) -> float:
    """CPU seconds of a process and of its children that have ended."""
    try:
        # Linux's number for the CPU clock of another process.
        own = time.clock_gettime(~pid << 3 | 2)
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    ended = int(fields[13]) + int(fields[14])
    return own + ended / os.sysconf("SC_CLK_TCK")
