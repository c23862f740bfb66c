"""Ranges of a file: their content, what is on the disk, errors."""

import errno
import os
import resource
import threading
from pathlib import Path

import pytest

from gpuio.errors import RecordError
from gpuio.storage import file_range
from gpuio.storage.file_range import writing_at


@pytest.fixture
def path(tmp_path: Path) -> str:
    path = tmp_path / "x"
    path.write_bytes(b"." * 20)
    return str(path)


def test_ranges_are_written_side_by_side(path: str) -> None:
    with writing_at(path, 15, "x") as last, writing_at(path, 5, "x") as first:
        last.write([b"cde"], 3)
        first.write([b"a", memoryview(b"bx")[:1]], 2)
        first.write([], 0)
    assert Path(path).read_bytes() == b".....ab........cde.."


def test_nothing_is_created(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), writing_at(str(tmp_path / "x"), 0, "x"):
        pass
    assert not list(tmp_path.iterdir())


def test_what_is_buffered_at_a_failure_is_not_written(path: str) -> None:
    with pytest.raises(KeyError), writing_at(path, 0, "x") as file:
        file.write([b"abc"], 3)
        raise KeyError
    assert Path(path).read_bytes() == b"." * 20
    assert not [each for each in threading.enumerate() if each.name.startswith("gpuio-sync")]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_range, "BUFFER", 8)
    monkeypatch.setattr(file_range, "SYNCED", 16)


@pytest.mark.usefixtures("small")
def test_the_disk_stores_what_is_written_while_more_is(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, threads = threading.Event(), []

    def sync(descriptor: int) -> None:
        threads.append(threading.current_thread())
        os.fsync(descriptor)
        begun.set()

    monkeypatch.setattr(os, "fdatasync", sync)
    content = os.urandom(100)
    with writing_at(path, 4, "x") as file:
        for each in range(50):
            file.write([content[each : each + 1]], 1)
        assert begun.wait(20)
        file.write([content[50:]], 50)
    assert Path(path).read_bytes() == b"...." + content
    assert threading.main_thread() not in threads


def refuse(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("count", [17, 1000])
def test_the_disk_is_full(path: str, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Which some systems find out only when the content goes to the disk, and say once."""
    monkeypatch.setattr(os, "fdatasync", refuse)
    with (
        pytest.raises(RecordError, match="y cannot be written: No space left on device; make room"),
        writing_at(path, 0, "y") as file,
    ):
        for _ in range(count):
            file.write([b"a"], 1)


@pytest.mark.usefixtures("small")
def test_the_system_refuses_a_thread(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with writing_at(path, 0, "x") as file:
        for _ in range(100):
            file.write([b"a"], 1)
    assert Path(path).read_bytes() == b"a" * 100


@pytest.mark.parametrize("count", [3, 2000])
def test_the_system_writes_only_a_part(path: str, count: int) -> None:
    """Which it does at a limit of the file's size; the rest is refused."""
    limit = 1000
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with (
            pytest.raises(RecordError, match="y cannot be written: File too large; make room"),
            writing_at(path, 10, "y") as file,
        ):
            file.write([bytes([number % 256]) * 600 for number in range(count)], 600 * count)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert os.path.getsize(path) == limit


def test_parts_are_written_until_all_is(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    all_at_once, each_time = os.pwritev, os.pwrite
    monkeypatch.setattr(os, "pwritev", lambda file, pieces, at: all_at_once(file, pieces[:1], at))
    monkeypatch.setattr(os, "pwrite", lambda file, data, at: each_time(file, data[:3], at))
    with writing_at(path, 1, "y") as file:
        file.write([b"ab", b"cde", b"fghijk"], 11)
        file.write([b"lm"], 2)
    assert Path(path).read_bytes() == b".abcdefghijklm......"


def test_a_full_device() -> None:
    """A real one, without a thread's help."""
    with (
        pytest.raises(RecordError, match="/dev/full cannot be written: No space left"),
        writing_at("/dev/full", 0, "/dev/full") as file,
    ):
        file.write([b"abc"], 3)
