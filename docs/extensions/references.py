"""Checks references: those of pages have to exist; those of docstrings are links if they do."""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.domains import Domain


def _on_missing(app: Sphinx, domain: Domain | None, node: nodes.Element) -> bool | None:
    """Whether a missing reference needs no warning: names in docstrings may be parameters, and
    types in signatures may be private.
    """
    return True if node.get("refdoc", "").startswith("reference/") else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("warn-missing-reference", _on_missing)
    return {"parallel_read_safe": True}
