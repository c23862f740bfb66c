"""Record files from lists: MXNet's own, whatever the number of threads, and bad images by name."""

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gpuio.errors import ArgumentError, RecordFileNotFoundError
from gpuio.recordio import MXIndexedRecordIO, unpack, unpack_img
from gpuio.tools.im2rec import im2rec, write_records

GOLDEN = Path(__file__).parents[1] / "golden"
DATA = GOLDEN / "data"
ROOT = DATA / "im2rec_root"

# What MXNet 1.9.1's im2rec made of the lists of these names, with which options.
CASES: dict[str, dict[str, Any]] = {
    "r_plain": {},
    "r_pass": {"pass_through": True},
    "r_resize": {"resize": 30},
    "r_crop": {"center_crop": True},
    "r_cropresize": {"center_crop": True, "resize": 30, "quality": 80},
    "r_png": {"encoding": ".png", "quality": 3, "resize": 24},
    "r_gray": {"color": 0, "resize": 24},
    "r_multi": {"pack_label": True, "resize": 24},
    "r_multi_nopack": {"resize": 24},
    "r_threads": {"num_thread": 2, "resize": 24},
}


@pytest.mark.parametrize("name", CASES)
def test_records_are_those_of_mxnet(name: str, tmp_path: Path) -> None:
    shutil.copy(DATA / "im2rec_out" / f"{name}.lst", tmp_path)
    packed = write_records(tmp_path / f"{name}.lst", ROOT, **CASES[name])
    manifest = json.loads((GOLDEN / "manifest.json").read_text())
    (case,) = (case for case in manifest["cases"] if case["case"] == f"im2rec_rec_{name}")
    assert (packed.records, packed.bad) == (len(case["headers"]), [])
    if name == "r_pass":
        for ending in ("rec", "idx"):
            theirs = DATA / "im2rec_out" / f"{name}.{ending}"
            assert (tmp_path / f"{name}.{ending}").read_bytes() == theirs.read_bytes()
    pictures = np.load(DATA / f"im2rec_{name}.npz")
    with MXIndexedRecordIO(packed.idx, packed.rec, "r") as reader:
        assert reader.keys == [key for key, *_ in case["headers"]]
        for key, flag, label, number, second, _ in case["headers"]:
            record = reader.read_idx(key)
            header, payload = unpack(record)
            assert (header.flag, header.id, header.id2) == (flag, number, second)
            np.testing.assert_array_equal(header.label, np.float32(label))
            assert payload.startswith(b"\x89PNG" if name == "r_png" else (b"\xff\xd8", b"\x89PNG"))
            picture = unpack_img(record)[1]
            np.testing.assert_array_equal(picture, pictures[f"k{key}"])


def test_the_number_of_threads_changes_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(60):
        # Of very different sizes, so that they are not done in the order in which they are begun.
        side = 400 if number % 7 == 0 else 8
        cv2.imwrite(f"{tmp_path}/{number}.png", rng.integers(0, 255, (side, side, 3), np.uint8))
    (one,) = im2rec(tmp_path / "one", tmp_path, num_thread=1)
    (many,) = im2rec(tmp_path / "many", tmp_path, num_thread=5)
    assert one.records == many.records == 60
    assert Path(one.rec).read_bytes() == Path(many.rec).read_bytes()
    assert Path(one.idx).read_bytes() == Path(many.idx).read_bytes()


def test_bad_images_are_reported_and_the_rest_is_packed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(ROOT, root)
    root.chmod(0o755)
    for folder in (path for path in root.rglob("*") if path.is_dir()):
        folder.chmod(0o755)
    (root / "ant" / "empty.jpg").touch()
    (root / "cat" / "dangling.jpg").touch()
    (packed,) = im2rec(tmp_path / "x", root, recursive=True, resize=24)
    assert packed.records == 5
    assert sorted((Path(path).name, reason) for path, reason in packed.bad) == [
        ("broken.jpg", "not an image that OpenCV reads"),
        ("dangling.jpg", "the file is empty"),
        ("empty.jpg", "the file is empty"),
    ]
    (tmp_path / "x.lst").write_text(
        "0\t0\tant/i4.jpg\nnonsense\n1\t0\tgone.jpg\n-1\t0\tant/i4.jpg\n"
    )
    packed = write_records(tmp_path / "x.lst", root, num_thread=2)
    assert packed.records == 1
    places = [path for path, _ in packed.bad]
    assert places == [f"{tmp_path}/x.lst line 2", f"{root}/gone.jpg", f"{root}/ant/i4.jpg"]
    assert packed.bad[1].reason == "No such file or directory"


def test_pass_through_takes_what_is_there(tmp_path: Path) -> None:
    (packed,) = im2rec(tmp_path / "x", ROOT, recursive=True, shuffle=False, pass_through=True)
    assert (packed.records, packed.bad) == (6, [])
    with MXIndexedRecordIO(packed.idx, packed.rec, "r") as reader:
        assert unpack(reader.read_idx(0))[1] == b"not an image"


def test_one_packed_file_for_each_list(tmp_path: Path) -> None:
    done = im2rec(
        tmp_path / "x", ROOT, recursive=True, train_ratio=0.5, chunks=2, pass_through=True
    )
    assert sum(packed.records for packed in done) == 6
    assert {Path(packed.rec).name for packed in done} == {
        f"x_{chunk}_{part}.rec" for chunk in (0, 1) for part in ("train", "val")
    }


def test_files_have_their_names_only_when_complete(tmp_path: Path) -> None:
    (packed,) = im2rec(tmp_path / "x", ROOT, recursive=True, pass_through=True)
    before = Path(packed.rec).read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"x.lst", "x.rec", "x.idx"}
    (tmp_path / "x.idx.part").mkdir()  # so that writing fails
    with pytest.raises(Exception, match="directory"):
        write_records(tmp_path / "x.lst", ROOT)
    assert Path(packed.rec).read_bytes() == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"resize": -1}, "resize must be 0"),
        ({"encoding": ".gif"}, r"encoding must be '\.jpg' or '\.png'"),
        ({"color": 2}, "color must be 1"),
        ({"quality": 0}, "quality must be from 1 to 100"),
        ({"quality": -1, "encoding": ".png"}, "quality must be from 0 to 100"),
        ({"num_thread": 0}, "num_thread must be at least 1"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "x.lst").touch()
    with pytest.raises(ArgumentError, match=said):
        write_records(tmp_path / "x.lst", ROOT, **options)


def test_missing_places_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecordFileNotFoundError, match=r"the list .* does not exist"):
        write_records(tmp_path / "x.lst", ROOT)
    (tmp_path / "x.lst").touch()
    with pytest.raises(RecordFileNotFoundError, match="nowhere is not a folder"):
        write_records(tmp_path / "x.lst", tmp_path / "nowhere")
    assert not list(tmp_path.glob("*.part"))
