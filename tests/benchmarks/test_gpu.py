"""The benchmark on a GPU runs: a tiny one, whose figures mean nothing."""

import json
from pathlib import Path

import pytest

from tests.benchmarks import gpu

TINY = (
    "--batches 1 --rounds 1 --batch-size 4 --threads 2 --loads 0.5 --copies 1 --matrix 16 "
    "--launches 2"
)


@pytest.mark.gpu
def test_the_benchmark_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = gpu.main([*TINY.split(), "--json", str(tmp_path / "figures.json")])
    report = capsys.readouterr().out
    names = (gpu.GPUIO, gpu.READER, gpu.IN_ORDER, gpu.DECODING, *gpu.LAYERS)
    for name in (*names, "copy on the device"):
        assert f"| {name} |" in report
    assert figures["train"][gpu.GPUIO] > 0 and figures["kernels"]["assemble, float32"] > 0
    assert json.loads((tmp_path / "figures.json").read_text())["step"] == figures["step"]
