"""kernels/assemble.cu equals the reference and HostAssembler bit for bit."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuio.errors import ArgumentError
from gpuio.execution.assemble_cuda import CudaAssembler
from gpuio.execution.assemble_host import HostAssembler
from gpuio.execution.output import OutputSpec
from gpuio.planning.plan import Plan
from tests.kernels.gpu import to_gpu
from tests.kernels.reference import assemble, assert_same_bits

pytestmark = pytest.mark.gpu

DTYPES = ("float32", "float16", "uint8", "int8")
LAYOUTS = ("NCHW", "NHWC")
IMAGENET = {"mean": (123.68, 116.28, 103.53, 20.5), "std": (58.395, 57.12, 57.375, 3.0)}


def plan_of(samples, mirror=None, matrix=None, rounding=0, light=None):
    """The plan of samples with these changes; a matrix is the color's, without means."""
    color = None
    if matrix is not None:
        color = np.zeros((len(matrix), 3, 7))
        color[:, :, [0, 1, 2, 6]] = matrix
    nothing = np.zeros((samples, 4))
    mirror = np.zeros(samples, bool) if mirror is None else mirror
    return Plan(nothing, nothing.astype(int), np.ones(samples, int), mirror,
                color=color, rounding=rounding, light=light)  # fmt: skip


def on_gpu(output, pixels, rows=None, **changes):
    """Assemble a batch with CudaAssembler."""
    import cupy

    plan = plan_of(len(pixels), **changes)
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        device = to_gpu(pixels)
        batch = CudaAssembler(output, SimpleNamespace(device_id=0))(device, plan, rows, stream)
        return batch.get()


def on_host(output, pixels, mirror=None, matrix=None, rows=None, rounding=0, light=None):
    """Assemble a batch with HostAssembler."""
    assembler = HostAssembler(output)
    samples = range(len(pixels)) if rows is None else rows.tolist()
    batch = assembler.empty(len(samples))
    for row, sample in enumerate(samples):
        flip = mirror is not None and bool(mirror[sample])
        assembler.write(
            batch,
            row,
            pixels[sample],
            flip,
            None if matrix is None else matrix[sample],
            rounding,
            None if light is None else light[sample],
        )
    return batch


def agree(
    pixels,
    dtype,
    layout,
    *,
    mean=(0.0,) * 4,
    std=(1.0,) * 4,
    scale=1.0,
    mean_image=None,
    mirror_mean=True,
    **arguments,
):
    """Compare reference, HostAssembler and the kernel."""
    output = OutputSpec(
        channels=pixels.shape[3],
        height=pixels.shape[1],
        width=pixels.shape[2],
        dtype=np.dtype(dtype),
        layout=layout,
        mean=mean,
        std=std,
        scale=scale,
        mean_image=mean_image,
        mirror_mean=mirror_mean,
    )
    expected = assemble(
        pixels,
        dtype=dtype,
        layout=layout,
        mean=mean,
        std=std,
        scale=scale,
        mean_image=mean_image,
        mirror_mean=mirror_mean,
        **arguments,
    )
    assert_same_bits(on_host(output, pixels, **arguments), expected)
    assert_same_bits(on_gpu(output, pixels, **arguments), expected)


def images(rng, samples, height, width, channels):
    return rng.integers(0, 256, (samples, height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1), (13, 17), (20, 31)])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_agrees(dtype, layout, channels, size):
    rng = np.random.default_rng(channels)
    pixels = images(rng, 3, *size, channels)
    mirror = np.array([True, False, True])
    rows = np.array([2, 0, 0, 1, 2], np.int32)
    for arguments in ({}, {"mirror": mirror}, {"rows": rows}, {"mirror": mirror, "rows": rows}):
        agree(pixels, dtype, layout, scale=0.7, **IMAGENET, **arguments)
    agree(pixels[:1], dtype, layout)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_agrees_with_light_and_a_mean_image(dtype, layout, channels):
    rng = np.random.default_rng(channels)
    pixels = images(rng, 3, 9, 11, channels)
    light = np.stack([rng.uniform(0.5, 1.5, 3), rng.uniform(-30, 30, 3)], axis=1)
    mean_image = rng.uniform(0, 255, (channels, 9, 11)).astype(np.float32)
    mirror = np.array([True, False, True])
    rows = np.array([2, 0, 0, 1, 2], np.int32)
    for arguments in ({}, {"mirror": mirror}, {"mirror": mirror, "rows": rows}):
        agree(pixels, dtype, layout, scale=0.7, light=light, **IMAGENET, **arguments)
        agree(pixels, dtype, layout, scale=0.7, mean_image=mean_image, **IMAGENET, **arguments)
        for mirror_mean in (True, False):
            means = {"mean_image": mean_image, "mirror_mean": mirror_mean}
            agree(pixels, dtype, layout, light=light, **means, **IMAGENET, **arguments)


@pytest.mark.parametrize("rounding", [1, 2])
@pytest.mark.parametrize("dtype", DTYPES)
def test_agrees_with_rounded_matrices(dtype, rounding):
    rng = np.random.default_rng(rounding)
    pixels = images(rng, 3, 9, 11, 3)
    matrix = rng.normal(0.3, 0.6, (3, 3, 4)).astype(np.float32)
    matrix[:, :, 3] *= 100
    matrix[2, 0, 1] = np.nan
    light = np.array([(1.1, 3), (0.7, 0), (1, -20.0)])
    agree(pixels, dtype, "NCHW", matrix=matrix, rounding=rounding, **IMAGENET)
    agree(pixels, dtype, "NHWC", matrix=matrix, rounding=rounding, light=light, **IMAGENET)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_agrees_with_color_matrices(dtype, layout):
    rng = np.random.default_rng(7)
    pixels = images(rng, 3, 9, 11, 3)
    matrix = rng.normal(0.3, 1, (3, 3, 4)).astype(np.float32)
    matrix[:, :, 3] *= 100
    mirror = np.array([False, True, True])
    rows = np.array([1, 2, 0, 1], np.int32)
    agree(pixels, dtype, layout, matrix=matrix, **IMAGENET)
    agree(pixels, dtype, layout, matrix=matrix, mirror=mirror, rows=rows, scale=1.3, **IMAGENET)
    agree(pixels, dtype, layout, matrix=np.tile(np.eye(3, 4, dtype=np.float32), (3, 1, 1)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_agrees_at_the_edges_of_its_range(dtype):
    every_value = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    for mean, std, scale in (
        (0.5, 1.0, 1.0),
        (-0.5, 1.0, 1.0),
        (128.0, 1.0, 1.0),
        (300.0, 1.0, 1.0),
        (-300.0, 1e-3, 1.0),  # overflows float16
        (127.5, 1e-35, 1.0),  # overflows float16 by many orders of magnitude
        (0.0, 1.0, 1e-7),  # subnormal float16
        (0.0, 1e3, 1e-39),  # subnormal float32
        (1e-40, 1.0, 1.0),
        (0.0, 1e-38, 1.0),  # overflows float32
    ):
        agree(every_value, dtype, "NCHW", mean=(mean,) * 4, std=(std,) * 4, scale=scale)
    pixels = np.repeat(every_value, 3, axis=3)
    extreme = np.float32(3e38)
    matrix = np.array(
        [
            [[extreme, extreme, 0, 0], [-extreme, -extreme, 0, 0], [extreme, extreme, 0, -np.inf]],
        ],
        np.float32,
    )
    agree(pixels, dtype, "NHWC", matrix=matrix)
    halves = np.array([[[0.5, 0, 0, 0], [0, 1, 0, -0.5], [0, 0, -0.5, 1]]], np.float32)
    agree(pixels, dtype, "NCHW", matrix=halves)


@settings(max_examples=60)
@given(data=st.data())
def test_agrees_on_random_inputs(data):
    draw = data.draw
    samples, height, width = (draw(st.integers(1, most)) for most in (4, 9, 9))
    channels = draw(st.sampled_from([1, 3, 4]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    offset = st.floats(-300, 300, width=32)
    arguments = {
        "mean": tuple(draw(st.tuples(*[offset] * 4))),
        "std": tuple(draw(st.tuples(*[st.floats(0.125, 300, width=32)] * 4))),
        "scale": draw(st.floats(-4, 4, width=32)),
    }
    if draw(st.booleans()):
        arguments["mirror"] = rng.random(samples) < 0.5
    if channels == 3 and draw(st.booleans()):
        arguments["matrix"] = rng.normal(0, 2, (samples, 3, 4)).astype(np.float32)
    if draw(st.booleans()):
        count = draw(st.integers(1, 6))
        arguments["rows"] = rng.integers(0, samples, count, dtype=np.int32)
    dtype, layout = draw(st.sampled_from(DTYPES)), draw(st.sampled_from(LAYOUTS))
    pixels = images(rng, samples, height, width, channels)
    agree(pixels, dtype, layout, **arguments)


@pytest.mark.parametrize("launch", [(1, 1, 1), (1, 1, 32), (2, 3, 5), (50, 9, 64)])
def test_any_launch_size_is_valid(launches, launch):
    launches.size = launch
    pixels = images(np.random.default_rng(0), 5, 7, 11, 3)
    agree(pixels, "float32", "NCHW", mirror=np.array([1, 0, 1, 1, 0], bool), **IMAGENET)
    agree(pixels, "uint8", "NHWC", rows=np.array([4, 4, 1], np.int32))
    assert set(launches.sizes) == {launch}


def test_the_launch_covers_every_pixel_within_cudas_limits(launches):
    output = OutputSpec(1, 30, 20, "uint8", "NCHW")
    on_gpu(output, np.zeros((4, 30, 20, 1), np.uint8))
    tiny = OutputSpec(1, 1, 1, "uint8", "NCHW")
    pixels = images(np.random.default_rng(0), 70_000, 1, 1, 1)
    np.testing.assert_array_equal(on_gpu(tiny, pixels).ravel(), pixels.ravel())
    assert launches.sizes == [(3, 4, 256), (1, 65535, 256)]


def test_an_empty_batch_launches_nothing(launches):
    output = OutputSpec(3, 4, 5, "float32", "NCHW")
    assert on_gpu(output, np.zeros((0, 4, 5, 3), np.uint8)).shape == (0, 3, 4, 5)
    pixels = np.zeros((2, 4, 5, 3), np.uint8)
    assert on_gpu(output, pixels, rows=np.zeros(0, np.int32)).shape == (0, 3, 4, 5)
    assert not launches.sizes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pixels": np.zeros((2, 4, 6, 3), np.uint8)}, r"pixels must be uint8 \(M, 4, 5, 3\)"),
        ({"pixels": np.zeros((2, 4, 5, 3), np.int8)}, "pixels must be uint8"),
        ({"mirror": np.zeros(3, bool)}, r"flip must be bool \(2,\)"),
        ({"mirror": np.zeros(2, np.int64)}, "flip must be bool"),
        ({"matrix": np.zeros((3, 3, 4))}, r"plan.color must be float64 \(2, 3, 7\)"),
        ({"light": np.zeros((2, 3))}, r"light must be float64 \(2, 2\)"),
        (
            {"rows": np.array([0, 2], np.int32)},
            "rows must be in 0 to 1, but they are from 0 to 2",
        ),
        ({"rows": np.array([-1], np.int32)}, "rows must be in 0 to 1"),
        ({"rows": np.array([0])}, "rows must be int32"),
    ],
)
def test_out_of_bounds_arguments_are_rejected(launches, change, message):
    arguments = {"pixels": np.zeros((2, 4, 5, 3), np.uint8), **change}
    with pytest.raises(ArgumentError, match=message):
        on_gpu(OutputSpec(3, 4, 5, "float32", "NCHW"), **arguments)
    assert not launches.sizes


def test_gaps_and_matrices_without_colors_are_rejected():
    import cupy

    assembler = CudaAssembler(OutputSpec(3, 4, 5, "float32", "NCHW"), SimpleNamespace(device_id=0))
    gaps = to_gpu(np.zeros((2, 4, 6, 3), np.uint8))[:, :, :5]
    with pytest.raises(ArgumentError, match="pixels must be contiguous"):
        assembler(gaps, plan_of(2), None, cupy.cuda.Stream())
    with pytest.raises(ArgumentError, match="3 channels, not 1"):
        on_gpu(
            OutputSpec(1, 4, 5, "float32", "NCHW"),
            np.zeros((2, 4, 5, 1), np.uint8),
            matrix=np.zeros((2, 3, 4), np.float32),
        )


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_gpu_agrees_with_the_host(dtype, layout, channels):
    import cupy

    rng = np.random.default_rng(0)
    output = OutputSpec(channels, 61, 47, dtype, layout, scale=0.9, **IMAGENET)
    assembler = CudaAssembler(output, SimpleNamespace(device_id=0))
    stream = cupy.cuda.Stream(non_blocking=True)
    for samples in (1, 9, 64):
        pixels = images(rng, samples, 61, 47, channels)
        mirror = rng.random(samples) < 0.5
        rows = rng.integers(0, samples, 40, dtype=np.int32)
        color = channels == 3
        matrix = rng.normal(0.3, 1, (samples, 3, 4)).astype(np.float32) if color else None
        with stream:
            device = cupy.asarray(pixels)
        for arguments in (
            {},
            {"mirror": mirror},
            {"mirror": mirror, "matrix": matrix, "rows": rows},
        ):
            changes = dict(arguments)
            chosen = changes.pop("rows", None)
            batch = assembler(device, plan_of(samples, **changes), chosen, stream)
            stream.synchronize()
            assert_same_bits(cupy.asnumpy(batch), on_host(output, pixels, **arguments))


def test_parameters_are_not_overwritten_before_the_gpu_reads_them():
    import cupy

    output = OutputSpec(1, 128, 128, "uint8", "NHWC")
    assembler = CudaAssembler(output, SimpleNamespace(device_id=0))
    stream = cupy.cuda.Stream(non_blocking=True)
    pixels = images(np.random.default_rng(0), 64, 128, 128, 1)
    with stream:
        device = cupy.asarray(pixels)
    rows = np.empty(64, np.int32)
    batches = []
    for call in range(16):
        rows[:] = call
        batches.append(assembler(device, plan_of(64), rows, stream))
        rows[:] = 63 - call
    stream.synchronize()
    for call, batch in enumerate(batches):
        assert (cupy.asnumpy(batch) == pixels[call]).all()
