"""Streams as queues of work, and the order between them.

Work on one stream runs in the order in which it was queued. Between streams there is no order but
by marks (CUDA's events), by the host waiting, and by the legacy default stream, which waits for the
blocking streams of its device as they do for it.

A stream keeps a *clock*: how far it waits for each other stream. The host has one too
(``observed``): what it has seen to be done. `accesses` compares with both.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from simulation import DEVICES, accesses
from simulation.modes import mode

Work = Callable[[], object]
Region = np.ndarray  # a NumPy array over device or pinned memory

# As on a device, queuing blocks when this much work is pending.
DEPTH = 1024

# CUDA's handles of the default streams.
LEGACY, PER_THREAD = 1, 2

lock = threading.RLock()
# A child process gets a whole state, and a lock that is free.
os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)


class Queue:
    """The work of one stream.

    Attributes
    ----------
    device_id : its device
    handle : CUDA's handle of the stream
    blocking : whether it and the legacy default stream wait for each other
    queued, executed, observed : positions: how much was queued, has run, and is known by the host
        to have run
    clock : for other streams, the position up to which this one waits for them
    """

    def __init__(self, device_id: int, handle: int, blocking: bool) -> None:
        self.device_id = device_id
        self.handle = handle
        self.blocking = blocking
        self.work: deque[tuple[Work | Mark, str]] = deque()
        self.queued = self.executed = self.observed = 0
        self.clock: dict[Queue, int] = {}
        self.destroyed = False
        self._running = False

    def __repr__(self) -> str:
        names = {LEGACY: "legacy default stream", PER_THREAD: "per-thread default stream"}
        name = names.get(self.handle, f"stream {self.handle:#x}")
        return f"{name} of device {self.device_id}"

    def run(self, position: int) -> None:
        """Run the work up to a position, and what it waits for."""
        if self._running:  # work that frees memory queues more; the outer call runs it
            return
        while self.executed < position:
            self._running = True
            work, _ = self.work.popleft()  # frees what the last one held, which queues work
            try:
                if isinstance(work, Mark):
                    work.queue.run(work.position)
                else:
                    work()
            finally:
                self.executed += 1
                self._running = False

    def append(self, work: Work | Mark, name: str) -> None:
        if len(self.work) >= DEPTH:
            self.run(self.executed + 1)
        self.work.append((work, name))
        self.queued += 1

    def merge(self, queue: Queue, position: int) -> None:
        if queue is not self and self.clock.get(queue, 0) < position:
            self.clock[queue] = position

    def forget(self) -> None:
        """Forget what it waits for where the host knows that it is done."""
        self.clock = {
            queue: position for queue, position in self.clock.items() if position > queue.observed
        }


class Mark(NamedTuple):
    """A position in a stream, as an event records it.

    Attributes
    ----------
    clock : that of the stream there
    """

    queue: Queue
    position: int
    clock: dict[Queue, int]


class _Device:
    """The streams of a device."""

    def __init__(self, device_id: int) -> None:
        self.legacy = Queue(device_id, LEGACY, blocking=True)
        self.per_thread = threading.local()
        self.queues = {LEGACY: self.legacy}
        # Those that have ended with a thread or were destroyed, with work left.
        self.ended: list[Queue] = []

    def all(self) -> list[Queue]:
        """All streams that may have work left."""
        self.ended = [each for each in self.ended if each.observed < each.queued]
        return [*self.queues.values(), *self.ended]


_devices = [_Device(number) for number in range(DEVICES)]
_handles = itertools.count(0x5_0000_0010, 0x10)


class InvalidHandleError(Exception):
    """There is no such stream."""


def create(device_id: int, blocking: bool) -> Queue:
    """Create a stream (cudaStreamCreateWithFlags)."""
    with lock:
        queue = Queue(device_id, next(_handles), blocking)
        _devices[device_id].queues[queue.handle] = queue
        return queue


def destroy(queue: Queue) -> None:
    """Destroy a stream (cudaStreamDestroy): its handle is invalid; its work still runs."""
    with lock:
        device = _devices[queue.device_id]
        device.queues.pop(queue.handle, None)
        device.ended.append(queue)
        queue.destroyed = True


def find(handle: int, device_id: int) -> Queue:
    """The stream of a handle; those of the default streams, 0 to 2, depend on the device.

    Raises
    ------
    InvalidHandleError : it does not exist, or was destroyed.
    """
    device = _devices[device_id]
    if handle in (0, LEGACY):
        return device.legacy
    with lock:
        if handle == PER_THREAD:
            queue = getattr(device.per_thread, "queue", None)
            if queue is None:
                queue = device.per_thread.queue = Queue(device_id, PER_THREAD, blocking=True)
                device.ended.append(queue)
            elif queue not in device.ended:
                device.ended.append(queue)
            return queue
        for each in _devices:
            if handle in each.queues:
                return each.queues[handle]
    raise InvalidHandleError(f"there is no stream {handle:#x}: it was destroyed, or never existed")


def launch(
    queue: Queue,
    work: Work,
    reads: Iterable[Region] = (),
    writes: Iterable[Region] = (),
    name: str = "work",
) -> None:
    """Queue work.

    Parameters
    ----------
    work : reads and writes memory when it runs, on any thread. It must not hold what owns memory:
        as on a device, queued work keeps no memory alive
    reads, writes : the memory that it accesses, as NumPy arrays over it
    name : for reports
    """
    with lock:
        _join_legacy(queue)
        queue.append(work, name)
        accesses.note(queue, reads, writes, name)
        if mode.name == "eager":
            queue.run(queue.queued)
        _stir()


def record(queue: Queue) -> Mark:
    """Mark the end of what is queued (cudaEventRecord)."""
    with lock:
        _join_legacy(queue)
        queue.forget()
        return Mark(queue, queue.queued, dict(queue.clock))


def wait(queue: Queue, mark: Mark) -> None:
    """Let later work of a stream wait for a mark (cudaStreamWaitEvent)."""
    with lock:
        _wait(queue, mark)
        if mode.name == "eager":
            queue.run(queue.queued)
        _stir()


def _wait(queue: Queue, mark: Mark) -> None:
    if mark.queue is queue:
        return
    queue.append(mark, "wait for an event")
    queue.merge(mark.queue, mark.position)
    for other, position in mark.clock.items():
        queue.merge(other, position)


def _join_legacy(queue: Queue) -> None:
    """The implicit waits between the legacy default stream and the blocking streams."""
    device = _devices[queue.device_id]
    if queue is device.legacy:
        others = [each for each in device.all() if each.blocking and each is not queue]
    elif queue.blocking:
        others = [device.legacy]
    else:
        return
    for other in others:
        if other.queued > max(queue.clock.get(other, 0), other.observed):
            _wait(queue, Mark(other, other.queued, dict(other.clock)))


def synchronize(mark: Mark) -> None:
    """Wait on the host until a mark is reached (cudaEventSynchronize)."""
    with lock:
        _stir()
        mark.queue.run(mark.position)
        _observe(mark)


def query(mark: Mark) -> bool:
    """Whether a mark is reached (cudaEventQuery)."""
    with lock:
        _stir()
        if mode.name == "hostile":
            mark.queue.run(mark.position)
        done = mark.queue.executed >= mark.position
        if done:
            _observe(mark)
        return done


def synchronize_device(device_id: int) -> None:
    """Wait on the host for all work of a device (cudaDeviceSynchronize)."""
    with lock:
        for queue in _devices[device_id].all():
            synchronize(Mark(queue, queue.queued, dict(queue.clock)))


def _observe(mark: Mark) -> None:
    """The host now knows that a mark was reached, and all that it waited for."""
    for queue, position in ((mark.queue, mark.position), *mark.clock.items()):
        queue.observed = max(queue.observed, position)


def _stir() -> None:
    """Let some streams advance by some work, in random mode."""
    if mode.name != "random":
        return
    draw = mode.random
    for device in _devices:
        for queue in device.all():
            pending = queue.queued - queue.executed
            if pending and draw.random() < 0.25:
                queue.run(queue.executed + draw.randint(1, pending))
