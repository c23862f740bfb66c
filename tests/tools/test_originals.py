"""No tool destroys what it reads, whatever its outputs are called."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, RecordError
from gpuio.tools.cli import main
from gpuio.tools.files import RecordOutput, open_alone
from gpuio.tools.im2rec import ListItem, write_list
from tests.io.records import jpeg, write_records

ROOT = Path(__file__).parents[2]


@pytest.fixture
def rec(tmp_path: Path) -> Path:
    return write_records(tmp_path / "x", [jpeg(number) for number in range(6)])["path_imgrec"]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


T = mx.tools
CALLS: dict[str, Callable[[Path, Path], object]] = {
    "shuffle, another ending": lambda rec, there: T.shuffle(rec, there / "x.shuffled"),
    "shuffle, the index's ending": lambda rec, there: T.shuffle(rec, there / "out.idx"),
    "shuffle, the file through a link": lambda rec, there: T.shuffle(rec, there / "link.rec"),
    "filter, another ending": lambda rec, there: T.filter_records(rec, there / "x.some"),
    "merge, another ending": lambda rec, there: T.merge([rec], there / "x.all", renumber=True),
    "repair, another ending": lambda rec, there: T.repair(rec, there / "x.fixed"),
    "repair, the side file": lambda rec, there: T.repair(rec, there / "y.rec", damaged=rec),
    "repair, the side file and the index": lambda rec, there: T.repair(
        rec, there / "y.rec", damaged=there / "x.idx"
    ),
    "repair, the side file and the copy": lambda rec, there: T.repair(
        rec, there / "y.rec", damaged=there / "y.rec"
    ),
    "index, the file": lambda rec, there: T.index(rec, rec),
    "quarantine, the file": lambda rec, there: T.quarantine(T.verify(rec), rec),
    "quarantine, the index": lambda rec, there: T.quarantine(T.verify(rec), there / "x.idx"),
    "show, the index": lambda rec, there: T.show(rec, there / "x.idx"),
}


@pytest.mark.parametrize("name", CALLS)
def test_outputs_are_no_originals(name: str, rec: Path, tmp_path: Path) -> None:
    (tmp_path / "link.rec").symlink_to(rec)
    before = contents(tmp_path)
    with pytest.raises(ArgumentError, match=r"original|different files"):
        CALLS[name](rec, tmp_path)
    assert contents(tmp_path) == before


def test_split_and_unfinished_files(rec: Path, tmp_path: Path) -> None:
    first = tmp_path / "part_1.rec"
    rec.rename(first)
    with pytest.raises(ArgumentError, match="original"):
        T.split(first, tmp_path / "part", [1, 1])
    part = tmp_path / "y.rec.part"  # as a run that was stopped leaves it
    first.rename(part)
    before = contents(tmp_path)
    for call in (T.repair, T.shuffle):
        with pytest.raises(ArgumentError, match="original"):
            call(part, tmp_path / "y.rec")
    assert contents(tmp_path) == before
    assert T.repair(part, tmp_path / "z.rec").records == 6


def test_only_files_are_replaced(rec: Path, tmp_path: Path) -> None:
    (tmp_path / "out.rec").mkdir()
    (tmp_path / "out.idx").write_bytes(b"precious")
    os.mkfifo(tmp_path / "pipe.rec")
    for name in ("out.rec", "pipe.rec"):
        with pytest.raises(ArgumentError, match="is no file that could be replaced"):
            T.shuffle(rec, tmp_path / name)
    assert (tmp_path / "out.idx").read_bytes() == b"precious"


def test_a_pipe_is_no_record_file(rec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = f"cat {rec} | {sys.executable} -m gpuio verify /dev/stdin"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "is a pipe or a device" in done.stderr


def test_two_runs_do_not_write_one_file(rec: Path, tmp_path: Path) -> None:
    with RecordOutput(tmp_path / "out.rec") as output:
        output.write(1, b"one")
        with pytest.raises(RecordError, match="being written by another run"):
            T.shuffle(rec, tmp_path / "out.rec")
        output.write(2, b"two")
    with mx.recordio.MXIndexedRecordIO(output.idx, output.rec, "r") as reader:
        assert [reader.read_idx(key) for key in reader.keys] == [b"one", b"two"]


def test_who_opens_alone_has_the_file_of_that_name(tmp_path: Path) -> None:
    """Threads take turns: each makes the file, or finds it, and removes it."""
    path = str(tmp_path / "x")
    owners, most, failures = [0], [0], []

    def run() -> None:
        for _ in range(300):
            try:
                with open_alone(path) as file:
                    owners[0] += 1
                    most[0] = max(most[0], owners[0])
                    assert os.path.samestat(os.fstat(file.fileno()), os.stat(path))
                    owners[0] -= 1
                    os.remove(path)
            except RecordError:
                continue
            except BaseException as error:
                failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (failures, most) == ([], [1])


def test_lists_are_complete_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "x.lst").write_text("0\t0.000000\tgood.jpg\n")

    def items() -> Iterator[ListItem]:
        yield ListItem(0, (0.0,), "a.jpg")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_list(tmp_path / "x.lst", items())
    assert contents(tmp_path) == {"x.lst": b"0\t0.000000\tgood.jpg\n"}


def test_a_prefix_that_is_a_folder_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list beside the folder is the one that was made there, and it is used."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for number in range(4):
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(jpeg(number))
    assert main(["im2rec", "photos", "photos", "--list"]) == 0
    lines = (tmp_path / "photos.lst").read_text().splitlines(keepends=True)
    (tmp_path / "photos.lst").write_text("".join(lines[:3]))
    assert main(["im2rec", "photos", "photos", "--pass-through"]) == 0
    assert T.info("photos.rec").records == 3
    assert main(["im2rec", "./", "photos"]) == 2
