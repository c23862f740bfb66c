"""Comparing what is cached with the store."""

import os
from pathlib import Path

import pytest

from gpuio.errors import FileChangedError
from gpuio.storage.remote.checking import compare, is_outdated
from tests.storage.remote.stores import (
    PAGE,
    SEGMENT,
    BytesStore,
    open_file,
    random_bytes,
    small_cache,
)

CONTENT = random_bytes(3 * SEGMENT + 10)


def test_only_what_is_cached_is_compared(tmp_path: Path) -> None:
    store = BytesStore({"x.rec": CONTENT})
    file = open_file(store, small_cache(tmp_path))
    file[: 2 * PAGE], file[3 * SEGMENT :]
    del store.reads[:]
    assert list(compare(file.remote, (0, 1, 2, 3))) == [(2 * PAGE, False), (10, False)]
    assert store.reads == [(0, 2 * PAGE), (3 * SEGMENT, len(CONTENT))]


def test_what_differs_is_removed(tmp_path: Path) -> None:
    file = open_file(BytesStore({"x.rec": CONTENT}), small_cache(tmp_path))
    file[:]
    path = file.remote.cached.path(1)
    with open(path, "r+b") as damaged:
        damaged.seek(100)
        damaged.write(b"damaged")
    found = [differs for _, differs in compare(file.remote, (0, 1, 2, 3))]
    assert found == [False, True, False, False]
    assert not os.path.exists(path)
    assert file[:].tobytes() == CONTENT


def test_another_version_is_no_difference(tmp_path: Path) -> None:
    store = BytesStore({"x.rec": CONTENT})
    file = open_file(store, small_cache(tmp_path))
    file[:]
    store.objects["x.rec"] = b"other"
    with pytest.raises(FileChangedError) as caught:
        list(compare(file.remote, (0,)))
    assert is_outdated(caught.value) and not is_outdated(OSError())
