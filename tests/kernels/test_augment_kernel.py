"""kernels/augment.cu gives the bits of its twin, and so do whole batches."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuio.execution.assemble_cuda import CudaAssembler
from gpuio.execution.augment_cuda import CudaAugmenter, operation_parameters
from gpuio.execution.operations import operate_batch
from gpuio.execution.output import OutputSpec
from gpuio.execution.packing import send_packed
from gpuio.execution.postprocess import HostPostprocess
from gpuio.planning.augmentation_spaces import (
    NAMES,
    RANDAUGMENT,
    TRIVIAL_WIDE,
    named_operations,
)
from gpuio.planning.operations import ERASE, OPERATION, no_operations
from gpuio.planning.plan import LINEAR, Border, Jitter, Plan
from gpuio.planning.policies import (
    ColorJitterPolicy,
    RandAugmentPolicy,
    RandomErasingPolicy,
    TrivialAugmentPolicy,
    plan_operations,
)
from tests.kernels.gpu import to_gpu
from tests.kernels.on_host import Kernel
from tests.kernels.reference import assert_same_bits

pytestmark = pytest.mark.gpu

COLORS = ColorJitterPolicy((0, 2), (0, 2), (0, 2), (-0.5, 0.5))
POLICIES = (
    RandAugmentPolicy(2, 20, fill=(9,)),
    RandAugmentPolicy(1, 30, interpolation=LINEAR, fill=(200,)),
    TrivialAugmentPolicy(interpolation=LINEAR),
    COLORS,
    RandomErasingPolicy(0.7, value=(250,)),
)


def plain(samples):
    nothing = np.zeros((samples, 4))
    return Plan(nothing, nothing.astype(int), np.ones(samples, int), np.zeros(samples, bool))


def images(rng, samples, height, width, channels):
    """Some of them of few values, whose contrast and histogram can change."""
    pixels = rng.integers(0, 256, (samples, height, width, channels), dtype=np.uint8)
    pixels[::2] = pixels[::2] // 5 + 70
    return pixels


def agree(pixels, operations):
    """Compare the kernel with its twin."""
    samples, height, width, channels = pixels.shape
    output = OutputSpec(channels, height, width, "uint8", "NHWC")
    parameters = operation_parameters(
        replace(plain(samples), operations=operations), output, samples
    )
    made = CudaAugmenter(output, 0)(to_gpu(pixels), send_packed(parameters)["operations"])
    np.testing.assert_array_equal(made.get(), operate_batch(pixels, operations))


def drawn(policies, pixels, seed=0):
    samples, height, width, channels = pixels.shape
    record = np.arange(samples)
    return plan_operations(policies, (width, height), channels, seed, record * 0, record)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("magnitudes", [RANDAUGMENT, TRIVIAL_WIDE])
@pytest.mark.parametrize("name", NAMES)
def test_each_operation_agrees(name, magnitudes, channels):
    rng = np.random.default_rng(0)
    pixels = images(rng, 8, 19, 23, channels)
    number = np.full((8, 1), NAMES.index(name))
    magnitude = np.array([0, 1, 7, 15, 20, 29, 30, 30])[:, None]
    for interpolation in (0, LINEAR):
        operations = named_operations(
            number, magnitude, np.arange(8)[:, None] % 2 == 0, 31, magnitudes, (23, 19),
            interpolation, (7, 100, 250)[:channels],
        )  # fmt: skip
        if operations["code"].any():
            agree(pixels, operations)


def test_hues_and_rectangles_agree():
    rng = np.random.default_rng(0)
    pixels = images(rng, 64, 9, 11, 3)
    agree(pixels, drawn((COLORS,), pixels))
    agree(pixels, drawn((RandomErasingPolicy(1.0, (0.0, 1.0), value=(1, 2, 3)),), pixels))


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("launch", [(1, 1, 32), (2, 1, 64), (9, 1, 256)])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_grid_in_any_order_is_valid(monkeypatch, launches, launch, channels, backwards):
    monkeypatch.setattr(Kernel, "backwards", backwards)  # has no effect on a real GPU
    launches.size = launch
    rng = np.random.default_rng(0)
    for height, width in ((1, 1), (1, 5), (3, 2), (11, 13)):
        pixels = images(rng, 5, height, width, channels)
        agree(pixels, drawn(POLICIES, pixels))


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_any_number_of_steps_ends_in_the_result(steps):
    """Beside samples without operations, which are copied."""
    rng = np.random.default_rng(steps)
    pixels = images(rng, 6, 8, 9, 3)
    operations = drawn((RandAugmentPolicy(steps, 20),), pixels)
    operations[::3] = no_operations(1, steps)
    agree(pixels, operations)


def test_four_channels_can_be_erased():
    rng = np.random.default_rng(0)
    pixels = images(rng, 3, 8, 9, 4)
    operations = drawn((RandomErasingPolicy(1.0, value=(1, 2, 3, 4)),), pixels)
    assert (operations["code"] == ERASE).all()
    agree(pixels, operations)


@settings(max_examples=60)
@given(data=st.data())
def test_batches_agree_on_random_plans(data):
    import cupy

    draw = data.draw
    samples, height, width = (draw(st.integers(1, most)) for most in (4, 9, 9))
    channels = draw(st.sampled_from([1, 3]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pixels = images(rng, samples, height, width, channels)
    policies = draw(st.lists(st.sampled_from(POLICIES), min_size=1, max_size=3))
    color = rng.normal(0.2, 0.6, (samples, 3, 7)) if channels == 3 else None
    corners = rng.integers(-1, 7, (samples, 4))
    plan = replace(
        plain(samples),
        flip=rng.random(samples) < 0.5,
        borders=(Border(corners, np.full((samples, 1), 3, np.uint8)),) * draw(st.integers(0, 1)),
        jitter=Jitter(gain=rng.uniform(0, 3, samples)) if draw(st.booleans()) else None,
        operations=drawn(policies, pixels, draw(st.integers(0, 99))),
        color=color if draw(st.booleans()) else None,
        light=rng.normal(1, 2, (samples, 2)) if draw(st.booleans()) else None,
    )
    output = OutputSpec(
        channels, height, width, "float32", "NCHW", (123.68, 116.28, 103.53, 0), (58, 57, 57, 3)
    )
    assembler = CudaAssembler(output, SimpleNamespace(device_id=0))
    with cupy.cuda.Stream(non_blocking=True) as stream:
        batch = assembler(to_gpu(pixels), plan, None, stream).get()
    assert_same_bits(batch, HostPostprocess(output).assemble(pixels, plan, None))


def test_the_kernels_structure_is_that_of_the_plan():
    assert OPERATION.itemsize == 56 and OPERATION.fields["values"][1] == 8
