"""Notebooks run from beginning to end in an empty folder, and are committed without outputs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.processes import ROOT, python_path

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> nbformat.NotebookNode:
    return nbformat.read(request.param, as_version=4)


def test_notebooks_are_found() -> None:
    assert NOTEBOOKS


def test_the_tutorial_runs_the_commands_of_mxnets() -> None:
    notebook = nbformat.read(ROOT / "notebooks" / "1-tutorial.ipynb", as_version=4)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    for options in (
        "--list=1 --recursive=1 --shuffle=1 --test-ratio=0.2",
        "--num-thread=4 --pass-through=1",
    ):
        assert f'im2rec("{options} data/photos data/categories")' in code


def test_notebook_has_no_outputs(notebook: nbformat.NotebookNode) -> None:
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_notebook_says_what_to_install(notebook: nbformat.NotebookNode, tmp_path: Path) -> None:
    """At its top, and by its error where the photographs' packages are missing."""
    for name in notebook.metadata.get("needs", []):
        pytest.importorskip(name)
    assert re.search(
        r"`pip install .*'\.\[demo,notebooks\S*'` in a checkout", notebook.cells[0].source
    )
    (tmp_path / "skimage.py").write_text('raise ImportError("not here", name="skimage")')
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    code = "\n".join(cell for cell in cells if not cell.startswith("%"))  # only IPython has these
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,  # where it finds skimage.py
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), python_path()])},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 1
    assert re.search(r"pip install '(gpuio|\.)\[demo", done.stderr.splitlines()[-1])


def test_notebook_runs(
    notebook: nbformat.NotebookNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", python_path())
    for name in notebook.metadata.get("needs", []):
        pytest.importorskip(name)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))  # keeps the home directory clean
    folder = tmp_path / "run"
    folder.mkdir()
    client = NotebookClient(
        notebook, timeout=100, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert outputs
    stderr = [output.text for output in outputs if output.get("name") == "stderr"]
    assert not stderr, "".join(stderr)
    # The images that readers are meant to see.
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 2
