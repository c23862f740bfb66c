"""Claims: pages that one thread fetches, by the native module; `test_filling` has what is done with
them."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from gpuio import native
from gpuio.storage.remote import claims
from gpuio.storage.remote.cached_object import CachedObject
from gpuio.storage.remote.claims import Claim, claim_pages
from gpuio.storage.remote.locks import try_lock
from gpuio.storage.remote.segment import MISSING, NO_BOOT, WRITTEN, Segment, writing
from tests.storage.remote.stores import (
    PAGE,
    SEGMENT,
    BytesStore,
    random_bytes,
    remote_object,
    small_cache,
)

pytestmark = pytest.mark.skipif(native.library() is None, reason="the native module is not in use")

CONTENT = random_bytes(SEGMENT + 3 * PAGE + 10)


@pytest.fixture
def cached(tmp_path: Path) -> CachedObject:
    """An object with two empty segments, the second of four pages, of which the last is shorter."""
    remote = remote_object(BytesStore({"x.rec": CONTENT}), small_cache(tmp_path))
    for number in (0, 1):
        segment = remote.cache.open_for_writing(remote.cached, number)
        assert segment is not None
        segment.close()
    return remote.cached


def claimed(cached: CachedObject, number: int, first: int, last: int) -> Claim:
    found = claim_pages(cached, number, first, last)
    assert found is not None
    return found


def states(cached: CachedObject, number: int) -> bytes:
    found = cached.open(number)
    assert found is not None
    with found:
        return found.states()


def array(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8)


def test_pages_are_written_and_marked(cached: CachedObject) -> None:
    claimed(cached, 1, 2, 4).fill(array(CONTENT[SEGMENT + 2 * PAGE :]))
    assert states(cached, 1) == MISSING * 2 + WRITTEN * 2
    begin, end = SEGMENT + 2 * PAGE, SEGMENT + 3 * PAGE + 10
    assert cached.read_one(begin, end) == CONTENT[begin:end]
    assert cached.read_one(begin - 1, end) is None
    assert not writing


def test_rows_that_are_not_contiguous(cached: CachedObject) -> None:
    claimed(cached, 0, 0, 1).fill(array(CONTENT)[: 2 * PAGE : 2])
    assert cached.read_one(0, PAGE) == CONTENT[: 2 * PAGE : 2]


def test_claimed_pages_are_locked_until_they_are_filled_or_released(cached: CachedObject) -> None:
    claim = claimed(cached, 0, 4, 8)
    for first, last in [(4, 8), (0, 5), (7, 9), (0, 16)]:
        assert claim_pages(cached, 0, first, last) is None
    with Segment(cached.path(0), cached.shape(0), writable=True) as other:
        assert not try_lock(other.descriptor, 7, 8)
        assert try_lock(other.descriptor, 0, 4) and try_lock(other.descriptor, 8, 16)
    claim.release()
    claimed(cached, 0, 0, 16).fill(array(CONTENT[:SEGMENT]))
    assert states(cached, 0) == WRITTEN * 16
    with Segment(cached.path(0), cached.shape(0), writable=True) as other:
        assert try_lock(other.descriptor, 0, 16)


def test_pages_that_are_there_are_not_claimed(cached: CachedObject) -> None:
    claimed(cached, 0, 5, 6).fill(array(CONTENT[5 * PAGE : 6 * PAGE]))
    before = len(os.listdir("/proc/self/fd"))
    for first, last in [(5, 6), (0, 6), (5, 9)]:
        assert claim_pages(cached, 0, first, last) is None
    assert len(os.listdir("/proc/self/fd")) == before
    claimed(cached, 0, 0, 5).release()


def test_what_is_no_segment_is_not_claimed(cached: CachedObject, tmp_path: Path) -> None:
    path = Path(cached.path(0))
    content = path.read_bytes()
    other = tmp_path / "other"
    other.write_bytes(content)

    def link() -> None:
        path.symlink_to(other)

    damaged = bytearray(content)
    damaged[-1] ^= 1
    makers = [
        link, path.mkdir, lambda: os.mkfifo(path), lambda: None,
        lambda: path.write_bytes(content[:-1]), lambda: path.write_bytes(content + b"0"),
        lambda: path.write_bytes(damaged), lambda: path.write_bytes(b""),
    ]  # fmt: skip
    for make in makers:
        path.unlink(missing_ok=True)
        make()
        assert claim_pages(cached, 0, 0, 1) is None
        if path.is_dir():
            path.rmdir()
    path.write_bytes(content)
    claimed(cached, 0, 0, 1).release()


def test_marks_of_an_earlier_boot(cached: CachedObject, monkeypatch: pytest.MonkeyPatch) -> None:
    for boot in (b"another boot    ", NO_BOOT):
        monkeypatch.setattr(claims, "boot_id", lambda boot=boot: boot)
        assert claim_pages(cached, 0, 0, 1) is None


def test_an_error_marks_nothing_and_unlocks(
    cached: CachedObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = claimed(cached, 0, 0, 2)
    with open(cached.path(0), "rb") as file:  # nothing can be written through it
        os.dup2(file.fileno(), claim.descriptor)
    with pytest.raises(OSError) as raised:
        claim.fill(array(CONTENT[: 2 * PAGE]))
    assert raised.value.errno == errno.EBADF
    assert states(cached, 0) == MISSING * 16
    claimed(cached, 0, 0, 2).release()
    assert not writing


def test_it_needs_the_native_module(cached: CachedObject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUIO_NATIVE", "0")
    assert claim_pages(cached, 0, 0, 1) is None
