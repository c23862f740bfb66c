"""Record files from lists: MXNet's own, with any number of threads, and of unusual files."""

import json
import os
import shutil
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gpuio.errors import ArgumentError, RecordError, RecordFileNotFoundError
from gpuio.recordio import MXIndexedRecordIO, unpack, unpack_img
from gpuio.tools import im2rec, info, list_image, write_records
from gpuio.tools.cli import main

GOLDEN = Path(__file__).parents[3] / "golden"
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


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of ten images and a broken one."""
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(10):
        cv2.imwrite(f"{folder}/{number}.png", rng.integers(0, 255, (200, 240, 3), np.uint8))
    (folder / "4b.png").write_bytes(b"broken")
    return folder


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
    expected = np.load(DATA / f"im2rec_{name}.npz")
    with MXIndexedRecordIO(packed.idx, packed.rec, "r") as reader:
        assert reader.keys == [key for key, *_ in case["headers"]]
        for key, flag, label, number, second, _ in case["headers"]:
            record = reader.read_idx(key)
            header, payload = unpack(record)
            assert (header.flag, header.id, header.id2) == (flag, number, second)
            np.testing.assert_array_equal(header.label, np.float32(label))
            assert payload.startswith(b"\x89PNG" if name == "r_png" else (b"\xff\xd8", b"\x89PNG"))
            np.testing.assert_array_equal(unpack_img(record)[1], expected[f"k{key}"])


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
        ("broken.jpg", "not an image that OpenCV can read"),
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


def test_pass_through_stores_any_file(tmp_path: Path) -> None:
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
    (tmp_path / "x.rec.part").mkdir()  # so that writing fails
    with pytest.raises(RecordError, match=r"x\.rec\.part cannot be written: Is a directory"):
        write_records(tmp_path / "x.lst", ROOT)
    assert Path(packed.rec).read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resize": -1}, "resize must be 0"),
        ({"encoding": ".gif"}, r"encoding must be '\.jpg' or '\.png'"),
        ({"color": 2}, "color must be 1"),
        ({"quality": 0}, "quality must be from 1 to 100"),
        ({"quality": -1, "encoding": ".png"}, "quality must be from 0 to 100"),
        ({"num_thread": 0}, "num_thread must be at least 1"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    (tmp_path / "x.lst").touch()
    with pytest.raises(ArgumentError, match=message):
        write_records(tmp_path / "x.lst", ROOT, **options)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecordFileNotFoundError, match=r"the list .* does not exist"):
        write_records(tmp_path / "x.lst", ROOT)
    (tmp_path / "x.lst").touch()
    with pytest.raises(RecordFileNotFoundError, match="nowhere is not a folder"):
        write_records(tmp_path / "x.lst", tmp_path / "nowhere")
    assert not list(tmp_path.glob("*.part"))


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header says so, and that has nothing else."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
        )

    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size + b"\x08\x02\0\0\0") + chunk(b"IDAT", b"")


def test_unusual_files(tmp_path: Path) -> None:
    """A broken, an empty, a non-image, a huge, an impossibly huge and oddly named files."""
    root = tmp_path / "root"
    root.mkdir()
    good = cv2.imencode(".jpg", np.full((40, 50, 3), 90, np.uint8))[1].tobytes()
    (root / "a good.jpg").write_bytes(good)
    (root / "b broken.jpg").write_bytes(good[:100])
    (root / "c empty.jpg").touch()
    (root / "d text.jpg").write_text("not an image")
    cv2.imwrite(str(root / "e huge.png"), np.full((6000, 9000, 3), 7, np.uint8))
    (root / "f impossible.png").write_bytes(png_of_size(60_000, 60_000))
    (root / "g Übergröße 北京 🦜.JPG").write_bytes(good)
    Path(os.fsdecode(os.fsencode(root) + b"/h \xff\xfe.jpg")).write_bytes(good)
    (root / "i folder.jpg").mkdir()
    (root / "j readme.txt").write_text("left alone")
    (packed,) = im2rec(tmp_path / "x", root, shuffle=False, resize=32)
    assert packed.records == 4
    left_out = {Path(place).name: reason for place, reason in packed.bad}
    assert left_out.keys() == {"b broken.jpg", "c empty.jpg", "d text.jpg", "f impossible.png"}
    assert left_out["c empty.jpg"] == "the file is empty"
    assert all(left_out.values()) and "\n" not in "".join(left_out.values())
    with MXIndexedRecordIO(packed.idx, packed.rec, "r") as reader:
        assert reader.keys == [0, 4, 6, 7]
        assert unpack_img(reader.read_idx(4))[1].shape == (32, 48, 3)

    # As they are, all are stored; those that are no images are named.
    (packed,) = im2rec(tmp_path / "x", root, shuffle=False, pass_through=True)
    assert (packed.records, packed.bad) == (8, [])
    assert {Path(place).name for place, _ in packed.doubtful} == {
        "b broken.jpg",
        "c empty.jpg",
        "d text.jpg",
    }
    with MXIndexedRecordIO(packed.idx, packed.rec, "r") as reader:
        for item in list_image(root):
            stored = unpack(reader.read_idx(item.key))[1]
            assert stored == (root / item.path).read_bytes()


def test_labels_of_a_folder_for_each_class(tmp_path: Path) -> None:
    """As torchvision's ImageFolder numbers them: the folders' names in order."""
    image = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
    for name in ("n02", "n10", "n01", "b c"):
        (tmp_path / "root" / name).mkdir(parents=True)
        (tmp_path / "root" / name / "x.png").write_bytes(image)
    (packed,) = im2rec(tmp_path / "x", tmp_path / "root", recursive=True)
    classes = {name: number for number, name in enumerate(sorted(os.listdir(tmp_path / "root")))}
    lines = [line.split("\t") for line in (tmp_path / "x.lst").read_text().splitlines()]
    assert {os.path.dirname(path): float(label) for _, label, path in lines} == classes
    with MXIndexedRecordIO(packed.idx, packed.rec, "r") as reader:
        for key, label, _ in lines:
            assert unpack(reader.read_idx(int(key)))[0].label == float(label)


def test_labels_of_boxes(images: Path, tmp_path: Path) -> None:
    """A detection list: header width, object width, and boxes (class, left, top, right, bottom)."""
    boxes = [[2, 5, 1, 0.1, 0.2, 0.5, 0.6], [2, 5, 0, 0, 0, 1, 1, 3, 0.25, 0.25, 0.75, 1]]
    (tmp_path / "x.lst").write_text(
        "".join(
            "\t".join([str(number), *map(str, label), f"{number}.png"]) + "\n"
            for number, label in enumerate(boxes)
        )
    )
    packed = write_records(tmp_path / "x.lst", images, pack_label=True, pass_through=True)
    with MXIndexedRecordIO(packed.idx, packed.rec, "r") as reader:
        for number, label in enumerate(boxes):
            header = unpack(reader.read_idx(number))[0]
            assert header.flag == len(label)
            np.testing.assert_array_equal(header.label, np.float32(label))
    assert info(packed.rec).layout == "detection"


def test_keys_out_of_range_are_reported(images: Path, tmp_path: Path) -> None:
    (tmp_path / "x.lst").write_text(f"{2**63}\t0\t1.png\n{2**63 - 1}\t0\t1.png\n-1\t0\t1.png\n")
    packed = write_records(tmp_path / "x.lst", images)
    assert packed.records == 1
    assert all("must be from 0 to 9223372036854775807" in bad.reason for bad in packed.bad)
    assert len(packed.bad) == 2


@pytest.mark.parametrize(
    ("line", "options", "message"),
    [
        ("0\t1e39\t1.png", {"pass_through": True}, "its label 1e+39 does not fit into float32"),
        ("0\t2\t1e39\t1.png", {"pack_label": True}, "its label 1e+39 does not fit into float32"),
        ("0\t0\t1\0.png", {}, "null byte"),
        ("0\t0\t1.png", {"resize": 9_999_999_999}, "it cannot be scaled to"),
    ],
)
def test_lines_that_cannot_be_packed_are_named(
    line: str, options: dict[str, Any], message: str, images: Path, tmp_path: Path
) -> None:
    (tmp_path / "x.lst").write_text(f"{line}\n1\t0\t2.png\n")
    packed = write_records(tmp_path / "x.lst", images, **options)
    assert message in packed.bad[0].reason
    assert packed.records == 2 - len(packed.bad)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_an_unreadable_folder_is_an_error(images: Path, tmp_path: Path) -> None:
    (images / "secret").mkdir(0o000)
    with pytest.raises(OSError, match="secret"):
        im2rec(tmp_path / "x", images, recursive=True)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder "root" with an image, links to a folder and an image outside, and a link to it."""
    root = tmp_path / "root"
    (root / "below").mkdir(parents=True)
    (root / "below" / "a.jpg").write_bytes(b"inside")
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "b.jpg").write_bytes(b"outside")
    (root / "link").symlink_to(tmp_path / "far")
    (root / "c.jpg").symlink_to(tmp_path / "far" / "b.jpg")
    (tmp_path / "alias").symlink_to(root)
    return root


@pytest.mark.parametrize(
    "path",
    ["{far}/b.jpg", "../far/b.jpg", "below/../../far/b.jpg", "link/../far/b.jpg", "..", "/",
     "{root}2/b.jpg", "{root}/../far/b.jpg", "/dev/null", "/proc/self/environ"],
)  # fmt: skip
def test_files_outside_the_root_are_refused(path: str, outside: Path, tmp_path: Path) -> None:
    """By their real place: "link/.." is the folder around that to which the link leads."""
    named = path.format(far=tmp_path / "far", root=outside)
    lst = tmp_path / "x.lst"
    lst.write_text(f"0\t0\tbelow/a.jpg\nnonsense\n1\t0\t{named}\n2\t0\t{named}\n")
    message = rf"x\.lst names files outside .*root, 2 in all, the first in line 3: '{named}'; "
    with pytest.raises(ArgumentError, match=message):
        write_records(lst, outside, pass_through=True)
    assert not (tmp_path / "x.rec").exists() and not list(tmp_path.glob("*.part*"))


@pytest.mark.parametrize(
    ("path", "root"),
    [
        ("link/b.jpg", "root"),
        ("c.jpg", "root"),
        ("below/../below/a.jpg", "root"),
        ("../root/below/a.jpg", "root"),
        ("a..b.jpg", "root"),
        ("{root}/link/b.jpg", "root"),
        ("{root}/below/a.jpg", "alias"),
        ("{root}/../alias/below/a.jpg", "root"),
        ("{root}/below/a.jpg", "/"),
        ("..{root}/below/a.jpg", "/"),
    ],
)
def test_files_below_the_root_are_packed(
    path: str, root: str, outside: Path, tmp_path: Path
) -> None:
    (outside / "a..b.jpg").write_bytes(b"two points")
    (tmp_path / "x.lst").write_text(f"0\t0\t{path.format(root=outside)}\n")
    packed = write_records(tmp_path / "x.lst", tmp_path / root, pass_through=True)
    assert (packed.records, packed.bad) == (1, [])


def test_files_outside_are_packed_if_asked_for(
    outside: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No list is packed unless all are accepted."""
    (tmp_path / "x_1.lst").write_text("0\t0\tbelow/a.jpg\n")
    (tmp_path / "x_2.lst").write_text(f"0\t0\t{tmp_path}/far/b.jpg\n1\t0\t../far/b.jpg\n")
    arguments = ["im2rec", str(tmp_path / "x"), str(outside), "--pass-through"]
    assert main(arguments) == 2
    assert "--allow-outside" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.rec*"))
    assert main([*arguments, "--allow-outside"]) == 0
    with MXIndexedRecordIO(tmp_path / "x_2.idx", tmp_path / "x_2.rec", "r") as reader:
        assert [unpack(reader.read_idx(key))[1] for key in reader.keys] == [b"outside"] * 2
