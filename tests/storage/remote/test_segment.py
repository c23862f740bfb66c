"""Segment files: pages and their states, after crashes of processes and of the machine."""

import os
import signal
import threading
from pathlib import Path

import pytest

from gpuio.storage.remote import segment
from gpuio.storage.remote.segment import (
    DURABLE,
    MISSING,
    WRITTEN,
    ForeignSegmentError,
    Segment,
    Shape,
    create_segment,
)

# Python 3.12 and later warn about forks of processes with threads.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork")

SHAPE = Shape(bytes(range(32)), 3, 250, 64)


@pytest.fixture
def path(tmp_path: Path) -> str:
    found = str(tmp_path / "3.segment")
    create_segment(found, SHAPE)
    return found


def states(path: str, shape: Shape = SHAPE) -> bytes:
    with Segment(path, shape) as found:
        return found.states()


def test_a_new_segment_has_no_pages(path: str) -> None:
    assert states(path) == MISSING * 4
    status = os.stat(path)
    assert status.st_size == SHAPE.size == 4 * 64 + 4 + segment.FOOTER.size
    assert status.st_mode & 0o777 == 0o600


def test_written_pages_are_there(path: str) -> None:
    with Segment(path, SHAPE, writable=True) as found:
        found.write(1, memoryview(b"a" * 128))
        found.write(3, memoryview(b"b" * 58))  # the last page is shorter
    assert states(path) == MISSING + WRITTEN * 3
    with open(path, "rb") as file:
        assert file.read(250) == bytes(64) + b"a" * 128 + b"b" * 58


def test_a_segment_that_exists_stays(path: str) -> None:
    with Segment(path, SHAPE, writable=True) as found:
        found.write(0, memoryview(bytes(64)))
    create_segment(path, SHAPE)
    assert states(path) == WRITTEN + MISSING * 3
    assert os.listdir(os.path.dirname(path)) == ["3.segment"]


def test_several_creators_end_with_one(tmp_path: Path) -> None:
    path = str(tmp_path / "x")
    start = threading.Barrier(8)

    def create() -> None:
        start.wait()
        create_segment(path, SHAPE)
        with Segment(path, SHAPE, writable=True) as found:
            found.write(int(threading.current_thread().name), memoryview(bytes(64)))

    threads = [threading.Thread(target=create, name=str(number % 4)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert states(path) == WRITTEN * 4 and os.listdir(tmp_path) == ["x"]


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*paths: str) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    create_segment(str(tmp_path / "x"), SHAPE)
    assert states(str(tmp_path / "x")) == MISSING * 4 and os.listdir(tmp_path) == ["x"]


@pytest.mark.parametrize(
    "change", ["shorter", "longer", "footer", "identity", "number", "link", "folder", "pipe"]
)
def test_another_file_is_refused(path: str, change: str) -> None:
    shape = SHAPE
    if change in ("shorter", "longer"):
        os.truncate(path, SHAPE.size + (1 if change == "longer" else -1))
    elif change == "footer":
        with open(path, "r+b") as file:
            file.seek(SHAPE.footer_at)
            file.write(b"x")
    elif change == "identity":
        shape = SHAPE._replace(identity=bytes(32))
    elif change == "number":
        shape = SHAPE._replace(number=4)
    else:
        os.rename(path, f"{path}.old")
        if change == "link":
            os.symlink(f"{path}.old", path)
        elif change == "folder":
            os.mkdir(path)
        else:
            os.mkfifo(path)
    with pytest.raises((ForeignSegmentError, OSError)):
        states(path, shape)


def in_boot(monkeypatch: pytest.MonkeyPatch, boot: bytes) -> None:
    monkeypatch.setattr(segment, "boot_id", lambda: boot)


def test_after_a_crash_of_the_machine_only_durable_pages_are_there(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Segment(path, SHAPE, writable=True) as found:
        found.write(0, memoryview(bytes(64)))
        found.make_durable()
        found.write(1, memoryview(bytes(64)))
        assert found.states() == DURABLE + WRITTEN + MISSING * 2
    in_boot(monkeypatch, b"another boot..!!")
    assert states(path) == DURABLE + MISSING * 3  # who reads changes nothing
    with Segment(path, SHAPE, writable=True) as found:
        assert found.states() == DURABLE + MISSING * 3
        found.write(2, memoryview(bytes(64)))
    assert states(path) == DURABLE + MISSING + WRITTEN + MISSING
    monkeypatch.undo()
    assert states(path) == DURABLE + MISSING * 3


def test_without_a_boot_s_name_all_pages_are_durable(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_boot(monkeypatch, segment.NO_BOOT)
    with Segment(path, SHAPE, writable=True) as found:
        found.write(0, memoryview(bytes(128)))
    assert states(path) == DURABLE * 2 + MISSING * 2


def test_durable_pages_among_others(path: str) -> None:
    with Segment(path, SHAPE, writable=True) as found:
        found.write(0, memoryview(bytes(64)))
        found.write(2, memoryview(bytes(128)))
        found.make_durable()
        assert found.states() == DURABLE + MISSING + DURABLE * 2
        found.make_durable()


def test_the_boot_has_a_name() -> None:
    assert len(segment.boot_id()) == 16
    if os.path.exists("/proc/sys/kernel/random/boot_id"):
        assert segment.boot_id() != segment.NO_BOOT


def test_reading_notes_the_last_use_once_a_minute(path: str) -> None:
    os.utime(path, (1, 1))
    states(path)
    noted = os.stat(path).st_mtime_ns
    assert noted > 10**9
    states(path)
    assert os.stat(path).st_mtime_ns == noted


def test_a_process_that_is_killed_leaves_no_page_without_data(path: str) -> None:
    """Whenever it is killed, pages that are marked have their data."""
    for _ in range(10):
        reading, writing = os.pipe()
        if not (pid := os.fork()):
            with Segment(path, SHAPE, writable=True) as found:
                os.write(writing, b"1")
                while True:
                    for page in range(3):
                        found.write(page, memoryview(bytes([65 + page]) * 64))
        os.read(reading, 1)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        with Segment(path, SHAPE) as found:
            marks = found.states()
            for page in range(3):
                if marks[page : page + 1] != MISSING:
                    data = os.pread(found.descriptor, 64, page * 64)
                    assert data == bytes([65 + page]) * 64
        for each in (reading, writing):
            os.close(each)


def test_states_of_an_earlier_boot_never_count_as_those_of_this_one(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process adopts the segment while it is read."""
    with Segment(path, SHAPE, writable=True) as found:
        found.write(0, memoryview(bytes(64)))
    in_boot(monkeypatch, b"another boot..!!")
    reading, pread = Segment(path, SHAPE), os.pread

    def interrupted(descriptor: int, count: int, offset: int) -> bytes:
        data = pread(descriptor, count, offset)
        monkeypatch.setattr(os, "pread", pread)
        with Segment(path, SHAPE, writable=True):
            pass
        if offset == SHAPE.states_at:  # what comes after the states is read later
            data = data[: SHAPE.pages] + pread(descriptor, count, offset)[SHAPE.pages :]
        return data

    monkeypatch.setattr(os, "pread", interrupted)
    with reading:
        assert reading.states() == MISSING * 4


def test_what_a_process_of_the_same_number_has_left_is_no_obstacle(path: str) -> None:
    """In containers numbers come again."""
    left = {os.path.basename(segment.unfinished(path)) for _ in range(100)}
    assert len(left) == 100 and all(name.endswith(".new") for name in left)
