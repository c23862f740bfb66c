"""The benchmark of image loaders: a tiny one runs; a contestant that does other work is refused."""

import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gpuio import native
from tests.benchmarks import pretended
from tests.benchmarks.images import __main__ as images
from tests.benchmarks.images.bars import bars
from tests.benchmarks.images.check import (
    WrongBatchError,
    check_charts,
    check_form,
    check_images,
)
from tests.benchmarks.images.contestants import CONTESTANTS, DALI, GPUIO, PLAIN, Contestant
from tests.benchmarks.images.job import Job
from tests.benchmarks.images.process import ContestantProcess, LeftOutError
from tests.benchmarks.images.run import Row, Settings, run_workload, write_charts
from tests.benchmarks.images.scaling import Round, Scaling, busy_loops, compare, summarize
from tests.benchmarks.images.workloads import WORKLOADS, encode, encoded_images, write_files
from tests.benchmarks.pretended import make

SMALL = replace(WORKLOADS["32-png"], batch_size=64)
PHOTOS = replace(WORKLOADS["224"], batch_size=16)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Charts of both kinds of workloads."""
    found = {}
    for workload in (SMALL, PHOTOS):
        found[workload.name] = tmp_path_factory.mktemp(workload.name)
        write_charts(workload, found[workload.name] / "charts")
    return found


def charts(folders: dict[str, Path], name: str, task: str) -> Job:
    workload = {each.name: each for each in (SMALL, PHOTOS)}[name]
    return workload.job(folders[name] / "charts", task, 2)


JOBS = [(name, task) for name in (SMALL.name, PHOTOS.name) for task in ("eval", "train")]


@pytest.mark.parametrize(("name", "task"), JOBS)
def test_what_a_job_asks_for_is_accepted(name: str, task: str, folders: dict[str, Path]) -> None:
    job = charts(folders, name, task)
    check_charts(*make(job, 64), job)


@pytest.mark.parametrize(
    ("name", "task", "changes", "reason"),
    [
        # Another job's batches.
        (SMALL.name, "train", {"pad": 0}, "random positions"),
        (SMALL.name, "train", {"pad": 10}, "border of 4 pixels|rectangle"),
        (SMALL.name, "train", {"pad": 0, "area": (0.5, 1.0)}, "size in which they are stored"),
        (PHOTOS.name, "eval", {"resize": 232}, "OpenCV's pixel values"),
        (PHOTOS.name, "eval", {"std": (255.0, 255.0, 255.0)}, "OpenCV's pixel values"),
        (PHOTOS.name, "train", {"area": (0.9, 1.0)}, "crops of 8% to 100%"),
        (PHOTOS.name, "train", {"area": (0.01, 0.5)}, "crops of 8% to 100%"),
        (PHOTOS.name, "train", {"ratio": (0.2, 5.0)}, "width/height 0.75 to 1.33"),
        (PHOTOS.name, "train", {"ratio": (1.0, 1.0)}, "width/height 0.75 to 1.33"),
        (PHOTOS.name, "train", {"mean": (0.0, 0.0, 0.0)}, "rectangle|other colors"),
        (PHOTOS.name, "train", {"area": None, "resize": 256}, "width/height 0.75 to 1.33"),
    ],
)
def test_other_work_is_refused(
    name: str, task: str, changes: dict[str, Any], reason: str, folders: dict[str, Path]
) -> None:
    job = charts(folders, name, task)
    batches = make(replace(job, **changes), 64)
    with pytest.raises(WrongBatchError, match=reason):
        check_charts(*batches, job)


def test_other_arrays_are_refused(folders: dict[str, Path]) -> None:
    job = charts(folders, SMALL.name, "train")
    data, labels = make(job)
    for changed, reason in (
        (data.astype(np.float64), "float64"),
        (data.transpose(0, 2, 3, 1), "float32"),
        (data[:-1], "float32"),
        (data[:, ::-1], "rectangle|other colors"),  # BGR
        (data.transpose(0, 1, 3, 2), "rectangle"),
        (np.abs(data), "rectangle"),
    ):
        with pytest.raises(WrongBatchError, match=reason):
            check_charts(changed, labels[: len(changed)], job)
    with pytest.raises(WrongBatchError, match="labels of 0 to"):
        check_form(data, labels + job.count, job)
    with pytest.raises(WrongBatchError, match="random order"):
        check_form(data, np.sort(labels * 0 + np.arange(len(labels))), job)
    upright = make(replace(job, train=False))[0]
    with pytest.raises(WrongBatchError, match="half of the images mirrored, got 0%"):
        check_charts(upright, labels, job)


def test_blurred_photographs_are_accepted_and_others_refused(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    paths = []
    for number in range(4):
        image = cv2.resize(random.integers(0, 256, (30, 40, 3), np.uint8), (480, 360))
        paths.append(tmp_path / f"{number}.jpg")
        cv2.imwrite(str(paths[-1]), image)
    workload = replace(PHOTOS, images=4, copies=4, batch_size=4)
    write_files(tmp_path / "data", list(encoded_images(workload, paths)), ".jpg", 4)
    job = workload.job(tmp_path / "data", "eval", 1)
    data, labels = make(job, 4)
    blurred = np.stack([cv2.blur(each.transpose(1, 2, 0), (3, 3)) for each in data])
    check_images(blurred.transpose(0, 3, 1, 2), labels, job)
    with pytest.raises(WrongBatchError, match="OpenCV's pixel values"):
        check_images(data, labels[::-1], job)


def contestant(kind: str) -> Contestant:
    return Contestant(kind, pretended.__name__, {"kind": kind})


def test_a_wrong_contestant_is_refused_and_the_others_measured(tmp_path: Path) -> None:
    photo = tmp_path / "0.jpg"
    cv2.imwrite(str(photo), np.full((300, 400, 3), 90, np.uint8))
    workload = replace(SMALL, images=1, copies=64, batch_size=32)
    kinds = [contestant(each) for each in ("prints", "wrong", "missing", "dies")]
    found = run_workload(workload, kinds, [photo], tmp_path, Settings(1, rounds=1, seconds=0.01))
    assert {row.contestant for row in found.rows} == {"prints"}
    assert all(row.cpu_ms > 0 and row.per_second > 0 for row in found.rows)
    assert "OpenCV's pixel values" in found.left_out["wrong"]
    assert found.left_out["missing"] == "ImportError: it is not installed"
    assert "process ended" in found.left_out["dies"]
    assert found.versions == {"test": "1"}


def test_the_work_of_children_counts(folders: dict[str, Path]) -> None:
    with ContestantProcess(contestant("forks")) as process:
        process.open(replace(charts(folders, SMALL.name, "eval"), threads=1))
        used = process.cpu_seconds()
        process.run(2, 60.0)
        assert process.cpu_seconds() - used > 2 * pretended.WORK


def test_the_benchmark_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "results"
    arguments = ["--quick", "--workloads", "32-jpeg", "--contestants", PLAIN, DALI, "MXNet"]
    report = images.main([*arguments, "--output", str(output)])
    assert {(row.task, row.contestant) for row in report.rows} == {
        (task, name) for task in ("eval", "train") for name in (PLAIN, DALI)
    }
    assert report.versions.keys() == {"gpuio", "DALI"}
    page = capsys.readouterr().out
    assert page.strip() == (output / "cpu.md").read_text().strip()
    assert "- MXNet ImageRecordIter: no Python for it was given (--mxnet)" in page
    assert (output / "cpu.png").stat().st_size > 10_000
    # The same again from the figures.
    again = images.main(["--from", str(output / "cpu.json"), "--output", str(tmp_path)])
    assert again == report
    assert (tmp_path / "cpu.md").read_text() == (output / "cpu.md").read_text()


def test_the_lock_is_measured_where_the_native_module_is(tmp_path: Path) -> None:
    workload = replace(WORKLOADS["32-jpeg"], images=1, copies=256)
    image = np.full((32, 32, 3), 90, np.uint8)
    write_files(tmp_path / "data", [encode(image, ".jpg")], ".jpg", workload.copies)
    if not native.state()[0]:
        with pytest.raises(RuntimeError, match=re.escape(native.state()[1])):
            images.lock_share(workload, "train", tmp_path, 0.01)
        return
    share = images.lock_share(workload, "train", tmp_path, 0.01)
    assert (share.workload, share.task, share.batch_size) == ("32-jpeg", "train", 256)
    assert (
        share.left_us > 0
        and share.locked_us > 0
        and share.unlocked_us > 0
        and share.simulated_per_second > 0
    )
    assert 0 < share.used < 1


def test_bars() -> None:
    def row(name: str, cpu_ms: float, speed: float) -> Row:
        return Row("224", "eval", name, 2, cpu_ms, cpu_ms, cpu_ms, speed, speed, speed)

    rows = [row(GPUIO, 1.0, 190), row(DALI, 2.1, 90), row("another", 0.9, 150), row(PLAIN, 0.8, 90)]
    rounds = Round(100.0, 1e-3, 1.0), Round(200.0, 1e-3, 1.6)
    scaling = summarize("224", "eval", [rounds])
    found = bars(rows, [], [scaling])
    assert [(bar.least, round(bar.value, 2), bar.reached) for bar in found] == [
        (2.2, 2.1, False),
        (1.0, 0.9, False),
        (1.85, 2.5, True),
    ]
    assert "another" in found[1].name
    assert bars(rows[1:], [], []) == []  # without gpuio's there is nothing to compare


def take_turns(speeds: dict[int, list[float]], controls: dict[int, list[float]]) -> Scaling:
    """Figures of rounds of these speeds, and of busy loops."""
    turns: list[int] = []
    speed = {threads: iter(each) for threads, each in speeds.items()}
    control = {threads: iter(each) for threads, each in controls.items()}

    def take(threads: int) -> tuple[float, float]:
        turns.append(threads)
        return next(speed[threads]), 1e-3 * threads

    found = list(compare(take, 3, 5, lambda threads: next(control[threads])))
    assert turns == [2, 1, 1, 2] * (len(found) // 2) + [2, 1] * (len(found) % 2)
    return summarize("112", "train", found)


def test_scaling_is_relative_to_that_of_busy_loops() -> None:
    found = take_turns(
        {1: [100.0, 50.0, 100.0], 2: [180.0, 180.0, 90.0]}, {1: [1.0] * 6, 2: [1.8] * 6}
    )
    assert (found.ratio, found.control, found.rounds, found.tried) == (1.8, 1.8, 3, 3)
    assert (found.relative, found.least, found.most) == (1.0, 0.5, 2.0)
    assert found.on_free_processors == 2.0
    assert (found.one, found.two, found.one_cpu_ms, found.two_cpu_ms) == (100, 180, 1, 2)


def test_rounds_without_a_second_processor_do_not_count() -> None:
    one, two = [100.0] * 5, [200.0, 100.0, 100.0, 200.0, 200.0]
    busy = [2.0, 2.0, 1.1, 1.1, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0]
    found = take_turns({1: one, 2: two}, {1: [1.0] * 10, 2: busy})
    assert (found.rounds, found.tried, found.relative, found.least) == (3, 5, 1.0, 1.0)
    with pytest.raises(LeftOutError, match=r"1.10, 1.10, 1.10, 1.10, 2.40 times as much as one"):
        take_turns({1: one, 2: two}, {1: [1.0] * 10, 2: [1.1] * 8 + [2.4] * 2})


def test_rounds_in_which_one_loop_was_disturbed_do_not_count() -> None:
    one, two = [100.0] * 5, [200.0, 100.0, 100.0, 200.0, 200.0]
    busy = [2.0, 2.0, 2.3, 2.3, 2.2, 2.2, 2.0, 2.0, 2.0, 2.0]
    found = take_turns({1: one, 2: two}, {1: [1.0] * 10, 2: busy})
    assert (found.rounds, found.tried, found.relative, found.least) == (3, 5, 1.0, 1.0)


def test_busy_loops_count_what_they_do() -> None:
    used = time.process_time()
    assert busy_loops(2, 0.02) > 0
    assert time.process_time() > used


def test_threads_are_compared_where_the_native_module_is(tmp_path: Path) -> None:
    workload = replace(WORKLOADS["32-png"], images=1, copies=512)
    image = np.full((32, 32, 3), 90, np.uint8)
    write_files(tmp_path / "data", [encode(image, ".png")], ".png", workload.copies)
    settings = Settings(rounds=1, seconds=0.01)
    if not native.LIBRARY.exists():
        with pytest.raises(LeftOutError, match="without it"):
            images.scales(workload, "train", tmp_path, settings)
        return
    try:
        found = images.scales(workload, "train", tmp_path, settings)
    except LeftOutError as error:
        assert "no second processor was free" in str(error)
        return
    assert (found.workload, found.task) == ("32-png", "train")
    assert 0 < found.least <= found.relative <= found.most
    assert found.one > 0 and found.two > 0 and found.one_cpu_ms > 0 and found.rounds <= found.tried


def test_a_round_ends_at_the_limit(folders: dict[str, Path]) -> None:
    job = replace(charts(folders, SMALL.name, "eval"), threads=1)
    with ContestantProcess(contestant("prints")) as process:
        process.open(job)
        assert process.run(3, 60.0) == 3 * job.batch_size
        assert process.run(3, 0.0) == job.batch_size
        assert process.run(None, 0.0) == job.batch_size


def test_contestants_are_small_and_have_one_interface() -> None:
    assert len({each.name for each in CONTESTANTS}) == len(CONTESTANTS)
    for each in CONTESTANTS:
        path = Path(images.__file__).parents[3] / (each.module.replace(".", "/") + ".py")
        text = path.read_text()
        assert len(text.splitlines()) <= 60
        assert "def batches(job: Job" in text and "def versions() -> dict[str, str]:" in text
