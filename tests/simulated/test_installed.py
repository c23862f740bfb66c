"""The installed CuPy itself, over a substitute for CUDA: what it makes is what CuPy's substitute
makes, and gpuio's kernels get the arguments that they expect.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.simulated import SITE

ROOT = Path(__file__).parents[2]
HEADER = Path(sysconfig.get_paths()["include"], "Python.h")

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("cupy") is None or not shutil.which("gcc") or not HEADER.exists(),
    reason="needs CuPy, gcc and Python's header files",
)

# Errors for want of libraries that call CUDA by themselves (CUB, thrust, cuBLAS, cuSPARSE), and of
# values: those of CuPy's own kernels.
NO_LIBRARY = ("CUB", "InsufficientDriver", "Failure finding", "cupyx.cusparse")
NO_VALUES = ("index pointer", "invalid entry in index array")


def run(*arguments: str, device: str = "") -> str:
    """Run Python in a process of its own; what it prints."""
    paths = [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
    paths = [str(ROOT), *(each for each in paths if Path(each) != SITE)]
    environment = {"PYTHONPATH": os.pathsep.join(paths), "GPUIO_DEVICE": device}
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_arrays_are_those_that_cupy_makes() -> None:
    """Their classes, shapes, dtypes, strides and devices."""
    ours, theirs = (
        json.loads(run("tests.simulated.calls_made", which)) for which in ("simulated", "installed")
    )
    unknown = {
        name
        for name, made in theirs.items()
        if isinstance(made, str) and any(each in made for each in (*NO_LIBRARY, *NO_VALUES))
    }
    compared = ours.keys() - unknown
    assert len(compared) > 1300
    assert not {name: (ours[name], theirs[name]) for name in compared if ours[name] != theirs[name]}


def test_kernels_compute_with_the_arguments_that_cupy_passes() -> None:
    files = (f"tests/execution/test_{each}.py" for each in ("assemble_cuda", "finish_cuda"))
    found = run(
        "pytest", "-p", "tests.simulated.installed", "-q", "-m", "gpu", *files, device="real"
    )
    assert " passed" in found and "skipped" not in found, found
