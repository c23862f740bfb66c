"""Fetching pages: by one process each, whatever happens to it."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gpuio import native
from gpuio.errors import Error, FileChangedError
from gpuio.storage.remote.cache import Cache
from gpuio.storage.remote.cached_object import CachedObject
from gpuio.storage.remote.checking import compare
from gpuio.storage.remote.filling import GAP, fetch_pages
from gpuio.storage.remote.segment import Segment
from tests.io.threads import eventually
from tests.storage.remote.stores import (
    PAGE,
    SEGMENT,
    BytesStore,
    FolderStore,
    open_file,
    random_bytes,
    remote_object,
    small_cache,
)

# Python 3.12 and later warn about forks of processes with threads.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork")

CONTENT = random_bytes(4 * SEGMENT + 100)


@pytest.fixture(params=["native", "python"], autouse=True)
def module(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without the native module."""
    if request.param == "python":
        monkeypatch.setenv("GPUIO_NATIVE", "0")
    elif native.library() is None:
        pytest.skip("the native module is not in use")


def test_pages_that_are_there_are_not_fetched_again(tmp_path: Path) -> None:
    store = BytesStore({"x.rec": CONTENT})
    remote = remote_object(store, small_cache(tmp_path))
    data, written = fetch_pages(remote, 1, 2, 5)
    assert data.tobytes() == CONTENT[SEGMENT + 2 * PAGE : SEGMENT + 5 * PAGE]
    assert written == 3 * PAGE
    data, written = fetch_pages(remote, 1, 0, 16)
    assert data.tobytes() == CONTENT[SEGMENT : 2 * SEGMENT]
    # The gap is small: it is fetched again, which costs less than another request.
    assert store.reads == [(SEGMENT + 2 * PAGE, SEGMENT + 5 * PAGE), (SEGMENT, 2 * SEGMENT)]
    assert fetch_pages(remote, 1, 0, 16)[1] == 0 and len(store.reads) == 2


def test_large_gaps_are_not_fetched_again(tmp_path: Path) -> None:
    page, segment = 1 << 12, 1 << 20
    content = random_bytes(segment)
    store = BytesStore({"x.rec": content})
    remote = remote_object(store, Cache(str(tmp_path), 10**9, page, segment))
    first, last = 20, 21 + GAP // page
    fetch_pages(remote, 0, first, last)
    assert fetch_pages(remote, 0, 0, 256)[0].tobytes() == content
    expected = [(first, last), (0, first), (last, 256)]
    assert store.reads == [(begin * page, end * page) for begin, end in expected]


def test_the_last_pages_are_shorter(tmp_path: Path) -> None:
    remote = remote_object(BytesStore({"x.rec": CONTENT}), small_cache(tmp_path))
    for _ in range(2):
        assert fetch_pages(remote, 4, 0, 2)[0].tobytes() == CONTENT[4 * SEGMENT :]


def test_without_a_cache(tmp_path: Path) -> None:
    cache = small_cache(tmp_path)
    cache.failed(OSError(28, "No space left on device"))
    remote = remote_object(BytesStore({"x.rec": CONTENT}), cache)
    data, written = fetch_pages(remote, 4, 1, 2)
    assert data.tobytes() == CONTENT[4 * SEGMENT + PAGE :] and written == 0


def test_an_answer_of_another_length_is_an_error(tmp_path: Path) -> None:
    class Short(BytesStore):
        def read(self, *arguments: object) -> np.ndarray:
            return super().read(*arguments)[:-1]  # type: ignore[arg-type]

    remote = remote_object(Short({"x.rec": CONTENT}), small_cache(tmp_path))
    with pytest.raises(Error, match=r"memory://x\.rec: the store gave 63 bytes for those from 0"):
        fetch_pages(remote, 0, 0, 1)


def test_an_error_marks_no_page(tmp_path: Path) -> None:
    store = BytesStore({"x.rec": CONTENT})
    remote = remote_object(store, small_cache(tmp_path))
    store.objects["x.rec"] = CONTENT[1:]
    with pytest.raises(FileChangedError):
        fetch_pages(remote, 0, 0, 16)
    store.objects["x.rec"] = CONTENT
    assert fetch_pages(remote, 0, 0, 16)[0].tobytes() == CONTENT[:SEGMENT]


def read_all(folder: str, order: list[int], start: Callable[[], object]) -> None:
    """Read an object in pieces, in some order, with a process's own cache object."""
    store = FolderStore(Path(folder))
    file = open_file(store, small_cache(Path(folder)))
    expected = Path(folder, "x.rec").read_bytes()
    start()
    for begin in order:
        assert file[begin : begin + 300].tobytes() == expected[begin : begin + 300]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_several_processes_fetch_each_page_once(tmp_path: Path, method: str) -> None:
    (tmp_path / "x.rec").write_bytes(CONTENT)
    context = multiprocessing.get_context(method)
    barrier = context.Barrier(3)
    rng, processes = np.random.default_rng(0), []
    for _ in range(3):
        order = rng.permutation(np.arange(0, len(CONTENT), 300)).tolist()
        arguments = str(tmp_path), order, barrier.wait
        processes.append(context.Process(target=read_all, args=arguments))
    for each in processes:
        each.start()
    for each in processes:
        each.join()
        assert each.exitcode == 0
    counts = np.zeros(-(-len(CONTENT) // PAGE), int)
    for begin, end in FolderStore(tmp_path).reads:
        counts[begin // PAGE : -(-end // PAGE)] += 1
    # Small gaps between missing pages may come again.
    assert counts.min() == 1 and counts.mean() < 1.5


def hang(folder: str, message: int) -> None:
    """Fetch a page, and tell about it before it comes, which it never does."""

    def tell(begin: int, end: int) -> None:
        os.write(message, b"1")
        signal.pause()

    cache = small_cache(Path(folder))
    fetch_pages(remote_object(FolderStore(Path(folder), tell), cache), 0, 0, 8)


def hanging_process(folder: Path) -> int:
    """A process that fetches pages 0 to 7 of segment 0, and never ends."""
    reading, writing = os.pipe()
    if not (pid := os.fork()):
        hang(str(folder), writing)
        os._exit(0)
    assert os.read(reading, 1) == b"1"
    os.close(reading)
    os.close(writing)
    return pid


def test_a_killed_process_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "x.rec").write_bytes(CONTENT)
    remote = remote_object(FolderStore(tmp_path), small_cache(tmp_path))
    pid = hanging_process(tmp_path)
    found: list[bytes] = []
    thread = threading.Thread(
        target=lambda: found.append(fetch_pages(remote, 0, 4, 12)[0].tobytes())
    )
    thread.start()
    # What nobody else fetches comes at once; the rest is waited for.
    assert eventually(lambda: (8 * PAGE, 12 * PAGE) in FolderStore(tmp_path).reads)
    assert not found
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    thread.join()
    assert found == [CONTENT[4 * PAGE : 12 * PAGE]]


def test_a_process_that_hangs_is_waited_for_only_so_long(tmp_path: Path) -> None:
    (tmp_path / "x.rec").write_bytes(CONTENT)
    remote = remote_object(FolderStore(tmp_path), small_cache(tmp_path), timeout=0.2)
    pid = hanging_process(tmp_path)
    try:
        assert fetch_pages(remote, 0, 0, 8)[0].tobytes() == CONTENT[: 8 * PAGE]
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_fork_does_not_keep_what_its_parent_has_claimed(tmp_path: Path) -> None:
    """A process that was forked while its parent fetched, and lives on when that is killed."""
    (tmp_path / "x.rec").write_bytes(CONTENT)
    reading, writing = os.pipe()
    if not (pid := os.fork()):

        def fork(begin: int, end: int) -> None:
            if not (child := os.fork()):
                signal.pause()
            os.write(writing, str(child).encode())
            signal.pause()

        fetch_pages(remote_object(FolderStore(tmp_path, fork), small_cache(tmp_path)), 0, 0, 8)
        os._exit(0)
    child = int(os.read(reading, 20))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    try:
        remote = remote_object(FolderStore(tmp_path), small_cache(tmp_path), timeout=3600)
        assert fetch_pages(remote, 0, 0, 8)[0].tobytes() == CONTENT[: 8 * PAGE]
    finally:
        os.kill(child, signal.SIGKILL)
        os.close(reading)
        os.close(writing)


def test_a_fork_while_a_thread_opens_a_segment(tmp_path: Path) -> None:
    opening, go_on = threading.Event(), threading.Event()

    class SlowCache(Cache):
        def open_for_writing(self, cached: CachedObject, number: int) -> Segment | None:
            opening.set()
            assert go_on.wait(60)
            return super().open_for_writing(cached, number)

    store = BytesStore({"x.rec": CONTENT})
    slow = remote_object(store, SlowCache(str(tmp_path / "slow"), 10**9, PAGE, SEGMENT))
    thread = threading.Thread(target=fetch_pages, args=(slow, 0, 0, 1))
    thread.start()
    assert opening.wait(60)
    if not (pid := os.fork()):
        signal.alarm(30)
        data, _ = fetch_pages(remote_object(store, small_cache(tmp_path)), 0, 0, 1)
        os._exit(0 if data.tobytes() == CONTENT[:PAGE] else 1)
    assert os.waitpid(pid, 0)[1] == 0
    go_on.set()
    thread.join()


def test_killed_processes_leave_nothing_wrong(tmp_path: Path) -> None:
    """Readers that are killed one after another, while others go on."""
    (tmp_path / "x.rec").write_bytes(CONTENT)
    cache = small_cache(tmp_path)
    for kill_after in range(1, 9):
        reading, writing = os.pipe()
        if not (pid := os.fork()):
            file = open_file(FolderStore(tmp_path), cache)
            rng = np.random.default_rng(kill_after)
            while True:
                begin = int(rng.integers(0, len(CONTENT)))
                file[begin : begin + 200]
                os.write(writing, b"1")
        for _ in range(kill_after):
            os.read(reading, 1)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reading)
        os.close(writing)
    remote = remote_object(FolderStore(tmp_path), cache)
    compared = list(compare(remote, (0, 1, 2, 3, 4)))
    assert compared and not any(differs for _, differs in compared)
    assert open_file(FolderStore(tmp_path), cache)[:].tobytes() == CONTENT
