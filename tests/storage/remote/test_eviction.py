"""Removing what was not used for the longest time."""

import fcntl
import os
import time
from pathlib import Path

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
