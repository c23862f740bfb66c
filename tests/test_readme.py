"""The examples of the README, and of the documentation's first page, on small data."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.io.records import jpeg, write_records
from tests.pages import ROOT, START, environment

TEXT = (ROOT / "README.md").read_text()
CODE = [
    re.sub(r"batch_size=\d+", "batch_size=8", code)
    for code in re.findall(r"```python\n(.*?)```", TEXT + START.read_text(), re.S)
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_records(tmp_path / "train", [jpeg(number, 260, 240) for number in range(20)])
    photos = tmp_path / "photos" / "cat"
    photos.mkdir(parents=True)
    for number in range(5):
        (photos / f"{number}.jpg").write_bytes(jpeg(number, 50, 40))
    return tmp_path


def run_python(code: str, folder: Path) -> None:
    """Run code in a process of its own, which must not complain."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment(), capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("code", CODE)
def test_python(code: str, folder: Path) -> None:
    if "gpuio.torch" in code:
        pytest.importorskip("torch")
    code = code.replace("mx.gpu(0)", "mx.cpu()").replace("range(90)", "range(2)")
    run_python(code, folder)


@pytest.mark.gpu
@pytest.mark.parametrize("code", [code for code in CODE if "mx.gpu(0)" in code])
def test_its_iterator_on_a_gpu(code: str, folder: Path) -> None:
    """Without PyTorch, whose GPUs are not simulated."""
    making, loop, _ = code.replace("import gpuio.torch", "").partition("\nfor ")
    assert loop
    run_python(f"{making}\nassert next(train).data[0].context == mx.gpu(0)", folder)


def test_commands_of_a_folder(folder: Path) -> None:
    (block,) = (each for each in re.findall(r"```sh\n(.*?)```", TEXT, re.S) if "im2rec" in each)
    for line in block.splitlines():
        command = line.partition("#")[0].replace("~", str(folder))
        done = subprocess.run(
            ["bash", "-c", command], cwd=folder, env=environment(), capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, ""), line
    assert {"photos.lst", "photos.rec", "photos.idx"} < {each.name for each in folder.iterdir()}


def test_what_it_links_to_exists() -> None:
    links = [each for each in re.findall(r"\]\(([^)#]+)", TEXT) if "://" not in each]
    assert links
    assert [each for each in links if not (ROOT / each).exists()] == []
