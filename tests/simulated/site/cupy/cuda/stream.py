"""cupy.cuda's streams and events."""

import sys
import threading

import simulation
from simulation import streams

from cupy.cuda import runtime

_thread = threading.local()


class _Current:
    """The current streams of a thread, by device."""

    def __init__(self):
        self.streams = [Stream.null] * simulation.DEVICES
        self.stacks = [[Stream.null] for _ in range(simulation.DEVICES)]
        self.entered = []

    @staticmethod
    def get():
        if not hasattr(_thread, "current"):
            _thread.current = _Current()
        return _thread.current


def get_current_stream(device_id=-1):
    return _Current.get().streams[runtime.getDevice() if device_id == -1 else device_id]


def _current_queue():
    """The current stream, for work on the current device."""
    queue = get_current_stream()._queue
    if queue.device_id != runtime.getDevice():
        raise runtime.CUDARuntimeError(400)
    return queue


class Event:
    def __init__(self, block=False, disable_timing=False, interprocess=False):
        if interprocess and not disable_timing:
            raise ValueError("Timing must be disabled for interprocess events")
        self.ptr = id(self)
        self._disable_timing = disable_timing
        self._device_id = runtime.getDevice()
        self._mark = None

    @property
    def done(self):
        return self._mark is None or streams.query(self._mark)

    def record(self, stream=None):
        queue = (get_current_stream() if stream is None else stream)._queue
        if queue.device_id != self._device_id:
            raise runtime.CUDARuntimeError(400)
        self._mark = streams.record(queue)

    def synchronize(self):
        if self._mark is not None:
            streams.synchronize(self._mark)


def get_elapsed_time(start_event, end_event):
    """Milliseconds; a simulated device has no clock."""
    if start_event._disable_timing or end_event._disable_timing:
        raise runtime.CUDARuntimeError(400)
    start_event.synchronize()
    end_event.synchronize()
    return 1.0


class _BaseStream:
    def __init__(self, ptr, device_id):
        self.ptr = ptr
        self.device_id = device_id

    @property
    def _queue(self):
        return runtime._queue(self.ptr)

    def __eq__(self, other):
        return isinstance(other, _BaseStream) and self.ptr == other.ptr

    def __hash__(self):
        return self.ptr

    def __repr__(self):
        return f"<{type(self).__name__} {self.ptr} (device {self.device_id})>"

    def __cuda_stream__(self):
        return 0, self.ptr

    def _check_device(self):
        current = runtime.getDevice()
        if self.device_id not in (-1, current):
            raise RuntimeError(
                f"The device that the stream is created on ({self.device_id}) does not match with "
                f"the current device ({current})"
            )
        return current

    def __enter__(self):
        device_id, current = self._check_device(), _Current.get()
        current.stacks[device_id].append(self)
        current.entered.append(device_id)
        current.streams[device_id] = self
        return self

    def __exit__(self, *args):
        current = _Current.get()
        device_id = current.entered.pop()
        current.stacks[device_id].pop()
        current.streams[device_id] = current.stacks[device_id][-1]

    def use(self):
        _Current.get().streams[self._check_device()] = self
        return self

    @property
    def done(self):
        return streams.query(streams.record(self._queue))

    def synchronize(self):
        streams.synchronize(streams.record(self._queue))

    def record(self, event=None):
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event):
        if event._mark is not None:
            streams.wait(self._queue, event._mark)

    @property
    def is_non_blocking(self):
        return not self._queue.blocking


class Stream(_BaseStream):
    null = None
    ptds = None

    def __init__(self, null=False, non_blocking=False, ptds=False, priority=None):
        self._created = None
        if null:
            super().__init__(0, -1)
        elif ptds:
            super().__init__(runtime.streamPerThread, -1)
        else:
            self._created = streams.create(runtime.getDevice(), blocking=not non_blocking)
            super().__init__(self._created.handle, self._created.device_id)

    @classmethod
    def from_external(cls, obj):
        try:
            version, pointer = obj.__cuda_stream__()
        except AttributeError as error:
            raise TypeError(
                f"Object of type {type(obj).__name__} does not implement the CUDA stream protocol "
                "(__cuda_stream__ method)"
            ) from error
        if version != 0:
            raise TypeError(f"__cuda_stream__() returned unsupported version {version}")
        made = cls.__new__(cls)
        made._created = None
        _BaseStream.__init__(made, pointer, -1)
        made._foreign_stream_ref = obj
        return made

    @property
    def _queue(self):
        return super()._queue if self._created is None else self._created

    def __del__(self):
        if not sys.is_finalizing() and self._created is not None:
            streams.destroy(self._created)


class ExternalStream(_BaseStream):
    def __init__(self, ptr, device_id=-1):
        super().__init__(ptr, device_id)


Stream.null = Stream(null=True)
Stream.ptds = Stream(ptds=True)
