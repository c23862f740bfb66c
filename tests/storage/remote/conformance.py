"""What all stores do alike: each one's tests inherit it."""

import uuid
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from gpuio.errors import ArgumentError, FileChangedError, RecordFileNotFoundError
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.registry import open_store
from gpuio.storage.remote.store import Store
from tests.processes import run_process

DATA = np.random.default_rng(0).bytes(3_000_001)


def write(store: Store, key: str, data: bytes) -> None:
    upload = store.upload(key)
    upload.write(data)
    upload.complete()


class StoreConformance:
    """Tests of a store.

    A subclass gives `place` (a fixture): the URL of a folder that may be written to, and
    `storage_options`.
    """

    # Names besides those that every store has.
    names: tuple[str, ...] = (
        "a b.rec",
        "ü\N{SNOWMAN}.rec",
        "a#b?c=d&e.rec",
        "a%20b.rec",
        "a+b.rec",
    )

    @pytest.fixture
    def url(self, place: tuple[str, dict[str, Any]]) -> str:
        """A folder of the test's own, with a slash at the end."""
        return f"{place[0]}/{uuid.uuid4().hex}/"

    @pytest.fixture
    def options(self, place: tuple[str, dict[str, Any]]) -> RemoteOptions:
        return RemoteOptions.create(storage_options=place[1], retries=2, timeout=20)

    @pytest.fixture
    def opened(self, url: str, options: RemoteOptions) -> Iterator[tuple[Store, str]]:
        """The store, and the prefix of the test's keys."""
        store, prefix = open_store(url, options)
        yield store, prefix
        for key, _ in store.list(prefix):
            store.remove(key)

    def test_what_is_written_is_read(self, opened: tuple[Store, str]) -> None:
        store, prefix = opened
        for size in (0, 1, len(DATA)):
            key = f"{prefix}{size}.rec"
            write(store, key, DATA[:size])
            version = store.info(key)
            assert version.size == size and version.etag is not None
            for most in (1, 1000, len(DATA) + 1):
                found, first = store.begin(key, most)
                assert found == version
                assert first.tobytes() in (DATA[: min(most, size)], b"")
            ranges = {
                (0, size),
                (size // 2, size),
                (max(size - 1, 0), size),
                (0, min(size, 100_000)),
            }
            for begin, end in ranges:
                part = store.read(key, begin, end, version)[:]
                assert part.dtype == np.uint8 and part.shape == (end - begin,)
                assert bytes(part) == DATA[begin:end] and not part.flags.writeable
            with pytest.raises(ArgumentError, match="there are no bytes"):
                store.read(key, 0, size + 1, version)

    def test_names(self, opened: tuple[Store, str]) -> None:
        store, prefix = opened
        for name in self.names:
            write(store, prefix + name, name.encode())
        assert [key for key, _ in store.list(prefix)] == sorted(
            prefix + name for name in self.names
        )
        for name in self.names:
            version = store.info(prefix + name)
            assert bytes(store.read(prefix + name, 0, version.size, version)[:]) == name.encode()

    def test_lists(self, opened: tuple[Store, str]) -> None:
        store, prefix = opened
        sizes = {"a/part-1": 1, "a/part-2": 2, "a/b/part-3": 3, "a2/part-4": 4, "part-5": 5}
        for name, size in sizes.items():
            write(store, prefix + name, DATA[:size])
        expected = sorted((prefix + name, size) for name, size in sizes.items())
        for part in ("", "a/", "a/b/", "part-5/", "a2/", "nothing/", "no/thing/"):
            inside = [each for each in expected if each[0].startswith(prefix + part)]
            assert list(store.list(prefix + part)) == inside
            at = len(prefix + part)
            beside = [each for each in inside if "/" not in each[0][at:]]
            assert list(store.list(prefix + part, recursive=False)) == beside

    def test_a_missing_object(self, opened: tuple[Store, str]) -> None:
        store, prefix = opened
        with pytest.raises(RecordFileNotFoundError, match=r"nothing\.rec does not exist"):
            store.info(f"{prefix}nothing.rec")
        store.remove(f"{prefix}nothing.rec")
        write(store, f"{prefix}dir/a", b"x")
        with pytest.raises(RecordFileNotFoundError):
            store.info(f"{prefix}dir")

    def test_what_names_no_object(self, opened: tuple[Store, str]) -> None:
        store, prefix = opened
        for call in (store.info, store.upload, store.remove):
            for key in ("", prefix):
                with pytest.raises(ArgumentError, match="is the URL of a folder, not of a file"):
                    call(key)

    def test_another_version(self, opened: tuple[Store, str]) -> None:
        store, prefix = opened
        key = f"{prefix}a.rec"
        write(store, key, DATA[:1000])
        version = store.info(key)
        assert bytes(store.read(key, 5, 10, version)[:]) == DATA[5:10]
        write(store, key, DATA[1:2001])
        assert store.info(key) != version
        # What was read of the old version before may still be there; never the new one's bytes.
        try:
            assert bytes(store.read(key, 5, 10, version)[:]) == DATA[5:10]
        except FileChangedError as error:
            assert "a.rec has changed" in str(error)
        assert bytes(store.read(key, 5, 10, store.info(key))[:]) == DATA[6:11]

    def test_a_removed_object(self, opened: tuple[Store, str]) -> None:
        store, prefix = opened
        key = f"{prefix}a.rec"
        write(store, key, DATA[:1000])
        version = store.info(key)
        store.remove(key)
        assert list(store.list(prefix)) == []
        with pytest.raises(FileChangedError, match=r"a\.rec (was removed|has changed)"):
            store.read(key, 0, 10, version)

    def test_nothing_is_seen_of_an_upload_before_it_is_complete(
        self, opened: tuple[Store, str]
    ) -> None:
        store, prefix = opened
        key = f"{prefix}a.rec"
        write(store, key, b"old")
        upload = store.upload(key)
        upload.write(memoryview(DATA)[:1_000_000])
        upload.write(b"")
        upload.write(DATA[1_000_000:])
        assert store.info(key).size == 3
        upload.complete()
        upload.complete()
        upload.abort()
        version = store.info(key)
        assert bytes(store.read(key, 0, version.size, version)[:]) == DATA
        assert list(store.list(prefix)) == [(key, len(DATA))]
        with pytest.raises(ValueError, match="has ended"):
            upload.write(b"x")

    def test_a_dropped_upload(self, opened: tuple[Store, str]) -> None:
        store, prefix = opened
        upload = store.upload(f"{prefix}a.rec")
        upload.write(DATA)
        upload.abort()
        upload.abort()
        assert list(store.list(prefix)) == []
        with pytest.raises(ValueError, match="has ended"):
            upload.complete()


FORKED = """
import json, os, sys
from gpuio.errors import Error
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.registry import open_store

url, options = sys.argv[1], RemoteOptions(storage_options=json.loads(sys.argv[2]))
store, key = open_store(url, options)
if sys.argv[3] == "True":
    store.info(key)
child = os.fork()
if child == 0:
    for each in (store, open_store(url, options)[0]):
        try:
            print(each.info(key).size, flush=True)
        except Error as error:
            print(type(error).__name__, error, flush=True)
    sys.exit()
os.waitpid(child, 0)
print(store.info(key).size)
"""


def sizes_after_fork(url: str, options: dict[str, Any], used: bool) -> list[str]:
    """What a forked process finds by its parent's store and by a new one, then the parent: an
    object's size, or the error.

    Parameters
    ----------
    used : whether the parent has used its store before
    """
    import json

    return run_process(FORKED, url, json.dumps(options), used).splitlines()
