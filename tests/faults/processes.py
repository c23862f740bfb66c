"""Processes that may be killed at any moment, without the time that their imports take.

A `Launcher` is a process that has imported gpuio and does nothing but fork: each job runs in a
child of it, which ends as any Python program does. The launcher does not wait for a child before it
is asked to, so that a pid stays valid until its `Process.end`.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from gpuio import native

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")

ROOT = Path(__file__).parents[2]

# A process that has not ended after so many seconds hangs.
PATIENCE = 60.0

# What libraries say that end a process, or forget their exception, for lack of memory: glibc, of a
# thread's variables; NumPy and Pillow; nvImageCodec, which then reads from address 0.
NO_MEMORY = (
    "cannot allocate memory for thread-local data: ABORT",
    "SystemError: error return without exception set",
    "returned NULL without setting an exception",
    "failed to map segment from shared object",
)

# GPUIO_FAULTS=all: everything happens to everybody. Else to each its share, in a tenth of the time.
ALL = os.environ.get("GPUIO_FAULTS") == "all"

# What a launcher imports. Not Polars: its threads do not survive a fork.
WARM = (
    "gpuio.tools.cli", "cv2", "simplejpeg", "PIL.Image", "scipy.sparse", "nvidia.dali.fn",
    "tests.io.test_conformance",
)  # fmt: skip

# What gpuio imports when it needs it, besides.
LAZY = ("polars", "importlib.readers")


def share(values: Sequence[T], number: int, shares: int) -> Sequence[T]:
    """Every n-th of some values, which all come up if the number goes from 0 to n - 1; all of them
    if that is asked for.
    """
    return values if ALL else values[number % shares :: shares]


class Ended(NamedTuple):
    """How a process ended.

    Attributes
    ----------
    status : exit status; minus the signal that killed it
    out, err : what it wrote
    hung : whether it had to be killed because it did not end; `err` then has its threads' stacks
    """

    status: int
    out: str
    err: str
    hung: bool = False

    @property
    def signaled(self) -> bool:
        """Whether a signal ended it."""
        return self.status < 0

    @property
    def aborted(self) -> bool:
        """Whether a library ended it that had no memory; SIGABRT is that of C++."""
        said = any(words in self.err for words in NO_MEMORY)
        return self.status == -signal.SIGABRT or (self.status not in (0, 2) and said)


@dataclass(frozen=True)
class Setup:
    """What a process changes before it runs its job.

    Attributes
    ----------
    limits : soft limits by the name of the resource, such as RLIMIT_NOFILE. RLIMIT_AS counts from
        what the process occupies already
    user : the user and group to become; None: stay
    folder : the current folder; None: stay
    environment : variables that are set, or removed if None
    """

    limits: Mapping[str, int] = field(default_factory=dict)
    user: int | None = None
    folder: str | None = None
    environment: Mapping[str, str | None] = field(default_factory=dict)

    def apply(self) -> None:
        """Change this process."""
        for name, value in self.environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        if self.folder is not None:
            os.chdir(self.folder)
        if self.user is not None:
            for name in LAZY:  # whose files the user may not read
                importlib.import_module(name)
            os.setgroups([])
            os.setgid(self.user)
            os.setuid(self.user)
        for name, value in self.limits.items():
            set_limit(name, value)


def set_limit(name: str, value: int | None) -> None:
    """Set a soft limit, which can be raised again; None: as high as it may be."""
    number = getattr(resource, name)
    hard = resource.getrlimit(number)[1]
    if value is None:
        value = hard
    elif name == "RLIMIT_AS":
        value += address_space()
    resource.setrlimit(number, (value, hard))


def address_space() -> int:
    """Bytes of address space that this process occupies."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


class Process:
    """A running job; see `Launcher.start`."""

    def __init__(self, launcher: Launcher, pid: int, out: Path, err: Path) -> None:
        self.pid = pid
        self._launcher = launcher
        self._out, self._err = out, err
        self._handle = os.pidfd_open(pid)

    def runs(self, seconds: float) -> bool:
        """Wait for its end, for some seconds at most; whether it still runs."""
        return not select.select([self._handle], [], [], seconds)[0]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens if it has ended."""
        os.kill(self.pid, number)

    def end(self, patience: float = PATIENCE) -> Ended:
        """Wait for its end; must be called once."""
        hung = self.runs(patience)
        if hung:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGUSR1)  # its stacks
            self.runs(1)
            self.signal(signal.SIGKILL)
            self.runs(PATIENCE)
        os.close(self._handle)
        status = self._launcher.ask({"wait": self.pid})
        return Ended(status, _text(self._out), _text(self._err), hung)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


class Launcher:
    """Starts jobs in forked processes.

    Parameters
    ----------
    folder : where the jobs' outputs are kept
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], cwd=ROOT,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.communicate(timeout=PATIENCE)

    def start(self, job: str, *arguments: Any, setup: Setup | None = None) -> Process:
        """Run a function in a process of its own.

        Parameters
        ----------
        job : the function as "module:name"; what it returns is the exit status
        arguments : for it, as JSON can hold them
        setup : what is changed before
        """
        self._count += 1
        out, err = (self._folder / f"{self._count % 16}.{name}" for name in ("out", "err"))
        request = {
            "job": job,
            "arguments": arguments,
            "setup": vars(setup or Setup()),
            "out": str(out),
            "err": str(err),
        }
        return Process(self, self.ask(request), out, err)

    def run(
        self, job: str, *arguments: Any, setup: Setup | None = None, patience: float = PATIENCE
    ) -> Ended:
        """Run a function in a process of its own, to the end."""
        return self.start(job, *arguments, setup=setup).end(patience)

    def ask(self, request: Mapping[str, Any]) -> int:
        """Send a request to the launching process, and return its answer."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        print(json.dumps(request), file=process.stdin, flush=True)
        answer = process.stdout.readline()
        assert answer, f"the launcher ended with {process.wait()}"
        return int(answer)


def serve() -> int:
    """Answer requests on standard input. In a child: run its job and return the exit status."""
    for name in WARM:
        importlib.import_module(name)
    native.library()  # not in a child, which may lack the memory for it
    gc.freeze()  # a collection in a child would copy the memory of all that is imported
    signals = {signal.SIGINT, signal.SIGTERM}
    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        if "wait" in request:
            answer = os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1])
        else:
            signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # until the child has its own outputs
            answer = os.fork()
            if not answer:
                return _run(**request)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        print(answer, flush=True)
    return 0


def _run(job: str, arguments: Sequence[Any], setup: Mapping[str, Any], out: str, err: str) -> int:
    """Run a job in this process, with its own standard streams."""
    for number, name in enumerate((os.devnull, out, err)):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC if number else os.O_RDONLY
        opened = os.open(name, flags, 0o666)
        os.dup2(opened, number)
        os.close(opened)
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    # A shell has the jobs in its background ignore it, and their children with them.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    module, _, name = job.partition(":")
    function = getattr(importlib.import_module(module), name)
    Setup(**setup).apply()
    return int(function(*arguments) or 0)


if __name__ == "__main__":
    sys.exit(serve())
