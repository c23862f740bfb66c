"""Contexts, and what is said where a device is missing."""

import asyncio
import pickle
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.context import Context, as_context, device_of, get_array_module, on_device, require
from gpuio.errors import ArgumentError, ContextError
from tests.devices import other_gpu

__all__ = ["other_gpu"]


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


HOST_KINDS = (mx.cpu_pinned, mx.cpu_shared)


def test_contexts_print_and_hash_as_mxnets() -> None:
    # The numbers and strings are those that MXNet 1.9.1 gives.
    kinds = {"cpu": 1, "gpu": 2, "cpu_pinned": 3, "cpu_shared": 5}
    assert Context.devstr2type == kinds
    assert Context.devtype2str == {1: "cpu", 2: "gpu", 3: "cpu_pinned", 5: "cpu_shared"}
    for kind, number in kinds.items():
        context = Context(kind, 2)
        assert str(context) == repr(context) == f"{kind}(2)"
        assert (context.device_type, context.device_id) == (kind, 2)
        assert context.device_typeid == number and hash(context) == hash((number, 2))
        assert Context(context) == context and pickle.loads(pickle.dumps(context)) == context
    assert len({Context(kind, n) for kind in kinds for n in (0, 1, 0)}) == 8
    assert mx.cpu_pinned() != mx.cpu() and mx.cpu_pinned(1) == Context("cpu_pinned", 1)


@pytest.mark.parametrize("kind", HOST_KINDS)
def test_pinned_and_shared_memory_are_the_host(kind: Any) -> None:
    for ctx in (kind(), kind(3), str(kind()), kind().device_type):
        assert as_context(ctx) == mx.cpu()
        assert mx.nd.zeros(2, ctx).context == mx.cpu()
    require(kind())
    kind().empty_cache()
    with on_device(kind()), kind() as entered:
        assert mx.current_context() == entered == kind()
        assert mx.nd.zeros(2).context == as_context(None) == mx.cpu()
        (batch,) = mx.io.NDArrayIter(np.zeros((2, 2)), batch_size=2)
        assert batch.data[0].context == mx.cpu()
    (batch,) = mx.io.NDArrayIter(np.zeros((2, 2)), batch_size=2, ctx=kind())
    assert batch.data[0].context == mx.cpu()


def test_the_default_context_under_its_old_name() -> None:
    assert Context.default_ctx == mx.cpu()
    with mx.gpu(1):
        assert Context.default_ctx == mx.gpu(1)
        Context.default_ctx = mx.gpu(2)
        assert mx.current_context() == mx.gpu(2)
    assert mx.current_context() == mx.cpu()
    found = []

    def in_a_thread() -> None:
        Context.default_ctx = mx.cpu(3)
        with mx.gpu(1):
            found.append(mx.current_context())
        found.append(mx.current_context())

    thread = threading.Thread(target=in_a_thread)
    thread.start()
    thread.join()
    assert found == [mx.gpu(1), mx.cpu(3)] and mx.current_context() == mx.cpu()
    with pytest.raises(ArgumentError, match="must be a Context, not 'gpu'"):
        Context.default_ctx = "gpu"  # type: ignore[assignment]


def test_the_memory_of_a_gpu() -> None:
    if not mx.num_gpus():
        for call in (mx.gpu_memory_info, mx.gpu().empty_cache):
            with pytest.raises(mx.MXNetError, match=r"gpu\(0\) needs"):
                call()
        return
    free, total = mx.context.gpu_memory_info(0)
    assert 0 < free <= total
    mx.gpu().empty_cache()


@pytest.mark.parametrize("wrong", ["tpu", "gpu:", "gpu:x", "", 0, "gpu:-1", ("gpu", 0)])
def test_what_names_none(wrong: object) -> None:
    with pytest.raises(ArgumentError, match="ctx must be"):
        as_context(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "arguments", [("tpu",), ([],), ("gpu", -1), ("gpu", "0"), ("cpu", True), (None,)]
)
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


def test_a_device_needs_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "cupy", None)
        said = pytest.raises(ContextError, match=r"CuPy .*pip install")
        with said, on_device(mx.gpu(0)):
            pass


@pytest.mark.gpu
def test_a_gpu_beyond_the_last_is_refused() -> None:
    require(mx.gpu(0))
    with pytest.raises(ContextError, match="this machine has gpu"):
        require(mx.gpu(mx.num_gpus()))


def current_device() -> int:
    import cupy

    return int(cupy.cuda.runtime.getDevice())


@pytest.mark.gpu
def test_a_context_selects_its_gpu_for_cuda(other_gpu: mx.Context) -> None:
    import cupy

    with other_gpu as ctx:
        assert device_of(cupy.zeros(3)) == ctx and current_device() == 1
        with mx.gpu(0):
            assert current_device() == 0
            with ctx, mx.cpu():  # the host has no device of CUDA
                assert current_device() == 1 and mx.nd.zeros(1).context == mx.cpu()
            assert current_device() == 0
        assert current_device() == 1
        cupy.cuda.Device(0).use()
        with ctx:
            assert current_device() == 1
        assert current_device() == 0
    with pytest.raises(ZeroDivisionError), ctx:
        raise ZeroDivisionError
    with mx.gpu(mx.num_gpus() + 3):  # a name
        assert current_device() == 0
    assert current_device() == 0 and mx.current_context() == mx.cpu()


@pytest.mark.gpu
def test_each_thread_has_a_device(other_gpu: mx.Context) -> None:
    inside, left = threading.Event(), threading.Event()
    found = []

    def work() -> None:
        found.append(current_device())
        with other_gpu:
            inside.set()
            assert left.wait(60)
            found.append(current_device())
        found.append(current_device())

    thread = threading.Thread(target=work)
    with other_gpu:
        thread.start()
        assert inside.wait(60)
    assert current_device() == 0
    left.set()
    thread.join()
    assert found == [0, 1, 0]


@pytest.mark.gpu
def test_the_default_context_selects_its_gpu(other_gpu: mx.Context) -> None:
    with mx.gpu(0):
        Context.default_ctx = other_gpu
        assert current_device() == 1
        Context.default_ctx = mx.cpu()
        assert current_device() == 0
        Context.default_ctx = other_gpu
    assert current_device() == 0
    found = []

    def for_good() -> None:
        Context.default_ctx = other_gpu
        with mx.gpu(0):
            found.append(current_device())
        found.append(current_device())

    thread = threading.Thread(target=for_good)
    thread.start()
    thread.join()
    assert found == [0, 1] and current_device() == 0


@pytest.mark.gpu
def test_tasks_that_take_turns(other_gpu: mx.Context) -> None:
    """gpuio's functions go by the task's context; in the end the thread has its device again."""

    async def work(ctx: mx.Context, asked: asyncio.Queue[None], done: asyncio.Queue[None]) -> None:
        await asked.get()
        with ctx:
            await done.put(None)
            await asked.get()
            assert mx.current_context() == ctx and mx.nd.zeros(2).context == ctx
        assert mx.current_context() == mx.cpu()
        await done.put(None)

    async def interleaved(turns: list[int]) -> list[int]:
        """CUDA's device after each step of the tasks, which enter and leave by turns."""
        queues: list[tuple[asyncio.Queue[None], asyncio.Queue[None]]]
        queues = [(asyncio.Queue(), asyncio.Queue()) for _ in range(2)]
        contexts = (other_gpu, mx.gpu(0))
        tasks = [
            asyncio.create_task(work(ctx, *pair))
            for ctx, pair in zip(contexts, queues, strict=True)
        ]
        found = []
        for turn in turns:
            asked, done = queues[turn]
            await asked.put(None)
            await done.get()
            found.append(current_device())
        await asyncio.gather(*tasks)
        return found

    assert asyncio.run(interleaved([0, 1, 1, 0])) == [1, 0, 1, 0]
    assert asyncio.run(interleaved([0, 1, 0, 1])) == [1, 0, 0, 0]


def test_a_context_does_not_import_cupy() -> None:
    code = """
import sys
import gpuio as mx
with mx.gpu(1) as ctx, mx.gpu(0):
    assert mx.current_context() == mx.gpu(0)
print("cupy" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "False\n", done.stderr


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
