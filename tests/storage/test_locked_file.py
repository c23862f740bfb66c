"""Files that one process at a time writes, and no other file instead."""

import os
from pathlib import Path

import pytest

from gpuio.errors import RecordError, RecordFileNotFoundError
from gpuio.storage.locked_file import open_exclusive


def test_existing_content_stays(tmp_path: Path) -> None:
    path = tmp_path / "x.part"
    for _ in range(2):
        with open_exclusive(str(path)) as file:
            file.write(b"ab")
    assert path.read_bytes() == b"abab"


def test_a_file_that_is_being_written_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "x.part")
    with (
        open_exclusive(path),
        pytest.raises(RecordError, match="is being written by another run"),
    ):
        open_exclusive(path)
    open_exclusive(path).close()


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordFileNotFoundError, match="its directory does not exist; create it"):
        open_exclusive(str(tmp_path / "none" / "x.part"))


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    part = tmp_path / "x.part"
    for plant, message in (
        (lambda: part.symlink_to(victim), "is a symbolic link"),
        (lambda: part.hardlink_to(victim), "is a hard link"),
        (lambda: os.mkfifo(part), "is not a regular file"),
        (lambda: part.symlink_to(tmp_path / "missing"), "is a symbolic link"),
    ):
        plant()
        with pytest.raises(RecordError, match=message):
            open_exclusive(str(part))
        part.unlink()
    assert victim.read_bytes() == b"precious" and os.listdir(tmp_path) == ["victim"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_users_unfinished_file_is_refused(tmp_path: Path) -> None:
    part = tmp_path / "x.part"
    part.touch()
    os.chown(part, 65534, 65534)
    with pytest.raises(RecordError, match="belongs to another user; remove it"):
        open_exclusive(str(part))
