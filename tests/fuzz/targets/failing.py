"""A target that fails, for the tests of the runner."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import numpy as np

from gpuio.errors import DecodeError
from tests.fuzz.mutators import Rng
from tests.fuzz.target import Parts, Target

# What inputs have left in memory, and bytes of each.
KEPT: list[np.ndarray] = []
KEPT_BYTES = 900 << 20

DIE, HANG, RAISE, ALLOCATE, REFUSE = b"DIE!", b"HANG", b"OOPS", b"FULL", b"BAD!"


def make(rng: Rng) -> Parts:
    """Random bytes; one input in eight dies."""
    return rng.bytes(50), rng.bytes(40) + (b"" if rng.integers(8) else DIE) + rng.bytes(40)


def check(parts: Parts, folder: Path) -> None:
    """Do what the input says."""
    said = b" ".join(parts)
    (folder / "x").write_bytes(said)
    if DIE in said:
        os.kill(os.getpid(), signal.SIGSEGV)
    if HANG in said:
        threading.Event().wait()
    if RAISE in said:
        raise KeyError("oops")
    if ALLOCATE in said:
        np.ones(3 << 30, np.uint8)
    if REFUSE in said:
        raise DecodeError("refused")


def keep(parts: Parts, folder: Path) -> None:
    """Keep memory that would be enough for two inputs."""
    KEPT.append(np.ones(KEPT_BYTES, np.uint8))


FAILING = Target("failing.told", make, check, default=False)
KEEPING = Target("failing.keeps", make, keep, default=False)
TARGETS = [FAILING, KEEPING]
