"""Pages of an object in the cache: what is there, and what is missing."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuio.storage.parts import join
from gpuio.storage.remote import cached_object
from gpuio.storage.remote.cached_object import CachedObject
from tests.storage.remote.stores import (
    PAGE,
    SEGMENT,
    BytesStore,
    random_bytes,
    remote_object,
    small_cache,
)

CONTENT = random_bytes(5 * SEGMENT + 100)


def with_pages(folder: Path, number: int, pages: set[int]) -> CachedObject:
    """An object of which one segment has some pages."""
    cache = small_cache(folder)
    cached = remote_object(BytesStore({"x.rec": CONTENT}), cache).cached
    segment = cache.open_for_writing(cached, number)
    assert segment is not None
    shape = cached.shape(number)
    data = CONTENT[number * SEGMENT : number * SEGMENT + shape.nbytes]
    with segment:
        for page in pages:
            segment.write(page, memoryview(data[page * PAGE : (page + 1) * PAGE]))
    return cached


@pytest.mark.parametrize("use_native", [True, False])
@given(
    st.sampled_from([1, 5]),
    st.sets(st.integers(0, 15)),
    st.lists(st.tuples(st.integers(0, 99), st.integers(1, 400)), min_size=1, max_size=6),
)
def test_what_is_there_is_read_and_the_rest_is_named(
    tmp_path_factory: pytest.TempPathFactory,
    use_native: bool,
    number: int,
    pages: set[int],
    parts: list[tuple[int, int]],
) -> None:
    count = -(-(100 if number == 5 else SEGMENT) // PAGE)
    pages = {page for page in pages if page < count}
    cached = with_pages(tmp_path_factory.mktemp("cache"), number, pages)
    base, end = number * SEGMENT, number * SEGMENT + cached.shape(number).nbytes
    begins = base + np.array([begin for begin, _ in parts])
    ends = np.minimum(begins + np.array([length for _, length in parts]), end)
    ranges, size, _ = join(begins, ends, 0)
    data = np.zeros(size, np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        if not use_native:
            patch.setattr(cached_object.native, "library", lambda: None)
        missing = cached.read(number, ranges, data)
    assert [each.tolist() for each in cached.missing(number, ranges)] == [
        each.tolist() for each in missing
    ]
    lacking = set()
    for begin, end, place in zip(*(each.tolist() for each in missing), strict=True):
        lacking |= set(range(begin, end))
        data[place : place + end - begin] = np.frombuffer(CONTENT[begin:end], np.uint8)
    wanted = {byte for part in zip(begins, ends, strict=True) for byte in range(*part)}
    assert lacking == {byte for byte in wanted if (byte - base) // PAGE not in pages}
    for begin, end, place in zip(*(each.tolist() for each in ranges), strict=True):
        assert data[place : place + end - begin].tobytes() == CONTENT[begin:end]


def test_bytes_that_are_all_there(tmp_path: Path) -> None:
    cached = with_pages(tmp_path, 5, {0})
    cached = with_pages(tmp_path, 1, {3, 4})
    for begin, end, is_there in (
        (SEGMENT + 3 * PAGE, SEGMENT + 5 * PAGE, True),
        (SEGMENT + 3 * PAGE + 7, SEGMENT + 4 * PAGE + 1, True),
        (SEGMENT + 3 * PAGE - 1, SEGMENT + 4 * PAGE, False),
        (SEGMENT + 4 * PAGE, SEGMENT + 5 * PAGE + 1, False),
        (5 * SEGMENT, 5 * SEGMENT + 10, True),
        (0, 1, False),
    ):
        assert cached.read_one(begin, end) == (CONTENT[begin:end] if is_there else None)


def test_what_is_no_segment_is_removed(tmp_path: Path) -> None:
    cached = with_pages(tmp_path, 0, {0})
    Path(cached.path(0)).write_bytes(b"something else")
    ranges, size, _ = join(np.array([0]), np.array([10]))
    assert cached.read(0, ranges, np.empty(size, np.uint8)).ends.tolist() == [10]
    assert not os.path.exists(cached.path(0))


def test_a_damaged_footer_is_no_error(tmp_path: Path) -> None:
    cached = with_pages(tmp_path, 0, {0})
    with open(cached.path(0), "r+b") as file:
        file.seek(-20, os.SEEK_END)
        file.write(b"damaged")
    ranges, size, _ = join(np.array([0]), np.array([10]))
    assert cached.read(0, ranges, np.empty(size, np.uint8)).ends.tolist() == [10]


def test_a_link_is_removed_and_not_followed(tmp_path: Path) -> None:
    cached = with_pages(tmp_path, 0, {0})
    outside = tmp_path / "outside"
    os.rename(cached.path(0), outside)
    for writable in (False, True):
        os.symlink(outside, cached.path(0))
        assert cached.open(0, writable) is None and outside.exists()
        assert not os.path.lexists(cached.path(0))
