"""The folder of the cache: trust, limits, disks that are full."""

import errno
import logging
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from gpuio.storage.remote import cache as cache_module
from gpuio.storage.remote.cache import Cache, sync_all
from gpuio.storage.remote.eviction import entries, folders
from gpuio.storage.remote.fetch import fetcher
from gpuio.storage.remote.segment import DURABLE, WRITTEN
from gpuio.storage.remote.store import ObjectInfo
from tests.io.threads import eventually
from tests.processes import run_process
from tests.storage.remote.stores import (
    PAGE,
    SEGMENT,
    BytesStore,
    open_file,
    random_bytes,
    small_cache,
)

CONTENT = random_bytes(20 * SEGMENT)


def store() -> BytesStore:
    return BytesStore({"x.rec": CONTENT})


def read_twice(cache: Cache) -> int:
    """Read an object twice; the number of requests of the second time."""
    objects = store()
    file = open_file(objects, cache)
    assert file[:].tobytes() == CONTENT
    before = len(objects.reads)
    assert file[:].tobytes() == CONTENT
    return len(objects.reads) - before


def test_a_new_folder_is_this_user_s_alone(tmp_path: Path) -> None:
    cache = Cache(str(tmp_path / "new" / "cache"), 10**9)
    assert stat.S_IMODE(os.stat(tmp_path / "new" / "cache").st_mode) == 0o700
    assert stat.S_IMODE(os.stat(cache.root).st_mode) == 0o700
    assert cache.is_writable and cache.is_readable


def test_versions_and_objects_are_kept_apart(tmp_path: Path) -> None:
    cache = small_cache(tmp_path)
    infos = [ObjectInfo(5, "a"), ObjectInfo(6, "a"), ObjectInfo(5, "b")]
    found = [cache.object("s3://x", "k", "s3://x/k", info) for info in infos]
    found += [
        cache.object(store, key, "", infos[0]) for store, key in [("s3://x", "l"), ("y", "k")]
    ]
    assert len({each.folder for each in found}) == len({each.identity for each in found}) == 5
    same = cache.object("s3://x", "k", "s3://x/k", infos[0])
    assert same == found[0]


def test_without_a_version_nothing_is_found_again(tmp_path: Path) -> None:
    cache = small_cache(tmp_path)
    one, other = (cache.object("x", "k", "", ObjectInfo(5, None)) for _ in range(2))
    assert one.folder != other.folder


@pytest.mark.parametrize("wrong", ["link", "file", "writable", "other"])
def test_a_folder_that_others_may_write_to_is_not_trusted(
    tmp_path: Path, wrong: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_twice(small_cache(tmp_path)) == 0
    root = tmp_path / "cache" / "v1"
    if wrong == "link":
        root.rename(tmp_path / "moved")
        root.symlink_to(tmp_path / "moved")
    elif wrong == "file":
        root.rename(tmp_path / "moved")
        root.write_text("")
    elif wrong == "writable":
        root.chmod(0o770)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with caplog.at_level(logging.WARNING, "gpuio"):
        assert read_twice(small_cache(tmp_path)) > 0
    assert [record.message for record in caplog.records] == [
        f"remote files are read without caching: {root}: "
        + (
            "other users may write to it"
            if wrong == "writable"
            else "it is not a folder of this user"
        )
        + "; choose another cache_dir"
    ]


def test_a_folder_that_cannot_be_created(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cache").write_text("a file")
    with caplog.at_level(logging.WARNING, "gpuio"):
        assert read_twice(small_cache(tmp_path)) > 0
    assert len(caplog.records) == 1 and "cannot be written" in caplog.text


@pytest.mark.parametrize("which", ["cache", "cache/v1"])
def test_a_folder_that_is_removed_comes_again(which: str, tmp_path: Path) -> None:
    cache = small_cache(tmp_path)
    assert read_twice(cache) == 0
    shutil.rmtree(tmp_path / which)
    assert read_twice(cache) == 0
    assert stat.S_IMODE(os.stat(tmp_path / "cache").st_mode) == 0o700


def on_disk(cache: Cache) -> int:
    return sum(each.on_disk for folder in folders(cache.root) for each in entries(folder))


def test_the_limit_is_kept(tmp_path: Path) -> None:
    """Reading more than fits works, and what was used last is still there."""
    content = random_bytes(1 << 20)
    objects = BytesStore({"x.rec": content})
    cache = Cache(str(tmp_path), 400_000, 1 << 12, 1 << 15)
    file = open_file(objects, cache)
    for _ in range(2):
        for begin in range(0, len(content), 50_000):
            assert file[begin : begin + 50_000].tobytes() == content[begin : begin + 50_000]
    # The threads that have written may be removing segments still: one at a time does so.
    assert eventually(lambda: fetcher().threads == 0)
    # The system notes times in steps within which several segments are written.
    for number in range(30):
        with suppress(FileNotFoundError):
            os.utime(file.remote.cached.path(number), (number, number))
    cache.trim()
    assert 100_000 < on_disk(cache) <= 400_000
    before = len(objects.reads)
    assert file[len(content) - 50_000 :].tobytes() == content[-50_000:]
    assert len(objects.reads) == before


def test_written_pages_become_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = small_cache(tmp_path)
    file = open_file(store(), cache)
    file[:PAGE]
    cached = cache.object("memory://", "x.rec", "", store().info("x.rec"))
    segment = cached.open(0)
    assert segment is not None
    with segment:
        assert segment.states()[:1] == WRITTEN
        sync_all()
        assert segment.states()[:1] == DURABLE


FULL = """
import logging, sys, os
from pathlib import Path
from tests.faults.conditions import mount_tmpfs
from tests.storage.remote.stores import BytesStore, open_file, random_bytes
from gpuio.storage.remote.cache import Cache

logging.basicConfig(stream=sys.stdout, format="%(message)s")
folder = sys.argv[1]
try:
    mount_tmpfs(folder, 1 << 20)
except OSError:
    print("not allowed")
    raise SystemExit
content = random_bytes(3 << 20)
store = BytesStore({"x.rec": content})
file = open_file(store, Cache(folder, 10**9, 1 << 12, 1 << 18))
for _ in range(2):
    for begin in range(0, len(content), 100_000):
        assert file[begin : begin + 100_000].tobytes() == content[begin : begin + 100_000]
requests = sum(end - begin for begin, end in store.reads)
assert len(content) < requests < 2 * len(content), requests
"""


def test_a_full_disk(tmp_path: Path) -> None:
    """What fits is cached, the rest goes to the caller only; one warning says so."""
    said = run_process(FULL, tmp_path)
    if said == "not allowed\n":
        pytest.skip("a file system of its own is not allowed here")
    lines = said.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("remote files are read without caching: ")
    assert "No space left on device; lower cache_limit" in lines[0]


def test_a_disk_that_has_space_again_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = small_cache(tmp_path)
    cache.failed(OSError(28, "No space left on device"))
    assert read_twice(cache) > 0
    monkeypatch.setattr(cache_module, "PAUSE", 0.0)
    cache.failed(OSError(28, "No space left on device"))
    assert read_twice(cache) == 0


def test_a_disk_that_fails_loses_its_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After that the system gives what was on the disk before."""
    cache = small_cache(tmp_path)
    objects = store()
    file = open_file(objects, cache)
    file[:PAGE]

    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    cache.sync()
    assert not os.path.exists(file.remote.cached.path(0))
    assert file[:PAGE].tobytes() == CONTENT[:PAGE] and len(objects.reads) == 2
