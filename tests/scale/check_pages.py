"""The code of the documentation's pages that need more than gpuio's own packages."""

from pathlib import Path

import pytest

from tests.pages import Page, missing, pages

# Packages of single blocks that may be missing: those blocks run only where they are installed.
# PyPI's torchvision cannot be loaded beside a build of PyTorch for CPUs.
OPTIONAL = {"torchvision"}

MORE = [page for page in pages() if page.needs or page.needs_of_blocks() - OPTIONAL]


@pytest.mark.parametrize("page", MORE, ids=lambda page: page.path.stem)
def test_page(page: Page, tmp_path: Path) -> None:
    assert not missing({*page.needs, *page.needs_of_blocks() - OPTIONAL})
    page.run(tmp_path)
