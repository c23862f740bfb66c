"""gpuio doctor --gpu: the checks succeed where all is well, and fail where something is wrong."""

import json

import numpy as np
import pytest

import gpuio as mx
from gpuio.tools.cli import main
from gpuio.tools.commands import gpu_checks as checks
from gpuio.tools.commands.gpu_checks import gpu_checks
from tests.conftest import DEVICE

# Those that need nothing of a GPU: on the CPU they compare it with itself.
ANYWHERE = [
    "nvImageCodec's pixels",
    "DALI's pixels",
    "truncated JPEGs",
    "batches after a bad record",
    "held batches",
]


@pytest.mark.parametrize("name", ANYWHERE)
def test_checks_succeed_on_the_cpu(name: str) -> None:
    assert gpu_checks(mx.cpu())[name]()


@pytest.mark.gpu
@pytest.mark.parametrize(
    "name", [each for each in gpu_checks(mx.cpu()) if "torch" not in each and "jax" not in each]
)
def test_checks_succeed_on_a_gpu(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if DEVICE == "simulated":
        monkeypatch.setattr(checks, "MATRIX", 8)
    assert gpu_checks(mx.gpu(0))[name]()


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_tensors_on_the_cpu_are_not_taken_for_a_gpus(framework: str) -> None:
    pytest.importorskip(framework)
    with pytest.raises(mx.Error, match="without CUDA"):
        gpu_checks(mx.cpu())[f"batches in {framework} on the GPU"]()


def test_differences_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "DECODER_TOLERANCE", -1)
    with pytest.raises(RuntimeError, match="differ from the host's by more than -1"):
        gpu_checks(mx.cpu())["nvImageCodec's pixels"]()


def test_images_of_other_labels_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = mx.io.DataBatch([mx.nd.zeros((8, 3, 4, 4))], [mx.nd.array(np.arange(8))])
    monkeypatch.setattr("gpuio.io.ImageRecordIter.__next__", lambda self: labels)
    with pytest.raises(RuntimeError, match="do not belong together"):
        gpu_checks(mx.cpu())["batches after a bad record"]()


def test_without_a_gpu_the_command_fails(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["doctor", "--gpu", "--json"])
    found = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
    if mx.num_gpus():
        assert status == 0 and set(gpu_checks(mx.gpu())) <= set(found)
    else:
        assert status == 1 and found["device"]["state"] == "missing"
        assert "held batches" not in found
