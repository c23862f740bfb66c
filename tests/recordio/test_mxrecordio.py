"""MXRecordIO and MXIndexedRecordIO: MXNet's behaviour, without its bugs."""

import gc
import os
import pickle
import random
import signal
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from gpuio.errors import (
    Error,
    RecordError,
    RecordFileNotFoundError,
    RecordKeyError,
)
from gpuio.recordio import Index, MXIndexedRecordIO, MXRecordIO

COUNT = 50


def payload(number: int) -> bytes:
    return bytes([number]) * (number * 7 % 60)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "x.idx", tmp_path / "x.rec"
    with MXIndexedRecordIO(*paths, "w") as writer:
        for number in range(COUNT):
            writer.write_idx(number * 3, payload(number))
    return paths


def test_attributes(files: tuple[Path, Path]) -> None:
    reader = MXRecordIO(files[1], "r")
    assert (reader.uri, reader.flag, reader.writable, reader.is_open) == (
        str(files[1]),
        "r",
        False,
        True,
    )
    assert reader.pid == os.getpid()
    reader.close()
    reader.close()
    assert not reader.is_open and reader.pid is None


def test_file_uris(files: tuple[Path, Path]) -> None:
    with MXRecordIO(f"file://{files[1]}", "r") as reader:
        assert reader.read() == payload(0)


@pytest.mark.parametrize("flag", ["a", "rb", "wb", "", None])
def test_flags(flag: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Invalid flag"):
        MXRecordIO(tmp_path / "x.rec", flag)


def test_reading_in_order_and_reset(files: tuple[Path, Path]) -> None:
    with MXRecordIO(files[1], "r") as reader:
        assert list(reader) == [payload(number) for number in range(COUNT)]
        assert reader.read() is None and reader.read() is None
        reader.reset()
        assert reader.read() == payload(0)
        reader.close()
        reader.reset()  # opens it again
        assert reader.read() == payload(0)


def test_an_empty_record_is_not_the_end(tmp_path: Path) -> None:
    with MXRecordIO(tmp_path / "x.rec", "w") as writer:
        writer.write(b"")
    with MXRecordIO(tmp_path / "x.rec", "r") as reader:
        assert reader.read() == b"" and reader.read() is None


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "x.rec").touch()
    with MXIndexedRecordIO(None, tmp_path / "x.rec", "r") as reader:
        assert reader.read() is None and len(reader) == 0 and reader.keys == []


def test_a_writers_reset_empties_the_files(tmp_path: Path) -> None:
    paths = tmp_path / "x.idx", tmp_path / "x.rec"
    with MXIndexedRecordIO(*paths, "w") as writer:
        writer.write_idx(1, b"lost")
        writer.reset()
        assert writer.keys == [] and writer.idx == {} and writer.tell() == 0
        writer.write_idx(2, b"kept")
        assert writer.keys == [2] and writer.idx == {2: 0}
    with MXIndexedRecordIO(*paths, "r") as reader:
        assert reader.keys == [2] and reader.read() == b"kept"


def test_reading_by_key(files: tuple[Path, Path]) -> None:
    with MXIndexedRecordIO(*files, "r") as reader:
        assert len(reader) == COUNT and reader.keys == list(range(0, 3 * COUNT, 3))
        assert reader.keys[4] == 12 and reader.keys[-2:] == [144, 147] and 12 in reader.keys
        assert list(reader.idx) == reader.keys and reader.idx[0] == 0 and 1 not in reader.idx
        np.testing.assert_array_equal(np.array(reader.keys), np.arange(0, 3 * COUNT, 3))
        assert reader.read_idx(21) == payload(7)
        assert reader.read() == payload(8)
        reader.seek(0)
        assert reader.read() == payload(0)
        # A dict finds equal numbers.
        assert reader.read_idx(np.int64(21)) == reader.read_idx(21.0) == payload(7)


@pytest.mark.parametrize("key", [1, "3", None, 3.5, float("nan"), 2**70, [3], -3])
@pytest.mark.parametrize("method", ["seek", "read_idx"])
def test_a_missing_key_is_named(method: str, key: object, files: tuple[Path, Path]) -> None:
    with MXIndexedRecordIO(*files, "r") as reader:
        reader.read_idx(21)
        with pytest.raises(KeyError) as caught:
            getattr(reader, method)(key)
        assert isinstance(caught.value, RecordKeyError)
        assert str(caught.value) == (
            f"{files[0]} has no record with the key {key!r} ({type(key).__name__}); the first of "
            f"its {COUNT} keys is 0, the last 147 (int)"
        )
        assert reader.read() == payload(8)  # the position has not changed


def test_an_empty_file_has_no_keys(tmp_path: Path) -> None:
    paths = tmp_path / "x.idx", tmp_path / "x.rec"
    MXIndexedRecordIO(*paths, "w").close()
    with MXIndexedRecordIO(*paths, "r") as reader:
        with pytest.raises(RecordKeyError, match="it has no records"):
            reader.read_idx(0)
        assert reader.keys == [] and reader.idx == {}


def test_keys_are_a_list(files: tuple[Path, Path]) -> None:
    """Which scripts shuffle and keep."""
    with MXIndexedRecordIO(*files, "r") as reader:
        keys = reader.keys
        assert type(keys) is list and type(keys[0]) is int
        random.Random(0).shuffle(reader.keys)
        assert reader.keys is keys != sorted(keys)
        assert [reader.read_idx(key) for key in keys] == [payload(key // 3) for key in keys]
        reader.keys = keys[:2]
        assert reader.keys == keys[:2] and len(reader) == COUNT
        reader.reset()
        assert reader.keys == list(range(0, 3 * COUNT, 3))
    assert len(reader.keys) == COUNT


def test_a_writers_keys_grow(tmp_path: Path) -> None:
    with MXIndexedRecordIO(tmp_path / "x.idx", tmp_path / "x.rec", "w") as writer:
        keys = writer.keys
        assert keys == []
        for key in (5, "7"):
            writer.write_idx(key, b"some")
        assert writer.keys is keys and keys == [5, 7] and writer.idx == {5: 0, 7: 12}
        keys.clear()  # the caller's list
        writer.write_idx(9, b"more")
        assert writer.keys == [9]
    assert (tmp_path / "x.idx").read_text() == "5\t0\n7\t12\n9\t24\n"


def test_keys_cost_nothing_unless_asked_for(tmp_path: Path) -> None:
    count = 200_000
    (tmp_path / "x.idx").write_text("".join(f"{n}\t{n * 8}\n" for n in range(count)))
    MXRecordIO(tmp_path / "x.rec", "w").close()
    with MXIndexedRecordIO(tmp_path / "x.idx", tmp_path / "x.rec", "r") as reader:
        tracemalloc.start()
        assert reader.idx[77] == 77 * 8 and len(reader) == count
        without = tracemalloc.get_traced_memory()[1]
        assert len(reader.keys) == count
        tracemalloc.stop()
    assert without < 8 * count * 2.5  # a sorted index, no Python object per record


def test_keys_still_work_after_the_end_of_the_file(files: tuple[Path, Path]) -> None:
    with MXIndexedRecordIO(*files, "r") as reader:
        list(reader)
        assert reader.read() is None
        assert reader.read_idx(3) == payload(1)


def test_keys_are_converted_when_written(tmp_path: Path) -> None:
    with MXIndexedRecordIO(tmp_path / "x.idx", tmp_path / "x.rec", "w") as writer:
        writer.write_idx("12", b"a")
        writer.write_idx(2.7, b"b")
        with pytest.raises(ValueError):
            writer.write_idx("x", b"c")
        with pytest.raises(TypeError):
            writer.write_idx(None, b"c")
        writer.write(b"without a key")
    assert (tmp_path / "x.idx").read_text() == "12\t0\n2\t12\n"
    with MXIndexedRecordIO(tmp_path / "x.idx", tmp_path / "x.rec", "w", key_type=float) as writer:
        writer.write_idx(1, b"a")
    assert (tmp_path / "x.idx").read_text() == "1.0\t0\n"


def test_the_last_of_equal_keys_counts(tmp_path: Path) -> None:
    paths = tmp_path / "x.idx", tmp_path / "x.rec"
    with MXIndexedRecordIO(*paths, "w") as writer:
        for number in (5, 3, 5):
            writer.write_idx(number, bytes([number]) * (writer.tell() + 1))
    with MXIndexedRecordIO(*paths, "r") as reader:
        assert reader.keys == [5, 3, 5] and len(reader.idx) == 2
        assert len(reader.read_idx(5)) > len(reader.read_idx(3))


def test_without_an_index(files: tuple[Path, Path]) -> None:
    with MXIndexedRecordIO(None, files[1], "r") as reader:
        assert reader.keys == list(range(COUNT)) and reader.read_idx(7) == payload(7)


def test_wrong_direction_and_closed(files: tuple[Path, Path], tmp_path: Path) -> None:
    with MXIndexedRecordIO(*files, "r") as reader:
        for call in (
            lambda: reader.write(b""),
            lambda: reader.write_idx(1, b""),
            reader.tell,
            reader.flush,
        ):
            with pytest.raises(RecordError, match="open for reading"):
                call()
    with pytest.raises(RecordError, match=r"is closed; reset\(\) opens"):
        reader.read()
    assert len(reader.keys) == COUNT
    with MXIndexedRecordIO(tmp_path / "w.idx", tmp_path / "w.rec", "w") as writer:
        for call in (writer.read, lambda: writer.seek(1), lambda: writer.read_idx(1)):
            with pytest.raises(RecordError, match="open for writing"):
                call()
        with pytest.raises(TypeError, match="encode it first"):
            writer.write("text")  # type: ignore[arg-type]
    with pytest.raises(RecordError, match="closed"):
        writer.write(b"")


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(RecordFileNotFoundError, match=r"none\.rec does not exist"):
        MXRecordIO(tmp_path / "none.rec", "r")
    with pytest.raises(RecordError, match="is a directory"):
        MXRecordIO(tmp_path, "r")
    with pytest.raises(RecordFileNotFoundError, match="its directory does not exist"):
        MXRecordIO(tmp_path / "none" / "x.rec", "w")
    with pytest.raises(Error, match="needs the path of its index"):
        MXIndexedRecordIO(None, tmp_path / "x.rec", "w")
    for wrong in (b"x.rec", 3):
        with pytest.raises(TypeError):
            MXRecordIO(wrong, "r")  # type: ignore[arg-type]


def test_a_location_without_write_permission(tmp_path: Path) -> None:
    # A file as a "directory" is refused to everybody, root included.
    (tmp_path / "file").touch()
    with pytest.raises(RecordError, match="choose a location with write permission"):
        MXRecordIO(tmp_path / "file" / "x.rec", "w")


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
def test_a_read_only_directory(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)  # root may write everywhere; nobody may not
    try:
        with pytest.raises(RecordError, match="Permission denied; choose a location with"):
            MXRecordIO(tmp_path / "x.rec", "w")
    finally:
        if root:
            os.seteuid(0)


def test_after_a_wrong_magic_reading_continues_eight_bytes_further(tmp_path: Path) -> None:
    path = tmp_path / "x.rec"
    with MXRecordIO(path, "w") as writer:
        writer.write(b"")
        writer.write(b"good")
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)
    with MXRecordIO(path, "r") as reader:
        with pytest.raises(RecordError, match="byte 0: magic 0xced7230b"):
            reader.read()
        assert reader.read() == b"good"


def test_after_a_record_that_is_cut_off_nothing_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.rec"
    with MXRecordIO(path, "w") as writer:
        writer.write(b"good")
        writer.write(b"x" * 40)
    path.write_bytes(path.read_bytes()[:-8])
    with MXRecordIO(path, "r") as reader:
        assert reader.read() == b"good"
        with pytest.raises(RecordError, match="byte 12: the record needs 40 bytes, only 32"):
            reader.read()
        assert reader.read() is None


def test_the_name_of_a_file_does_not_matter(tmp_path: Path) -> None:
    """Whatever words an error message has."""
    path = tmp_path / "cut off.rec"
    with MXRecordIO(path, "w") as writer:
        writer.write(b"")
        writer.write(b"good")
    path.write_bytes(b"\0" + path.read_bytes()[1:])
    with MXRecordIO(path, "r") as reader:
        with pytest.raises(RecordError, match="byte 0: magic"):
            reader.read()
        assert reader.read() == b"good"


def test_an_index_of_another_file(files: tuple[Path, Path], tmp_path: Path) -> None:
    with MXRecordIO(tmp_path / "other.rec", "w") as writer:
        writer.write(b"x" * 400)
    with MXIndexedRecordIO(files[0], tmp_path / "other.rec", "r") as reader:
        for key in (6, 147):
            with pytest.raises(
                RecordError,
                match=r"other\.rec at byte \d+: .*; the index belongs to another file: "
                "'gpuio index --force",
            ):
                reader.read_idx(key)
        reader.seek(6)
        with pytest.raises(RecordError, match="the index belongs to another file"):
            reader.read()


# ---------------------------------------------------------------- processes and threads


@pytest.mark.parametrize("indexed", [True, False])
def test_pickled_readers_start_over_and_leave_the_original_alone(
    files: tuple[Path, Path], indexed: bool
) -> None:
    reader = MXIndexedRecordIO(*files, "r") if indexed else MXRecordIO(files[1], "r")
    with reader:
        reader.read()
        with pickle.loads(pickle.dumps(reader)) as copy:
            assert copy.read() == payload(0)
        assert reader.read() == payload(1)
    assert not pickle.loads(pickle.dumps(reader)).is_open


def test_writers_are_not_pickled(tmp_path: Path) -> None:
    with (
        MXRecordIO(tmp_path / "x.rec", "w") as writer,
        pytest.raises(TypeError, match="would empty"),
    ):
        pickle.dumps(writer)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_reader_works_on_both_sides_of_a_fork(files: tuple[Path, Path]) -> None:
    code = f"""
import os
from gpuio.recordio import MXIndexedRecordIO
reader = MXIndexedRecordIO({str(files[0])!r}, {str(files[1])!r}, "r")
reader.read()
child = os.fork()
mine = [reader.read(), reader.read_idx(30), reader.read()]
if not child:
    os._exit(0 if [len(x) for x in mine] == [7, 10, 17] else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), [len(x) for x in mine])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "0 [7, 10, 17]\n", done.stderr


def test_reading_by_key_from_several_threads(files: tuple[Path, Path]) -> None:
    with MXIndexedRecordIO(*files, "r") as reader, ThreadPoolExecutor(8) as pool:
        numbers = np.random.default_rng(0).integers(0, COUNT, 4000).tolist()
        for number, record in zip(
            numbers, pool.map(lambda n: reader.read_idx(n * 3), numbers), strict=True
        ):
            assert record == payload(number)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_what_a_killed_writer_completed_reads_back(tmp_path: Path) -> None:
    code = f"""
import os, signal
from gpuio.recordio import MXIndexedRecordIO
writer = MXIndexedRecordIO({str(tmp_path / "x.idx")!r}, {str(tmp_path / "x.rec")!r}, "w")
for number in range(3000):
    writer.write_idx(number, number.to_bytes(4, "little") * 25)
    if number == 1000:
        writer.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert done.returncode == -signal.SIGKILL
    records = []
    with MXRecordIO(tmp_path / "x.rec", "r") as reader:
        try:
            records.extend(reader)
        except RecordError as error:
            assert "cut off" in str(error)
    assert len(records) > 1000
    assert all(record == n.to_bytes(4, "little") * 25 for n, record in enumerate(records))
    listed = Index.load(tmp_path / "x.idx")
    with MXIndexedRecordIO(tmp_path / "x.idx", tmp_path / "x.rec", "r") as reader:
        assert len(listed) > 1000 and reader.read_idx(1000) == records[1000]


def test_a_writer_is_closed_when_it_is_collected(tmp_path: Path) -> None:
    MXRecordIO(tmp_path / "x.rec", "w").write(b"kept")
    with MXRecordIO(tmp_path / "x.rec", "r") as reader:
        assert reader.read() == b"kept"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_copy_of_a_writer_writes_nothing(tmp_path: Path) -> None:
    """What was in the buffers when it was copied is written once, by the process that opened it."""
    code = f"""
import os, sys
from gpuio.recordio import MXIndexedRecordIO
writer = MXIndexedRecordIO({str(tmp_path / "x.idx")!r}, {str(tmp_path / "x.rec")!r}, "w")
for key in range(5):
    writer.write_idx(key, b"%d" % key)
    if not (child := os.fork()):
        if key % 2:
            writer.close()
        sys.exit(0)
    os.waitpid(child, 0)
writer.close()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    with MXIndexedRecordIO(tmp_path / "x.idx", tmp_path / "x.rec", "r") as reader:
        assert list(reader) == [reader.read_idx(key) for key in reader.keys]
        assert [reader.read_idx(key) for key in reader.keys] == [b"0", b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize("size", [10, 3000, 30_000])
def test_a_full_disk_is_named_and_no_line_is_without_its_record(size: int, tmp_path: Path) -> None:
    code = f"""
import resource
from gpuio.errors import RecordError
from gpuio.recordio import MXIndexedRecordIO
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
writer = MXIndexedRecordIO({str(tmp_path / "x.idx")!r}, {str(tmp_path / "x.rec")!r}, "w")
try:
    with writer:
        for key in range(900):
            writer.write_idx(key, bytes({size}))
except RecordError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout.startswith(f"{tmp_path / 'x.rec'} cannot be written: File too large; make")
    with MXIndexedRecordIO(tmp_path / "x.idx", tmp_path / "x.rec", "r") as reader:
        assert all(len(reader.read_idx(key)) == size for key in reader.keys)


@pytest.mark.parametrize("step", ["write", "flush", "close"])
@pytest.mark.parametrize("full", ["x.rec", "x.idx"])
def test_a_writer_that_has_failed_is_closed(
    step: str, full: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ignored: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", ignored.append)
    (tmp_path / full).symlink_to("/dev/full")
    writer = MXIndexedRecordIO(tmp_path / "x.idx", tmp_path / "x.rec", "w")
    with pytest.raises(RecordError, match=f"{full} cannot be written: No space left on device"):
        for key in range(5000 if step == "write" else 1):
            writer.write_idx(key, b"a record")
        getattr(writer, step)()
    assert not writer.is_open
    assert writer.keys[:1] == [0]
    with pytest.raises(RecordError, match="is closed"):
        writer.write_idx(8, b"another")
    writer.close()
    del writer
    gc.collect()
    assert not ignored


def test_an_interrupted_writer_goes_on(tmp_path: Path) -> None:
    class StoppedError(Exception):
        pass

    def interrupt(*_: object) -> None:
        raise StoppedError

    before = signal.signal(signal.SIGALRM, interrupt)
    interrupts = key = 0
    with MXIndexedRecordIO(tmp_path / "x.idx", tmp_path / "x.rec", "w") as writer:
        try:
            while interrupts < 300:
                key += 1
                try:
                    signal.setitimer(signal.ITIMER_REAL, 1e-5 * (1 + interrupts % 30))
                    while True:
                        writer.write_idx(key, str(key).encode() * 3000)
                        key += 1
                except StoppedError:
                    interrupts += 1
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
    with MXIndexedRecordIO(tmp_path / "x.idx", tmp_path / "x.rec", "r") as reader:
        assert len(set(reader.keys)) == len(reader.keys) >= key - 2 * interrupts
        for each in reader.keys:
            assert reader.read_idx(each) == str(each).encode() * 3000
        reader.reset()
        assert set(reader.keys) <= {int(record[: len(record) // 3000]) for record in reader}
