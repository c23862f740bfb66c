"""Brings the notebooks into the documentation, which has to be in one folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from sphinx.application import Sphinx


def copy_notebooks(source: Path, target: Path) -> None:
    """Copy the notebooks that have changed, and remove those that are gone."""
    target.mkdir(exist_ok=True)
    notebooks = {path.name: path for path in source.glob("*.ipynb")}
    for path in target.glob("*.ipynb"):
        if path.name not in notebooks:
            path.unlink()
    for name, path in notebooks.items():
        copy = target / name
        if not copy.exists() or copy.read_bytes() != path.read_bytes():
            shutil.copy2(path, copy)


def _on_start(app: Sphinx) -> None:
    copy_notebooks(app.srcdir.parent / "notebooks", app.srcdir / "notebooks")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    # Before Sphinx looks for pages.
    app.connect("config-inited", lambda app, config: _on_start(app))
    return {"parallel_read_safe": True}
