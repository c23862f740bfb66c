"""gpuio demo: what it prints, and the sheet it draws."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

import gpuio as mx
from gpuio import native
from gpuio.tools.cli import main
from gpuio.tools.samples import make_samples
from tests.tools.process import failure

ROOT = Path(__file__).parents[2] / "golden" / "data" / "im2rec_root"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Three folders of images, one of them broken."""
    shutil.copytree(ROOT, tmp_path / "images", copy_function=shutil.copyfile)
    return tmp_path / "images"


def test_demo_of_a_folder(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["demo", "--images", images, "--epochs", 1, "--output", tmp_path / "out"]
    assert main([*map(str, arguments), "--ctx", "cpu"]) == 0
    out = capsys.readouterr().out
    assert "6 in 4 folders" in out
    assert "device  cpu(0), " in out
    by = "the native module" if native.state()[0] else "simplejpeg and OpenCV"
    assert f"JPEGs  decoded by {by}, " in out
    assert "float32 (6, 3, 224, 224) on cpu(0), labels (6,)" in out
    assert out.count("images/s") == 2
    assert "1 unreadable" in out and "images.rec, key 0" in out
    assert f"contact sheet  {tmp_path}/out/train-batch.png" in out
    with Image.open(tmp_path / "out" / "train-batch.png") as sheet:
        assert sheet.width > 3 * 224
    assert not [line for line in out.splitlines() if len(line) > 200]


def test_demo_of_a_record_file(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        f"{i}\t{i % 3}\t0.5\t{path.relative_to(images)}"
        for i, path in enumerate(sorted(images.glob("**/i*.*")))
    ]
    (tmp_path / "x.lst").write_text("\n".join(lines))
    assert main(["im2rec", str(tmp_path / "x"), str(images), "--pack-label"]) == 0
    arguments = ["demo", "--rec", tmp_path / "x.rec", "--epochs", 1, "--output", tmp_path / "out"]
    for index in ([], ["--idx", tmp_path / "x.idx"]):
        assert main([*map(str, [*arguments, *index]), "--batch-size", "4", "--ctx", "cpu"]) == 0
        out = capsys.readouterr().out
        assert f"5 images in {tmp_path}/x.rec" in out
        assert "float32 (4, 3, 224, 224) on cpu(0), labels (4, 2)" in out
        (tmp_path / "out" / "train-batch.png").unlink()


def test_demo_on_each_device(
    ctx: mx.Context, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_samples(tmp_path / "samples", per_class=1)
    images, output = str(tmp_path / "samples"), str(tmp_path / "out")
    device = ["--ctx", f"{ctx.device_type}:0"]
    assert main(["demo", "--images", images, "--epochs", "1", "--output", output, *device]) == 0
    out = capsys.readouterr().out
    assert f"(10, 3, 224, 224) on {ctx}" in out
    assert "10 in 10 folders" in out


def test_demo_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = ("--output", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    line = failure(capsys, "demo", "--images", tmp_path / "empty", *output)
    assert "no images" in line and "give one with images" in line
    line = failure(capsys, "demo", "--images", tmp_path / "nowhere", *output)
    assert "nowhere is not a folder" in line
    assert "x.rec does not exist" in failure(capsys, "demo", "--rec", tmp_path / "x.rec", *output)
    assert "add --rec" in failure(capsys, "demo", "--idx", tmp_path / "x.idx", *output)
    assert "batch_size must be" in failure(capsys, "demo", "--batch-size", 0, *output)
    assert "not 'tpu'" in failure(capsys, "demo", "--ctx", "tpu", *output)
    (tmp_path / "empty.rec").touch()
    assert "has no images" in failure(capsys, "demo", "--rec", tmp_path / "empty.rec", *output)
    number = mx.num_gpus()  # one more than there are
    line = failure(capsys, "demo", "--ctx", f"gpu:{number}", *output)
    assert f"gpu({number})" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["--images", "--output"])
def test_folders_are_local(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "not the URL s3://b/x" in failure(capsys, "demo", option, "s3://b/x")
    assert list(tmp_path.iterdir()) == []
