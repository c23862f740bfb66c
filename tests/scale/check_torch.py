"""PyTorch: several processes, and compiled models."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gpuio as mx
import gpuio.torch
from tests.scale.processes import found_by, images, torchrun
from tests.scale.programs import ddp


def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    """Also where the images cannot be divided: 13 of them in batches of 6."""
    files = images(tmp_path, 13)
    torchrun(2, "tests.scale.programs.ddp", tmp_path, *files)
    first, second = found_by(tmp_path, 2)
    assert first["weights"] == second["weights"]
    labels, weights = ddp.train(*files, size=1)
    half = ddp.GLOBAL_BATCH // 2
    together = [
        label
        for step in range(0, len(first["labels"]), half)
        for ranks in (first, second)
        for label in ranks["labels"][step : step + half]
    ]
    assert together == labels
    np.testing.assert_allclose(first["weights"], weights, rtol=1e-4, atol=1e-6)


# Inductor's own.
@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")
@pytest.mark.parametrize("backend", ["eager", "aot_eager", "inductor"])
def test_a_compiled_model_is_compiled_once(backend: str, tmp_path: Path) -> None:
    if backend == "inductor" and shutil.which("g++") is None:
        pytest.skip("inductor needs a C++ compiler")
    torch.compiler.reset()
    path_imgrec, path_imgidx = images(tmp_path, 10)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 2))
    compiled: Any = torch.compile(model, backend=backend, fullgraph=True)
    with mx.io.ImageRecordIter(
        path_imgrec=path_imgrec, path_imgidx=path_imgidx, data_shape=(3, 8, 8), batch_size=4,
        verbose=False,
    ) as train:  # fmt: skip
        for number, (data, _) in enumerate(gpuio.torch.loader(train)):
            stance = "default" if number == 0 else "fail_on_recompile"
            with torch.compiler.set_stance(stance):
                torch.testing.assert_close(compiled(data), model(data), rtol=1e-4, atol=1e-3)
    assert number == 2
