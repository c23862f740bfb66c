"""Requests: which come first, which are shared, and what becomes of them."""

import _thread
import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from gpuio.errors import FileChangedError, RecordError, RemoteError
from gpuio.storage.remote import concurrency
from gpuio.storage.remote import fetch as fetch_module
from gpuio.storage.remote.fetch import Fetcher, fetcher
from tests.io.threads import eventually, run_in_thread
from tests.storage.remote.stores import (
    PAGE,
    SEGMENT,
    BytesStore,
    open_file,
    random_bytes,
    remote_object,
    small_cache,
)

# Python 3.12 and later warn about forks of processes with threads.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork")

CONTENT = random_bytes(64 * SEGMENT)


class Gate:
    """Holds a store's answers back until it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.waiting: list[int] = []

    def __call__(self, begin: int, end: int) -> None:
        self.waiting.append(begin)
        assert self.opened.wait(60)


def is_waiting(thread: threading.Thread) -> bool:
    """Whether a thread waits for a request."""
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and frame.f_code is Fetcher.fetch.__code__


def nothing() -> None:
    """No reason to stop waiting."""


def at(*segments: int) -> tuple[np.ndarray, np.ndarray]:
    """The first page of some segments."""
    begins = np.array(segments) * SEGMENT
    return begins, begins + PAGE


@pytest.fixture
def gate() -> Gate:
    return Gate()


def test_a_page_is_requested_once_by_several_threads(tmp_path: Path, gate: Gate) -> None:
    store = BytesStore({"x.rec": CONTENT}, gate)
    file = open_file(store, small_cache(tmp_path))
    found: list[bytes] = []
    threads = [run_in_thread(lambda: found.append(file[10:2000].tobytes()))[0] for _ in range(4)]
    assert eventually(lambda: len(gate.waiting) == 2)
    gate.opened.set()
    for each in threads:
        each.join()
    assert found == [CONTENT[10:2000]] * 4
    assert sorted(store.reads) == [(0, SEGMENT), (SEGMENT, 2048)]


def test_what_is_waited_for_comes_before_what_is_read_ahead(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(concurrency, "START", 1)
    store = BytesStore({"x.rec": CONTENT}, gate)
    remote = remote_object(store, small_cache(tmp_path))
    requests = Fetcher()
    requests.read_ahead(remote, *at(*range(20)))
    assert eventually(lambda: len(gate.waiting) == 1)
    thread, raised = run_in_thread(lambda: requests.fetch(remote, *at(17, 18, 30), nothing))
    # And what is in between, as small gaps are: the rest of 19, too.
    assert eventually(lambda: requests.queued == 19 + 2 + 12 + 1)
    gate.opened.set()
    thread.join()
    assert not raised
    requests.stop()
    order = [begin // SEGMENT for begin, _ in store.reads]
    assert order[0] == 0 and order[1:16] == [17, 18, 19, 19, *range(20, 31)]


def test_too_much_is_not_read_ahead(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_module, "MOST_AHEAD", 10 * PAGE)
    store = BytesStore({"x.rec": CONTENT}, gate)
    remote = remote_object(store, small_cache(tmp_path))
    requests = Fetcher()
    requests.read_ahead(remote, *at(*range(40)))
    gate.opened.set()
    requests.stop()
    assert len(store.reads) <= 11


def test_an_error_reaches_all_who_wait(tmp_path: Path, gate: Gate) -> None:
    store = BytesStore({"x.rec": CONTENT}, gate)
    file = open_file(store, small_cache(tmp_path))
    threads = [run_in_thread(lambda: file[:10]) for _ in range(3)]
    assert eventually(lambda: len(gate.waiting) == 1)
    store.objects["x.rec"] = CONTENT[1:]
    gate.opened.set()
    for thread, raised in threads:
        thread.join()
        assert [type(each) for each in raised] == [FileChangedError]
    store.objects["x.rec"] = CONTENT
    assert file[:10].tobytes() == CONTENT[:10]


def test_what_fails_is_asked_for_again_if_it_began_before_the_caller_asked(
    tmp_path: Path, gate: Gate
) -> None:
    """A caller who tries again after an error does not get that of an earlier request."""

    def answer(begin: int, end: int) -> None:
        if not gate.waiting:
            gate(begin, end)
            raise RemoteError("refused")

    file = open_file(BytesStore({"x.rec": CONTENT}, answer), small_cache(tmp_path))
    first, refused = run_in_thread(lambda: file[:10])
    assert eventually(lambda: len(gate.waiting) == 1)
    found: list[bytes] = []
    second, raised = run_in_thread(lambda: found.append(file[:10].tobytes()))
    assert eventually(lambda: is_waiting(second))
    gate.opened.set()
    first.join()
    second.join()
    assert [str(each) for each in refused] == ["refused"]
    assert found == [CONTENT[:10]] and not raised


def test_the_first_error_ends_the_wait(tmp_path: Path, gate: Gate) -> None:
    """Whatever else was asked for at once."""

    def answer(begin: int, end: int) -> None:
        if begin:
            gate(begin, end)
        raise RemoteError("refused")

    file = open_file(BytesStore({"x.rec": CONTENT}, answer), small_cache(tmp_path))
    with pytest.raises(RemoteError, match="refused"):
        file[:]
    gate.opened.set()
    assert eventually(lambda: fetcher().threads == 0)
    assert len(gate.waiting) < 64


def test_closing_a_file_ends_the_wait_for_it(tmp_path: Path, gate: Gate) -> None:
    file = open_file(BytesStore({"x.rec": CONTENT}, gate), small_cache(tmp_path))
    thread, raised = run_in_thread(lambda: file[:10])
    assert eventually(lambda: len(gate.waiting) == 1)
    file.close()
    thread.join()
    assert isinstance(raised[0], RecordError) and "memory://x.rec is closed" in str(raised[0])
    gate.opened.set()


def test_closing_a_file_drops_what_is_read_ahead(tmp_path: Path, gate: Gate) -> None:
    store = BytesStore({"x.rec": CONTENT}, gate)
    file = open_file(store, small_cache(tmp_path))
    file.advise(*at(*range(60)))
    assert eventually(lambda: len(gate.waiting) == fetcher().threads > 3)
    file.close()
    running = fetcher().threads
    gate.opened.set()
    assert eventually(lambda: not fetcher().queued and not fetcher().threads)
    assert len(store.reads) == running


def test_an_interrupt_ends_the_wait(tmp_path: Path, gate: Gate) -> None:
    """And what has not begun is not fetched."""
    store = BytesStore({"x.rec": CONTENT}, gate)
    remote = remote_object(store, small_cache(tmp_path))
    requests = Fetcher()

    def interrupt() -> None:
        if len(gate.waiting) == 16:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetch_module, "LOOK", 0.005)
        with pytest.raises(KeyboardInterrupt):
            requests.fetch(remote, *at(*range(40)), interrupt)
    gate.opened.set()
    requests.fetch(remote, *at(50), nothing)
    assert eventually(lambda: not requests.threads)
    assert len(store.reads) == 17


def test_without_threads_the_caller_does_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    file = open_file(BytesStore({"x.rec": CONTENT}), small_cache(tmp_path))
    file.advise(*at(7))
    assert file[:].tobytes() == CONTENT
    assert fetcher().threads == 0


def test_a_thread_that_cannot_begin_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For lack of memory: the caller does the work."""
    monkeypatch.setattr(_thread, "start_new_thread", lambda function, arguments: 1)
    store = BytesStore({"x.rec": CONTENT})
    requests = Fetcher()
    remote = remote_object(store, small_cache(tmp_path))
    assert requests.fetch(remote, *at(1, 40), nothing)
    assert requests.threads == 0


def test_threads_end_without_work(tmp_path: Path) -> None:
    file = open_file(BytesStore({"x.rec": CONTENT}), small_cache(tmp_path))
    file[:]
    assert eventually(lambda: fetcher().threads == 0)


def test_a_forked_process_waits_for_nothing_of_its_parent(tmp_path: Path, gate: Gate) -> None:
    """While the parent's threads fetch and its lock is taken."""
    store = BytesStore({"x.rec": CONTENT}, gate)
    file = open_file(store, small_cache(tmp_path))
    thread, _ = run_in_thread(lambda: file[:])
    assert eventually(lambda: len(gate.waiting) >= 4)
    if not (pid := os.fork()):
        store.before = None
        os._exit(
            0 if file[SEGMENT : 2 * SEGMENT].tobytes() == CONTENT[SEGMENT : 2 * SEGMENT] else 1
        )
    # Until then the parent has claimed the pages.
    gate.opened.set()
    assert os.waitpid(pid, 0)[1] == 0
    thread.join()


def test_at_the_end_only_what_runs_is_waited_for(tmp_path: Path, gate: Gate) -> None:
    store = BytesStore({"x.rec": CONTENT}, gate)
    remote = remote_object(store, small_cache(tmp_path))
    requests = Fetcher()
    requests.read_ahead(remote, *at(*range(40)))
    assert eventually(lambda: len(gate.waiting) == 16)
    stopping, _ = run_in_thread(requests.stop)
    assert eventually(lambda: requests.stopped)
    gate.opened.set()
    stopping.join()
    assert len(store.reads) == 16 and requests.threads == 0


def test_one_client_s_error_is_not_another_s(tmp_path: Path, gate: Gate) -> None:
    """Of two files of one object that are open, one may have credentials that have expired."""

    def refuse(begin: int, end: int) -> None:
        gate(begin, end)
        raise RemoteError("refused")

    cache = small_cache(tmp_path)
    refused = open_file(BytesStore({"x.rec": CONTENT}, refuse), cache)
    allowed = open_file(BytesStore({"x.rec": CONTENT}), cache)
    first, errors = run_in_thread(lambda: refused[:10])
    assert eventually(lambda: len(gate.waiting) == 1)
    second, others = run_in_thread(lambda: allowed[:10])
    assert eventually(lambda: fetcher().threads == 2)
    gate.opened.set()
    for thread in (first, second):
        thread.join()
    assert [type(each) for each in errors] == [RemoteError] and not others
