"""cupy.RawModule on the simulated device: when kernels run, and what they may be given."""

import numpy as np
import pytest

from tests.simulated import simulation_only  # noqa: F401

# isort: split

import cupy
from simulation import accesses

from tests.kernels.on_host import KernelError

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("hostile")]

SOURCE = r"""
struct Pair {
    float factor;
    int shift;
};

extern "C" __global__ void scale(float* out, const float* in, int count, Pair pair) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) out[i] = (in ? in[i] : 1.0f) * pair.factor + pair.shift;
}

extern "C" __global__ void beyond(float* out) { out[threadIdx.x + 1] = 0; }
"""
PAIR = np.zeros((), [("factor", np.float32), ("shift", np.int32)])
PAIR["factor"], PAIR["shift"] = 2, 1
EIGHT = np.int32(8)


@pytest.fixture
def scale():
    return cupy.RawModule(code=SOURCE, options=("-std=c++17",)).get_function("scale")


def test_kernels_run_when_the_stream_does(scale):
    with cupy.cuda.Stream(non_blocking=True) as stream:
        values, out = cupy.zeros(8, np.float32), cupy.empty(8, np.float32)
        scale((2,), (4,), (out, values, EIGHT, PAIR))
        values += 100  # queued later, and so not seen
        stream.synchronize()
        assert (out.get() == 1).all()
        scale((1,), (8,), (out, None, EIGHT, PAIR))
        assert (out.get() == 3).all()


def test_structures_and_numbers_are_copied_at_the_launch(scale):
    pair, out = PAIR.copy(), cupy.empty(8, np.float32)
    scale((1,), (8,), (out, None, EIGHT, pair))
    pair["shift"] = 50
    assert (out.get() == 3).all()


def test_packed_bytes_serve_as_any_type(scale):
    packed = cupy.asarray(np.arange(10, dtype=np.float32).view(np.uint8))
    out = cupy.empty(8, np.float32)
    scale((1,), (8,), (out, packed[4:36], EIGHT, PAIR))
    np.testing.assert_array_equal(out.get(), np.arange(1, 9) * 2 + 1)
    scale((1,), (8,), (out, packed.data + 8, EIGHT, PAIR))
    np.testing.assert_array_equal(out.get(), np.arange(2, 10) * 2 + 1)


def test_accesses_are_ordered_like_others(scale):
    first, second = (cupy.cuda.Stream(non_blocking=True) for _ in range(2))
    with first:
        values = cupy.ones(8, np.float32)
    with second:
        out = cupy.empty(8, np.float32)
        scale((1,), (8,), (out, values, EIGHT, PAIR))
        second.synchronize()
    assert "scale" in accesses.take_reports()[-1]
    first.synchronize()


def test_an_array_that_goes_before_the_kernel_has_read_it(scale):
    first, second = (cupy.cuda.Stream(non_blocking=True) for _ in range(2))
    with first:
        values = cupy.ones(8, np.float32)
        second.wait_event(first.record())
    with second:
        out = cupy.empty(8, np.float32)
        scale((1,), (8,), (out, values, EIGHT, PAIR))
        del values
        first.synchronize()
        assert (out.get() != 3).all()
    assert "taking back memory" in accesses.take_reports()[0]


def test_accesses_beyond_an_array():
    beyond = cupy.RawModule(code=SOURCE).get_function("beyond")
    out = cupy.zeros(8, np.float32)
    beyond((1,), (7,), (out,))
    beyond((1,), (8,), (out,))
    with pytest.raises(KernelError, match="beyond writes 4 bytes outside of its arrays"):
        out.get()
    assert "beyond writes 4 bytes" in accesses.take_reports()[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({2: np.int64(8)}, "count.* of 8 bytes"),
        ({2: 8}, "count.* of 8 bytes"),
        ({2: np.float32(8)}, "count"),
        ({2: None}, "count is no pointer"),
        ({3: np.zeros((), [("factor", np.float32)])}, "pair.* of 4 bytes"),
        ({1: np.float32(1)}, "in"),
        ({1: "float64"}, "in.*float64"),
        ({0: "int32"}, "out.*int32"),
        ({0: "other device"}, "out lies on device 1, and the kernel runs on 0"),
    ],
)
def test_arguments_of_other_types(scale, change, message):
    arguments = [cupy.empty(8, np.float32), None, EIGHT, PAIR]
    for place, value in change.items():
        if isinstance(value, str) and value == "other device":
            with cupy.cuda.Device(1):
                arguments[place] = cupy.empty(8, np.float32)
        else:
            arguments[place] = cupy.empty(8, value) if isinstance(value, str) else value
    with pytest.raises(KernelError, match=message):
        scale((1,), (8,), tuple(arguments))


def test_other_mistakes_of_a_launch(scale):
    out = cupy.empty(8, np.float32)
    with pytest.raises(KernelError, match="scale has 4 parameters, and got 2 values"):
        scale((1,), (8,), (out, None))
    with pytest.raises(KernelError, match="2048 threads in a block"):
        scale((1,), (1024, 2), (out, None, EIGHT, PAIR))
    with pytest.raises(TypeError, match=r"numpy\.ndarray of shape"):
        scale((1,), (8,), (out, np.zeros(8, np.float32), EIGHT, PAIR))


def test_sources_that_are_wrong():
    with pytest.raises(cupy.cuda.compiler.CompileException, match="does not name a type"):
        cupy.RawModule(code="nonsense").get_function("scale")
    with pytest.raises(RuntimeError, match="symbol not found"):
        cupy.RawModule(code=SOURCE).get_function("unknown")
    with pytest.raises(TypeError, match="Exactly one"):
        cupy.RawModule()
