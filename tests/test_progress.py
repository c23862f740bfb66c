"""Progress: a bar on a terminal, and nothing anywhere else."""

import fcntl
import os
import struct
import subprocess
import sys
import termios

import pytest

from gpuio.progress import progress

CODE = """
from gpuio.progress import progress
with progress("packing x.rec", "images", 50, delay={delay}, initial=10) as bar:
    for _ in range(40):
        bar.update()
print("done")
"""


def run(delay: float, stderr: int) -> str:
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(delay=delay)],
        stdout=subprocess.PIPE, stderr=stderr, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout == "done\n"
    return done.stderr or ""


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no terminals")
@pytest.mark.parametrize(("delay", "appears"), [(0, True), (9, False)])
def test_a_terminal_sees_rate_and_time_left(delay: float, appears: bool) -> None:
    master, terminal = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 25, 100, 0, 0))
    run(delay, terminal)
    os.close(terminal)
    shown = b""
    try:
        while piece := os.read(master, 1 << 16):
            shown += piece
    except OSError:  # all has been read
        pass
    os.close(master)
    assert (b"packing x.rec" in shown and b" images/s" in shown) == appears
    if not appears:
        assert shown.strip() == b""


def test_a_file_sees_nothing() -> None:
    assert run(0, subprocess.PIPE) == ""


def test_nothing_is_shown_where_stderr_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)  # as Python does it
    with progress("indexing", "B", 10, delay=0) as bar:
        bar.update(10)
