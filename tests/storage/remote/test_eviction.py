"""Removing what was not used for the longest time."""

import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpuio.storage.remote import eviction
from gpuio.storage.remote.eviction import LOCK, entries, evict, folders, remove_empty


def segment(root: Path, name: str, used: float, size: int = 8192) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes([1]) * size)
    os.utime(path, (used, used))
    return path


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    now = time.time()
    paths = [segment(tmp_path, f"a/{n % 2}/{n}.segment", now - n) for n in range(6)]
    on_disk = sum(each.on_disk for folder in folders(str(tmp_path)) for each in entries(folder))
    assert evict(str(tmp_path), on_disk, 0) == 0
    assert evict(str(tmp_path), on_disk - 1, on_disk - 2 * 8192) == 2 * 8192
    assert [path.exists() for path in paths] == [True] * 4 + [False] * 2


def test_an_object_without_segments_goes(tmp_path: Path) -> None:
    path = segment(tmp_path, "a/b/0.segment", 1)
    description = path.with_name("object.json")
    description.write_text("{}")
    assert evict(str(tmp_path), 0, 0)
    assert not (tmp_path / "a").exists()


def test_an_object_with_segments_stays(tmp_path: Path) -> None:
    path = segment(tmp_path, "a/b/0.segment", 1)
    remove_empty(str(path.parent))
    assert path.exists()


def test_a_segment_that_is_open_remains_readable(tmp_path: Path) -> None:
    path = segment(tmp_path, "a/b/0.segment", 1)
    with open(path, "rb") as file:
        evict(str(tmp_path), 0, 0)
        assert not path.exists() and len(file.read()) == 8192


def test_what_was_never_completed_goes_after_a_while(tmp_path: Path) -> None:
    old = segment(tmp_path, "a/b/0.segment.7-7.new", 1)
    new = segment(tmp_path, "a/b/1.segment.7-7.new", time.time())
    evict(str(tmp_path), 10**9, 0)
    assert not old.exists() and new.exists()


def test_one_process_at_a_time(tmp_path: Path) -> None:
    path = segment(tmp_path, "a/b/0.segment", 1)
    with open(tmp_path / LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert evict(str(tmp_path), 0, 0) == 0 and path.exists()
    assert evict(str(tmp_path), 0, 0) > 0 and not path.exists()


def test_links_are_not_followed(tmp_path: Path) -> None:
    outside = segment(tmp_path / "outside", "b/0.segment", 1)
    root = tmp_path / "root"
    root.mkdir()
    os.symlink(outside.parents[1], root / "a")
    assert list(folders(str(root))) == []
    evict(str(root), 0, 0)
    assert outside.exists()


def test_what_was_used_since_it_was_listed_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes compete for the processor: it may be long ago."""
    paths = [segment(tmp_path, f"a/b/{n}.segment", 1 + n) for n in range(3)]

    def listed(folder: str) -> Iterator[eviction.Entry]:
        yield from entries(folder)
        os.utime(paths[0])

    monkeypatch.setattr(eviction, "entries", listed)
    assert evict(str(tmp_path), 0, 2 * 8192) == 8192
    assert [path.exists() for path in paths] == [True, False, True]


def test_something_else_in_a_segment_s_place_keeps_nothing_from_going(tmp_path: Path) -> None:
    (tmp_path / "a" / "b" / "0.segment").mkdir(parents=True)
    os.utime(tmp_path / "a" / "b" / "0.segment", (0, 0))
    path = segment(tmp_path, "a/b/1.segment", 1)
    assert evict(str(tmp_path), 8192, 8192) == 8192 and not path.exists()


def test_a_limit_that_cannot_be_kept_is_an_error(tmp_path: Path) -> None:
    inside = segment(tmp_path, "a/b/0.segment/x", 1)
    size = os.stat(inside.parent).st_blocks * 512
    if size == 0:
        pytest.skip("folders take no blocks of this file system")
    with pytest.raises(OSError, match=r"0\.segment"):
        evict(str(tmp_path), 0, 0)
