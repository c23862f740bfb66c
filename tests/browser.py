"""A real browser for tests of pages: Chromium, driven by Selenium."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

# Lets the browser run as root, without a network, and leave nothing behind.
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


@contextmanager
def chromium(*flags: str) -> Iterator[Any]:
    """Run the browser until the block ends; its log has the requests of pages, too.

    Where there is none, the test is skipped, or fails if ``GPUIO_REQUIRE_BROWSER`` is set.
    """
    webdriver = pytest.importorskip("selenium.webdriver")
    if BROWSER is None or DRIVER is None:
        if os.environ.get("GPUIO_REQUIRE_BROWSER"):
            pytest.fail("no chromium and chromedriver on the path")
        pytest.skip("needs chromium and chromedriver on the path")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (*FLAGS, *flags):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()
