"""The example training loops learn from each kind of iterator."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import gpuio as mx

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


@pytest.fixture
def script(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """One of the scripts, imported with its folder on the path, as when it is run."""
    monkeypatch.syspath_prepend(NOTEBOOKS)
    spec = importlib.util.spec_from_file_location(request.param, NOTEBOOKS / f"{request.param}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("data", ["custom", "ndarray", "csv"])
@pytest.mark.parametrize("script", ["train_mlp"], indirect=True)
def test_numpy_and_cupy(script: ModuleType, data: str, ctx: mx.Context) -> None:
    losses = script.main(["--data", data, "--ctx", ctx.device_type, "--epochs", "4"])
    assert len(losses) == 4 and losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.3 * losses[0]


# In a process of its own, for PyTorch's threads.
TORCH = """
import json, sys
import train_mlp_torch
ctx, *kinds = sys.argv[1:]
losses = {data: train_mlp_torch.main(["--data", data, "--ctx", ctx, "--epochs", "4"])
          for data in kinds}
print(json.dumps(losses))
"""


@pytest.mark.real_gpu("needs PyTorch's CUDA build")
def test_torch(ctx: mx.Context) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    kinds = ["custom", "ndarray", "csv"]
    done = subprocess.run(
        [sys.executable, "-c", TORCH, ctx.device_type, *kinds],
        capture_output=True, text=True, timeout=200, cwd=NOTEBOOKS.parent,
        env={**os.environ, "PYTHONPATH": f"{NOTEBOOKS.parent}{os.pathsep}{NOTEBOOKS}",
             "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *printed, last = done.stdout.splitlines()
    assert len(printed) == 4 * len(kinds)
    for data, losses in json.loads(last).items():
        assert len(losses) == 4, data
        assert losses == sorted(losses, reverse=True) and losses[-1] < 0.5 * losses[0], data
