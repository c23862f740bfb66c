"""The built documentation in a real browser, without a network: `make test-site`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import chromium

SITE = Path(__file__).parents[1] / "docs" / "_build" / "html"
# A phone's width, and that of a small laptop's screen, in pixels.
WIDTHS = 390, 1280
# Those of each kind: all are made from the same templates.
PAGES = ["index.html", "reference/io.html", "reference/generated/gpuio.io.ImageRecordIter.html"]
PAGES += [f"{path.stem}.html" for path in SITE.glob("*.html") if path.stem != "index"]
PAGES += [str(path.relative_to(SITE)) for path in sorted(SITE.glob("[hbn]*/*.html"))]

# How far a page reaches beyond the screen.
TOO_WIDE = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
BROKEN_IMAGES = "return [...document.images].filter(i => !i.naturalWidth).map(i => i.src)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium("--host-resolver-rules=MAP * ~NOTFOUND") as driver:
        yield driver


def requests(browser: Any) -> set[str]:
    """URLs that pages have asked for since this was called."""
    events = [json.loads(each["message"])["message"] for each in browser.get_log("performance")]
    sent = [each for each in events if each["method"] == "Network.requestWillBeSent"]
    return {each["params"]["request"]["url"] for each in sent}


@pytest.mark.parametrize("page", dict.fromkeys(PAGES))
def test_a_page_fits_and_needs_no_network(browser: Any, page: str) -> None:
    requests(browser)
    browser.get((SITE / page).as_uri())
    for width in WIDTHS:
        screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        assert browser.execute_script(TOO_WIDE) <= 0, width
    assert browser.execute_script(BROKEN_IMAGES) == []
    assert {url for url in requests(browser) if not url.startswith(("file:", "data:"))} == set()


def test_search(browser: Any) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get(f"{(SITE / 'search.html').as_uri()}?q=shuffle")
    results = "#search-results li a"
    WebDriverWait(browser, 60).until(
        lambda driver: len(driver.find_elements("css selector", results)) > 20
    )
    found = {each.text for each in browser.find_elements("css selector", results)}
    assert {"gpuio.nd.shuffle", "Order and shuffling"} <= found
