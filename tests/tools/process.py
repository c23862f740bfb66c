"""The command ``gpuio``: in processes of its own, complete or interrupted, and where it fails."""

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from gpuio.tools.cli import main

ROOT = Path(__file__).parents[2]

# Runs the command line and signals itself when a file is opened, so that no test has to wait for
# the right moment. Arguments: end of the file's path, number of the opening, CPU seconds to go on
# for, signal; then those of gpuio.
STOPPING = """
import os, signal, sys
from gpuio.__main__ import main

end, left, seconds, number = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
del sys.argv[1:5]

def hook(event, arguments):
    global left
    if event == "open" and isinstance(arguments[0], (str, os.PathLike)):
        if os.fspath(arguments[0]).endswith(end):
            left -= 1
            if left == 0 and seconds:
                signal.setitimer(signal.ITIMER_PROF, seconds)
            elif left == 0:
                signal.raise_signal(number)

signal.signal(signal.SIGPROF, lambda *_: signal.raise_signal(number))
sys.addaudithook(hook)
raise SystemExit(main())
"""


def start(*arguments: object, limit: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Start ``gpuio`` with its outputs in pipes; `limit` is a command that runs commands."""
    return subprocess.Popen(
        [*limit, sys.executable, "-m", "gpuio", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def stop_at(
    end: str,
    *arguments: object,
    opening: int = 1,
    cpu_seconds: float = 0,
    number: signal.Signals = signal.SIGINT,
) -> subprocess.CompletedProcess[str]:
    """Run ``gpuio`` and signal it when it opens files.

    Parameters
    ----------
    end : end of these files' paths
    opening : which of the openings counts
    cpu_seconds : how long to go on after it
    number : the signal
    """
    stopping = [sys.executable, "-c", STOPPING, end, opening, cpu_seconds, int(number)]
    return subprocess.run(
        [*map(str, stopping), *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )


def failure(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The line with which a command fails."""
    assert main([str(argument) for argument in arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("gpuio: ")
    return line
