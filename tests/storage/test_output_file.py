"""Files that are written in place."""

import errno
import os
import resource
import signal
from pathlib import Path

import pytest

from gpuio.errors import RecordError, RecordFileNotFoundError
from gpuio.storage import output_file
from gpuio.storage.output_file import AppendedFile, copy_range, create


@pytest.mark.parametrize(("mode", "content"), [("w", "a\nä"), ("wb", b"a\n\xff")])
def test_a_created_file_has_the_same_bytes_everywhere(
    mode: str, content: str | bytes, tmp_path: Path
) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"overwritten" * 9)
    with create(str(path), mode) as file:
        file.write(content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)


def test_files_that_cannot_be_created(tmp_path: Path) -> None:
    with pytest.raises(RecordFileNotFoundError, match="its directory does not exist; create it"):
        create(str(tmp_path / "none" / "x"), "w")
    # Neither may root do this.
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "x"):
        with pytest.raises(RecordError, match="choose a location with write permission"):
            create(str(path), "wb")


def test_pieces_are_appended_to_an_emptied_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"overwritten")
    file = AppendedFile(str(path))
    file.write([b"ab", b"c"], 3)
    file.write([bytes(100_000)], 100_000)
    assert file.position == 100_003 and not file.closed
    file.close()
    file.close()
    assert file.closed and path.read_bytes() == b"abc" + bytes(100_000)


def test_nothing_is_appended_once_a_write_has_failed(tmp_path: Path) -> None:
    """As where the disk is full: a limit on the size of files."""
    path = tmp_path / "x"
    file = AppendedFile(str(path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(RecordError, match="x cannot be written: File too large; make room"):
            file.write([bytes(100_000)], 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert file.closed and path.stat().st_size <= 1000
    with pytest.raises(ValueError, match="closed"):
        file.write([b"more"], 4)
    file.close()


@pytest.mark.parametrize("within", [True, False])
def test_a_part_of_a_file_is_copied(
    within: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the system does not copy between two files itself."""
    if not within:
        monkeypatch.setattr(output_file, "COPIED", 7)

        def refuse(*_: object) -> int:
            raise OSError(errno.EXDEV, "another file system")

        monkeypatch.setattr(os, "copy_file_range", refuse)
    content = bytes(range(100))
    (tmp_path / "source").write_bytes(content)
    (tmp_path / "target").write_bytes(b"kept")
    source = os.open(tmp_path / "source", os.O_RDONLY)
    target = os.open(tmp_path / "target", os.O_RDWR)
    try:
        copy_range(source, target, 90, 4)
        assert (tmp_path / "target").read_bytes() == b"kept" + content[:90]
        with pytest.raises(OSError, match="has become shorter"):
            copy_range(source, target, 101, 0)
    finally:
        os.close(source)
        os.close(target)
