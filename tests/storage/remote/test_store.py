"""What a store does, of the one that the tests of the cache use."""

from collections.abc import Callable

import numpy as np
import pytest

from gpuio.errors import FileChangedError, RecordFileNotFoundError
from gpuio.storage.remote.store import ObjectInfo
from tests.storage.remote.stores import BytesStore


def test_a_version_is_size_and_etag() -> None:
    store = BytesStore({"a/x": b"0123456789", "a/y": b"", "b": b"1"})
    info = store.info("a/x")
    assert info == ObjectInfo(10, info.etag) and info.etag is not None
    assert store.read("a/x", 2, 5, info)[:].tobytes() == b"234"
    assert list(store.list("a/")) == [("a/x", 10), ("a/y", 0)]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda store: store.objects.update(x=b"9876543210"), FileChangedError),
        (lambda store: store.remove("x"), RecordFileNotFoundError),
    ],
)
def test_another_version_is_never_read(
    change: Callable[[BytesStore], None], error: type[Exception]
) -> None:
    store = BytesStore({"x": b"0123456789"})
    info = store.info("x")
    change(store)
    with pytest.raises(error):
        np.asarray(store.read("x", 0, 1, info)[:])
