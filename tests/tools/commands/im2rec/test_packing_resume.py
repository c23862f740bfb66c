"""im2rec interrupted and run again."""

import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gpuio.errors import ArgumentError, RecordError
from gpuio.tools import Packed, write_records
from tests.tools.process import ROOT, stop_at


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of ten images and a broken one, older than any run."""
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(10):
        cv2.imwrite(f"{folder}/{number}.png", rng.integers(0, 255, (200, 240, 3), np.uint8))
    (folder / "4b.png").write_bytes(b"broken")
    for path in folder.iterdir():
        age(path)
    return folder


def age(path: Path) -> None:
    """Make a file an hour old."""
    hour = time.time() - 3600
    os.utime(path, (hour, hour))


def write_list(path: Path, images: Path, lines: int) -> Path:
    """A list that names the images repeatedly, in a random order."""
    names = sorted(entry.name for entry in images.iterdir())
    numbers = list(range(lines))
    random.Random(0).shuffle(numbers)
    path.write_text(
        "".join(f"{number}\t{number % 7}\t{names[number % len(names)]}\n" for number in numbers)
    )
    return path


def written(packed: Packed) -> tuple[bytes, bytes]:
    return Path(packed.rec).read_bytes(), Path(packed.idx).read_bytes()


def interrupt(lst: Path, images: Path, after: int, *options: object) -> None:
    """Run im2rec and interrupt it after some images."""
    prefix = lst.with_suffix("")
    run = stop_at(".png", "im2rec", prefix, images, "--num-thread", 1, *options, opening=after + 1)
    assert run.returncode == 130, run.stderr


def test_killed_and_started_again(images: Path, tmp_path: Path) -> None:
    """SIGKILL at several moments; the result equals that of an uninterrupted run."""
    expected = written(write_records(write_list(tmp_path / "one.lst", images, 400), images))
    write_list(tmp_path / "x.lst", images, 400)
    arguments = ["im2rec", str(tmp_path / "x"), str(images)]
    part = tmp_path / "x.rec.part"
    size = 0
    for _ in range(3):
        run = stop_at(".png", *arguments, "--num-thread", 2, opening=100, number=signal.SIGKILL)
        assert run.returncode == -signal.SIGKILL
        assert not (tmp_path / "x.rec").exists() and not (tmp_path / "x.idx").exists()
        assert part.stat().st_size > size
        size = part.stat().st_size
    command = [sys.executable, "-m", "gpuio", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 1  # the broken image
    assert "resumed after" in done.stdout
    assert done.stderr.count("4b.png: not an image that OpenCV can read") == 400 // 11
    assert (tmp_path / "x.rec").read_bytes() == expected[0]
    assert (tmp_path / "x.idx").read_bytes() == expected[1]
    assert not list(tmp_path.glob("*.part*"))


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 100, 60_000])
@pytest.mark.parametrize("pass_through", [False, True])
def test_it_resumes_after_the_last_intact_record(
    cut: int, pass_through: bool, images: Path, tmp_path: Path
) -> None:
    lst = write_list(tmp_path / "x.lst", images, 22)
    interrupt(lst, images, 14, *["--pass-through"] * pass_through)
    part = tmp_path / "x.rec.part"
    with part.open("r+b") as file:
        file.truncate(max(0, part.stat().st_size - cut))
    resumed = write_records(lst, images, pass_through=pass_through)
    assert resumed.kept >= 3
    again = write_records(lst, images, pass_through=pass_through)
    assert again.kept == 0
    assert resumed[2:5] == again[2:5]
    assert len(resumed.doubtful if pass_through else resumed.bad) == 2
    fresh = write_records(write_list(tmp_path / "y.lst", images, 22), images,
                          pass_through=pass_through)  # fmt: skip
    assert written(again) == written(fresh)


@pytest.fixture
def stopped(images: Path, tmp_path: Path) -> tuple[Path, list[str]]:
    """A list whose run was interrupted after 20 images, and the names of its images in order."""
    lst = write_list(tmp_path / "x.lst", images, 22)
    interrupt(lst, images, 20)
    return lst, [line.split("\t")[2] for line in lst.read_text().splitlines()]


def test_nothing_is_kept_of_another_list_or_other_options(
    stopped: tuple[Path, list[str]], images: Path
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
        assert write_records(lst, images, **options).kept == 0
    lst.write_text(before)
    part.write_bytes(kept)
    Path(f"{part}.json").write_text(note[:30])  # killed while it was being written
    assert write_records(lst, images).kept == 0


def test_changed_images_are_read_again(stopped: tuple[Path, list[str]], images: Path) -> None:
    lst, names = stopped
    changed = next(name for name in names[2:] if name != "4b.png")
    cv2.imwrite(f"{images}/{changed}", np.zeros((9, 9, 3), np.uint8))
    resumed = write_records(lst, images)
    first = names.index(changed)
    assert resumed.kept == sum(name != "4b.png" for name in names[:first])
    assert written(resumed) == written(write_records(lst, images))


def test_a_repaired_image_is_included(stopped: tuple[Path, list[str]], images: Path) -> None:
    lst, names = stopped
    (images / "4b.png").write_bytes((images / "0.png").read_bytes())
    age(images / "4b.png")
    resumed = write_records(lst, images)
    assert resumed.kept == names.index("4b.png") and resumed.bad == []
    assert written(resumed) == written(write_records(lst, images))


def test_keys_that_occur_twice_are_not_resumed(images: Path, tmp_path: Path) -> None:
    (tmp_path / "x.lst").write_text("5\t0\t4b.png\n5\t0\t1.png\n5\t0\t2.png\n5\t0\t3.png\n")
    interrupt(tmp_path / "x.lst", images, 3)
    assert write_records(tmp_path / "x.lst", images).records == 3


def test_two_runs_do_not_write_one_file(images: Path, tmp_path: Path) -> None:
    lst = write_list(tmp_path / "x.lst", images, 5)
    with open(tmp_path / "x.rec.part.json", "w") as note:
        fcntl.flock(note, fcntl.LOCK_EX)
        with pytest.raises(RecordError, match="being written by another run"):
            write_records(lst, images)
    assert write_records(lst, images).records == 5


def test_the_job_file_is_json(stopped: tuple[Path, list[str]]) -> None:
    job = json.loads(stopped[0].with_name("x.rec.part.json").read_text())
    assert job["resize"] == 0 and len(job["list"]) == 64


def test_an_image_replaced_by_an_older_one_is_read_again(
    stopped: tuple[Path, list[str]], images: Path
) -> None:
    """As ``cp -p`` and ``mv`` do."""
    lst, names = stopped
    changed = next(name for name in names[2:] if name != "4b.png")
    other = images / "other"
    cv2.imwrite(f"{other}.png", np.zeros((9, 9, 3), np.uint8))
    age(Path(f"{other}.png"))
    os.replace(f"{other}.png", images / changed)
    resumed = write_records(lst, images)
    assert written(resumed) == written(write_records(lst, images))


def test_records_of_another_run_never_stand_next_to_the_new_job_file(
    stopped: tuple[Path, list[str]], images: Path
) -> None:
    """A run with other options that stops before its first record leaves nothing to resume."""
    lst, _ = stopped
    lst.with_suffix(".idx").mkdir()  # cannot be replaced
    with pytest.raises(ArgumentError, match="not a regular file"):
        write_records(lst, images, resize=20)
    lst.with_suffix(".idx").rmdir()
    resumed = write_records(lst, images, resize=20)
    assert resumed.kept == 0
    assert written(resumed) == written(write_records(lst, images, resize=20))
