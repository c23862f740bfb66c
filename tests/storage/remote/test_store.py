"""The interface: all stores have it."""

import inspect

import pytest

from gpuio.storage.remote.fsspec_store import FsspecStore
from gpuio.storage.remote.hdfs_store import HdfsStore
from gpuio.storage.remote.obstore_store import ObstoreStore
from gpuio.storage.remote.obstore_upload import ObstoreUpload
from gpuio.storage.remote.store import Store, Upload
from gpuio.storage.remote.temporary_upload import TemporaryUpload

PAIRS = [
    (Store, ObstoreStore), (Store, HdfsStore), (Store, FsspecStore),
    (Upload, ObstoreUpload), (Upload, TemporaryUpload),
]  # fmt: skip


@pytest.mark.parametrize(("protocol", "implementation"), PAIRS)
def test_signatures(protocol: type, implementation: type) -> None:
    methods = {name for name in vars(protocol) if not name.startswith("_")}
    assert methods
    for name in methods:
        expected = inspect.signature(getattr(protocol, name))
        found = inspect.signature(getattr(implementation, name))
        assert list(found.parameters) == list(expected.parameters)
