"""Fetching: requests for pages of remote objects, and the threads that run them.

All files of a process share the threads. They are started when there is work and end when there is
none. What a caller waits for comes before what is read ahead.
"""

from __future__ import annotations

import _thread
import atexit
import collections
import os
import queue
import threading
import time
import weakref
from bisect import bisect_right, insort
from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from gpuio.storage.parts import Offsets, join
from gpuio.storage.remote.cache import sync_all
from gpuio.storage.remote.concurrency import Concurrency
from gpuio.storage.remote.filling import GAP, RemoteObject, fetch_pages
from gpuio.storage.remote.statistics import count
from gpuio.storage.remote.store import Store
from gpuio.threads import ThreadToken

# Bytes of one request, at most.
LONGEST = 8 << 20

# Bytes that all files of a process read ahead, at most.
MOST_AHEAD = 1 << 30

# Seconds that the end of the process waits for requests that run: a thread that comes back from a
# client's code while the interpreter ends may crash.
LAST_WAIT = 1.0

# Seconds between two looks at whether threads that should run still do.
LOOK = 1.0


class Wait:
    """What one caller waits for. Its fields change with the lock of the fetcher.

    Attributes
    ----------
    requests : that together hold what it wants
    left : how many of them are not finished
    wakes : gets an item when there are none, when one has failed, and when the caller should look
        whether to go on
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.left = 0
        self.wakes: queue.SimpleQueue[None] = queue.SimpleQueue()


class Request:
    """Pages of one segment that are to be fetched.

    Attributes
    ----------
    remote, number, first, last : see `fetch_pages`
    begin, end : the same pages in bytes of the object
    ahead : whether it is wanted although nobody waits for it
    started : when it was, in ``time.monotonic``'s seconds; None: it has not been
    finished : whether it has been
    data : uint8 (end - begin,), once it is finished without an error
    error : what has made it fail
    waits : of those who wait for it
    """

    def __init__(
        self, remote: RemoteObject, number: int, first: int, last: int, ahead: bool
    ) -> None:
        cached = remote.cached
        base = number * cached.segment
        self.remote, self.number, self.first, self.last = remote, number, first, last
        self.begin = base + first * cached.page
        self.end = min(base + last * cached.page, base + cached.segment, cached.info.size)
        self.ahead = ahead
        self.started: float | None = None
        self.finished = False
        self.data: NDArray[np.uint8] | None = None
        self.error: BaseException | None = None
        self.waits: list[Wait] = []

    def finish(self, data: NDArray[np.uint8] | None, error: BaseException | None) -> None:
        """Note the result, and wake those who wait for nothing more; with the fetcher's lock."""
        self.data, self.error, self.finished = data, error, True
        for each in self.waits:
            each.left -= 1
            if not each.left or error is not None:
                each.wakes.put(None)


class Fetcher:
    """The requests of a process, and their threads. Thread-safe."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin without requests and threads, also in a process that has been forked."""
        self._lock = threading.Lock()
        self._urgent: collections.deque[Request] = collections.deque()
        self._later: collections.deque[Request] = collections.deque()
        # Those that are not finished; see `_place`.
        self._in_flight: dict[tuple[Store, str, int], list[Request]] = {}
        self._ahead = 0  # bytes that are read ahead
        # Of each thread; without one that memory was too short for.
        self._running: weakref.WeakSet[ThreadToken] = weakref.WeakSet()
        self._concurrency = Concurrency()
        self._stopped = False
        self._ended: queue.SimpleQueue[None] = queue.SimpleQueue()

    @property
    def queued(self) -> int:
        """Requests that have not begun."""
        return len(self._urgent) + len(self._later)

    @property
    def threads(self) -> int:
        """Threads that run."""
        return len(self._running)

    @property
    def stopped(self) -> bool:
        """Whether `stop` has been called."""
        return self._stopped

    def fetch(
        self, remote: RemoteObject, begins: Offsets, ends: Offsets, check: Callable[[], None]
    ) -> list[Request]:
        """Fetch parts of an object, and wait for them.

        Parameters
        ----------
        begins, ends : int64 (n,), the parts, in bytes
        check : called now and then, and by `cancel`; what it raises ends the wait

        Returns
        -------
        finished requests that together hold all parts, ascending

        Raises
        ------
        Error : a request fails, see `fetch_pages`.
        """
        wait = Wait()
        begin = time.monotonic()
        try:
            self._request(remote, begins, ends, wait)
            while not self._is_done(remote, wait, begin):
                check()
                if self._running or not self._work_here():
                    with suppress(queue.Empty):
                        wait.wakes.get(timeout=LOOK)
        except BaseException:
            with self._lock:
                for each in wait.requests:  # what has not begun, and nobody else wants, never will
                    with suppress(ValueError):
                        each.waits.remove(wait)
            raise
        finally:
            count(waited=time.monotonic() - begin)
        return sorted(wait.requests, key=lambda each: each.begin)

    def read_ahead(self, remote: RemoteObject, begins: Offsets, ends: Offsets) -> None:
        """Have parts of an object, int64 (n,) in bytes, fetched into its cache; does not wait. What
        is too much is ignored.
        """
        with self._lock:
            for number, first, last in _pages(remote, begins, ends):
                _, missing = self._divide(remote, number, first, last)
                for each in missing:
                    request = Request(remote, number, *each, ahead=True)
                    if self._ahead > MOST_AHEAD:
                        return
                    self._ahead += request.end - request.begin
                    self._later.append(request)
                    self._add(request)
            self._start_thread()

    def cancel(self, folder: str) -> None:
        """Drop what is to be read ahead of the object that is cached in a folder, and have those
        who wait for it call their `check`.
        """
        with self._lock:
            for (_, place, _), requests in self._in_flight.items():
                for request in requests if place == folder else ():
                    for wait in request.waits:
                        wait.wakes.put(None)
            kept: collections.deque[Request] = collections.deque()
            for each in self._later:
                if each.remote.cached.folder != folder or each.waits:
                    kept.append(each)
                elif each.started is None:
                    self._drop(each)
            self._later = kept

    def stop(self) -> None:
        """Drop what has not begun, and wait a little for what has; at the end of the process."""
        with self._lock:
            self._stopped = True
            self._later.clear()
        deadline = time.monotonic() + LAST_WAIT
        while self._running and (left := deadline - time.monotonic()) > 0:
            with suppress(queue.Empty):
                self._ended.get(timeout=left)

    def _is_done(self, remote: RemoteObject, wait: Wait, begin: float) -> bool:
        """Whether nothing is left to wait for. What had been started before `begin`, when the
        caller asked, and has failed, is requested again: the reason may have passed meanwhile.

        Raises
        ------
        the error of a request that was started later.
        """
        done = not wait.left  # before the errors, as these come first
        failed = [each for each in wait.requests if each.error is not None]
        for each in failed:
            assert each.error is not None and each.started is not None, "it has run"
            if each.started >= begin:
                raise each.error
            wait.requests.remove(each)
            self._request(remote, np.array([each.begin]), np.array([each.end]), wait)
        return done and not failed

    def _request(self, remote: RemoteObject, begins: Offsets, ends: Offsets, wait: Wait) -> None:
        """Find or add the requests for some parts, for `wait`."""
        pages = _pages(remote, begins, ends)
        with self._lock:
            for number, first, last in pages:
                known, missing = self._divide(remote, number, first, last)
                new = [Request(remote, number, *each, ahead=False) for each in missing]
                for each in known + new:
                    each.waits.append(wait)
                    wait.left += 1
                    wait.requests.append(each)
                    if each.started is None:
                        self._urgent.append(each)
                for each in new:
                    self._add(each)
            self._start_thread()

    def _divide(
        self, remote: RemoteObject, number: int, first: int, last: int
    ) -> tuple[list[Request], list[tuple[int, int]]]:
        """The requests in flight for some pages of a segment, and the pages of no request."""
        known, missing = [], []
        place = self._in_flight.get(_place(remote, number), [])  # ascending, and apart
        at = bisect_right(place, first, key=lambda each: each.last)
        while at < len(place) and (each := place[at]).first < last:
            at += 1
            known.append(each)
            if each.first > first:
                missing.append((first, each.first))
            first = each.last
        if first < last:
            missing.append((first, last))
        return known, missing

    def _add(self, request: Request) -> None:
        """Add a request, which is in a queue, to those in flight."""
        place = self._in_flight.setdefault(_place(request.remote, request.number), [])
        insort(place, request, key=lambda each: each.first)

    def _drop(self, request: Request) -> None:
        """Take a request out of those in flight."""
        key = _place(request.remote, request.number)
        place = self._in_flight.get(key, [])
        if request not in place:  # it was dropped before
            return
        place.remove(request)
        if not place:
            self._in_flight.pop(key, None)
        if request.ahead:
            self._ahead -= request.end - request.begin

    def _start_thread(self) -> None:
        """Start a thread if there is work for one more; it starts the next one. With the lock."""
        if not (self._urgent or self._later) or self._stopped:
            return
        if len(self._running) >= self._concurrency.limit:
            return
        token = ThreadToken()
        try:
            self._running.add(token)
            _thread.start_new_thread(self._work, (token,))
        except BaseException as error:
            self._running.discard(token)
            if not isinstance(error, RuntimeError):  # refused: whoever waits does the work
                raise

    def _work(self, token: ThreadToken) -> None:
        """Run requests until there are none, or too many threads."""
        try:
            while True:
                with self._lock:
                    request = None
                    if not self._stopped and len(self._running) <= self._concurrency.limit:
                        request = self._next()
                    if request is None:
                        self._running.discard(token)
                        break
                    self._start_thread()
                self._run(request)
                del request  # keeps no data alive
        finally:
            self._running.discard(token)
            if self._stopped:
                self._ended.put(None)

    def _work_here(self) -> bool:
        """Run one request on this thread; False: there is none."""
        with self._lock:
            request = self._next()
        if request is None:
            return False
        self._run(request)
        return True

    def _next(self) -> Request | None:
        """What is to be done next; with the lock."""
        while self._urgent or self._later:
            request = self._urgent.popleft() if self._urgent else self._later.popleft()
            if request.started is not None:  # it was in both queues
                continue
            request.started = time.monotonic()
            if request.waits or request.ahead:
                return request
            self._drop(request)
        return None

    def _run(self, request: Request) -> None:
        data, written, error = None, 0, None
        remote, number = request.remote, request.number
        try:
            data, written = fetch_pages(remote, number, request.first, request.last)
        except BaseException as raised:
            error = raised
        with self._lock:
            request.finish(data, error)
            self._drop(request)
            busy = bool(self._urgent or self._later)
            self._concurrency.completed(request.end - request.begin, time.monotonic(), busy)
        if written:
            remote.cache.wrote(remote.cached, number, written)


def _place(remote: RemoteObject, number: int) -> tuple[Store, str, int]:
    """What requests have in common that serve each other: the client, as it is the one that may be
    refused or time out, the folder of the object, and the segment.
    """
    return remote.store, remote.cached.folder, number


def _pages(remote: RemoteObject, begins: Offsets, ends: Offsets) -> Iterator[tuple[int, int, int]]:
    """The pages of some parts, with small gaps between them, as pieces of at most LONGEST bytes; as
    few as can be.

    Yields
    ------
    number of a segment, its first page, and the one after its last
    """
    cached = remote.cached
    page, segment = cached.page, cached.segment
    ranges, _, _ = join(begins // page * page, -(-ends // page) * page, GAP)
    ranges = ranges.cut(segment).divide(LONGEST, page)
    numbers = ranges.begins // segment
    first, last = ranges.begins - numbers * segment, ranges.ends - numbers * segment
    return zip(numbers.tolist(), (first // page).tolist(), (-(-last // page)).tolist(), strict=True)


_fetcher = Fetcher()


def fetcher() -> Fetcher:
    """The fetcher of this process."""
    return _fetcher


def _end() -> None:
    _fetcher.stop()
    sync_all()


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_fetcher.begin)
