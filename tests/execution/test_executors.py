"""Choosing the executor."""

import pytest

import gpuio as mx
from gpuio import native
from gpuio.errors import ArgumentError
from gpuio.execution.executors import (
    GRAPH_DEPTH,
    check_dct_scaling,
    create_executor,
    resolve_executor,
    resolve_threads,
)
from gpuio.execution.output import OutputSpec
from gpuio.loading.cpus import cpu_count
from gpuio.loading.reader import BatchReader
from gpuio.planning.crop import CropPlanner
from gpuio.planning.crop_options import CropOptions
from tests.io.records import jpeg
from tests.loading.fakes import MemorySource, indices

CPU, GPU = mx.cpu(), mx.gpu(0)


def test_each_device_has_its_executor() -> None:
    assert resolve_executor(None, CPU) == "host" and resolve_executor(None, GPU) == "dali"
    assert resolve_executor("host", CPU) == "host"
    assert resolve_executor("dali", CPU) == resolve_executor("dali", GPU) == "dali"


@pytest.mark.parametrize(
    ("name", "ctx", "said"),
    [
        ("cuda", CPU, "executor must be 'host' or 'dali', not 'cuda'"),
        ("host", GPU, "executor='host' runs on the CPU"),
    ],
)
def test_other_executors_are_refused(name: str, ctx: mx.Context, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        resolve_executor(name, ctx)


def test_threads_suit_the_device_unless_given() -> None:
    assert resolve_threads(3, CPU) == resolve_threads(3, GPU) == 3
    assert resolve_threads(None, GPU) == cpu_count()
    assert resolve_threads(None, CPU) == (cpu_count() if native.state()[0] else 4)
    assert resolve_threads(None, CPU, planned=False) == 4


def test_images_are_decoded_in_part_only_by_the_native_module(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ArgumentError, match="executor='host' on the CPU, not with DALI"):
        check_dct_scaling("dali")
    monkeypatch.setenv("GPUIO_NATIVE", "0")
    with pytest.raises(ArgumentError, match="not in use: turned off by GPUIO_NATIVE=0"):
        check_dct_scaling("host")


@pytest.mark.parametrize("name", ["host", "dali"])
def test_the_executor_makes_batches(name: str) -> None:
    source = MemorySource([jpeg(number) for number in range(4)])
    executor = create_executor(
        name, BatchReader(source, CropPlanner(CropOptions(24, 28), 0, 1), ()),
        OutputSpec(3, 24, 28, "uint8", "NHWC"), CPU, batch_size=2, antialias=False,
        on_error="raise", threads=2, hw_decoder_load=0.5,
    )  # fmt: skip
    assert executor.depth == {"host": 1, "dali": GRAPH_DEPTH}[name]
    futures = [executor.submit(indices(4, 2, position)) for position in (0, 2)]
    for number, future in enumerate(futures):
        loaded = future.result(60)
        assert loaded.data[0].shape == (2, 24, 28, 3) and loaded.data[0].dtype == "uint8"
        assert loaded.label[0].ravel().tolist() == [2 * number, 2 * number + 1]
    executor.close()
    executor.close()
