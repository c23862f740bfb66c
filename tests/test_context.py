"""Contexts, and what is said where a device is missing."""

import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest

import gpuio as mx
from gpuio.context import as_context, device_of, get_array_module, on_device, require
from gpuio.errors import ArgumentError, ContextError


def test_contexts_are_values() -> None:
    assert repr(mx.cpu()) == str(mx.cpu(0)) == "cpu(0)" and repr(mx.gpu(1)) == "gpu(1)"
    assert mx.cpu() == mx.Context("cpu") and hash(mx.gpu(2)) == hash(mx.Context("gpu", 2))
    assert mx.gpu(0) != mx.gpu(1) and mx.gpu(0) != mx.cpu(0) and mx.cpu() != "cpu(0)"
    assert mx.Context(mx.gpu(3)) == mx.gpu(3)
    assert pickle.loads(pickle.dumps(mx.gpu(1))) == mx.gpu(1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cpu", mx.cpu()),
        ("gpu", mx.gpu()),
        ("gpu:2", mx.gpu(2)),
        ("cuda:1", mx.gpu(1)),
        ("gpu(3)", mx.gpu(3)),
        (mx.gpu(4), mx.gpu(4)),
        (None, mx.cpu()),
    ],
)
def test_what_names_a_context(text: str, expected: mx.Context) -> None:
    assert as_context(text) == expected


@pytest.mark.parametrize("wrong", ["tpu", "gpu:", "gpu:x", "", 0, "gpu:-1", ("gpu", 0)])
def test_what_names_none(wrong: object) -> None:
    with pytest.raises(ArgumentError, match="ctx must be"):
        as_context(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("arguments", [("tpu",), ("gpu", -1), ("gpu", "0"), ("cpu", True), (None,)])
def test_contexts_that_cannot_be(arguments: tuple) -> None:
    with pytest.raises(ArgumentError):
        mx.Context(*arguments)


def test_the_current_context_is_that_of_the_innermost_with() -> None:
    assert mx.current_context() == mx.cpu()
    gpu = mx.gpu(1)
    with gpu:
        with mx.cpu(), gpu:
            assert mx.current_context() == gpu
        assert mx.current_context() == gpu
        found = []
        thread = threading.Thread(target=lambda: found.append(mx.current_context()))
        thread.start()
        thread.join()
        assert found == [mx.cpu()]  # each thread has its own
    with pytest.raises(ZeroDivisionError), mx.gpu(0):
        raise ZeroDivisionError
    assert mx.current_context() == mx.cpu()


def test_the_cpu_is_always_there() -> None:
    require(mx.cpu(7))


@pytest.mark.skipif(mx.num_gpus() > 0, reason="there is a GPU here")
def test_a_missing_gpu_is_named_with_what_to_do() -> None:
    assert mx.num_gpus() == 0
    with pytest.raises(
        ContextError, match=r"gpu\(0\) needs .*(pip install 'gpuio\[cuda13\]'|nvidia-smi)"
    ):
        require(mx.gpu(0))


def test_an_array_tells_its_device_and_its_library(ctx: mx.Context) -> None:
    array = mx.nd.zeros((2, 2), ctx)
    name = "cupy" if ctx.device_type == "gpu" else "numpy"
    for value in (array, mx.nd.sparse.zeros("csr", (2, 2), ctx)):
        assert device_of(value) == ctx and get_array_module(value).__name__ == name
    for value in (np.zeros(2), [1], None, "text"):
        assert device_of(value) == mx.cpu() and get_array_module(value) is np


def test_work_can_be_moved_to_a_device(ctx: mx.Context) -> None:
    with on_device(ctx), on_device(ctx):
        assert mx.nd.zeros(2, ctx).context == ctx
    if not mx.num_gpus():
        with pytest.raises(ContextError), on_device(mx.gpu(0)):
            pass


@pytest.mark.gpu
def test_a_gpu_beyond_the_last_is_refused() -> None:
    require(mx.gpu(0))
    with pytest.raises(ContextError, match="this machine has gpu"):
        require(mx.gpu(mx.num_gpus()))


def test_import_is_light() -> None:
    code = """
import sys, time
begun = time.perf_counter()
import gpuio
heavy = {"cv2", "cupy", "nvidia", "simplejpeg", "PIL", "torch", "numpy"} & set(sys.modules)
assert gpuio.gpu(0).device_id == 0 and not heavy, heavy
assert set(gpuio.__all__) <= set(dir(gpuio))
gpuio.nd, gpuio.recordio, gpuio.io, gpuio.tools
try:
    gpuio.nothing
except AttributeError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "module 'gpuio' has no attribute 'nothing'\n", done.stderr
