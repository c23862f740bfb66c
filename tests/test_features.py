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


def cells(page: str, first: str) -> dict[tuple[str, str], str]:
    """The cells of the table whose header begins with some words, by row and column."""
    text = (ROOT / page).read_text()
    header, _, *rows = (
        [re.sub(r"\[(.*)\]\(.*\)", r"\1", cell).strip() for cell in line.split("|")[1:-1]]
        for line in text[text.index(first) :].split("\n\n")[0].splitlines()
    )
    return {
        (row[0], column): cell
        for row in rows
        for column, cell in zip(header[1:], row[1:], strict=True)
    }


def test_the_readmes_features_are_those_of_the_page() -> None:
    readme = cells("README.md", "| | gpuio |")
    assert readme and readme.items() <= cells("docs/features.md", "| feature |").items()


def figures(page: str) -> set[tuple[str, str, str]]:
    """A page's CPU time of each loader and task, whose names are a little longer on some pages."""
    longer = re.compile(r"`| 1\.9\.1| \(gpuio's pixels\)")
    return {
        (
            longer.sub("", loader).replace(" + ", ", "),
            task.lower().replace("32 ", "32-").replace("12 mp", "12mp"),
            value,
        )
        for (loader, task), value in cells(page, "| CPU-ms per image |").items()
        if "multiple" not in loader and value[0].isdigit()
    }


def test_published_figures_are_those_of_the_benchmark() -> None:
    """The README's are some of the page's, and these are those of the benchmark's own report."""
    page = figures("docs/benchmarks/index.md")
    assert figures("docs/benchmarks/cpu.md") == page
    readme = figures("README.md")
    assert len(readme) > 50 and readme <= page
