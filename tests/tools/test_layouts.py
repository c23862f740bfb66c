"""What kind of labels a record file has, and that the tools work on all of them."""

import os
from pathlib import Path

import numpy as np
import pytest

import gpuio as mx
from gpuio.tools.cli import main
from gpuio.tools.commands.bench import benchmark
from gpuio.tools.layouts import LabelTally, layout_of_file, spread
from tests.tools.record_layouts import COUNT, LABELS, LAYOUTS, write_layout

KINDS = list(LABELS)


@pytest.mark.parametrize("kind", KINDS)
def test_layouts_are_recognized(kind: str, tmp_path: Path) -> None:
    rec = write_layout(kind, tmp_path / "x")
    layout = layout_of_file(rec)
    assert layout.name == LAYOUTS.get(kind, kind)
    longest = max(np.size(label) for label in LABELS[kind])
    assert layout.label_width == longest
    found = mx.tools.info(rec)
    assert (found.layout, found.label_width) == layout and found.images == COUNT


def test_options_that_a_layout_needs(tmp_path: Path) -> None:
    layout = layout_of_file(write_layout("multi-label", tmp_path / "x"))
    assert layout.iterator_options({"resize": 3}) == {"label_width": 3}
    assert layout.iterator_options({"label_width": 1}) == {}
    assert layout.iterator_options({"path_imglist": "x.lst"}) == {}
    for kind in ("plain", "face identity, two numbers", "detection"):
        layout = layout_of_file(write_layout(kind, tmp_path / "x"))
        assert layout.iterator_options({}) == {}


def test_no_records_at_all() -> None:
    assert LabelTally().layout(faces=False) == ("plain", 1)


def test_labels_of_two_numbers_are_boxes_only_among_longer_ones() -> None:
    tally = LabelTally()
    tally.add(np.float32([2, 5]))
    assert tally.layout(False).name == "multi-label"
    tally.add(np.float32([2, 5, 0, 0, 0, 1, 1]))
    assert tally.layout(False) == ("detection", 7)
    tally.add(3.0)
    assert tally.layout(False).name == "multi-label"


def test_records_are_spread_evenly() -> None:
    assert spread(range(10), 3) == [0, 4, 9] and spread(range(4), 0) == [0, 1, 2, 3]
    assert spread(np.array([5, 7, 9]), 9) == [5, 7, 9] and spread(range(0), 3) == []


@pytest.mark.parametrize("kind", KINDS)
def test_stats_need_no_labels(kind: str, tmp_path: Path) -> None:
    shape = {"data_shape": (3, 32, 40), "resize": 48}
    found = mx.tools.stats(write_layout(kind, tmp_path / "x"), **shape)
    plain = mx.tools.stats(write_layout("plain", tmp_path / "plain"), **shape)
    assert (found.images, found.looked_at, found.unreadable) == (COUNT, COUNT, 0)
    assert found.mean == plain.mean and found.std == plain.std


@pytest.mark.parametrize("task", ["eval", "train"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "different lengths"])
def test_batches_of_every_layout_are_shown(kind: str, task: str, tmp_path: Path) -> None:
    rec = write_layout(kind, tmp_path / "x")
    out = tmp_path / "x.html"
    assert main(["show", str(rec), "--task", task, "--out", str(out)]) == 0
    page = out.read_text()
    assert page.count("<figure") == COUNT
    if kind == "detection" and task == "eval":
        for label in ("0 boxes", "1 box<", "2 boxes"):
            assert page.count(f"<b>{label}") == 2
    elif kind == "face identity, two numbers":
        assert page.count("<b>0</b>") == page.count("<b>1</b>") == 3
    elif kind == "multi-label":
        assert page.count(", 0.5, -1</b>") == COUNT


def test_records_of_another_length_are_left_out_of_batches(tmp_path: Path) -> None:
    rec = write_layout("different lengths", tmp_path / "x")
    assert mx.tools.show(rec, tmp_path / "x.png", options={}).pictures == 1
    assert mx.tools.show(rec, tmp_path / "x.png", options={"label_width": 2}).pictures == 2
    assert mx.tools.show(rec, tmp_path / "x.png").pictures == COUNT


@pytest.mark.parametrize("kind", KINDS)
def test_every_layout_can_be_measured(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "ROUND_SECONDS", 0.01)
    found = mx.tools.bench(write_layout(kind, tmp_path / "x"), batch_size=COUNT, rounds=1)
    boxes = kind == "detection"
    assert found.images == COUNT
    assert found.stages[0].name == ("ImageDetRecordIter" if boxes else "ImageRecordIter")
    assert found.limit
    if boxes:
        assert found.left_out["DALI readers.mxnet"] == "it does not read boxes"


def test_the_commands_measure_with_the_options_of_the_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmark, "ROUND_SECONDS", 0.01)
    rec = str(write_layout("detection", tmp_path / "x"))
    for task in ("eval", "train"):
        assert main(["bench", rec, "--task", task, "--rounds", "1", "--batch-size", "3"]) == 0
        assert "ImageDetRecordIter" in capsys.readouterr().out
    assert main(["bench", rec, "--with", "rand_crop=True"]) == 2
    assert "ImageDetRecordIter has no argument 'rand_crop'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "folders"),
    [
        ("plain", {"0": 2, "1": 2, "2": 2}),
        ("multi-label", {"images": 6}),
        ("detection", {"images": 6}),
        ("face identity", {"0": 3, "1": 3}),
        ("face identity, two numbers", {"0": 3, "1": 3}),
        ("different lengths", {"1": 1, "7": 1, "10": 1, "images": 3}),
    ],
)
def test_images_are_extracted_by_label(kind: str, folders: dict[str, int], tmp_path: Path) -> None:
    done = mx.tools.extract(write_layout(kind, tmp_path / "x"), tmp_path / "out")
    assert (done.images, done.bad) == (COUNT, [])
    found = {
        folder.name: len(os.listdir(folder))
        for folder in (tmp_path / "out").iterdir()
        if folder.is_dir()
    }
    assert found == folders
    packed = mx.tools.write_records(done.lst, done.folder, pass_through=True, pack_label=True)
    assert packed.records == COUNT and packed.bad == []


def test_faces_are_extracted_by_identity(tmp_path: Path) -> None:
    rec = write_layout("face identity, two numbers", tmp_path / "x")
    done = mx.tools.extract(rec, tmp_path / "out", labels=[1])
    lines = Path(done.lst).read_text().splitlines()
    assert lines == [f"{key}\t1.000000\t7.000000\t1/{key}.jpg" for key in (4, 5, 6)]
