"""The code of the documentation's pages, of those that need no more than gpuio's own packages."""

from pathlib import Path

import pytest

from tests.pages import Page, pages

OWN = [page for page in pages() if not page.needs]


@pytest.mark.parametrize("page", OWN, ids=lambda page: page.path.stem)
def test_page(page: Page, tmp_path: Path) -> None:
    page.run(tmp_path)


def test_a_page_is_run_in_its_order(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nx = 1\n```\ntext\n```python\nprint(x)\n```\n"
        "```python\n# two.py\nprint('two')\n```\n"
        "```console\n$ python two.py\nshown\n$ echo three\n```\n"
        "```python\nprint('four')\n```\n"
    )
    assert Page(page, ()).run(tmp_path) == "1\ntwo\nthree\nfour\n"


def test_an_error_names_the_line_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("text\n\n```python\nx = 1\n```\n\n```python\n\nraise OSError(x)\n```\n")
    with pytest.raises(AssertionError, match="line 9"):
        Page(page, ()).run(tmp_path)
