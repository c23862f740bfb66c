"""gpuio show: contact sheets and pages of records and of batches, the pages in a real browser."""

import base64
import io
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import gpuio as mx
from gpuio.errors import ArgumentError, UnsupportedError
from gpuio.image.drawing import COLOURS
from gpuio.recordio import RecordSet
from gpuio.tools.cli import main
from gpuio.tools.show.pictures import Picture, of_batches, of_records
from tests.io.records import jpeg, write_records

GOLDEN = Path(__file__).parents[1] / "golden" / "data"
BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

# What lets the browser run as root, without a network, and leave nothing behind.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--no-first-run",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--window-size=1200,900",
)


@pytest.fixture
def rec(tmp_path: Path) -> str:
    """Twelve pictures with labels 0, 1, 2, two of them broken and one cut off."""
    pictures = [jpeg(number, 60 + 10 * number, 90) for number in range(12)]
    pictures[4], pictures[7] = b"<b>no</b> picture", pictures[7][:20]
    pictures[9] = pictures[9][: len(pictures[9]) // 2]
    labels = [number % 3 for number in range(12)]
    return str(write_records(tmp_path / "x", pictures, labels)["path_imgrec"])


def keys(html: Path) -> list[int]:
    return [int(key) for key in re.findall('data-key="(\\d+)"', html.read_text())]


def images(html: Path) -> list[np.ndarray]:
    """The pictures in a page."""
    found = re.findall('data:image/jpeg;base64,([^"]+)', html.read_text())
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) for data in found]


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


def test_bad_ones_are_named(rec: str, tmp_path: Path) -> None:
    page = tmp_path / "x.html"
    assert mx.tools.show(rec, page, bad=True) == (str(page), 3, 3)
    assert keys(page) == [40, 70, 90]
    text = page.read_text()
    assert "not an image: its first bytes are" in text and "decodes in part" in text
    assert len(images(page)) == 1  # of the one that was cut off
    assert mx.tools.show(rec, page, bad=True, count=1).pictures == 1
    mx.tools.show(rec, tmp_path / "bad.png", bad=True)
    with pytest.raises(ArgumentError, match="there are no bad records"):
        mx.tools.show(GOLDEN / "img.rec", page, bad=True)


def test_pixels_are_those_of_the_records(rec: str) -> None:
    with RecordSet(rec, rec.replace(".rec", ".idx")) as records:
        found = list(of_records(records, 12, 1000))
        small = list(of_records(records, 12, 45))
        assert [picture.key for picture in found if picture.pixels is None] == [40, 70]
        stored = cv2.imdecode(records.record(2)[1], cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(found[2].pixels, stored[:, :, ::-1])
    assert found[2].about == "80 x 90 jpeg, " + found[2].about.split(", ")[1]
    assert small[2].pixels.shape == (45, 40, 3)
    assert [picture.label for picture in found[:4]] == ["0", "1", "2", "0"]


def test_every_format_is_shown(tmp_path: Path) -> None:
    pixels = np.zeros((6, 8, 4), np.uint8)
    pixels[:, :4] = 0, 0, 255, 255  # red, and to the right transparent
    encoded = [cv2.imencode(".png", each)[1].tobytes() for each in (pixels, pixels[:, :, :3])]
    encoded.append(cv2.imencode(".png", pixels[:, :, 2])[1].tobytes())
    encoded.append(jpeg(0, 8, 6, mode="CMYK"))
    encoded.append(cv2.imencode(".webp", pixels[:, :, :3])[1].tobytes())
    labels = [[1.0, 2.5], list(range(9)), 3, float("nan"), 0]
    rec = write_records(tmp_path / "x", encoded, labels)["path_imgrec"]
    with RecordSet(rec) as records:
        found = list(of_records(records, 9, 100))
    assert [picture.pixels.shape for picture in found] == [(6, 8, 3)] * 5
    np.testing.assert_array_equal(found[0].pixels[0, [0, 7]], [[255, 0, 0], [255, 255, 255]])
    np.testing.assert_array_equal(found[2].pixels[0, [0, 7]], [[255] * 3, [0] * 3])
    assert [picture.label for picture in found] == [
        "1, 2.5", "0, 1, 2, 3, 4, 5, …", "3", "nan", "0",
    ]  # fmt: skip


def test_boxes_are_drawn(tmp_path: Path) -> None:
    """Where the labels say, around the object that is there."""
    picture = np.full((100, 200, 3), 255, np.uint8)
    picture[20:60, 50:150] = 0
    encoded = cv2.imencode(".png", picture)[1].tobytes()
    label = [2.0, 5.0, 1.0, 0.25, 0.2, 0.75, 0.6]
    rec = write_records(tmp_path / "x", [encoded], [label])["path_imgrec"]
    with RecordSet(rec) as records:
        (shown,) = of_records(records, 1, 1000)
    assert shown.label == "1 box"
    drawn = (shown.pixels == COLOURS[1]).all(2)
    rows, columns = np.nonzero(drawn)
    np.testing.assert_allclose(
        [rows.min(), rows.max(), columns.min(), columns.max()], [20, 59, 50, 149], atol=1
    )
    assert not drawn[24:55, 55:145].any()


@pytest.mark.parametrize(
    "options",
    [
        {"resize": 80, "mean_r": 123.68, "mean_g": 116.28, "std_b": 57.375, "scale": 0.5},
        {"dtype": "float16", "layout": "NHWC", "mean_b": 100, "std_r": 60},
        {"dtype": "uint8", "mean_r": 50, "std_r": 60},
        {"dtype": "int8", "mean_r": 127.6, "mean_g": 128, "mean_b": 128},
        {"data_shape": (1, 40, 48), "mean_r": 80, "std_r": 3},
    ],
)
def test_batches_are_denormalised(options: dict[str, Any], rec: str) -> None:
    """What is shown of a batch are the pixels that a uint8 iterator gives."""
    index = rec.replace(".rec", ".idx")
    options = {"data_shape": (3, 40, 48), **options}
    found = list(of_batches(rec, index, 7, 1000, options, None))
    plain = {name: options[name] for name in ("data_shape", "resize") if name in options}
    with mx.io.ImageRecordIter(
        path_imgrec=rec, path_imgidx=index, batch_size=7, on_error="skip", dtype="uint8",
        layout="NHWC", **plain,
    ) as iterator:  # fmt: skip
        batch = iterator.next()
    assert [picture.key for picture in found] == [0, 10, 20, 30, 50, 60, 80]
    rows = 7 - batch.pad
    limited = 127 if options.get("dtype") == "int8" else 255
    for picture, pixels in zip(found, batch.data[0].asnumpy()[:rows], strict=False):
        expected = np.broadcast_to(pixels, picture.pixels.shape).astype(int)
        close = np.abs(picture.pixels.astype(int) - expected) <= 1
        saturated = (picture.pixels == 255) | (picture.pixels == 0)
        assert (close | saturated if limited == 127 else close).all()
        assert close.mean() > 0.95


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
    for shown, expected in zip(images(page), pixels, strict=True):
        assert np.abs(shown.astype(float) - expected).mean() < 6  # it is a JPEG


def test_a_sheet_shows_every_picture(rec: str, tmp_path: Path) -> None:
    sheet = tmp_path / "x.png"
    mx.tools.show(rec, sheet, count=12, size=64)
    with Image.open(sheet) as image:
        pixels = np.asarray(image)
    with RecordSet(rec, rec.replace(".rec", ".idx")) as records:
        for picture in of_records(records, 12, 64):
            if picture.pixels is not None:
                match = cv2.matchTemplate(pixels, picture.pixels, cv2.TM_SQDIFF)
                assert match.min() < 0.01 * picture.pixels.size  # it rounds
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("ending", ["jpg", "webp", "HTML", "htm"])
def test_the_ending_decides(ending: str, rec: str, tmp_path: Path) -> None:
    out = tmp_path / f"x.{ending}"
    mx.tools.show(rec, out, count=2)
    if ending in ("jpg", "webp"):
        Image.open(out).verify()
    else:
        assert out.read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"out": "y.rec"}, "the ending '.rec' is none of a picture"),
        ({"out": "x"}, "the ending '' is none of a picture"),
        ({"out": "x.idx"}, "would overwrite"),
        ({"count": 0}, "count must be at least 1"),
        ({"size": 0}, "size must be at least 1"),
        ({"keys": [10, 11]}, "there is no image with key 11"),
        ({"labels": [77]}, "there are no such images"),
        ({"bad": True, "labels": [1]}, "leave out the other choices"),
        ({"options": {}, "seed": 1}, "seed: these choose records"),
        ({"options": {"rezise": 3}}, "did you mean resize"),
        ({"options": {"resize": "big"}}, "resize must be a whole number"),
        ({"options": {"path_imgrec": "y.rec"}}, "path_imgrec"),
    ],
)
def test_wrong_wishes_are_refused(
    arguments: dict[str, Any], said: str, rec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(os.listdir(tmp_path))
    with pytest.raises(ArgumentError, match=said):
        mx.tools.show(rec, **arguments)
    assert set(os.listdir(tmp_path)) == before


def test_what_is_not_offered_yet(rec: str) -> None:
    with pytest.raises(UnsupportedError, match="brightness"):
        mx.tools.show(rec, "x.png", options={"brightness": 0.4})


def test_the_command(
    rec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["show", rec]) == 0
    assert capsys.readouterr().out == "x-sheet.png: 12 pictures, 2 of them with something wrong\n"
    Image.open("x-sheet.png").verify()
    assert main(["show", rec, "--out", "a.html", "--label", "1", "--key", "10"]) == 0
    assert keys(Path("a.html")) == [10]
    words = ["data_shape=3,32,32", "rand_mirror=true", "mean_r=3.5", "data_name=x"]
    assert main(["show", rec, "--out", "a.html", "--count", "3", "--with", *words]) == 0
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


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, driven by Selenium."""
    webdriver = pytest.importorskip("selenium.webdriver")
    if BROWSER is None or DRIVER is None:
        if os.environ.get("GPUIO_REQUIRE_BROWSER"):
            pytest.fail("no chromium and chromedriver on the path")
        pytest.skip("needs chromium and chromedriver on the path")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in FLAGS:
        options.add_argument(flag)
    service = webdriver.ChromeService(DRIVER)
    driver = webdriver.Chrome(options, service)
    yield driver
    driver.quit()


def texts(browser: Any) -> list[str]:
    """The captions that can be seen."""
    found = browser.find_elements("css selector", "figcaption")
    return [caption.text for caption in found if caption.is_displayed()]


def test_a_page_in_a_browser(browser: Any, rec: str, tmp_path: Path) -> None:
    page = tmp_path / "a <b> & c.html"
    mx.tools.show(rec, page)
    browser.get(page.as_uri())
    assert browser.title == "x.rec"
    # It holds everything: nothing was loaded beside it.
    loaded = browser.execute_script(
        "return performance.getEntriesByType('resource').map(entry => entry.name)"
    )
    assert [name for name in loaded if not name.startswith("data:")] == []
    sides = browser.execute_script(
        "return [...document.images].map(image => [image.naturalWidth, image.naturalHeight,"
        " image.getBoundingClientRect().width, image.complete])"
    )
    assert [side[:2] for side in sides] == [
        [60 + 10 * number, 90] for number in range(12) if number not in (4, 7)
    ]
    assert all(complete and width == natural for natural, _, width, complete in sides)
    captions = texts(browser)
    assert len(captions) == 12
    assert captions[2].split("\n")[:2] == ["2", "key 20"]
    assert "80 x 90 jpeg" in captions[2]
    assert "not an image" in captions[4]
    assert browser.get_log("browser") == []

    def search(text: str) -> list[str]:
        field = browser.find_element("id", "search")
        field.clear()
        field.send_keys(text)
        return [caption.split("\n")[1] for caption in texts(browser)]

    assert search("2") == [f"key {key}" for key in (20, 50, 80, 110)]
    assert browser.find_element("id", "count").text == "4 of 12"
    assert search("70") == ["key 70"]
    assert search("not an image") == ["key 40"]
    assert search("no such thing") == []
    assert len(search(" ")) == 12
    assert browser.find_element("id", "count").text == "12 pictures"


def test_what_records_say_is_text_in_a_page(browser: Any, tmp_path: Path) -> None:
    """Not HTML: no reason or label can put something into the page."""
    from gpuio.tools.show.page import page

    hostile = "<script>document.title = 'caught'</script>\"><b>"
    pictures = [Picture(1, hostile, hostile, hostile, np.zeros((4, 4, 3), np.uint8))]
    path = tmp_path / "x.html"
    path.write_text(page(pictures, hostile, 100), "utf-8")
    browser.get(path.as_uri())
    assert browser.title == hostile
    assert hostile in texts(browser)[0]
    assert browser.execute_script("return document.querySelectorAll('figure b').length") == 1


def test_a_page_on_a_narrow_screen(browser: Any, rec: str, tmp_path: Path) -> None:
    page = tmp_path / "x.html"
    mx.tools.show(rec, page)
    browser.set_window_size(400, 800)
    browser.get(page.as_uri())
    assert browser.execute_script(
        "return document.documentElement.scrollWidth <= window.innerWidth"
    )
    browser.set_window_size(1200, 900)
