"""im2rec stopped and started again, and the files that folders are full of."""

import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gpuio.errors import RecordError
from gpuio.recordio import MXIndexedRecordIO, unpack, unpack_img
from gpuio.tools import info
from gpuio.tools.im2rec import Packed, im2rec, list_image, write_records
from gpuio.tools.im2rec.packing import Recipe

ROOT = Path(__file__).parents[3]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of ten pictures and a broken one, older than any run."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(10):
        cv2.imwrite(f"{folder}/{number}.png", rng.integers(0, 255, (200, 240, 3), np.uint8))
    (folder / "4b.png").write_bytes(b"broken")
    for path in folder.iterdir():
        age(path)
    time.sleep(0.05)  # more than a tick of the clock that files' times are taken from
    return folder


def age(path: Path) -> None:
    """Let a file be an hour old."""
    hour = time.time() - 3600
    os.utime(path, (hour, hour))


def write_list(path: Path, pictures: Path, lines: int) -> Path:
    """A list of the pictures, again and again, in a random order."""
    names = sorted(entry.name for entry in pictures.iterdir())
    numbers = list(range(lines))
    random.Random(0).shuffle(numbers)
    path.write_text(
        "".join(f"{number}\t{number % 7}\t{names[number % len(names)]}\n" for number in numbers)
    )
    return path


def written(packed: Packed) -> tuple[bytes, bytes]:
    return Path(packed.rec).read_bytes(), Path(packed.idx).read_bytes()


class Stop(BaseException):
    """Ends a run from within, as an interrupt would."""


def stop_after(monkeypatch: pytest.MonkeyPatch, images: int) -> None:
    """Let the run end when so many images have been begun."""
    make, begun = Recipe.make, [0]

    def stopping(recipe: Recipe, *arguments: Any) -> Any:
        begun[0] += 1
        if begun[0] > images:
            raise Stop
        return make(recipe, *arguments)

    monkeypatch.setattr(Recipe, "make", stopping)


def test_killed_and_started_again(pictures: Path, tmp_path: Path) -> None:
    """SIGKILL at several moments; what comes out in the end is what a run in one go makes."""
    expected = written(write_records(write_list(tmp_path / "one.lst", pictures, 400), pictures))
    write_list(tmp_path / "x.lst", pictures, 400)
    command = [sys.executable, "-m", "gpuio.tools.im2rec", str(tmp_path / "x"), str(pictures)]
    part = tmp_path / "x.rec.part"
    size = 0
    for _ in range(3):
        run = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        limit = time.monotonic() + 60
        while not part.exists() or part.stat().st_size <= size:
            assert run.poll() is None and time.monotonic() < limit
            time.sleep(0.002)
        run.send_signal(signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL
        assert not (tmp_path / "x.rec").exists() and not (tmp_path / "x.idx").exists()
        size = part.stat().st_size
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 1  # the broken picture
    assert "went on behind" in done.stdout
    assert done.stderr.count("4b.png: not an image that OpenCV reads") == 400 // 11
    assert (tmp_path / "x.rec").read_bytes() == expected[0]
    assert (tmp_path / "x.idx").read_bytes() == expected[1]
    assert not list(tmp_path.glob("*.part*"))


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 100, 60_000])
@pytest.mark.parametrize("pass_through", [False, True])
def test_it_goes_on_behind_the_last_whole_record(
    cut: int, pass_through: bool, pictures: Path, tmp_path: Path
) -> None:
    lst = write_list(tmp_path / "x.lst", pictures, 22)
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 14)
        with pytest.raises(Stop):
            write_records(lst, pictures, pass_through=pass_through, num_thread=1)
    part = tmp_path / "x.rec.part"
    with part.open("r+b") as file:
        file.truncate(max(0, part.stat().st_size - cut))
    went_on = write_records(lst, pictures, pass_through=pass_through)
    assert went_on.kept >= 3
    again = write_records(lst, pictures, pass_through=pass_through)
    assert again.kept == 0
    assert went_on[2:5] == again[2:5]
    assert len(went_on.doubtful if pass_through else went_on.bad) == 2
    fresh = write_records(write_list(tmp_path / "y.lst", pictures, 22), pictures,
                          pass_through=pass_through)  # fmt: skip
    assert written(again) == written(fresh)


@pytest.fixture
def stopped(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, list[str]]:
    """A list whose run was stopped behind some images, and the names of its pictures in order."""
    lst = write_list(tmp_path / "x.lst", pictures, 22)
    with monkeypatch.context() as patch:
        stop_after(patch, 20)
        with pytest.raises(Stop):
            write_records(lst, pictures, num_thread=1)
    return lst, [line.split("\t")[2] for line in lst.read_text().splitlines()]


def test_nothing_is_kept_of_another_list_or_other_options(
    stopped: tuple[Path, list[str]], pictures: Path
) -> None:
    lst, _ = stopped
    part = Path(f"{lst.with_suffix('')}.rec.part")
    kept, note = part.read_bytes(), Path(f"{part}.json").read_text()
    assert kept
    cases: list[tuple[dict[str, Any], str]] = [
        ({"resize": 20}, ""),
        ({"resume": False}, ""),
        ({}, "99\t0\t0.png\n"),
    ]
    before = lst.read_text()
    for options, more in cases:
        lst.write_text(before + more)
        part.write_bytes(kept)
        Path(f"{part}.json").write_text(note)
        assert write_records(lst, pictures, **options).kept == 0
    lst.write_text(before)
    part.write_bytes(kept)
    Path(f"{part}.json").write_text(note[:30])  # killed while it was being written
    assert write_records(lst, pictures).kept == 0


def test_pictures_that_changed_are_taken_anew(
    stopped: tuple[Path, list[str]], pictures: Path
) -> None:
    lst, names = stopped
    changed = next(name for name in names[2:] if name != "4b.png")
    cv2.imwrite(f"{pictures}/{changed}", np.zeros((9, 9, 3), np.uint8))
    went_on = write_records(lst, pictures)
    first = names.index(changed)
    assert went_on.kept == sum(name != "4b.png" for name in names[:first])
    assert written(went_on) == written(write_records(lst, pictures))


def test_a_picture_that_was_mended_comes_in(
    stopped: tuple[Path, list[str]], pictures: Path
) -> None:
    lst, names = stopped
    (pictures / "4b.png").write_bytes((pictures / "0.png").read_bytes())
    age(pictures / "4b.png")
    went_on = write_records(lst, pictures)
    assert went_on.kept == names.index("4b.png") and went_on.bad == []
    assert written(went_on) == written(write_records(lst, pictures))


def test_numbers_that_come_twice_are_not_gone_on_with(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.lst").write_text("5\t0\t4b.png\n5\t0\t1.png\n5\t0\t2.png\n5\t0\t3.png\n")
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        with pytest.raises(Stop):
            write_records(tmp_path / "x.lst", pictures, num_thread=1)
    assert write_records(tmp_path / "x.lst", pictures).records == 3


def test_two_runs_do_not_write_one_file(pictures: Path, tmp_path: Path) -> None:
    lst = write_list(tmp_path / "x.lst", pictures, 5)
    with open(tmp_path / "x.rec.part.json", "w") as note:
        fcntl.flock(note, fcntl.LOCK_EX)
        with pytest.raises(RecordError, match="being written by another run"):
            write_records(lst, pictures)
    assert write_records(lst, pictures).records == 5


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header says so, and that has nothing else."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
        )

    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size + b"\x08\x02\0\0\0") + chunk(b"IDAT", b"")


def test_a_folder_of_all_sorts(tmp_path: Path) -> None:
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
    picture = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
    for name in ("n02", "n10", "n01", "b c"):
        (tmp_path / "root" / name).mkdir(parents=True)
        (tmp_path / "root" / name / "x.png").write_bytes(picture)
    (packed,) = im2rec(tmp_path / "x", tmp_path / "root", recursive=True)
    classes = {name: number for number, name in enumerate(sorted(os.listdir(tmp_path / "root")))}
    lines = [line.split("\t") for line in (tmp_path / "x.lst").read_text().splitlines()]
    assert {os.path.dirname(path): float(label) for _, label, path in lines} == classes
    with MXIndexedRecordIO(packed.idx, packed.rec, "r") as reader:
        for key, label, _ in lines:
            assert unpack(reader.read_idx(int(key)))[0].label == float(label)


def test_labels_of_boxes(pictures: Path, tmp_path: Path) -> None:
    """A detection list: header width, object width, and boxes (class, left, top, right, bottom)."""
    boxes = [[2, 5, 1, 0.1, 0.2, 0.5, 0.6], [2, 5, 0, 0, 0, 1, 1, 3, 0.25, 0.25, 0.75, 1]]
    (tmp_path / "x.lst").write_text(
        "".join(
            "\t".join([str(number), *map(str, label), f"{number}.png"]) + "\n"
            for number, label in enumerate(boxes)
        )
    )
    packed = write_records(tmp_path / "x.lst", pictures, pack_label=True, pass_through=True)
    with MXIndexedRecordIO(packed.idx, packed.rec, "r") as reader:
        for number, label in enumerate(boxes):
            header = unpack(reader.read_idx(number))[0]
            assert header.flag == len(label)
            np.testing.assert_array_equal(header.label, np.float32(label))
    assert info(packed.rec).layout == "detection"


def test_numbers_that_no_index_holds_are_reported(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "x.lst").write_text(f"{2**63}\t0\t1.png\n{2**63 - 1}\t0\t1.png\n-1\t0\t1.png\n")
    packed = write_records(tmp_path / "x.lst", pictures)
    assert packed.records == 1
    assert all("must be from 0 to 9223372036854775807" in bad.reason for bad in packed.bad)
    assert len(packed.bad) == 2


def test_the_note_of_a_run_is_json(stopped: tuple[Path, list[str]]) -> None:
    note = json.loads(stopped[0].with_name("x.rec.part.json").read_text())
    assert note["resize"] == 0 and len(note["list"]) == 64


def test_a_picture_replaced_by_an_older_one_is_taken_anew(
    stopped: tuple[Path, list[str]], pictures: Path
) -> None:
    """As ``cp -p`` and ``mv`` do."""
    lst, names = stopped
    changed = next(name for name in names[2:] if name != "4b.png")
    other = pictures / "other"
    cv2.imwrite(f"{other}.png", np.zeros((9, 9, 3), np.uint8))
    age(Path(f"{other}.png"))
    os.replace(f"{other}.png", pictures / changed)
    went_on = write_records(lst, pictures)
    assert written(went_on) == written(write_records(lst, pictures))


def test_another_runs_records_never_stand_beside_the_new_note(
    stopped: tuple[Path, list[str]], pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run with other options that is stopped at once leaves nothing to go on with."""
    lst, _ = stopped

    def stop(path: str) -> int:
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["gpuio.tools.im2rec.packing"], "count_lines", stop)
        with pytest.raises(Stop):
            write_records(lst, pictures, resize=20)
    went_on = write_records(lst, pictures, resize=20)
    assert went_on.kept == 0
    assert written(went_on) == written(write_records(lst, pictures, resize=20))


@pytest.mark.parametrize(
    ("line", "options", "said"),
    [
        ("0\t1e39\t1.png", {"pass_through": True}, "its label 1e+39 does not fit into float32"),
        ("0\t2\t1e39\t1.png", {"pack_label": True}, "its label 1e+39 does not fit into float32"),
        ("0\t0\t1\0.png", {}, "null byte"),
        ("0\t0\t1.png", {"resize": 9_999_999_999}, "it cannot be scaled to"),
    ],
)
def test_lines_that_cannot_be_packed_are_named(
    line: str, options: dict[str, Any], said: str, pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "x.lst").write_text(f"{line}\n1\t0\t2.png\n")
    packed = write_records(tmp_path / "x.lst", pictures, **options)
    assert said in packed.bad[0].reason
    assert packed.records == 2 - len(packed.bad)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_a_folder_that_cannot_be_read_is_no_empty_one(pictures: Path, tmp_path: Path) -> None:
    (pictures / "secret").mkdir(0o000)
    with pytest.raises(OSError, match="secret"):
        im2rec(tmp_path / "x", pictures, recursive=True)
