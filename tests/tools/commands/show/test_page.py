"""The page, in a real browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.tools.commands.show.images import LabelledImage
from gpuio.tools.commands.show.page import render_page
from tests.browser import chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as driver:
        yield driver


def captions(browser: Any) -> list[str]:
    """The visible captions."""
    found = browser.find_elements("css selector", "figcaption")
    return [caption.text for caption in found if caption.is_displayed()]


def test_a_page_in_a_browser(browser: Any, rec: str, tmp_path: Path) -> None:
    page = tmp_path / "a <b> & c.html"
    mx.tools.show(rec, page)
    browser.get(page.as_uri())
    assert browser.title == "x.rec"
    # It is self-contained: nothing else was loaded.
    loaded = browser.execute_script(
        "return performance.getEntriesByType('resource').map(entry => entry.name)"
    )
    assert [name for name in loaded if not name.startswith("data:")] == []
    sizes = browser.execute_script(
        "return [...document.images].map(image => [image.naturalWidth, image.naturalHeight,"
        " image.getBoundingClientRect().width, image.complete])"
    )
    assert [size[:2] for size in sizes] == [
        [60 + 10 * number, 90] for number in range(12) if number not in (4, 7)
    ]
    assert all(complete and width == natural for natural, _, width, complete in sizes)
    shown = captions(browser)
    assert len(shown) == 12
    assert shown[2].split("\n")[:2] == ["2", "key 20"]
    assert "80 x 90 jpeg" in shown[2]
    assert "not an image" in shown[4]
    assert browser.get_log("browser") == []

    def search(text: str) -> list[str]:
        field = browser.find_element("id", "search")
        field.clear()
        field.send_keys(text)
        return [caption.split("\n")[1] for caption in captions(browser)]

    assert search("2") == [f"key {key}" for key in (20, 50, 80, 110)]
    assert browser.find_element("id", "count").text == "4 of 12"
    assert search("70") == ["key 70"]
    assert search("not an image") == ["key 40"]
    assert search("no such thing") == []
    assert len(search(" ")) == 12
    assert browser.find_element("id", "count").text == "12 images"


def test_captions_are_escaped(browser: Any, tmp_path: Path) -> None:
    """No reason or label is interpreted as HTML."""
    hostile = "<script>document.title = 'caught'</script>\"><b>"
    images = [LabelledImage(1, hostile, hostile, hostile, np.zeros((4, 4, 3), np.uint8))]
    path = tmp_path / "x.html"
    path.write_text(render_page(images, hostile, 100), "utf-8")
    browser.get(path.as_uri())
    assert browser.title == hostile
    assert hostile in captions(browser)[0]
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
