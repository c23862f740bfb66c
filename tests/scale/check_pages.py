"""The code of the documentation's pages that need more than gpuio's own packages."""

from pathlib import Path

import pytest

from tests.pages import Page, pages

MORE = [page for page in pages() if page.needs]


@pytest.mark.parametrize("page", MORE, ids=lambda page: page.path.stem)
def test_page(page: Page, tmp_path: Path) -> None:
    assert not page.missing()
    page.run(tmp_path)
