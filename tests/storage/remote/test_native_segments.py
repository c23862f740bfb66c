"""Segment files by the native module: what it finds is what Python finds."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuio import native
from gpuio.storage.parts import Ranges, join
from gpuio.storage.remote import segment
from gpuio.storage.remote.cached_object import CachedObject
from gpuio.storage.remote.native_segments import ABSENT, PRESENT, UNCLEAR, native_segments
from gpuio.storage.remote.segment import TOUCH_AFTER, boot_id
from tests.storage.remote.stores import (
    PAGE,
    SEGMENT,
    BytesStore,
    random_bytes,
    remote_object,
    small_cache,
)

pytestmark = pytest.mark.skipif(native.library() is None, reason="the native module is not in use")

CONTENT = random_bytes(3 * SEGMENT + 100)
SEGMENTS = 4


def with_pages(folder: Path, pages: set[tuple[int, int]]) -> CachedObject:
    """An object of which some pages, (segment, page), are cached."""
    cache = small_cache(folder)
    cached = remote_object(BytesStore({"x.rec": CONTENT}), cache).cached
    for number, page in pages:
        found = cache.open_for_writing(cached, number)
        assert found is not None
        with found:
            begin = number * SEGMENT + page * PAGE
            end = min(begin + PAGE, (number + 1) * SEGMENT)
            found.write(page, memoryview(CONTENT[begin:end]))
    return cached


def found_in(cached: CachedObject, ranges: Ranges, data: np.ndarray | None = None) -> list[int]:
    module = native_segments()
    assert module is not None
    footer = cached.shape(0).footer(boot_id())
    where = cached.folder, footer, cached.segment, cached.info.size
    return module.cached(*where, ranges, data)[0].tolist()


def whole(*bounds: tuple[int, int]) -> tuple[Ranges, int]:
    begins, ends = np.array(bounds).T
    ranges, size, _ = join(begins, ends, 0)
    return ranges.cut(SEGMENT), size


PAGES = st.sets(st.tuples(st.integers(0, SEGMENTS - 1), st.integers(0, 15)), max_size=30)
PARTS = st.lists(
    st.tuples(st.integers(0, len(CONTENT) - 1), st.integers(1, 700)), min_size=1, max_size=12
)


@given(PAGES, PARTS)
def test_it_finds_what_python_finds(
    tmp_path_factory: pytest.TempPathFactory,
    pages: set[tuple[int, int]],
    parts: list[tuple[int, int]],
) -> None:
    pages = {
        (number, page) for number, page in pages if number * SEGMENT + page * PAGE < len(CONTENT)
    }
    cached = with_pages(tmp_path_factory.mktemp("cache"), pages)
    ranges, size = whole(*((at, min(at + length, len(CONTENT))) for at, length in parts))
    results = []
    for setting in ("0", ""):
        data = np.zeros(size, np.uint8)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GPUIO_NATIVE", setting)
            missing = cached.find(ranges, data)
            only = cached.find(ranges)
        named = [each.tolist() for each in missing]
        assert [each.tolist() for each in only] == named
        for begin, end, place in zip(*named, strict=True):
            data[place : place + end - begin] = 0  # a range may have been read in part
        results.append((named, data.tobytes()))
    assert results[0] == results[1]
    wanted = {byte for begin, end, _ in zip(*ranges, strict=True) for byte in range(begin, end)}
    lacking = {byte for begin, end, _ in zip(*missing, strict=True) for byte in range(begin, end)}
    assert lacking == {byte for byte in wanted if divmod(byte // PAGE, 16) not in pages}


def test_what_it_says(tmp_path: Path) -> None:
    cached = with_pages(tmp_path, {(0, 1), (0, 2), (0, 9), (3, 0), (3, 1)})
    ranges, size = whole(
        (0, 10), (PAGE + 1, 3 * PAGE - 5), (8 * PAGE, 11 * PAGE), (SEGMENT, SEGMENT + 9),
        (3 * SEGMENT + 60, 3 * SEGMENT + 100),
    )  # fmt: skip
    data = np.zeros(size, np.uint8)
    expected = [ABSENT, PRESENT, UNCLEAR, ABSENT, PRESENT]
    assert found_in(cached, ranges, data) == found_in(cached, ranges) == expected
    for row in (1, 4):
        begin, end, place = (int(each[row]) for each in ranges)
        assert data[place : place + end - begin].tobytes() == CONTENT[begin:end]


@pytest.mark.parametrize("pages", [{2}, {5, 6}, {2, 3, 6}])
def test_pages_at_both_ends_are_left_out_of_what_is_absent(tmp_path: Path, pages: set[int]) -> None:
    cached = with_pages(tmp_path, {(0, page) for page in pages})
    ranges, size = whole((2 * PAGE + 3, 7 * PAGE - 5))
    data = np.zeros(size, np.uint8)
    module = native_segments()
    assert module is not None
    where = cached.folder, cached.shape(0).footer(boot_id()), cached.segment, cached.info.size
    for to in (data, None):
        found, rest = module.cached(*where, ranges, to)
        assert found.tolist() == [ABSENT]
        begin, end = int(rest.begins[0]), int(rest.ends[0])
        left = [page for page in range(2, 7) if page not in pages]
        assert begin == max(2 * PAGE + 3, left[0] * PAGE)
        assert end == min(7 * PAGE - 5, (left[-1] + 1) * PAGE)
        assert rest.places[0] == begin - ranges.begins[0]
    content = CONTENT[2 * PAGE + 3 : 7 * PAGE - 5]
    head, tail = begin - (2 * PAGE + 3), end - (2 * PAGE + 3)
    assert data[:head].tobytes() == content[:head]
    assert data[tail : len(content)].tobytes() == content[tail:]
    assert not data[head:tail].any()


def test_pages_of_an_earlier_boot_must_be_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment, "boot_id", lambda: b"an earlier boot!")
    cached = with_pages(tmp_path, {(0, 0)})
    durable = small_cache(tmp_path).open_for_writing(cached, 0)
    assert durable is not None
    with durable:
        durable.make_durable()
        durable.write(1, memoryview(CONTENT[PAGE : 2 * PAGE]))
    monkeypatch.undo()
    ranges, _ = whole((0, 10), (PAGE, PAGE + 10))
    assert found_in(cached, ranges) == [PRESENT, ABSENT]


def test_what_is_no_segment_is_left_to_python(tmp_path: Path) -> None:
    cached = with_pages(tmp_path, {(0, 0), (1, 0)})
    path = Path(cached.path(0))
    content = path.read_bytes()
    ranges, size = whole((0, 10), (SEGMENT, SEGMENT + 10))
    other = tmp_path / "other"
    other.write_bytes(content)
    makers: list[Callable[[], object]] = [
        lambda: path.symlink_to(other), path.mkdir, lambda: os.mkfifo(path),
        lambda: path.write_bytes(content[:-1]), lambda: path.write_bytes(content[:-1] + b"\xff"),
    ]  # fmt: skip
    before = len(os.listdir("/proc/self/fd"))
    for make in makers:
        path.unlink()
        make()
        assert found_in(cached, ranges) == [UNCLEAR, PRESENT]
        assert cached.find(ranges, np.zeros(size, np.uint8)).begins.tolist() == [0]
        if path.is_dir():
            path.rmdir()
        path.write_bytes(content)
    assert len(os.listdir("/proc/self/fd")) == before
    path.unlink()
    assert found_in(cached, ranges) == [ABSENT, PRESENT]


def test_reading_counts_as_use(tmp_path: Path) -> None:
    cached = with_pages(tmp_path, {(0, 0)})
    path, (ranges, _) = cached.path(0), whole((0, 10))
    long_ago = os.stat(path).st_mtime - TOUCH_AFTER - 5
    os.utime(path, (long_ago, long_ago))
    found_in(cached, ranges)
    assert os.stat(path).st_mtime > long_ago + TOUCH_AFTER
    recently = os.stat(path).st_mtime_ns - 10**9
    os.utime(path, ns=(recently, recently))
    found_in(cached, ranges)
    assert os.stat(path).st_mtime_ns == recently


def test_names_that_are_too_long(tmp_path: Path) -> None:
    cached = with_pages(tmp_path, {(0, 0)})
    module, (ranges, _) = native_segments(), whole((0, 10))
    assert module is not None
    footer = cached.shape(0).footer(boot_id())
    for folder in ("x" * 4096, "x" * 10000):
        found, _ = module.cached(folder, footer, cached.segment, cached.info.size, ranges, None)
        assert found.tolist() == [UNCLEAR]
