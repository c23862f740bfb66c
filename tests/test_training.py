"""The example training loops learn from each kind of iterator."""

import importlib.util
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


@pytest.mark.parametrize("data", ["custom", "ndarray", "csv"])
def test_torch(data: str, ctx: mx.Context) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    done = subprocess.run(
        [sys.executable, NOTEBOOKS / "train_mlp_torch.py", "--data", data,
         "--ctx", ctx.device_type, "--epochs", "4"],
        capture_output=True, text=True, timeout=200, cwd=NOTEBOOKS.parent,
        env={**os.environ, "PYTHONPATH": str(NOTEBOOKS.parent)},
    )  # fmt: skip
    losses = [float(line.split()[3]) for line in done.stdout.splitlines()]
    assert len(losses) == 4, done.stderr
    assert losses == sorted(losses, reverse=True) and losses[-1] < 0.5 * losses[0]
