"""gpuio im2rec: what it prints, and its exit statuses."""

import shutil
from pathlib import Path

import pytest

from gpuio.tools.cli import main
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
