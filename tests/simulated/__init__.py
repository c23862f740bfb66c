"""Simulated devices for tests; see README.md beside this file."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

SITE = Path(__file__).parent / "site"


def activate() -> None:
    """Let this process, and those that it starts, import the substitutes for CuPy and its like.

    Raises
    ------
    RuntimeError : CuPy has been imported already.
    """
    if "cupy" in sys.modules:
        raise RuntimeError("CuPy is imported already; activate the simulation before")
    sys.path.insert(0, str(SITE))
    others = [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(SITE), *others])
    import nvidia_simulated  # in child processes: site/sitecustomize.py

    nvidia_simulated.install()


def begin() -> None:
    """Begin a test: on the legacy default stream of each device, or with ``GPUIO_STREAM=own`` on
    streams of its own.
    """
    import cupy
    from simulation import DEVICES, accesses

    own = os.environ.get("GPUIO_STREAM") == "own"
    for number in reversed(range(DEVICES)):
        cupy.cuda.Device(number).use()
        (cupy.cuda.Stream(non_blocking=True) if own else cupy.cuda.Stream.null).use()
    accesses.take_reports()


def end() -> list[str]:
    """End a test: run what is queued, and take what the simulation reports."""
    import cupy
    from simulation import DEVICES, accesses, streams

    gc.collect(1)  # the young ones: what a test has left
    for number in reversed(range(DEVICES)):
        streams.synchronize_device(number)
        cupy.cuda.Device(number).use()
        cupy.cuda.Stream.null.use()
    return accesses.take_reports()
