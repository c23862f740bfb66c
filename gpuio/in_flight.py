"""Objects that are kept until the work that is queued on a GPU is done with them.

CUDA runs work after the call that queues it has returned, and neither CuPy's memory pools nor DALI
know of work on other streams than their own. So memory that a queued kernel or copy may still
access is kept here, with events that are recorded behind that work.

Everything here may be called on any thread. `keep_until` and `release_done` may also be called by
finalizers, which run in the middle of anything, even of these functions: neither waits for a lock.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, NamedTuple, TypeAlias

# A cupy.cuda.Event, or what else has its `done` and `synchronize`.
Event: TypeAlias = Any


class _Kept(NamedTuple):
    events: Sequence[Event] | None  # None: nobody knows which
    held: object


# By the number of the GPU. Anybody may append; only the holder of the lock takes out.
_kept: dict[int, deque[_Kept]] = {}
_releasing = threading.Lock()

# Entries that one call of `release_done` looks at: more than one call adds, so that they do not
# accumulate, and so few that dropping thousands of batches at once costs nothing.
LOOKED_AT = 16


def _forget(process: int) -> None:
    """At the end of the process: let go of everything while the libraries still work; nothing
    reuses memory any more. In a forked child none of it is alive.
    """
    if os.getpid() == process:
        _kept.clear()


atexit.register(_forget, os.getpid())


def keep_until(device_id: int, events: Sequence[Event] | None, held: object) -> None:
    """Keep an object until all of the events are done.

    Parameters
    ----------
    device_id : the GPU of the events
    events : recorded events; None: recording them has failed, and the object is kept until the GPU
        has been synchronized
    held : the object; nothing is done with it
    """
    _kept.setdefault(device_id, deque()).append(_Kept(events, held))


def release_done(device_id: int) -> None:
    """Release objects whose events are done. Never waits, never raises."""
    kept = _kept.get(device_id)
    if not kept or not _releasing.acquire(blocking=False):
        return
    try:
        for _ in range(min(LOOKED_AT, len(kept))):
            if _done(kept[0].events):
                kept.popleft()
            else:
                kept.rotate(-1)
    finally:
        _releasing.release()


def release_all(device_id: int) -> None:
    """Wait until all work that is queued on a GPU is done, and release the objects kept so far.

    Raises
    ------
    cupy.cuda.runtime.CUDARuntimeError : the GPU cannot be synchronized; the objects are kept.
    """
    kept = _kept.get(device_id, deque())
    with _releasing:
        count = len(kept)
        import_module("cupy").cuda.Device(device_id).synchronize()
        for _ in range(count):
            for event in kept[0].events or ():
                event.synchronize()  # other libraries may have work that is not queued yet
            kept.popleft()


def retire_stream(device_id: int, stream: Any) -> None:
    """Keep a stream of CuPy, which nobody uses any more, until its work is done.

    CUDA lets work run on when its stream is destroyed; but a new stream may then get the same
    handle, under which CuPy's memory pool offers it the memory that this work still uses.
    """
    cupy = import_module("cupy")
    events: Sequence[Event] | None = None
    with suppress(Exception), cupy.cuda.Device(device_id):
        events = [stream.record(cupy.cuda.Event(disable_timing=True))]
    keep_until(device_id, events, stream)


def kept_count(device_id: int) -> int:
    """Number of objects that are kept for a GPU."""
    return len(_kept.get(device_id, ()))


def _done(events: Sequence[Event] | None) -> bool:
    with suppress(Exception):  # a GPU that has failed: the memory may still be accessed
        return events is not None and all(event.done for event in events)
    return False
