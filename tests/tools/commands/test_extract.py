"""gpuio extract: the images of a record file as files."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, RecordError
from gpuio.tools.cli import main
from tests.io.records import jpeg, write_records
from tests.tools.process import ROOT, failure, stop_at

GOLDEN = Path(__file__).parents[2] / "golden" / "data"


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("labels", [None, [[n, 0.5] for n in range(4)], [0.5, 1, 1, 2]])
def test_packed_again_the_records_are_the_same(labels: list | None, tmp_path: Path) -> None:
    files = write_records(tmp_path / "x", [jpeg(number) for number in range(4)], labels)
    done = mx.tools.extract(files["path_imgrec"], tmp_path / "out")
    assert done.images == 4 and done.bad == []
    assert main(["im2rec", str(tmp_path / "out" / "records"), str(tmp_path / "out"),
                 "--pass-through", "--pack-label"]) == 0  # fmt: skip
    for extension in (".rec", ".idx"):
        packed = (tmp_path / "out" / f"records{extension}").read_bytes()
        assert packed == (tmp_path / f"x{extension}").read_bytes()


def test_folders_and_names(tmp_path: Path) -> None:
    files = write_records(
        tmp_path / "x", [jpeg(0), jpeg(1), b"no image", jpeg(3)], [2, [1, 2], 3, 0.5]
    )
    done = mx.tools.extract(files["path_imgrec"], tmp_path / "out")
    assert files_in(tmp_path / "out") == [
        "2/0.jpg",
        "images/10.jpg",
        "images/30.jpg",
        "records.lst",
    ]
    assert (tmp_path / "out" / "2" / "0.jpg").read_bytes() == jpeg(0)
    (bad,) = done.bad
    assert "key 20" in bad.path
    only = mx.tools.extract(files["path_imgrec"], tmp_path / "some", keys=[30, 0])
    assert only.images == 2 and files_in(tmp_path / "some")[0] == "2/0.jpg"
    assert mx.tools.extract(files["path_imgrec"], tmp_path / "two", labels=[2]).images == 1
    with pytest.raises(ArgumentError, match="no image with key 7"):
        mx.tools.extract(files["path_imgrec"], tmp_path / "none", keys=[7])


def test_formats_keep_their_extensions(tmp_path: Path) -> None:
    mx.tools.extract(GOLDEN / "special.rec", tmp_path / "out", GOLDEN / "special.idx")
    extensions = {Path(name).suffix for name in files_in(tmp_path / "out")}
    assert {".jpg", ".png", ".lst"} <= extensions


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    arguments = ["extract", str(GOLDEN / "img.rec"), str(out)]
    first, second, *_ = mx.recordio.Index.load(GOLDEN / "img.idx").keys.tolist()
    asked = [argument for key in (first, second, first) for argument in ("--key", str(key))]
    assert main([*arguments, *asked]) == 0
    assert capsys.readouterr().out == f"{out}: 2 images; {out / 'records.lst'} lists them\n"
    files = write_records(tmp_path / "x", [b"no image", jpeg(1)])
    assert main(["extract", str(files["path_imgrec"]), str(tmp_path / "other")]) == 1
    assert "left out" in capsys.readouterr().out
    assert main([*arguments, "--key", "99"]) == 2


def test_records_with_the_same_key_are_all_written(tmp_path: Path) -> None:
    rec = tmp_path / "x.rec"
    images = [jpeg(number) for number in range(3)]
    with mx.recordio.MXIndexedRecordIO(rec.with_suffix(".idx"), rec, "w") as writer:
        for image in images:
            writer.write_idx(7, mx.recordio.pack(mx.recordio.IRHeader(0, 1.0, 7, 0), image))
    done = mx.tools.extract(rec, tmp_path / "folder", keys=(key for key in [7]))
    assert done.images == 1
    done = mx.tools.extract(rec, tmp_path / "folder", force=True)
    assert done.images == 3
    names = [line.split("\t")[2] for line in Path(done.lst).read_text().splitlines()]
    assert names == ["1/7.jpg", "1/7-2.jpg", "1/7-3.jpg"]
    assert [(tmp_path / "folder" / name).read_bytes() for name in names] == images


def test_small_labels_are_preserved(tmp_path: Path) -> None:
    labels = [1e-7, 0.1, 3.0, -2.5e-30, 16777217.0]
    rec = write_records(tmp_path / "x", [jpeg(n) for n in range(5)], labels)["path_imgrec"]
    done = mx.tools.extract(rec, tmp_path / "folder")
    packed = mx.tools.write_records(done.lst, done.folder, pass_through=True, pack_label=True)
    assert Path(packed.rec).read_bytes() == rec.read_bytes()


def test_records_of_other_labels_are_not_decoded(tmp_path: Path) -> None:
    rec = write_records(tmp_path / "x", [jpeg(0), b"no image"], [3, 0])["path_imgrec"]
    done = mx.tools.extract(rec, tmp_path / "folder", labels=[3])
    assert (done.images, done.bad) == (1, [])


@pytest.fixture
def rec(tmp_path: Path) -> Path:
    """Four images with the labels 0, 1, 2 and 0, and the keys 0, 10, 20 and 30."""
    images = [jpeg(number) for number in range(4)]
    return Path(write_records(tmp_path / "x", images, [0, 1, 2, 0])["path_imgrec"])


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in files_in(folder)}


def test_existing_files_are_replaced_only_by_force(
    rec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is written unless all can be."""
    out = tmp_path / "out"
    complete = mx.tools.extract(rec, tmp_path / "complete").folder
    (out / "0").mkdir(parents=True)
    (out / "2").mkdir()
    (out / "0" / "other.jpg").write_bytes(b"mine")
    for name in ("0/30.jpg", "2/20.jpg"):
        (out / name).write_bytes(b"precious")
    before = contents(out)
    line = failure(capsys, "extract", rec, out)
    assert "2 of the files to be written exist already, the first is" in line
    assert "--force" in line and contents(out) == before
    assert main(["extract", str(rec), str(out), "--force"]) == 0
    assert contents(out) == {**contents(Path(complete)), "0/other.jpg": b"mine"}
    with pytest.raises(ArgumentError, match="5 of the files to be written exist"):
        mx.tools.extract(rec, out)
    (tmp_path / "listed").mkdir()
    (tmp_path / "listed" / "records.lst").write_bytes(b"precious")
    with pytest.raises(ArgumentError, match=r"1 of the files .* the first is .*records\.lst"):
        mx.tools.extract(rec, tmp_path / "listed")


PLANTS: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "a link to a folder": (
        lambda out, outside: (out / "0").symlink_to(outside),
        "0 is a link or not a folder",
    ),
    "a dangling link": (
        lambda out, outside: (out / "0").symlink_to(outside / "missing"),
        "0 is a link or not a folder",
    ),
    "a file": (lambda out, _: (out / "0").touch(), "0 is a link or not a folder"),
    "a link to a file": (
        lambda out, outside: [(out / "0").mkdir(), (out / "0/30.jpg").symlink_to(outside / "file")],
        "30.jpg exists and is not a regular file",
    ),
    "a folder": (
        lambda out, _: (out / "0" / "30.jpg").mkdir(parents=True),
        "30.jpg exists and is not a regular file",
    ),
    "a link for the list": (
        lambda out, outside: (out / "records.lst").symlink_to(outside / "file"),
        "records.lst exists and is not a regular file",
    ),
}


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("name", PLANTS)
def test_links_in_the_folder_are_not_followed(
    name: str, force: bool, rec: Path, tmp_path: Path
) -> None:
    out, outside = tmp_path / "out", tmp_path / "outside"
    out.mkdir()
    outside.mkdir()
    (outside / "file").write_bytes(b"precious")
    plant, message = PLANTS[name]
    plant(out, outside)
    before = files_in(tmp_path)
    with pytest.raises(ArgumentError, match=message):
        mx.tools.extract(rec, out, force=force)
    assert contents(outside) == {"file": b"precious"} and files_in(tmp_path) == before


def test_the_folder_itself_may_be_a_link(rec: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to("real")
    assert mx.tools.extract(rec, tmp_path / "out").images == 4
    assert len(files_in(tmp_path / "real")) == 5


@pytest.mark.parametrize("name", ["x.rec", "x.rec/below", "a\0b", "n" * 256])
def test_what_cannot_be_a_folder(name: str, rec: Path, tmp_path: Path) -> None:
    with pytest.raises(
        (ArgumentError, RecordError), match=r"not a folder|cannot be written|null character"
    ):
        mx.tools.extract(rec, tmp_path / name)


def test_more_labels_than_files_can_be_open(tmp_path: Path) -> None:
    files = write_records(tmp_path / "x", [jpeg(0, 8, 8)] * 200, list(range(200)))
    command = ["prlimit", "--nofile=64", sys.executable, "-m", "gpuio", "extract"]
    arguments = [str(files["path_imgrec"]), str(tmp_path / "out")]
    done = subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(files_in(tmp_path / "out")) == 201


def test_an_interrupt_leaves_whole_images_and_no_list(rec: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    # The folder is opened, then for each image its subfolder and a temporary file.
    run = stop_at(".part", "extract", rec, out, opening=3)
    assert run.returncode == 130, run.stderr
    left = contents(out)
    assert "records.lst" not in left and set(left) <= {"0/0.jpg", "1/10.jpg", "2/20.jpg"}
    assert left["0/0.jpg"] == jpeg(0)
    assert main(["extract", str(rec), str(out), "--force"]) == 0
    assert len(files_in(out)) == 5 and not os.path.exists(out / "0" / "0.jpg.part")
