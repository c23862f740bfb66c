"""gpuio im2rec: what it prints, and its exit statuses."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import gpuio as mx
from gpuio.tools.cli import main
from tests.io.records import jpeg
from tests.tools.process import ROOT as REPOSITORY
from tests.tools.process import failure

ROOT = Path(__file__).parents[3] / "golden" / "data" / "im2rec_root"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Three folders of images, one of them broken."""
    shutil.copytree(ROOT, tmp_path / "images", copy_function=shutil.copyfile)
    return tmp_path / "images"


def test_im2rec_in_one_go_and_in_two(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = ["im2rec", str(tmp_path / "x"), str(images), "--recursive", "--pass-through"]
    assert main(one) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        "ant 0",
        "cat 1",
        "dog 2",
        "dog/puppy 3",
        f"{tmp_path}/x.lst: 6 images",
        f"{tmp_path}/x.rec: 6 records, 0.0 MB",
    ]
    assert captured.err.splitlines() == [
        f"stored, but not an image: {images}/ant/broken.jpg: not an image: its first bytes are "
        "6e 6f 74 20 61 6e 20 69"
    ]
    records = (tmp_path / "x.rec").read_bytes()

    (tmp_path / "y").mkdir()
    two = ["im2rec", str(tmp_path / "y" / "z"), str(images)]
    assert main([*two, "--list", "--recursive"]) == 0
    assert [path.name for path in (tmp_path / "y").iterdir()] == ["z.lst"]
    assert main([*two, "--pass-through", "--num-thread", "2"]) == 0
    assert (tmp_path / "y" / "z.rec").read_bytes() == records
    assert "using" in capsys.readouterr().out


def test_lists_of_a_killed_run_are_not_taken_for_all(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["im2rec", str(tmp_path / "x"), str(images), "--pass-through"]
    several = [*command, "--recursive", "--chunks", "2"]
    assert main([*several, "--list"]) == 0
    whole = {path.name: path.read_bytes() for path in tmp_path.glob("x*")}
    # As a kill leaves them after the first has its name.
    (tmp_path / "x_1.lst").rename(tmp_path / f"x_1.lst.{'0' * 16}.part")
    line = failure(capsys, *command)
    assert "x_1.lst: a run that made lists was interrupted" in line and "again with --list" in line
    assert main(several) == 0
    assert "making the lists again" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in tmp_path.glob("x*.lst*")} == whole
    assert (tmp_path / "x_1.rec").exists()
    # That of a list which is there means nothing.
    (tmp_path / f"x_1.lst.{'0' * 16}.part").touch()
    assert main(command) == 0


def test_im2rec_ends_with_1_where_images_are_left_out(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["im2rec", tmp_path / "x", images, "--recursive", "--resize", 32]
    assert main([str(argument) for argument in arguments]) == 1
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [
        f"left out: {images}/ant/broken.jpg: not an image that OpenCV can read"
    ]
    assert "5 records" in captured.out


def lists(prefix: Path) -> dict[str, list[str]]:
    """The lines of each list with a prefix."""
    return {
        path.name: path.read_text().splitlines()
        for path in prefix.parent.glob(f"{prefix.name}*.lst")
    }


@pytest.mark.parametrize("program", [["gpuio", "im2rec"], ["gpuio.tools.im2rec"]])
def test_the_commands_of_mxnets_tutorial(program: list[str], images: Path, tmp_path: Path) -> None:
    """As they are printed there."""
    (tmp_path / "data").mkdir()
    images.rename(tmp_path / "data" / "101_ObjectCategories")

    def run(arguments: str) -> None:
        subprocess.run(
            [sys.executable, "-m", *program, *arguments.split()],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            check=True,
            timeout=100,
        )

    run(
        "--list=1 --recursive=1 --shuffle=1 --test-ratio=0.2 data/caltech data/101_ObjectCategories"
    )
    made = lists(tmp_path / "data" / "caltech")
    assert {name: len(lines) for name, lines in made.items()} == {
        "caltech_test.lst": 1,
        "caltech_train.lst": 5,
    }
    run("--num-thread=4 --pass-through=1 data/caltech data/101_ObjectCategories")
    for name, lines in made.items():
        rec = tmp_path / "data" / name.replace(".lst", ".rec")
        keys = [int(line.split("\t")[0]) for line in lines]
        with mx.recordio.MXIndexedRecordIO(rec.with_suffix(".idx"), rec, "r") as reader:
            assert reader.keys == keys
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [
        "101_ObjectCategories",
        *(f"caltech_{part}.{kind}" for part in ("test", "train") for kind in ("idx", "lst", "rec")),
    ]


@pytest.mark.parametrize("true", ["", "=1", " 1", "=True", " true", "=YES", " yes"])
def test_flags_may_have_a_value(true: str, images: Path, tmp_path: Path) -> None:
    """Before the paths and after them."""
    before = f"--list{true} --recursive{true} --no-shuffle{true}".split()
    assert main(["im2rec", *before, str(tmp_path / "a"), str(images)]) == 0
    assert main(["im2rec", str(tmp_path / "b"), str(images), *before]) == 0
    made = lists(tmp_path / "a")["a.lst"]
    assert made == lists(tmp_path / "b")["b.lst"] == sorted(made) and len(made) == 6
    packing = f"--pass-through{true} --pack-label{true} --center-crop{true}".split()
    assert main(["im2rec", *packing, str(tmp_path / "a"), str(images)]) == 0
    assert (tmp_path / "a.rec").exists()


@pytest.mark.parametrize("false", ["=0", " 0", "=False", " false", "=NO", " no"])
def test_flags_may_be_false(
    false: str, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flat = images / "cat"
    arguments = f"--list 1 --recursive{false} --no-shuffle{false}".split()
    assert main(["im2rec", *arguments, str(tmp_path / "a"), str(flat)]) == 0
    assert main(["im2rec", "--list", str(tmp_path / "b"), str(flat)]) == 0
    assert lists(tmp_path / "a")["a.lst"] == lists(tmp_path / "b")["b.lst"]
    assert (
        main(["im2rec", "--list", *f"--shuffle{false}".split(), str(tmp_path / "c"), str(flat)])
        == 0
    )
    assert lists(tmp_path / "c")["c.lst"] == sorted(lists(tmp_path / "b")["b.lst"])
    # It packs, although an option is called --list.
    arguments = f"--list{false} --pass-through{false} --no-resume{false}".split()
    assert main(["im2rec", *arguments, str(tmp_path / "a"), str(flat)]) == 0
    assert "a.rec: 2 records" in capsys.readouterr().out


def test_paths_are_not_taken_for_values(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    assert main(["im2rec", "--recursive", "data/x", "images", "--list"]) == 0
    assert len(lists(tmp_path / "data" / "x")["x.lst"]) == 6
    assert main(["im2rec", "--list", "--rec", "--shuf", "--", "0", "images"]) == 0
    assert len(lists(tmp_path / "0")["0.lst"]) == 6


def test_flags_that_are_wrong(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, message in (
        (
            ["--list=maybe"],
            "--list: expected no value, or 1, 0, true, false, yes or no, not 'maybe'",
        ),
        (["--list="], "expected no value, or 1, 0, true, false, yes or no, not ''"),
        (["--shuffle", "--no-shuffle"], "--no-shuffle: not allowed with argument --shuffle"),
        (["--no-shuffle", "1", "--shuffle=1"], "--shuffle: not allowed with argument --no-shuffle"),
        (["--recursive", "perhaps"], "'perhaps' is one argument too many"),
    ):
        with pytest.raises(SystemExit):
            main(["im2rec", str(tmp_path / "x"), str(images), *arguments])
        assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("x*"))


def test_lists_whose_names_go_on_are_of_another_prefix(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """MXNet packs them too, from the wrong folder."""
    line = "0\t0\tcat/i0.jpg\n"
    for name in ("x2", "x_train", "x-val", "x.old", "xy"):
        (tmp_path / f"{name}.lst").write_text(line)
    (tmp_path / "x2.rec").write_bytes(b"precious")
    (tmp_path / "x_.lst").mkdir()
    arguments = ["im2rec", str(tmp_path / "x"), str(images)]
    assert main(arguments) == 0
    assert sorted(path.stem for path in tmp_path.glob("*.idx")) == ["x-val", "x.old", "x_train"]
    assert (tmp_path / "x2.rec").read_bytes() == b"precious"
    assert (
        f"not using {tmp_path}/x2.lst, {tmp_path}/xy.lst: of another prefix"
        in capsys.readouterr().out
    )
    for name in ("x_train", "x-val", "x.old"):
        (tmp_path / f"{name}.lst").unlink()
    error = failure(capsys, *arguments)
    assert error.endswith(
        f"there is no list {tmp_path}/x.lst, but {tmp_path}/x2.lst, {tmp_path}/xy.lst: give its "
        "whole name, or --list to make new lists"
    )
    assert main(["im2rec", str(tmp_path / "x2.lst"), str(images)]) == 0
    assert (tmp_path / "x2.rec").read_bytes() != b"precious"
    assert main([*arguments, "--list", "--recursive"]) == 0
    assert main(arguments) == 1 and (tmp_path / "x.rec").exists()


def test_older_lists_of_the_prefix_are_mentioned(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["im2rec", str(tmp_path / "x"), str(images), "--list", "--recursive"]
    assert main(arguments) == 0
    assert "also packed" not in capsys.readouterr().out
    assert main([*arguments, "--test-ratio", "0.5"]) == 0
    assert f"{tmp_path}/x.lst: also packed by this prefix" in capsys.readouterr().out


def test_images_that_rounding_leaves_out_are_counted(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["im2rec", str(tmp_path / "x"), str(images), "--list", "--recursive"]
    assert main([*arguments, "--train-ratio", "0.75", "--test-ratio", "0.25"]) == 0
    assert "in none of the lists, since both ratios are rounded down: 1" in capsys.readouterr().out
    assert main([*arguments, "--train-ratio", "0.5", "--test-ratio", "0.5"]) == 0
    assert "in none" not in capsys.readouterr().out


def test_a_wrong_folder_does_not_empty_a_record_file(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["im2rec", str(tmp_path / "x"), str(images), "--recursive", "--pass-through"]
    assert main(arguments) == 0
    before = {path.name: path.read_bytes() for path in tmp_path.glob("x*")}
    (tmp_path / "empty").mkdir()
    capsys.readouterr()
    error = failure(capsys, "im2rec", tmp_path / "x", tmp_path / "empty")
    assert f"none of the 6 lines of {tmp_path}/x.lst can be used" in error
    assert f"{tmp_path}/x.rec stays as it is" in error and "No such file" in error
    assert {path.name: path.read_bytes() for path in tmp_path.glob("x*")} == before


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_folder_as_prefix(
    slash: str, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name is the prefix, unless the lists are in it."""
    monkeypatch.chdir(tmp_path)
    assert main(["im2rec", f"images{slash}", "images", "--recursive", "--pass-through"]) == 0
    assert (tmp_path / "images.rec").exists()
    (tmp_path / "lists").mkdir()
    (tmp_path / "images.lst").rename(tmp_path / "lists" / "some.lst")
    assert main(["im2rec", f"lists{slash}", "images", "--pass-through"]) == 0
    assert (tmp_path / "lists" / "some.rec").exists()


@pytest.mark.parametrize("prefix", [".", "..", "/", "./", "lists/."])
def test_a_prefix_without_a_name(
    prefix: str,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    prefix = prefix.replace("lists", str(tmp_path / "lists"))
    for options in (["--list"], []):
        error = failure(capsys, "im2rec", prefix, images, "--recursive", *options)
        assert "PREFIX must end with part of a file name" in error


def test_a_record_file_as_prefix_and_swapped_arguments(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = failure(capsys, "im2rec", str(tmp_path / "x.rec"), str(images), "--recursive")
    assert line.endswith(f"give {tmp_path / 'x'}")
    line = failure(capsys, "im2rec", str(images), str(tmp_path / "x"), "--recursive")
    assert line.endswith(f"but {images} is one: PREFIX comes first, then ROOT")
    assert {path.name for path in tmp_path.iterdir()} == {"images"}


def test_names_of_every_kind(tmp_path: Path) -> None:
    root = tmp_path / "my pictures"
    for name in ("Bär & co/ä b.jpg", "日本/一.jpg", "plain/x.jpg"):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_bytes(jpeg(0))
    (root / "empty").mkdir()
    (root / "linked").symlink_to(root / "plain")
    prefix = tmp_path / "my lists" / "meine Bilder"
    prefix.parent.mkdir()
    assert main(["im2rec", str(prefix), str(root), "--recursive=1", "--no-shuffle"]) == 0
    lines = lists(prefix)["meine Bilder.lst"]
    assert [line.split("\t")[1:] for line in lines] == [
        ["0.000000", "Bär & co/ä b.jpg"],
        ["1.000000", "linked/x.jpg"],
        ["2.000000", "plain/x.jpg"],
        ["3.000000", "日本/一.jpg"],
    ]
    assert len(mx.recordio.Index.load(f"{prefix}.idx")) == 4


def test_im2rec_says_what_is_missing(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = failure(capsys, "im2rec", tmp_path / "x", images)
    assert line.endswith(f"in {images}; add --recursive to list its subfolders")
    assert not (tmp_path / "x.lst").exists()
    assert "is not a folder" in failure(capsys, "im2rec", tmp_path / "x", tmp_path / "nowhere")
    line = failure(capsys, "im2rec", tmp_path / "nowhere" / "x", images, "--recursive")
    assert line.endswith("nowhere does not exist; create it first")
    line = failure(capsys, "im2rec", tmp_path / "x", images, "--recursive", "--quality", 101)
    assert "quality must be from 1 to 100" in line
