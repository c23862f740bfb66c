"""Brings the notebooks into the documentation, which has to be in one folder.

A notebook whose metadata names packages that it ``needs`` is not executed where one of them is
missing: it is shown without results.
"""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config


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


def missing_packages(notebook: Path) -> list[str]:
    """The packages that a notebook needs and that are not installed."""
    needs = json.loads(notebook.read_text("utf-8"))["metadata"].get("needs", [])
    return [name for name in needs if find_spec(name) is None]


def _on_start(app: Sphinx, config: Config) -> None:
    folder = app.srcdir / "notebooks"
    copy_notebooks(app.srcdir.parent / "notebooks", folder)
    for notebook in folder.glob("*.ipynb"):
        if missing := missing_packages(notebook):
            print(f"{notebook.name} is shown without results: {', '.join(missing)} is missing")
            config.nb_execution_excludepatterns.append(f"notebooks/{notebook.name}")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    # Before Sphinx looks for pages, and myst-nb at its options.
    app.connect("config-inited", _on_start)
    return {"parallel_read_safe": True}
