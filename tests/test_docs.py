"""The documentation: pages are linked and have titles, and the reference has every public name.

That the code of the pages runs is tested by `tests/test_pages.py`; `make docs` checks all links.
"""

import importlib
import inspect
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import gpuio as mx
from gpuio.tools.cli import make_parser

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    path.relative_to(DOCS)
    for path in DOCS.rglob("*")
    if path.suffix in (".md", ".rst")
    and not {"_build", "_templates", "generated"} & set(path.relative_to(DOCS).parts)
)

# Names of one module that the reference has in another one.
ELSEWHERE = {
    "gpuio": {"Error", "MXNetError", "ContextError", "DecodeError", "RecordError", "__version__"},
    "gpuio.base": {"MXNetError"},
    "gpuio.random": {*mx.random.__all__} - {"seed"},
    "gpuio.gluon.data.vision.transforms": {"Block", "HybridBlock"},
    "gpuio.test_utils": {"download"},
}
# Modules without names of their own: their long names are those of others.
ALIASES = {"gpuio.ndarray", "gpuio.gluon.data.vision.datasets"}


def public_modules() -> Iterator[ModuleType]:
    """gpuio, and the modules that public modules have as attributes."""
    found: dict[str, ModuleType] = {}
    left: list[ModuleType] = [mx]
    while left:
        module = left.pop()
        if module.__name__ in found or not module.__name__.startswith("gpuio"):
            continue
        found[module.__name__] = module
        names = getattr(module, "__all__", ())
        left += [each for name in names if inspect.ismodule(each := getattr(module, name))]
    return iter(found.values())


def referenced() -> set[str]:
    """The names in the reference, with their modules."""
    names: set[str] = set()
    for page in (DOCS / "reference").glob("*.rst"):
        module, listing = "", False
        for line in page.read_text().splitlines():
            directive = re.match(r"\.\. (\S+)::\s*(\S*)", line)
            if directive:
                kind, argument = directive.groups()
                listing = kind in ("autosummary", "py:data")
                if kind == "currentmodule":
                    module = argument
                elif kind.startswith(("auto", "py:")) and argument:
                    names.add(f"{module}.{argument}")
            elif line and not line.startswith(" "):
                listing = False
            elif listing and re.fullmatch(r" +[A-Za-z]\w*", line):
                names.add(f"{module}.{line.strip()}")
    return names


def toctree(page: Path) -> set[Path]:
    """The pages that the toctrees of a page name."""
    text = (DOCS / page).read_text()
    blocks = re.findall(r"^```\{toctree\}\n(.*?)^```", text, re.M | re.S)
    blocks += re.findall(r"^\.\. toctree::\n((?:   .*\n|\n)*)", text, re.M)
    folder = (DOCS / page).parent
    named = set()
    for line in "".join(blocks).splitlines():
        entry = line.strip()
        if entry and not entry.startswith(":"):
            name = os.path.normpath(folder / entry)
            where = Path(name).parent
            named |= {*where.glob(f"{Path(name).name}.md"), *where.glob(f"{Path(name).name}.rst")}
    return {path.relative_to(DOCS) for path in named} - {page}


def title(page: Path) -> str | None:
    """What the first heading says."""
    text = (DOCS / page).read_text()
    include = re.search(r"^```\{include\} (\S+)", text, re.M)
    if include:
        text = ((DOCS / page).parent / include[1]).read_text()
    if page.suffix == ".rst":
        found = re.match(r"(.+)\n=+\n", text)
    else:
        found = re.match(r"(?:<!--.*?-->\s*|\([\w-]+\)=\s*)*# (.+)\n", text, re.S)
    return found[1] if found else None


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_page_begins_with_its_title(page: Path) -> None:
    assert title(page), f"the first line of {page} is no heading"


def anchors(page: Path) -> set[str]:
    """The names that links can give to parts of a page: its headings, and targets before them."""
    text = page.read_text()
    words = (re.sub(r"[^\w -]", "", line.lower()) for line in re.findall(r"^#+ (.+)$", text, re.M))
    return {each.replace(" ", "-") for each in words} | set(
        re.findall(r"^\(([\w-]+)\)=$", text, re.M)
    )


@pytest.mark.parametrize(
    "page",
    [*DOCS.rglob("*.md"), *ROOT.glob("*.md"), ROOT / "gpuio" / "README.md"],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_links_lead_to_a_page_and_its_part(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link:
            continue
        path, _, part = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not part or part in anchors(target), link


def test_every_page_is_in_a_table_of_contents() -> None:
    linked = {each for page in PAGES for each in toctree(page)}
    assert set(PAGES) - linked == {Path("index.md")}


def test_the_reference_has_every_public_name() -> None:
    expected = set()
    for module in public_modules():
        name = module.__name__
        if name in ALIASES:
            continue
        expected |= {
            f"{name}.{each}"
            for each in getattr(module, "__all__", ())
            if each not in ELSEWHERE.get(name, ()) and not inspect.ismodule(getattr(module, each))
        }
    assert len(expected) > 300
    assert expected - referenced() == set()


def test_the_reference_has_no_other_names() -> None:
    for name in sorted(referenced()):
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name


def test_all_exceptions_are_in_the_reference() -> None:
    errors = importlib.import_module("gpuio.errors")
    classes = inspect.getmembers(errors, inspect.isclass)
    expected = {f"gpuio.errors.{name}" for name, _ in classes}
    assert expected <= referenced()


def test_every_command_is_on_its_page() -> None:
    text = (DOCS / "command.md").read_text()
    named = re.findall(r"^```\{gpuio-help\} (\w+)", text, re.M)
    listed = re.findall(r"^    (\w+) +\w", make_parser().format_help(), re.M)
    assert len(listed) > 10
    assert set(named) == set(listed)


DOCSTRING = """Do it.

Parameters
----------
a : the one, at least
    1
b, c : others, (n, *shape)
d, e,
f : of many names

Returns
-------
what it is: a sentence
of two lines

Raises
------
ArgumentError : it is bad.
OSError : or worse.

Examples
--------
>>> f(*a)
"""

PREPARED = """Do it.

Parameters
----------
a : int, default 1
    the one, at least
    1
b, c
    others, (n, \\*shape)
d, e, f
    of many names

Returns
-------
what it is: a sentence of two lines

Raises
------
:exc:`~gpuio.errors.ArgumentError`
    it is bad.
:exc:`OSError`
    or worse.

Examples
--------
>>> f(*a)"""


def test_docstrings_become_what_numpydoc_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(DOCS / "extensions")
    docstrings = importlib.import_module("docstrings")
    types = {"a": "int, default 1", "b": "int", "c": "str"}
    prepared = "\n".join(docstrings.prepare(DOCSTRING.splitlines(), types))
    assert re.sub("\n\n+", "\n\n", prepared) == PREPARED
