"""RemoteFile: reading through the cache."""

import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuio.errors import ArgumentError, FileChangedError, RecordError
from gpuio.storage.remote import concurrency, fetch
from gpuio.storage.remote.cache import Cache
from gpuio.storage.remote.inventory import remove, versions
from gpuio.storage.remote.statistics import statistics
from tests.interruptions import Interruption
from tests.io.threads import eventually, run_in_thread
from tests.storage.remote.stores import (
    PAGE,
    SEGMENT,
    BytesStore,
    open_file,
    random_bytes,
    small_cache,
)

CONTENT = random_bytes(10 * SEGMENT + 77)
PARTS = st.lists(
    st.tuples(st.integers(0, len(CONTENT) - 1), st.integers(1, 3000)), min_size=1, max_size=8
)


@given(st.lists(PARTS, min_size=1, max_size=6))
def test_parts_are_right_whatever_is_cached(
    tmp_path_factory: pytest.TempPathFactory, calls: list[list[tuple[int, int]]]
) -> None:
    store = BytesStore({"x.rec": CONTENT})
    cache = small_cache(tmp_path_factory.mktemp("cache"))
    file = open_file(store, cache)
    for parts in calls:
        begins = np.array([begin for begin, _ in parts])
        ends = np.minimum(begins + np.array([length for _, length in parts]), len(CONTENT))
        data, places = file.read_parts(begins, ends)
        for begin, end, place in zip(begins, ends, places, strict=True):
            assert data[place : place + end - begin].tobytes() == CONTENT[begin:end]
    wanted = {
        page
        for parts in calls
        for begin, length in parts
        for page in range(begin // PAGE, -(-min(begin + length, len(CONTENT)) // PAGE))
    }
    fetched = [page for begin, end in store.reads for page in range(begin // PAGE, -(-end // PAGE))]
    assert wanted <= set(fetched)


def test_a_second_epoch_sends_no_request(tmp_path: Path) -> None:
    store = BytesStore({"x.rec": CONTENT})
    file = open_file(store, small_cache(tmp_path))
    rng = np.random.default_rng(0)
    for epoch in range(2):
        before = statistics()
        for begin in rng.permutation(np.arange(0, len(CONTENT), 100)).tolist():
            assert file[begin : begin + 100].tobytes() == CONTENT[begin : begin + 100]
        used = [new - old for new, old in zip(statistics(), before, strict=True)]
        assert used[2] == (len(CONTENT) if epoch else used[2])
        assert (used[0] == used[1] == 0) == bool(epoch)


def test_a_changed_object_is_an_error(tmp_path: Path) -> None:
    """What is cached of the old version remains readable, and a new file sees the new one."""
    store = BytesStore({"x.rec": CONTENT})
    cache = small_cache(tmp_path)
    file = open_file(store, cache)
    assert file[:PAGE].tobytes() == CONTENT[:PAGE]
    new = CONTENT[::-1]
    store.objects["x.rec"] = new
    assert file[:PAGE].tobytes() == CONTENT[:PAGE]
    with pytest.raises(FileChangedError, match=r"x\.rec has changed"):
        file[: 2 * SEGMENT]
    again = open_file(store, cache)
    assert again[:].tobytes() == new and again.version != file.version
    assert file[:PAGE].tobytes() == CONTENT[:PAGE] and not file.has_changed()


def test_parts_that_exceed_the_limit_at_once(tmp_path: Path) -> None:
    file = open_file(BytesStore({"x.rec": CONTENT}), small_cache(tmp_path, 10 * PAGE))
    assert file[: 10 * PAGE].tobytes() == CONTENT[: 10 * PAGE]
    with pytest.raises(ArgumentError, match=r"x\.rec: 704 bytes .* cache_limit is 640; raise it"):
        file[1 : 10 * PAGE + 1]
    begins = np.arange(11) * 2 * PAGE
    with pytest.raises(ArgumentError, match=r"1344 bytes"):
        file.read_parts(begins, begins + 4)


def test_a_closed_file_reads_nothing(tmp_path: Path) -> None:
    store = BytesStore({"x.rec": CONTENT})
    file = open_file(store, small_cache(tmp_path))
    file.close()
    file.close()
    with pytest.raises(RecordError, match=r"memory://x\.rec is closed"):
        file[:10]
    file.advise(np.array([0]), np.array([10]))
    assert not store.reads


def test_what_is_advised_comes_into_the_cache(tmp_path: Path) -> None:
    store = BytesStore({"x.rec": CONTENT})
    file = open_file(store, small_cache(tmp_path))
    begins = np.array([100, 5000, 700])
    file.advise(begins, begins + 300)
    assert eventually(lambda: file.is_cached(begins, begins + 300))
    before = statistics().requests
    for begin in begins:
        assert file[begin : begin + 300].tobytes() == CONTENT[begin : begin + 300]
    assert statistics().requests == before
    file.advise(begins, begins + 300)


def test_who_reads_what_has_just_been_advised_shares_its_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while no thread has begun to fetch: the first batch of a pool is read at once."""
    monkeypatch.setattr(concurrency, "START", 1)
    monkeypatch.setattr(fetch, "_fetcher", fetch.Fetcher())
    opened, started = threading.Event(), threading.Event()

    def wait(begin: int, end: int) -> None:
        started.set()
        assert opened.wait(60)

    store = BytesStore({"x.rec": CONTENT, "other": CONTENT}, wait)
    cache = small_cache(tmp_path)
    file, other = open_file(store, cache), open_file(store, cache, "other")
    other.advise(np.array([0]), np.array([1]))
    assert started.wait(60)
    file.advise(np.array([0]), np.array([4 * SEGMENT]))
    begins = np.arange(10, 4 * SEGMENT, 300)
    thread, raised = run_in_thread(lambda: file.read_parts(begins, begins + 20))
    assert eventually(lambda: fetch.fetcher().queued == 2 * 4)
    opened.set()
    thread.join()
    assert not raised
    segments = [(begin, begin + SEGMENT) for begin in range(0, 4 * SEGMENT, SEGMENT)]
    assert sorted(store.reads) == sorted([(0, PAGE), *segments])


def test_files_of_other_sizes(tmp_path: Path) -> None:
    store = BytesStore({"empty": b"", "page": CONTENT[:PAGE], "segment": CONTENT[:SEGMENT]})
    cache = small_cache(tmp_path)
    for key, content in store.objects.items():
        file = open_file(store, cache, key)
        assert len(file) == len(content) and file[:].tobytes() == content


def test_segments_that_are_evicted_while_they_are_read(tmp_path: Path) -> None:
    """A limit of a few segments, and readers that need more in turn."""
    content = random_bytes(1 << 19)
    cache = Cache(str(tmp_path), 200_000, 1 << 12, 1 << 14)
    file = open_file(BytesStore({"x.rec": content}), cache)
    rng = np.random.default_rng(0)
    for _ in range(50):
        begins = rng.integers(0, len(content) - 5000, 5)
        data, places = file.read_parts(begins, begins + 5000)
        for begin, place in zip(begins, places, strict=True):
            assert data[place : place + 5000].tobytes() == content[begin : begin + 5000]


def test_an_interrupt_at_any_moment(tmp_path: Path) -> None:
    """The same file, and others of its object, can be read again at once."""
    store = BytesStore({"x.rec": CONTENT})
    cache = small_cache(tmp_path)
    with Interruption(10**9) as counting:
        open_file(store, small_cache(tmp_path / "other"))[:5000]
    places = set()
    for moment in range(0, counting.moments + 20, 3):
        file = open_file(store, cache)
        begin = 37 * moment % 9000
        with suppress(KeyboardInterrupt), Interruption(moment) as interruption:
            file[begin : begin + 1000]
        places.add(interruption.place)
        assert file[begin : begin + 1000].tobytes() == CONTENT[begin : begin + 1000]
        remove_all(cache)
    assert len(places) > 20


def remove_all(cache: Cache) -> None:
    for version in versions(cache.root):
        remove(version)
