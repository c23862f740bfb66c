"""The command ``gpuio``: what it does, what it says, and how it ends."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import gpuio as mx
from gpuio.tools.cli import main
from gpuio.tools.samples import make_samples

ROOT = Path(__file__).parents[1] / "golden" / "data" / "im2rec_root"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three folders of pictures, one of which is none."""
    shutil.copytree(ROOT, tmp_path / "pictures", copy_function=shutil.copyfile)
    return tmp_path / "pictures"


def failure(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """The line with which a command fails."""
    assert main([str(word) for word in words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("gpuio: ")
    return line


def test_python_m_gpuio(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gpuio", "--version"],
        capture_output=True,
        text=True,
        cwd=Path(mx.__file__).parents[1],
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"gpuio {mx.__version__}\n", "")


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert "demo" in out and "im2rec" in out
    with pytest.raises(SystemExit) as end:
        main(["pack"])
    assert end.value.code == 2


def test_the_commands_import_nothing_heavy_before_they_run() -> None:
    code = """
import sys
from gpuio.tools.cli import main
try:
    main(["demo", "--help"])
except SystemExit:
    pass
heavy = {"cv2", "PIL", "tqdm", "skimage", "sklearn", "gpuio.io"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=Path(mx.__file__).parents[1],
        timeout=60,
    )


def test_im2rec_in_one_go_and_in_two(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = ["im2rec", str(tmp_path / "x"), str(pictures), "--recursive", "--pass-through"]
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
        f"stored, but no image: {pictures}/ant/broken.jpg: not an image: its first bytes are "
        "6e 6f 74 20 61 6e 20 69"
    ]
    records = (tmp_path / "x.rec").read_bytes()

    (tmp_path / "y").mkdir()
    two = ["im2rec", str(tmp_path / "y" / "z"), str(pictures)]
    assert main([*two, "--list", "--recursive"]) == 0
    assert [path.name for path in (tmp_path / "y").iterdir()] == ["z.lst"]
    assert main([*two, "--pass-through", "--num-thread", "2"]) == 0
    assert (tmp_path / "y" / "z.rec").read_bytes() == records
    assert "using" in capsys.readouterr().out


def test_im2rec_ends_with_1_where_images_are_left_out(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["im2rec", tmp_path / "x", pictures, "--recursive", "--resize", 32]
    assert main([str(word) for word in words]) == 1
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [
        f"left out: {pictures}/ant/broken.jpg: not an image that OpenCV reads"
    ]
    assert "5 records" in captured.out


def test_im2rec_says_what_is_missing(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = failure(capsys, "im2rec", tmp_path / "x", pictures)
    assert line.endswith(f"in {pictures}; add --recursive to look into its folders")
    assert not (tmp_path / "x.lst").exists()
    assert "is not a folder" in failure(capsys, "im2rec", tmp_path / "x", tmp_path / "nowhere")
    line = failure(capsys, "im2rec", tmp_path / "nowhere" / "x", pictures, "--recursive")
    assert line.endswith("nowhere does not exist; create it first")
    line = failure(capsys, "im2rec", tmp_path / "x", pictures, "--recursive", "--quality", 101)
    assert "quality must be from 1 to 100" in line


def test_demo_of_a_folder(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["demo", "--images", pictures, "--epochs", 1, "--output", tmp_path / "out"]
    assert main([*map(str, words), "--ctx", "cpu"]) == 0
    out = capsys.readouterr().out
    assert "6 in 4 folders" in out
    assert "device  cpu(0), " in out
    assert "float32 (6, 3, 224, 224) on cpu(0), labels (6,)" in out
    assert out.count("images/s") == 2
    assert "1 that cannot be used" in out and "pictures.rec, key 0" in out
    assert f"contact sheet  {tmp_path}/out/train-batch.png" in out
    with Image.open(tmp_path / "out" / "train-batch.png") as sheet:
        assert sheet.width > 3 * 224
    assert not [line for line in out.splitlines() if len(line) > 200]


def test_demo_of_a_record_file(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        f"{i}\t{i % 3}\t0.5\t{path.relative_to(pictures)}"
        for i, path in enumerate(sorted(pictures.glob("**/i*.*")))
    ]
    (tmp_path / "x.lst").write_text("\n".join(lines))
    assert main(["im2rec", str(tmp_path / "x"), str(pictures), "--pack-label"]) == 0
    words = ["demo", "--rec", tmp_path / "x.rec", "--epochs", 1, "--output", tmp_path / "out"]
    for index in ([], ["--idx", tmp_path / "x.idx"]):
        assert main([*map(str, [*words, *index]), "--batch-size", "4", "--ctx", "cpu"]) == 0
        out = capsys.readouterr().out
        assert f"5 images in {tmp_path}/x.rec" in out
        assert "float32 (4, 3, 224, 224) on cpu(0), labels (4, 2)" in out
        (tmp_path / "out" / "train-batch.png").unlink()


def test_demo_on_each_device(
    ctx: mx.Context, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_samples(tmp_path / "samples", per_class=1)
    words = ["--epochs", "1", "--output", str(tmp_path / "out"), "--ctx", f"{ctx.device_type}:0"]
    assert main(["demo", "--images", str(tmp_path / "samples"), *words]) == 0
    out = capsys.readouterr().out
    assert f"(10, 3, 224, 224) on {ctx}" in out
    assert "10 in 10 folders" in out


def test_demo_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = ("--output", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    line = failure(capsys, "demo", "--images", tmp_path / "empty", *output)
    assert "no images" in line and "name a folder that has some" in line
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
