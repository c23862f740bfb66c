"""The page that compares features: each cell of its table has what it rests on."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "features.md").read_text()


def table() -> dict[str, dict[str, str]]:
    """The table's cells: letters of each loader, by the heading of their section."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in TEXT.splitlines()
        if line.startswith(("| feature |", "| ["))
    ]
    header, *body = rows
    return {
        re.sub(r".*\(#(.*)\)", r"\1", row[0]): dict(zip(header[1:], row[1:], strict=True))
        for row in body
    }


def sections() -> dict[str, dict[str, str]]:
    """The letters in the text: those of each loader, by the heading of their section."""
    found = {}
    for section in re.split(r"^## ", TEXT, flags=re.M)[1:]:
        heading, body = section.split("\n", 1)
        letters = re.findall(r"^- \*\*(.)\*\* ([^:]+):", body, flags=re.M)
        pairs = [(loader.strip(), letter) for letter, all_ in letters for loader in all_.split(",")]
        assert len(pairs) == len(dict(pairs)), f"{heading}: a loader has two cells"
        found[heading.lower().replace(" ", "-")] = dict(pairs)
    return found


def test_each_cell_has_what_it_rests_on() -> None:
    assert table() == sections()


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:tests|gpuio)/[^` ]+)`", TEXT))), ids=str
)
def test_files_that_show_a_feature_exist(path: str) -> None:
    assert (ROOT / path).exists()


def test_links_are_defined_and_used() -> None:
    defined = set(re.findall(r"^\[([a-z0-9-]+)\]: https://\S+$", TEXT, flags=re.M))
    assert defined == set(re.findall(r"\]\[([a-z0-9-]+)\]", TEXT))
