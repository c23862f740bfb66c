"""Kernels on the host: threads, barriers, shared memory, and the mistakes that are found."""

import numpy as np
import pytest

from tests.kernels.on_host import (
    CompileError,
    Kernel,
    KernelError,
    Parameter,
    Range,
    check_launch,
    compile_kernels,
    half_of,
    integer,
)

SOURCE = r"""
#define KERNEL(name, Element) \
    extern "C" __global__ void name(Element* out, const Element* __restrict__ in, long long count)

struct Pair {
    short low, high;
};

__constant__ float weights[3] = {1, 2, 4};

// The sum of a value over a block of at most 1,024 threads.
template <typename Value>
__device__ __forceinline__ Value block_sum(Value value) {
    __shared__ Value parts[32];
    for (int delta = warpSize / 2; delta > 0; delta /= 2)
        value += __shfl_down_sync(0xffffffffu, value, delta);
    if (threadIdx.x % warpSize == 0) parts[threadIdx.x / warpSize] = value;
    __syncthreads();
    Value sum = 0;
    for (unsigned i = 0; i < blockDim.x / warpSize; ++i) sum += parts[i];
    __syncthreads();
    return sum;
}

KERNEL(sums, double) {
    double sum = 0;
    for (long long i = threadIdx.x + (long long)blockIdx.x * blockDim.x; i < count;
         i += (long long)blockDim.x * gridDim.x)
        sum += in[i] * weights[i % 3];
    const double whole = block_sum(sum);
    const int threads = block_sum(1);
    if (threadIdx.x == 0) out[blockIdx.x] = whole * threads / blockDim.x;
}

KERNEL(copy, int) {
    const long long i = threadIdx.x + (long long)blockIdx.x * blockDim.x;
    if (i < count) out[i] = in[i];
}

KERNEL(count_up, int) {
    atomicAdd(out, in[threadIdx.x]);
}

KERNEL(reverse, int) {
    extern __shared__ int values[];
    values[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = values[blockDim.x - 1 - threadIdx.x];
}

KERNEL(reverse_without_barrier, int) {
    __shared__ int values[1024];
    values[threadIdx.x] = in[threadIdx.x];
    out[threadIdx.x] = values[blockDim.x - 1 - threadIdx.x];
}

KERNEL(reverse_beyond, int) {
    __shared__ int values[16];
    int reversed[16] = {};
    values[threadIdx.x % 16] = in[threadIdx.x];
    out[threadIdx.x] = reversed[count] + values[threadIdx.x % 16];
}

KERNEL(uninitialized, int) {
    __shared__ int values[4];
    out[threadIdx.x] = values[threadIdx.x];
}

KERNEL(stuck, int) {
    if (threadIdx.x != 3) __syncthreads();
}

KERNEL(greedy, int) {
    __shared__ int values[20000];
    values[0] = 1;
}

extern "C" __global__ void __launch_bounds__(64) to_byte(unsigned char* out, float value) {
    *out = (unsigned char)value;
}

extern "C" __global__ void cast_away(const int* in) { *(int*)in = 1; }

extern "C" __global__ void all_kinds(Pair* pairs, const unsigned short* halves, float factor,
                                     unsigned char flag, Pair pair) {
    pairs[threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)] = {
        (short)(halves[0] * factor + flag), pair.high};
}
"""

# Of the access that is out of bounds.
LINE = 1 + SOURCE[: SOURCE.index("reversed[count]")].count("\n")


@pytest.fixture(scope="module")
def kernels():
    return compile_kernels(SOURCE, ("-std=c++17",))


@pytest.fixture(params=[False, True], ids=["forwards", "backwards"])
def any_order(request, monkeypatch):
    monkeypatch.setattr(Kernel, "backwards", request.param)


def run(kernel, *arguments, grid=(1, 1, 1), block=(1, 1, 1), shared=0):
    """Launch a kernel with NumPy arrays and numbers."""
    values, ranges = [], []
    for parameter, value in zip(kernel.parameters, arguments, strict=True):
        if isinstance(value, np.ndarray):
            begin = value.ctypes.data
            writable = not parameter.constant
            ranges.append(Range(begin, begin + value.nbytes, parameter.name, writable))
            values.append(integer(begin, 8))
        else:
            values.append(value.tobytes())
    kernel.launch(grid, block, values, ranges, shared)


def test_parameters(kernels):
    assert kernels["sums"].parameters == (
        Parameter("out", 8, 8, "f", constant=False),
        Parameter("in", 8, 8, "f", constant=True),
        Parameter("count", 8, 0, "i", constant=False),
    )
    assert kernels["all_kinds"].parameters == (
        Parameter("pairs", 8, 4, "V", constant=False),
        Parameter("halves", 8, 2, "u", constant=True),
        Parameter("factor", 4, 0, "f", constant=False),
        Parameter("flag", 1, 0, "u", constant=False),
        Parameter("pair", 4, 0, "V", constant=False),
    )


@pytest.mark.parametrize("threads", [32, 96, 1024])
def test_barriers_shuffles_and_shared_memory(kernels, threads, any_order):
    values, out = np.random.default_rng(0).random(5000), np.zeros(3)
    run(
        kernels["sums"],
        out,
        values,
        np.int64(5000),
        grid=(3, 1, 1),
        block=(threads, 1, 1),
    )
    expected = values @ np.tile([1.0, 2, 4], 1667)[:5000]
    assert out.sum() == pytest.approx(expected, rel=1e-12)


def test_dynamic_shared_memory(kernels, any_order):
    values, out = np.arange(64, dtype=np.int32), np.zeros(64, np.int32)
    options = {"block": (64, 1, 1)}
    run(kernels["reverse"], out, values, np.int64(64), shared=256, **options)
    np.testing.assert_array_equal(out, values[::-1])
    with pytest.raises(KernelError, match="writes 4 bytes outside of its arrays"):
        run(kernels["reverse"], out, values, np.int64(64), shared=252, **options)


def test_atomics(kernels):
    values, out = np.arange(64, dtype=np.int32), np.zeros(1, np.int32)
    run(kernels["count_up"], out, values, np.int64(64), grid=(5, 2, 1), block=(64, 1, 1))
    assert out[0] == 10 * values.sum()


def test_all_threads_of_a_grid_run(kernels, any_order):
    pairs, halves = np.zeros((24, 2), np.int16), np.array([1000], np.uint16)
    pair = np.array([1, 2], np.int16)
    kernel = kernels["all_kinds"]
    values = [np.float32(2), np.uint8(3), np.frombuffer(pair, np.uint32)[0]]
    run(kernel, pairs, halves, *values, block=(4, 3, 2))
    assert (pairs == [2003, 2]).all()


def test_a_missing_barrier_shows(kernels, any_order):
    values, out = np.arange(64, dtype=np.int32), np.zeros(64, np.int32)
    run(kernels["reverse_without_barrier"], out, values, np.int64(0), block=(64, 1, 1))
    assert not np.array_equal(out, values[::-1])


def test_shared_memory_begins_as_garbage(kernels):
    out = np.zeros(4, np.int32)
    run(kernels["uninitialized"], out, out, np.int64(0), block=(4, 1, 1))
    assert (out.view(np.uint8) == 0xA5).all()


@pytest.mark.parametrize(
    ("name", "threads", "count", "message"),
    [
        ("copy", 9, 9, r"copy reads 4 bytes .* next to in, 32 bytes .* thread \(8, 0, 0\)"),
        ("stuck", 8, 0, r"waits at a barrier that other threads do not come to"),
        ("greedy", 1, 0, r"uses more than 49152 bytes of shared memory"),
        (
            "reverse_beyond",
            8,
            16,
            rf"undefined behavior, out_of_bounds_abort, at line {LINE}, column",
        ),
        ("reverse_beyond", 8, -1, r"undefined behavior, out_of_bounds_abort"),
    ],
)
def test_mistakes_are_found(kernels, name, threads, count, message):
    values, out = np.arange(8, dtype=np.int32), np.zeros(8, np.int32)
    with pytest.raises(KernelError, match=message):
        run(kernels[name], out, values, np.int64(count), block=(threads, 1, 1))
    # And the next launch runs.
    run(kernels["copy"], out, values, np.int64(8), block=(16, 1, 1))
    np.testing.assert_array_equal(out, values)


def test_writes_beyond_an_array_are_found(kernels):
    memory = np.arange(16, dtype=np.int32)
    with pytest.raises(KernelError, match=r"writes 4 bytes .* next to out, 28 bytes .* of 28"):
        run(kernels["copy"], memory[:7], memory[8:], np.int64(8), block=(8, 1, 1))
    np.testing.assert_array_equal(memory[7:], np.arange(7, 16))


def test_inputs_are_only_read(kernels):
    memory = np.zeros(1, np.int32)
    with pytest.raises(KernelError, match="writes 4 bytes to in, which it may only read"):
        run(kernels["cast_away"], memory)
    assert memory[0] == 0


@pytest.mark.parametrize("value", [256.0, -1.5, np.nan])
def test_casts_that_are_undefined_are_found(kernels, value):
    out = np.zeros(1, np.uint8)
    run(kernels["to_byte"], out, np.float32(255.5))
    assert out[0] == 255
    with pytest.raises(KernelError, match="float_cast_overflow"):
        run(kernels["to_byte"], out, np.float32(value))


def test_misaligned_pointers_are_found(kernels):
    memory, out = np.zeros(40, np.uint8), np.zeros(8, np.int32)
    with pytest.raises(KernelError, match="type_mismatch"):
        run(kernels["copy"], out, memory[1:33], np.int64(8), block=(8, 1, 1))


def test_source_that_does_not_compile():
    with pytest.raises(CompileError, match=r"error: .nothing. was not declared"):
        compile_kernels('extern "C" __global__ void broken() { nothing = 1; }')
    with pytest.raises(CompileError, match="--use_fast_math"):
        compile_kernels(SOURCE, ("--use_fast_math",))


@pytest.mark.parametrize(
    ("grid", "block"),
    [
        ((0, 1, 1), (1, 1, 1)),
        ((1, 65536, 1), (1, 1, 1)),
        ((1, 1, 1), (1025, 1, 1)),
        ((1, 1, 1), (1, 1, 65)),
        ((1, 1, 1), (64, 32, 1)),
    ],
)
def test_launches_beyond_cudas_limits(grid, block):
    with pytest.raises(KernelError):
        check_launch(grid, block)
    check_launch((2**31 - 1, 65535, 65535), (16, 1, 64))


def test_integer():
    assert integer(-2, 4) == b"\xfe\xff\xff\xff" and integer(3, 8) == b"\3" + b"\0" * 7


def test_halves_are_rounded_as_numpy_does():
    rng = np.random.default_rng(0)
    halves = rng.choice(np.arange(0x7C00, dtype=np.uint16), 500).view(np.float16).astype(np.float32)
    steps = np.nextafter(halves.astype(np.float16), np.float16(np.inf)).astype(np.float32) - halves
    with np.errstate(invalid="ignore"):
        middles = halves + steps / 2
    around = [halves, middles, np.nextafter(middles, 0, dtype=np.float32), -middles]
    around.append(rng.integers(0, 2**32, 2000, dtype=np.uint32).view(np.float32))
    values = np.concatenate(around)
    values = values[~np.isnan(values)]
    with np.errstate(over="ignore"):
        expected = values.astype(np.float16).view(np.uint16)
    np.testing.assert_array_equal([half_of(value) for value in values.tolist()], expected)
