"""kernels/mix.cu gives the bits of its twin, and so do whole batches."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuio.execution.assemble_cuda import CudaAssembler
from gpuio.execution.mix_cuda import mix_on_gpu, mix_parameters
from gpuio.execution.mixing import mix_batch
from gpuio.execution.output import DTYPES, LAYOUTS, OutputSpec
from gpuio.execution.packing import send_packed
from gpuio.execution.postprocess import HostPostprocess
from gpuio.planning.mixing import BatchMix, CutMix, Mixer, MixUp
from gpuio.planning.plan import Plan
from tests.kernels.gpu import to_gpu
from tests.kernels.on_host import Kernel
from tests.kernels.reference import assert_same_bits

pytestmark = pytest.mark.gpu


def drawn(count, output, seed=0):
    record = np.arange(count)
    return Mixer((MixUp(0.4), CutMix()), seed).draw(
        record * 0, record, (output.width, output.height)
    )


def agree(batch, mix, output):
    made = to_gpu(batch)
    mix_on_gpu(made, send_packed(mix_parameters(mix, len(batch))), output, 0)
    expected = batch.copy()
    mix_batch(expected, mix, output)
    assert_same_bits(made.get(), expected)


def values(rng, output, count):
    """Values of a batch's type, among them those that are rounded to even, and subnormal ones."""
    shape = output.shape(count)
    if output.dtype.kind == "f":
        exponent = rng.uniform(-9, 3, shape)
        return (rng.choice([-1, 1], shape) * 10.0**exponent).astype(output.dtype)
    limits = np.iinfo(output.dtype)
    return rng.integers(limits.min, limits.max + 1, shape).astype(output.dtype)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("launch", [(1, 1, 32), (3, 1, 64), (9, 1, 256)])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_any_grid_in_any_order_is_valid(monkeypatch, launches, launch, dtype, layout, backwards):
    monkeypatch.setattr(Kernel, "backwards", backwards)  # has no effect on a real GPU
    launches.size = launch
    rng = np.random.default_rng(0)
    for count, channels, height, width in ((1, 3, 2, 3), (2, 1, 1, 1), (5, 3, 7, 5), (4, 4, 3, 9)):
        output = OutputSpec(channels, height, width, dtype, layout)
        agree(values(rng, output, count), drawn(count, output), output)


def test_all_halves_are_read_exactly():
    bits = np.arange(1 << 16, dtype=np.uint16).reshape(1, 1, 256, 256)
    pair = np.concatenate([bits, bits[:, :, ::-1]]).view(np.float16)
    pair[~np.isfinite(pair)] = np.inf
    output = OutputSpec(1, 256, 256, "float16", "NCHW")
    box = np.array([(0, 0, 256, 256)] * 2)
    mix = BatchMix(np.array([1, 0]), box, np.float32([1, 0.25]), np.float32([1, 0.25]))
    with np.errstate(invalid="ignore"):
        made = to_gpu(pair)
        mix_on_gpu(made, send_packed(mix_parameters(mix, 2)), output, 0)
        expected = pair.copy()
        mix_batch(expected, mix, output)
    # Infinities that cancel are NaN, whose bits may differ.
    np.testing.assert_array_equal(made.get(), expected)


@settings(max_examples=40)
@given(
    st.integers(1, 6), st.integers(1, 9), st.integers(1, 9), st.sampled_from(DTYPES),
    st.sampled_from(LAYOUTS), st.booleans(), st.integers(0, 99),
)  # fmt: skip
def test_assembled_batches_agree(samples, height, width, dtype, layout, selected, seed):
    import cupy

    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (samples, height, width, 3), dtype=np.uint8)
    nothing = np.zeros((samples, 4))
    plan = Plan(nothing, nothing.astype(int), np.ones(samples, int), rng.random(samples) < 0.5)
    rows = rng.integers(0, samples, 4, dtype=np.int32) if selected else None
    output = OutputSpec(
        3, height, width, dtype, layout, (123.68, 116.28, 103.53, 0), (58.3, 57.1, 57.4, 1)
    )
    mix = drawn(4 if selected else samples, output, seed)
    assembler = CudaAssembler(output, SimpleNamespace(device_id=0))
    with cupy.cuda.Stream(non_blocking=True) as stream:
        made = assembler(to_gpu(pixels), plan, rows, stream, mix).get()
    assert_same_bits(made, HostPostprocess(output).assemble(pixels, plan, rows, mix))
