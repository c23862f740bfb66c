"""gpuio show: contact sheets and pages of records and of batches."""

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import gpuio as mx
from gpuio.errors import ArgumentError
from gpuio.recordio import RecordSet
from gpuio.tools.cli import main
from gpuio.tools.commands.show.images import of_records
from tests.tools.commands.show.pages import embedded_images, keys

GOLDEN = Path(__file__).parents[3] / "golden" / "data"


def test_records_are_spread_over_the_file(rec: str, tmp_path: Path) -> None:
    page = tmp_path / "x.html"
    assert mx.tools.show(rec, page) == (str(page), 12, 2)
    assert keys(page) == list(range(0, 120, 10))
    mx.tools.show(rec, page, count=4)
    assert keys(page) == [0, 40, 70, 110]
    mx.tools.show(rec, page, count=1)
    assert keys(page) == [0]


def test_records_are_chosen(rec: str, tmp_path: Path) -> None:
    page = tmp_path / "x.html"
    mx.tools.show(rec, page, keys=[50, 10, 50])
    assert keys(page) == [50, 10]
    mx.tools.show(rec, page, labels=[2], count=3)
    assert keys(page) == [20, 50, 80]
    mx.tools.show(rec, page, labels=[0, 1], keys=[20, 30, 40])
    assert keys(page) == [30, 40]
    mx.tools.show(rec, page, seed=0, count=5)
    some = keys(page)
    assert len(set(some)) == 5
    mx.tools.show(rec, page, seed=0, count=5)
    assert keys(page) == some
    mx.tools.show(rec, page, seed=1, count=5, labels=[1])
    assert set(keys(page)) == {10, 40, 70, 100}


def test_bad_images_are_reported(rec: str, tmp_path: Path) -> None:
    page = tmp_path / "x.html"
    assert mx.tools.show(rec, page, bad=True) == (str(page), 3, 3)
    assert keys(page) == [40, 70, 90]
    html = page.read_text()
    assert "not an image: its first bytes are" in html and "decodes in part" in html
    assert len(embedded_images(page)) == 1  # of the truncated one
    assert mx.tools.show(rec, page, bad=True, count=1).pictures == 1
    mx.tools.show(rec, tmp_path / "bad.png", bad=True)
    with pytest.raises(ArgumentError, match="there are no bad records"):
        mx.tools.show(GOLDEN / "img.rec", page, bad=True)


def test_batches_are_those_of_training(tmp_path: Path) -> None:
    page = tmp_path / "x.html"
    options = {"data_shape": (3, 20, 24), "rand_crop": True, "shuffle": True, "seed": 3}
    mx.tools.show(GOLDEN / "img.rec", page, count=10, options=options)
    with mx.io.ImageRecordIter(
        path_imgrec=GOLDEN / "img.rec", path_imgidx=GOLDEN / "img.idx", batch_size=10, **options
    ) as iterator:
        batch = iterator.next()
    assert keys(page) == batch.index.tolist()
    pixels = batch.data[0].asnumpy().transpose(0, 2, 3, 1)
    for shown, expected in zip(embedded_images(page), pixels, strict=True):
        assert np.abs(shown.astype(float) - expected).mean() < 6  # it is a JPEG


def test_a_sheet_shows_every_image(rec: str, tmp_path: Path) -> None:
    sheet = tmp_path / "x.png"
    mx.tools.show(rec, sheet, count=12, size=64)
    with Image.open(sheet) as opened:
        pixels = np.asarray(opened)
    with RecordSet(rec, rec.replace(".rec", ".idx")) as records:
        for image in of_records(records, 12, 64):
            if image.pixels is not None:
                match = cv2.matchTemplate(pixels, image.pixels, cv2.TM_SQDIFF)
                assert match.min() < 0.01 * image.pixels.size  # it rounds
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("extension", ["jpg", "webp", "HTML", "htm"])
def test_the_extension_decides(extension: str, rec: str, tmp_path: Path) -> None:
    out = tmp_path / f"x.{extension}"
    mx.tools.show(rec, out, count=2)
    if extension in ("jpg", "webp"):
        Image.open(out).verify()
    else:
        assert out.read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"out": "y.rec"}, "'.rec' is not an image file extension"),
        ({"out": "x"}, "'' is not an image file extension"),
        ({"out": "x.idx"}, "would overwrite"),
        ({"count": 0}, "count must be at least 1"),
        ({"size": 0}, "size must be at least 1"),
        ({"keys": [10, 11]}, "there is no image with key 11"),
        ({"labels": [77]}, "there are no such images"),
        ({"bad": True, "labels": [1]}, "leave out the other choices"),
        ({"options": {}, "seed": 1}, "seed: these choose records"),
        ({"options": {"rezise": 3}}, "did you mean resize"),
        ({"options": {"resize": "big"}}, "resize must be an integer"),
        ({"options": {"path_imgrec": "y.rec"}}, "path_imgrec"),
    ],
)
def test_invalid_arguments_are_refused(
    arguments: dict[str, Any],
    message: str,
    rec: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(os.listdir(tmp_path))
    with pytest.raises(ArgumentError, match=message):
        mx.tools.show(rec, **arguments)
    assert set(os.listdir(tmp_path)) == before


def test_options_that_the_iterator_refuses(rec: str, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="brightness must be at least 0"):
        mx.tools.show(rec, tmp_path / "x.png", options={"brightness": -0.4})


def test_the_command(
    rec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["show", rec]) == 0
    assert capsys.readouterr().out == "x-sheet.png: 12 images, 2 of them with problems\n"
    Image.open("x-sheet.png").verify()
    assert main(["show", rec, "--out", "a.html", "--label", "1", "--key", "10"]) == 0
    assert keys(Path("a.html")) == [10]
    options = ["data_shape=3,32,32", "rand_mirror=true", "mean_r=3.5", "data_name=x"]
    assert main(["show", rec, "--out", "a.html", "--count", "3", "--with", *options]) == 0
    assert len(keys(Path("a.html"))) == 3
    assert (
        "data_shape=(3, 32, 32), rand_mirror=True, mean_r=3.5, data_name=x"
        in Path("a.html").read_text()
    )
    assert main(["show", rec, "--task", "train", "--out", "t.png", "--count", "4"]) == 0
    capsys.readouterr()
    assert main(["show", rec, "--with", "resize"]) == 2
    assert "options are written NAME=VALUE" in capsys.readouterr().err
    assert main(["show", rec, "--out", "nowhere/x.png"]) == 2
    assert "directory does not exist" in capsys.readouterr().err


def test_batches_from_each_device(rec: str, ctx: mx.Context, tmp_path: Path) -> None:
    shown = mx.tools.show(rec, tmp_path / "x.png", count=4, options={"resize": 240}, ctx=ctx)
    assert shown.pictures == 4
