"""Outputs: they overwrite no input, and appear only when complete."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, RecordError
from gpuio.storage.locked_file import open_exclusive
from gpuio.storage.remote.options import RemoteOptions
from gpuio.tools import ListItem, write_list
from gpuio.tools.cli import main
from gpuio.tools.files import check_outputs
from tests.io.records import jpeg, write_records

ROOT = Path(__file__).parents[2]


@pytest.fixture
def rec(tmp_path: Path) -> Path:
    return write_records(tmp_path / "x", [jpeg(number) for number in range(6)])["path_imgrec"]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


T = mx.tools
CALLS: dict[str, Callable[[Path, Path], object]] = {
    "shuffle, another extension": lambda rec, folder: T.shuffle(rec, folder / "x.shuffled"),
    "shuffle, the index's extension": lambda rec, folder: T.shuffle(rec, folder / "out.idx"),
    "shuffle, the file through a link": lambda rec, folder: T.shuffle(rec, folder / "link.rec"),
    "filter, another extension": lambda rec, folder: T.filter_records(rec, folder / "x.some"),
    "merge, another extension": lambda rec, folder: T.merge([rec], folder / "x.all", renumber=True),
    "repair, another extension": lambda rec, folder: T.repair(rec, folder / "x.fixed"),
    "repair, the damaged bytes": lambda rec, folder: T.repair(rec, folder / "y.rec", damaged=rec),
    "repair, the damaged bytes and the index": lambda rec, folder: T.repair(
        rec, folder / "y.rec", damaged=folder / "x.idx"
    ),
    "repair, the damaged bytes and the copy": lambda rec, folder: T.repair(
        rec, folder / "y.rec", damaged=folder / "y.rec"
    ),
    "index, the file": lambda rec, folder: T.index(rec, rec),
    "quarantine, the file": lambda rec, folder: T.quarantine(T.verify(rec), rec),
    "quarantine, the index": lambda rec, folder: T.quarantine(T.verify(rec), folder / "x.idx"),
    "show, the index": lambda rec, folder: T.show(rec, folder / "x.idx"),
}


@pytest.mark.parametrize("name", CALLS)
def test_outputs_overwrite_no_original(name: str, rec: Path, tmp_path: Path) -> None:
    (tmp_path / "link.rec").symlink_to(rec)
    before = contents(tmp_path)
    with pytest.raises(ArgumentError, match=r"original|different files"):
        CALLS[name](rec, tmp_path)
    assert contents(tmp_path) == before


def test_a_container_with_and_without_its_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are the same object if that is the account of this machine, or of the options."""
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    names = ["az://c/x.rec", "az://c@one/x.rec"]
    options = RemoteOptions.create(storage_options={"account_name": "one"})
    for remote in (options, None):
        for original, target in (names, names[::-1]):
            with pytest.raises(ArgumentError, match="would overwrite the original"):
                check_outputs([target], [original], remote=remote)
            with pytest.raises(ArgumentError, match="must be different files"):
                check_outputs(names, remote=remote)
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "one")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "two")
    check_outputs([names[0]], [names[1]])


def test_split_and_unfinished_files(rec: Path, tmp_path: Path) -> None:
    first = tmp_path / "part_1.rec"
    rec.rename(first)
    with pytest.raises(ArgumentError, match="original"):
        T.split(first, tmp_path / "part", [1, 1])
    part = tmp_path / "y.rec.part"  # as an interrupted run leaves it
    first.rename(part)
    before = contents(tmp_path)
    for call in (T.repair, T.shuffle):
        with pytest.raises(ArgumentError, match="original"):
            call(part, tmp_path / "y.rec")
    assert contents(tmp_path) == before
    assert T.repair(part, tmp_path / "z.rec").records == 6


@pytest.mark.parametrize("plant", ["symlink_to", "hardlink_to"])
def test_a_link_in_the_place_of_an_unfinished_file_is_not_followed(
    plant: str, rec: Path, tmp_path: Path
) -> None:
    """Its name is known before; whoever may write to the folder could put it there."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    write_list(tmp_path / "out.lst", [])
    images = tmp_path / "images"
    images.mkdir()
    for name, run in {
        "out.rec.part": lambda: T.shuffle(rec, tmp_path / "out.rec"),
        "out.rec.part.json": lambda: T.write_records(tmp_path / "out.lst", images),
    }.items():
        getattr(tmp_path / name, plant)(victim)
        with pytest.raises(RecordError, match=f"{name} is a .* link"):
            run()
        (tmp_path / name).unlink()
    assert victim.read_bytes() == b"precious" and not (tmp_path / "out.rec").exists()


def test_names_as_long_as_they_may_be(rec: Path, tmp_path: Path) -> None:
    name = "n" * 251
    (tmp_path / f"{name}.lst").write_text("")
    assert T.shuffle(rec, tmp_path / f"{name}.rec").records == 6
    (tmp_path / "images").mkdir()
    (tmp_path / f"{name}.rec").unlink()
    assert T.write_records(tmp_path / f"{name}.lst", tmp_path / "images").records == 0
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(RecordError, match="cannot be written: File name too long"):
        T.shuffle(rec, tmp_path / ("n" * 255))  # its index would have a longer name
    assert sorted(os.listdir(tmp_path)) == before


def test_an_output_keeps_its_permissions(rec: Path, tmp_path: Path) -> None:
    (tmp_path / "y.rec").touch(0o600)
    T.shuffle(rec, tmp_path / "y.rec")
    assert (tmp_path / "y.rec").stat().st_mode & 0o777 == 0o600


def test_only_files_are_replaced(rec: Path, tmp_path: Path) -> None:
    (tmp_path / "out.rec").mkdir()
    (tmp_path / "out.idx").write_bytes(b"precious")
    os.mkfifo(tmp_path / "pipe.rec")
    for name in ("out.rec", "pipe.rec"):
        with pytest.raises(ArgumentError, match="is not a regular file"):
            T.shuffle(rec, tmp_path / name)
    assert (tmp_path / "out.idx").read_bytes() == b"precious"


def test_a_pipe_is_not_a_record_file(rec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = f"cat {rec} | {sys.executable} -m gpuio verify /dev/stdin"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "is a pipe or a device" in done.stderr


def test_exclusive_files_are_never_stale(tmp_path: Path) -> None:
    """Threads take turns: each creates the file, or finds it, and removes it."""
    path = str(tmp_path / "x")
    owners, most, failures = [0], [0], []

    def run() -> None:
        for _ in range(300):
            try:
                with open_exclusive(path) as file:
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


def test_lists_are_complete_or_absent(tmp_path: Path) -> None:
    (tmp_path / "x.lst").write_text("0\t0.000000\tgood.jpg\n")

    def items() -> Iterator[ListItem]:
        yield ListItem(0, (0.0,), "a.jpg")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_list(tmp_path / "x.lst", items())
    assert contents(tmp_path) == {"x.lst": b"0\t0.000000\tgood.jpg\n"}


def test_a_prefix_that_is_a_folder_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list next to the folder is the one that was made, and it is used."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for number in range(4):
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(jpeg(number))
    assert main(["im2rec", "photos", "photos", "--list"]) == 0
    lines = (tmp_path / "photos.lst").read_text().splitlines(keepends=True)
    (tmp_path / "photos.lst").write_text("".join(lines[:3]))
    assert main(["im2rec", "photos", "photos", "--pass-through"]) == 0
    assert T.info("photos.rec").records == 3
    # A folder stands for the lists in it, but is no name of a new one.
    (tmp_path / "photos.rec").unlink()
    assert main(["im2rec", "./", "photos"]) == 0
    assert T.info("photos.rec").records == 3
    assert main(["im2rec", "./", "photos", "--list"]) == 2
