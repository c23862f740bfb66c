"""Buffers: their memory is used again when nobody can see it any more, never before."""

import gc
import subprocess
import sys
import threading
import tracemalloc

import numpy as np
import pytest

from gpuio.execution.buffers import ALIGNMENT, SIZES, BufferPool

SHAPE = (3, 50, 70)


def address(array):
    return array.__array_interface__["data"][0]


def churn(pool, n=5):
    """Lend, overwrite and give back."""
    for _ in range(n):
        pool.empty(SHAPE, np.float32).fill(-1)
    gc.collect()


class Labelled(np.ndarray):
    """As NDArray is."""


VIEWS = {
    "slice": lambda array: array[1:, ::2],
    "subclass": lambda array: array.view(Labelled),
    "reshape": lambda array: array.reshape(-1)[5:],
    "transpose": lambda array: array.T,
    "other dtype": lambda array: array.view(np.uint8),
    "DLPack": np.from_dlpack,
    "memoryview": memoryview,
    "buffer of a slice": lambda array: memoryview(array[2]),
    "slice of a subclass": lambda array: array.view(Labelled)[1],
    "array interface": lambda array: np.asarray(memoryview(array)),
}


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "int8"])
def test_lends_aligned_arrays(dtype):
    pool = BufferPool()
    array = pool.empty(SHAPE, dtype)
    assert (array.shape, array.dtype) == (SHAPE, np.dtype(dtype))
    assert type(array) is np.ndarray
    assert array.flags.c_contiguous and array.flags.writeable and array.flags.aligned
    assert address(array) % ALIGNMENT == 0
    array[...] = 7
    assert (array == 7).all()


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
def test_what_can_be_seen_is_never_overwritten(view):
    pool = BufferPool()
    array = pool.empty(SHAPE, np.float32)
    array[...] = np.arange(array.size).reshape(SHAPE)
    first = address(array)
    seen = view(array)
    expected = np.array(view(array.copy()))
    del array
    churn(pool)
    np.testing.assert_array_equal(np.asarray(seen), expected)
    del seen
    assert address(pool.empty(SHAPE, np.float32)) == first


def test_memory_comes_back_at_once():
    pool = BufferPool()
    array = pool.empty(SHAPE, np.float32)
    first = address(array)
    other = pool.empty(SHAPE, np.float32)
    assert address(other) != first
    del array
    assert pool.empty(SHAPE, np.int8).ctypes.data != first, "another size"
    assert address(pool.empty(SHAPE, np.float32)) == first


def test_memory_in_a_cycle_comes_back_with_the_garbage_collector():
    pool = BufferPool()
    array = pool.empty(SHAPE, np.float32)
    first, cycle = address(array), [array]
    cycle.append(cycle)
    del array, cycle
    gc.collect()
    assert address(pool.empty(SHAPE, np.float32)) == first


@pytest.fixture
def allocated():
    """The number of bytes allocated since the test began."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    yield lambda: tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()


def test_keeps_no_more_than_its_limit(allocated):
    pool = BufferPool(limit=2)
    arrays = [pool.empty((2**20,), np.uint8) for _ in range(5)]
    assert round(allocated() / 2**20) == 5
    del arrays
    assert round(allocated() / 2**20) == 2
    reused = [pool.empty((2**20,), np.uint8) for _ in range(2)]
    assert round(allocated() / 2**20) == 2 and len(reused) == 2


def test_keeps_few_sizes(allocated):
    pool = BufferPool()
    held = pool.empty((2**20,), np.uint8)
    for extra in range(1, 50):
        pool.empty((2**20 + extra,), np.uint8)
    assert round(allocated() / 2**20) == SIZES + 1
    del held  # of a size that has been forgotten
    assert round(allocated() / 2**20) == SIZES
    latest = [pool.empty((2**20 + extra,), np.uint8) for extra in range(50 - SIZES, 50)]
    assert round(allocated() / 2**20) == len(latest) == SIZES


def test_similar_sizes_share_memory(allocated):
    pool = BufferPool()
    for size in range(900_000, 980_000, 7_000):
        assert pool.about(size).shape == (size,)
    assert allocated() < 2 * 2**20  # thirteen sizes, two blocks
    for size in (0, 1, 2, 1000):
        block = pool.about(size)
        assert block.shape == (size,) and block.dtype == np.uint8
        assert size <= len(block.base) <= size * 9 / 8 + 1


def test_very_large_blocks_are_not_kept(allocated, monkeypatch):
    monkeypatch.setattr("gpuio.execution.buffers.LARGEST_KEPT", 2**20)
    pool = BufferPool()
    pool.about(2**20 + 1)
    assert allocated() < 2**16
    pool.about(2**20)
    assert allocated() >= 2**20


def test_an_empty_array_is_fine():
    pool = BufferPool()
    assert pool.empty((0, 3, 4, 5), np.float32).shape == (0, 3, 4, 5)


def test_close_lets_go_and_leaves_lent_arrays_alone():
    pool = BufferPool()
    array = pool.empty(SHAPE, np.float32)
    array.fill(3)
    pool.empty(SHAPE, np.float32)
    pool.close()
    pool.close()
    np.testing.assert_array_equal(array, 3)
    del array
    late = pool.empty(SHAPE, np.float32)
    late.fill(1)
    del late


def test_a_closed_pool_keeps_nothing(allocated):
    pool = BufferPool()
    lent = pool.empty((2**20,), np.uint8)
    pool.empty((2**20 + 1,), np.uint8)
    assert round(allocated() / 2**20) == 2
    pool.close()
    assert round(allocated() / 2**20) == 1
    del lent
    assert round(allocated() / 2**20) == 0
    pool.empty((2**20,), np.uint8)
    assert round(allocated() / 2**20) == 0


def test_arrays_outlive_their_pool():
    pool = BufferPool()
    array = pool.empty(SHAPE, np.float32)
    array.fill(3)
    del pool
    gc.collect()
    np.testing.assert_array_equal(array, 3)


def test_threads_never_share_memory():
    pool = BufferPool(limit=3)
    wrong = []

    def work(name):
        for turn in range(300):
            array = pool.empty((2000,), np.int32)
            array.fill(name * 1000 + turn)
            half = array[::2]
            del array
            pool.empty((2000,), np.int32).fill(-1)
            if not (half == name * 1000 + turn).all():
                wrong.append((name, turn))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(6)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong


def test_arrays_may_die_in_another_thread():
    pool = BufferPool()
    arrays = [pool.empty(SHAPE, np.float32)]
    first = address(arrays[0])
    thread = threading.Thread(target=arrays.clear)
    thread.start()
    thread.join()
    assert address(pool.empty(SHAPE, np.float32)) == first


def test_the_interpreter_exits_in_peace():
    code = (
        "import sys, numpy as np\n"
        "from gpuio.execution.buffers import BufferPool\n"
        "pool = BufferPool()\n"
        "kept = pool.empty((1000,), np.float32)\n"
        "class Late:\n"
        "    view = pool.empty((1000,), np.float32)[1:]\n"
        "    def __del__(self): self.view[:] = 1\n"
        "sys.modules['late'] = Late()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
