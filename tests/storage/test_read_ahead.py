"""Reading parts of mapped files ahead: what is in memory afterwards, and odd parts."""

import ctypes
import mmap
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpuio.storage import read_ahead as module
from gpuio.storage.local import map_file
from gpuio.storage.read_ahead import page_in, read_ahead
from tests.io.threads import eventually

PAGES = 64
PARTS = np.array([[3, 5], [5, 5], [20, 40]]) * mmap.PAGESIZE + [[100, 7], [9, 9], [0, 0]]
WANTED = {3, 4, 5, *range(20, 40)}


def resident(data: np.ndarray) -> set[int]:
    """The pages of a mapped file that are in memory."""
    found = (ctypes.c_ubyte * PAGES)()
    where, size = ctypes.c_void_p(data.ctypes.data), ctypes.c_size_t(len(data))
    assert ctypes.CDLL(None).mincore(where, size, found) == 0
    return {page for page in range(PAGES) if found[page] & 1}


@pytest.fixture
def cold(tmp_path: Path) -> np.ndarray:
    """A mapped file of which nothing is in memory; readahead by the system is switched off."""
    if sys.platform != "linux":
        pytest.skip("needs Linux to drop a file from memory")
    path = tmp_path / "file"
    with open(path, "wb") as file:
        file.write(np.random.default_rng(0).bytes(PAGES * mmap.PAGESIZE))
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    data = map_file(str(path))
    mapped: Any = data.base
    mapped.obj.madvise(mmap.MADV_RANDOM)
    if resident(data):
        pytest.skip("this file system keeps files in memory")
    return data


@pytest.mark.parametrize("at_once", [True, False], ids=["one call", "a call for each part"])
def test_what_was_asked_for_is_read(
    at_once: bool, cold: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not at_once:
        monkeypatch.setattr(module, "_process_madvise", lambda: None)
    read_ahead(cold, PARTS[:, 0], PARTS[:, 1])
    assert eventually(lambda: resident(cold) >= WANTED)
    assert len(resident(cold)) < PAGES


def test_where_the_one_call_fails_each_part_has_its_own(
    cold: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_process_madvise", lambda: lambda *arguments: -1)
    read_ahead(cold, PARTS[:, 0], PARTS[:, 1])
    assert eventually(lambda: resident(cold) >= WANTED)


def test_more_parts_than_one_call_takes(cold: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RANGES", 2)
    read_ahead(cold, PARTS[:, 0], PARTS[:, 1])
    assert eventually(lambda: resident(cold) >= WANTED)


def test_paged_in_is_in_memory(cold: np.ndarray) -> None:
    page_in(cold, PARTS[:, 0], PARTS[:, 1])
    assert resident(cold) == WANTED


def test_parts_outside_of_the_file_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(5000))
    begins, ends = np.array([-9000, 4000, 8000, 3]), np.array([-1, 1 << 40, 9000, 2])
    for data in (map_file(str(path)), np.empty(0, np.uint8)):
        read_ahead(data, begins, ends)
        page_in(data, begins, ends)
        read_ahead(data, begins[:0], ends[:0])
        page_in(data, begins[:0], ends[:0])
