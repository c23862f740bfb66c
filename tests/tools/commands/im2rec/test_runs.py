"""Runs over several lists, interrupted and run again."""

import os
import time
from pathlib import Path

import pytest

from gpuio.terminal import counted
from gpuio.tools.cli import main
from tests.io.records import jpeg
from tests.tools.process import stop_at


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of 40 images, older than any run."""
    folder = tmp_path / "images"
    folder.mkdir()
    hour = time.time() - 3600
    for number in range(40):
        path = folder / f"{number:02}.jpg"
        path.write_bytes(jpeg(number))
        os.utime(path, (hour, hour))
    return folder


def arguments(images: Path, *options: str) -> list[str]:
    return ["im2rec", str(images.parent / "x"), str(images), "--pass-through", *options]


def interrupt(images: Path, opening: int) -> None:
    """Interrupt the run when it reads an image."""
    assert main(arguments(images, "--list", "--test-ratio", "0.5")) == 0
    run = stop_at(".jpg", *arguments(images), "--num-thread", "1", opening=opening)
    assert run.returncode == 130


def complete(images: Path) -> dict[str, bytes]:
    """The files that an uninterrupted run makes."""
    files = sorted(images.parent.glob("x*"))
    for path in files:
        if path.suffix != ".lst":
            path.unlink()
    assert main(arguments(images)) == 0
    return {path.name: path.read_bytes() for path in images.parent.glob("x*")}


@pytest.mark.parametrize(
    ("opening", "kept"), [(1, []), (10, [9]), (21, [20]), (22, [20, 1]), (35, [20, 14])]
)
def test_a_run_resumes_at_the_list_where_it_stopped(
    opening: int, kept: list[int], images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupt(images, opening)
    assert (images.parent / "x_test.rec").exists() == (opening > 20)
    capsys.readouterr()
    assert main(arguments(images)) == 0
    lines = capsys.readouterr().out.splitlines()
    resumed = [line for line in lines if line.startswith("resumed")]
    assert resumed == [
        f"resumed after {counted(count, 'record')} of an interrupted run" for count in kept
    ]
    files = {path.name: path.read_bytes() for path in images.parent.glob("x*")}
    assert files == complete(images)
    assert sorted(files) == [f"x_{part}.{kind}" for part in ("test", "train")
                             for kind in ("idx", "lst", "rec")]  # fmt: skip


@pytest.mark.parametrize("change", ["option", "list", "image", "record file", "no resume"])
def test_what_has_changed_is_packed_again(
    change: str, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupt(images, 25)
    options = []
    first = (images.parent / "x_test.lst").read_text().splitlines()
    if change == "option":
        options = ["--pack-label"]
    elif change == "list":
        (images.parent / "x_test.lst").write_text("\n".join(first[::-1]))
    elif change == "image":
        (images / first[3].split("\t")[2]).write_bytes(jpeg(99))
    elif change == "record file":
        (images.parent / "x_test.rec").write_bytes(b"")
    else:
        options = ["--no-resume"]
    capsys.readouterr()
    assert main(arguments(images, *options)) == 0
    out = capsys.readouterr().out
    assert "resumed after 20" not in out
    assert ("resumed after 4" in out) == (change in ("list", "image", "record file"))
    files = {path.name: path.read_bytes() for path in images.parent.glob("x*")}
    assert files == complete(images)


def test_what_was_left_out_is_reported_again(
    images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(images, "--list", "--test-ratio", "0.5")) == 0
    path = images.parent / "x_test.lst"
    path.write_text("nonsense\n" + path.read_text())
    run = stop_at(".jpg", *arguments(images), "--num-thread", "1", opening=30)
    assert run.returncode == 130
    capsys.readouterr()
    assert main(arguments(images)) == 1
    captured = capsys.readouterr()
    assert "resumed after 20 records" in captured.out
    assert f"left out: {path} line 1: " in captured.err
