"""Memory of arrays on a GPU that several streams work on.

A batch is written on a stream of the iterator's and read on the streams of its consumer; CuPy's
memory pool knows the former only, and would give the memory away as soon as nothing references
it. So each array of a batch has an owner: the base of its memory, which every view and every DLPack
capsule keeps alive. It knows when the array is complete, and which streams work on it. When the
last reference goes, the memory is kept until the work queued on these streams is done.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable

from gpuio.context import gpu, on_device, require_cupy
from gpuio.in_flight import Event, keep_until, release_done
from gpuio.nd.types import Array, Untyped

# CUDA's handles of the default streams; CuPy's is 0. The per-thread one is another stream on each
# thread, but like all but non-blocking ones it is ordered with the legacy one.
_PER_THREAD_STREAM = 2
_DEFAULT_STREAMS = {1, _PER_THREAD_STREAM}


class Usage:
    """What works on an array's memory.

    Parameters
    ----------
    device_id : the array's GPU
    ready : the event after which the array is complete; None: it is, in the order of every stream

    Attributes
    ----------
    device_id, ready : as given; a later event may replace `ready`
    """

    def __init__(self, device_id: int, ready: Event | None) -> None:
        self.device_id = device_id
        self.ready = ready
        # By handle: a stream that works on the array, and the event for which it has waited.
        self._streams: dict[int, tuple[Untyped, Event | None]] = {}
        self._others: list[Callable[[], Event]] = []

    def note(self, stream: Untyped) -> None:
        """Let a stream of CuPy, on this GPU, wait until the array is complete; and let the memory
        be kept for the stream's work.
        """
        known = self._streams.get(stream.ptr)
        # Of the per-thread stream, another thread's may have waited.
        if known is not None and known[1] is self.ready and stream.ptr != _PER_THREAD_STREAM:
            return
        ready = self.ready
        if ready is not None:
            with on_device(gpu(self.device_id)):
                stream.wait_event(ready)
        self._streams[stream.ptr] = stream, ready

    def note_current(self) -> None:
        """Note the calling thread's current stream; see `note`."""
        self.note(require_cupy().cuda.get_current_stream(self.device_id))

    def note_external(self, stream: Untyped) -> None:
        """Note a stream of any library, or the handle of one; see `note` and `as_stream`."""
        with on_device(gpu(self.device_id)):
            self.note(as_stream(stream))

    def note_work(self, record: Callable[[], Event]) -> None:
        """Let the memory be kept for work that is on no known stream.

        Parameters
        ----------
        record : called when the last reference is gone, on any thread: gives an object whose `done`
            says whether the work up to then is done. Must not raise
        """
        self._others.append(record)

    def keep(self, array: Array) -> None:
        """Keep the memory, which nothing references any more, until all queued work is done.

        The calling thread's current stream counts too: the last reference may have been used there.
        """
        events = None
        try:
            events = self._events()
        finally:  # also where the user interrupts the program
            keep_until(self.device_id, events, array)
        release_done(self.device_id)

    def _events(self) -> list[Event] | None:
        """Events behind all work; None if they cannot be recorded."""
        try:
            cuda = require_cupy().cuda
            with on_device(gpu(self.device_id)):
                current = cuda.get_current_stream()
                streams = {current.ptr: current}
                for handle, (stream, _) in self._streams.items():
                    default = handle in _DEFAULT_STREAMS
                    streams[0 if default else handle] = cuda.Stream.null if default else stream
                events = [
                    stream.record(cuda.Event(disable_timing=True)) for stream in streams.values()
                ]
                events += [record() for record in self._others]
        except Exception:  # the GPU has failed, or a stream was destroyed; nobody can be told
            return None
        return events if self.ready is None else [self.ready, *events]


class _Owner:
    """The owner of an array's memory."""

    def __init__(self, array: Array, usage: Usage) -> None:
        self.usage = usage
        weakref.finalize(self, usage.keep, array).atexit = False


def share(array: Array, ready: Event | None) -> Array:
    """Give an array on a GPU an owner, so that other streams than the one on which it was allocated
    may work on it.

    Parameters
    ----------
    array : cupy.ndarray or NDArray whose work has been queued. The caller leaves it alone from now
        on. An array with an owner gets the new `ready`
    ready : an event recorded behind the work that makes it; None: it is complete

    Returns
    -------
    An array of the same class, shape, strides and memory, with an owner; complete on no stream to
    which it is not handed over
    """
    usage = usage_of(array)
    if usage is not None:
        usage.ready = ready
        return array
    cuda = require_cupy().cuda
    start: Untyped = array.data  # type: ignore[attr-defined]
    usage = Usage(int(start.device_id), ready)
    release_done(usage.device_id)
    memory = cuda.UnownedMemory(
        start.mem.ptr, start.mem.size, _Owner(array, usage), usage.device_id
    )
    shared: Untyped = require_cupy().ndarray(
        array.shape,
        array.dtype,
        cuda.MemoryPointer(memory, start.ptr - start.mem.ptr),
        array.strides,
    )
    shared = shared.view(type=type(array))
    if getattr(array, "is_mask", False):  # the result of a comparison
        shared.is_mask = True
    return shared  # type: ignore[no-any-return]


def hand_over(array: Array) -> None:
    """Hand an array to the calling thread: its current stream waits until the array is complete,
    and the memory is kept for that stream's work. Does nothing with arrays that have no owner.
    """
    usage = usage_of(array)
    if usage is not None:
        usage.note_current()


def usage_of(array: object) -> Usage | None:
    """What works on an array's memory; None if it has no owner, or is on the host."""
    memory = getattr(getattr(array, "data", None), "mem", None)
    owner = getattr(memory, "_owner", None)
    return owner.usage if isinstance(owner, _Owner) else None


def as_stream(stream: Untyped) -> Untyped:
    """A stream of CuPy.

    Parameters
    ----------
    stream : of CuPy, PyTorch or another library with ``__cuda_stream__``, on the current device; or
        its handle, a ``cudaStream_t``, as an integer

    Raises
    ------
    TypeError : it is something else.
    """
    cuda = require_cupy().cuda
    if isinstance(stream, (cuda.Stream, cuda.ExternalStream)):
        return stream
    handle = getattr(stream, "cuda_stream", stream)  # PyTorch's name, also of older versions
    if isinstance(handle, int) and not isinstance(handle, bool):
        return cuda.Stream.from_external(_Foreign(handle, stream))
    if hasattr(stream, "__cuda_stream__"):
        return cuda.Stream.from_external(stream)
    raise TypeError(
        "expected a stream of CuPy, PyTorch or another library with __cuda_stream__, or the handle "
        f"of one as an integer, not {type(stream).__name__}"
    )


class _Foreign:
    """A stream known by its handle, in terms of CUDA's stream protocol."""

    def __init__(self, handle: int, stream: object) -> None:
        self._handle = handle
        self._stream = stream  # alive as long as the handle is in use

    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, self._handle
