"""When JAX's work on a GPU is done.

JAX gives an array's DLPack memory back as soon as Python drops the array, although computations on
it may still be queued; and it names no stream on which they run, but one on which it waits for the
memory to be ready. They run in the order in which they were dispatched, however. So a tiny
computation that is dispatched behind them shows when they are done.
"""

from __future__ import annotations

import threading
from collections import deque
from importlib import import_module

import numpy as np

from gpuio.nd.types import Untyped


class Dispatched:
    """Work that JAX has been given, up to the next `DeviceWork.mark`.

    Parameters
    ----------
    work : of the device
    """

    result: Untyped = None  # of the computation behind it

    def __init__(self, work: DeviceWork) -> None:
        self._work = work

    @property
    def done(self) -> bool:
        """Whether the work is done, like that of a CUDA event; False before the mark."""
        return self.result is not None and bool(self.result.is_ready())

    def synchronize(self) -> None:
        """Wait until the work is done; on a thread that may call JAX."""
        if self.result is None:
            self._work.mark()
        self.result.block_until_ready()


class DeviceWork:
    """The work on one of JAX's devices.

    Parameters
    ----------
    device : a jax.Device
    """

    def __init__(self, device: Untyped) -> None:
        self._device = device
        self._unmarked: deque[Dispatched] = deque()
        self._marking = threading.Lock()
        self._compute: Untyped = None
        self._argument: Untyped = None

    def record(self) -> Dispatched:
        """The work dispatched up to now. Finalizers may call this: it calls nothing of JAX's."""
        work = Dispatched(self)
        self._unmarked.append(work)
        return work

    def mark(self) -> None:
        """Dispatch the computation whose end shows that all recorded work is done; on a thread that
        may call JAX.
        """
        with self._marking:
            # What is recorded from here on may be dispatched later than the computation.
            count = len(self._unmarked)
            if not count:
                return
            if self._compute is None:
                jax = import_module("jax")
                self._argument = jax.device_put(np.int32(0), self._device)
                # Compiled ahead, so that it also runs while JAX traces a function.
                self._compute = jax.jit(lambda number: number + 1).lower(self._argument).compile()
            result = self._compute(self._argument)
            for _ in range(count):
                self._unmarked.popleft().result = result


_works: dict[Untyped, DeviceWork] = {}


def work_on(device: Untyped) -> DeviceWork:
    """The work on a jax.Device."""
    return _works.setdefault(device, DeviceWork(device))


def mark_all() -> None:
    """Mark the work on all devices; see `DeviceWork.mark`."""
    for work in list(_works.values()):
        work.mark()
