"""HdfsStore against a cluster of one NameNode and one DataNode."""

from typing import Any

import pytest

pytest.importorskip("hdfs_native")

from gpuio.errors import RemoteError
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.registry import open_store
from gpuio.storage.remote.store import Store
from tests.processes import run_process
from tests.servers.hdfs import Hdfs
from tests.storage.remote.conformance import StoreConformance, sizes_after_fork, write

WRITING = """
import os, sys
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.registry import open_store

store, folder = open_store(sys.argv[1], RemoteOptions.create(retries=0, timeout=10))
list(store.list(folder))
if not (child := os.fork()):
    upload = store.upload(folder + "a")
    upload.write(b"12345")
    upload.complete()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


class TestHdfs(StoreConformance):
    @pytest.fixture
    def place(self, hdfs_server: Hdfs) -> tuple[str, dict[str, Any]]:
        return f"{hdfs_server.url}/folder", {}

    @pytest.mark.parametrize("used", [True, False])
    def test_a_forked_process_has_its_own_client(self, url: str, used: bool) -> None:
        store, prefix = open_store(url)
        write(store, f"{prefix}a", b"12345")
        assert sizes_after_fork(f"{url}a", {}, used) == ["5", "5", "5"]

    def test_a_forked_process_writes_by_its_own_client(self, url: str) -> None:
        run_process(WRITING, url)
        store, key = open_store(f"{url}a")
        assert store.info(key).size == 5

    def test_what_the_name_node_would_refuse_again(self, opened: tuple[Store, str]) -> None:
        store, prefix = opened
        write(store, f"{prefix}a", b"12345")
        for key in ("a/b", "a:b", "n" * 300):
            with pytest.raises(RemoteError, match="Exception") as raised:
                store.upload(prefix + key)
            assert "tried" not in str(raised.value)


def test_a_name_node_that_does_not_answer(no_delays: None) -> None:
    options = RemoteOptions(retries=1, timeout=0.5)
    store, key = open_store("hdfs://127.0.0.1:9/a", options)
    with pytest.raises(RemoteError, match=r"hdfs://127\.0\.0\.1:9/a: "):
        store.info(key)
