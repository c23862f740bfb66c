"""MXNet's own unit tests pass over gpuio, where their text is at hand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mxnet import unittests

ROOT = Path(__file__).parents[2]
FOLDER = Path(
    os.environ.get("GPUIO_MXNET_TESTS", ROOT.parent / "shared" / "mxnet-1.9.1" / "unittest")
)


@pytest.mark.parametrize("name", unittests.FILES)
def test_file(name: str) -> None:
    """In a process of its own, where ``mxnet`` is gpuio."""
    if not (FOLDER / name).is_file():
        pytest.skip(
            f"needs MXNet 1.9.1's tests/python/unittest/{name}; GPUIO_MXNET_TESTS names the folder"
        )
    command = [sys.executable, "-m", "tests.mxnet.unittests", str(FOLDER), "--file", name]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr


FILE = """
import unittest
import mxnet as mx
from mxnet.io import NDArrayIter
from mxnet.test_utils import *

def test_passes():
    assert mx.__name__ == "gpuio" and NDArrayIter is mx.io.NDArrayIter

def test_fails():
    assert_almost_equal(np.ones(2), np.zeros(2))

class TestGroup(unittest.TestCase):
    @classmethod
    def setupClass(cls):
        cls.value = 5

    def test_set_up(self):
        assert self.value == 5

    def test_skipped(self):
        raise unittest.SkipTest("no reason")
"""


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.mxnet.unittests", str(folder), *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=100)


def test_outcomes(tmp_path: Path) -> None:
    """A failure and a skip are unexpected, and say why."""
    (tmp_path / "test_some.py").write_text(FILE)
    done = run(tmp_path, "--file", "test_some.py")
    lines = {line.split()[3]: line for line in done.stdout.splitlines()[:-1]}
    results = {name: line.split()[0] for name, line in lines.items()}
    assert results == {
        "test_some.test_passes": "pass",
        "test_some.test_fails": "fail",
        "test_some.test_set_up": "pass",
        "test_some.test_skipped": "skip",
    }
    assert "UNEXPECTED AssertionError" in lines["test_some.test_fails"]
    assert "no reason" in lines["test_some.test_skipped"]
    assert done.stdout.endswith("2 of 4 pass; 2 end otherwise than expected\n")
    assert done.returncode == 1


def test_only_some(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(FILE)
    done = run(tmp_path, "--file", "test_some.py", "--only", "passes")
    assert done.stdout.endswith("1 of 1 pass; 0 end otherwise than expected\n")
    assert done.returncode == 0


def test_file_that_cannot_be_imported(tmp_path: Path) -> None:
    """Counts as a failure of the file, and the next file runs."""
    (tmp_path / "test_bad.py").write_text("from mxnet import no_such_name\n")
    (tmp_path / "test_some.py").write_text(FILE)
    done = run(tmp_path, "--file", "test_bad.py", "--file", "test_some.py")
    assert "test_bad.import" in done.stdout.splitlines()[0]
    assert "no_such_name" in done.stdout.splitlines()[0]
    assert "pass" in done.stdout.splitlines()[1]


def test_missing_files_are_named(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 2
    assert "test_recordio.py" in done.stderr
