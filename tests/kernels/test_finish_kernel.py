"""kernels/finish.cu gives the bits of its twin, and so do whole batches."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuio.execution import kernels
from gpuio.execution.assemble_cuda import CudaAssembler
from gpuio.execution.color import batch_color_matrices, finish_pixels
from gpuio.execution.finish_cuda import CudaFinisher, finish_parameters
from gpuio.execution.output import OutputSpec
from gpuio.execution.packing import send_packed
from gpuio.execution.postprocess import HostPostprocess
from gpuio.planning.plan import NEAREST_INTEGER, TOWARD_ZERO, UNROUNDED, Border, Jitter, Plan
from tests.kernels.gpu import to_gpu
from tests.kernels.on_host import Kernel, Range, compile_kernels, integer
from tests.kernels.reference import assert_same_bits

pytestmark = pytest.mark.gpu

# With a rotation of hue and a contrast, as ImageRecordIter plans them.
CONTRAST = np.array([(0.9, 0.1, -0.2, 0.3, 0.1, 0.2, 3),
                     (0.1, 1.2, -0.1, 0.1, -0.4, 0.1, -7),
                     (0.0, 0.2, 0.7, 0.1, 0.1, 0.3, 12)])  # fmt: skip


def plain(samples):
    nothing = np.zeros((samples, 4))
    return Plan(nothing, nothing.astype(int), np.ones(samples, int), np.zeros(samples, bool))


def images(rng, samples, height, width, channels):
    return rng.integers(0, 256, (samples, height, width, channels), dtype=np.uint8)


def finish(pixels, plan):
    """The samples and the color matrices after CudaFinisher, as NumPy arrays."""
    samples, height, width, channels = pixels.shape
    output = OutputSpec(channels, height, width, "uint8", "NHWC")
    parameters = send_packed(finish_parameters(plan, output, samples))
    finished = CudaFinisher(output, 0)(to_gpu(pixels), parameters)
    matrix = parameters.get("plan.matrix")
    if matrix is not None:
        matrix = matrix.get().view(np.float32).reshape(samples, 3, 4)
    return finished.get(), matrix


def agree(pixels, plan):
    """Compare the kernel with its twin."""
    finished, matrix = finish(pixels, plan)
    expected = finish_pixels(pixels, plan)
    np.testing.assert_array_equal(finished, expected)
    if plan.color is None:
        assert matrix is None
    else:
        assert_same_bits(matrix, batch_color_matrices(plan.color, expected))


def every_color(step):
    """Colors with channels of 0, step, 2 * step, ..., and 255, (1, 1, N, 3)."""
    values = np.append(np.arange(0, 255, step), 255).astype(np.uint8)
    return np.stack(np.meshgrid(values, values, values), axis=-1).reshape(1, 1, -1, 3)


@pytest.mark.parametrize("wrap", [True, False])
@pytest.mark.parametrize(
    "shift", [(1, 0, 0), (-200, 0, 0), (360, 0, 0), (17, -30, 255), (-9, 200, -100), (0, -255, 1)]
)
def test_hls_shifts_agree(shift, wrap):
    pixels = every_color(13)
    agree(pixels, replace(plain(1), jitter=Jitter(hls=np.array([shift]), wrap_hue=wrap)))


def test_quotients_are_rounded_to_nearest():
    source = kernels.read_source(kernels.find("finish"))
    source += """extern "C" __global__ void quotients(float* out, int count) {
        for (int i = 0; i < count; ++i) out[i] = count == 256 ? over_255(i) : over_30(i);
    }"""
    kernel = compile_kernels(source, kernels.FLAGS)["quotients"]
    for divisor, count in ((255, 256), (30, 181)):
        out = np.empty(count, np.float32)
        begin = out.ctypes.data
        ranges = [Range(begin, begin + out.nbytes, "out", True)]
        arguments = [integer(begin, 8), integer(count, 4)]
        kernel.launch((1, 1, 1), (1, 1, 1), arguments, ranges)
        np.testing.assert_array_equal(out, np.arange(count, dtype=np.float32) / divisor)


def test_samples_without_a_shift_keep_their_pixels():
    pixels = np.concatenate([every_color(51)] * 3)
    plan = replace(plain(3), image_jitter=Jitter(hls=np.array([(5, 0, 0), (0, 0, 0), (0, 3, 0)])))
    agree(pixels, plan)
    np.testing.assert_array_equal(finish(pixels, plan)[0][1], pixels[1])


def test_gains_round_half_to_even_and_saturate():
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    gain = np.array([0.5, 0.0, 1.0, 2.5, 1e30, 1e-40])
    agree(np.repeat(pixels, 6, 0), replace(plain(6), jitter=Jitter(gain=gain)))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_later_borders_cover_earlier_ones(channels):
    rng = np.random.default_rng(0)
    pixels = images(rng, 4, 7, 9, channels)
    inside = np.array([(2, 1, 5, 6), (0, 0, 9, 7), (4, 4, 4, 7), (-5, -1, 3, 99)])
    borders = (
        Border(inside, rng.integers(0, 256, (4, channels), dtype=np.uint8)),
        Border(np.tile((1, 1, 8, 6), (4, 1)), rng.integers(0, 256, (4, 1), dtype=np.uint8)),
        Border(np.tile((2, 0, 9, 3), (4, 1)), rng.integers(0, 256, (4, channels), dtype=np.uint8)),
    )
    for count in (1, 2, 3):
        agree(pixels, replace(plain(4), borders=borders[:count]))


def test_means_are_those_of_the_step_before():
    """Each color has its own means: of the image, with borders, and of the finished pixels."""
    rng = np.random.default_rng(0)
    pixels = images(rng, 3, 11, 13, 3)
    color = np.stack([CONTRAST, np.eye(3, 7), CONTRAST * 0.5])
    border = Border(np.tile((1, 2, 9, 10), (3, 1)), np.full((3, 1), 250, np.uint8))
    jitter = Jitter(color=color, hls=np.array([(5, 20, 0), (0, 0, 0), (-9, 0, 99)]))
    plan = plain(3)
    for changes in (
        {"color": color},
        {"color": color, "borders": (border,)},
        {"jitter": jitter, "borders": (border,)},
        {"image_jitter": jitter, "borders": (border,)},
        {"image_jitter": jitter, "borders": (border,), "jitter": jitter, "color": color},
    ):
        agree(pixels, replace(plan, **changes))


def test_subnormal_and_huge_colors_agree():
    color = np.array([CONTRAST * 1e-42, CONTRAST * 1e-44, CONTRAST * 1e30, -CONTRAST * 0])
    pixels = images(np.random.default_rng(0), 4, 3, 5, 3)
    agree(pixels, replace(plain(4), color=color, jitter=Jitter(color=color)))


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("launch", [(1, 1, 32), (2, 3, 64), (9, 9, 96)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_any_grid_in_any_order_is_valid(monkeypatch, launches, launch, channels, backwards):
    monkeypatch.setattr(Kernel, "backwards", backwards)  # has no effect on a real GPU
    launches.size = launch
    rng = np.random.default_rng(0)
    border = Border(np.tile((1, 2, 9, 10), (5, 1)), np.full((5, 1), 250, np.uint8))
    plan = replace(plain(5), borders=(border,), jitter=Jitter(gain=rng.uniform(0.5, 2, 5)))
    if channels == 3:
        plan = replace(plan, color=np.tile(CONTRAST, (5, 1, 1)))
    for height, width in ((1, 1), (1, 2), (3, 1), (11, 13), (12, 12)):
        agree(images(rng, 5, height, width, channels), plan)


def jitters(draw, rng, samples, color):
    """A jitter with any of its parts; colors only if there are some."""

    def use():
        return draw(st.booleans())

    return Jitter(
        color=colors(draw, rng, samples) if color and use() else None,
        hls=rng.integers(-300, 301, (samples, 3)) * (rng.random((samples, 1)) < 0.7)
        if color and use() else None,
        wrap_hue=use(),
        gain=rng.uniform(0, 3, samples) if use() else None,
    )  # fmt: skip


def colors(draw, rng, samples):
    color = rng.normal(0.2, 0.6, (samples, 3, 7)) * [1, 1, 1, 0.3, 0.3, 0.3, 30]
    if draw(st.booleans()):
        color[:, :, 3:6] = 0
    return color


@settings(max_examples=150)
@given(data=st.data())
def test_batches_agree_on_random_plans(data):
    import cupy

    draw = data.draw
    samples, height, width = (draw(st.integers(1, most)) for most in (4, 9, 9))
    channels = draw(st.sampled_from([1, 3, 4]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    color = channels == 3
    corners = rng.integers(-1, 7, (3, samples, 4))
    fills = rng.integers(0, 256, (3, samples, channels), dtype=np.uint8)
    plan = replace(
        plain(samples),
        flip=rng.random(samples) < 0.5,
        image_jitter=jitters(draw, rng, samples, color) if draw(st.booleans()) else None,
        borders=tuple(Border(corners[k], fills[k]) for k in range(draw(st.integers(0, 3)))),
        jitter=jitters(draw, rng, samples, color) if draw(st.booleans()) else None,
        color=colors(draw, rng, samples) if color and draw(st.booleans()) else None,
        rounding=draw(st.sampled_from([UNROUNDED, NEAREST_INTEGER, TOWARD_ZERO])),
        light=rng.normal(1, 2, (samples, 2)) if draw(st.booleans()) else None,
    )
    rows = rng.integers(0, samples, 5, dtype=np.int32) if draw(st.booleans()) else None
    output = OutputSpec(
        channels, height, width,
        draw(st.sampled_from(["float32", "float16", "uint8", "int8"])),
        draw(st.sampled_from(["NCHW", "NHWC"])),
        (123.68, 116.28, 103.53, 20.5), (58.395, 57.12, 57.375, 3.0),
    )  # fmt: skip
    pixels = images(rng, samples, height, width, channels)
    assembler = CudaAssembler(output, SimpleNamespace(device_id=0))
    with cupy.cuda.Stream(non_blocking=True) as stream:
        batch = assembler(to_gpu(pixels), plan, rows, stream).get()
    assert_same_bits(batch, HostPostprocess(output).assemble(pixels, plan, rows))


FULL = {
    "flip": np.array([True, False]),
    "image_jitter": Jitter(hls=np.array([(5, 20, 0), (0, 0, 9)]), gain=np.array([0.5, 1.5])),
    "borders": (Border(np.tile((1, 1, 4, 4), (2, 1)), np.full((2, 1), 250, np.uint8)),) * 2,
    "jitter": Jitter(color=np.tile(CONTRAST, (2, 1, 1)), hls=np.array([(5, 20, 0), (0, 0, 9)])),
    "color": np.tile(CONTRAST, (2, 1, 1)),
    "light": np.array([(1.0, 2.0), (0.9, -3.0)]),
}


@pytest.mark.parametrize(
    ("names", "launched", "allocated"),
    [
        ((), 1, 1),
        (("flip", "light"), 1, 2),
        (("borders",), 2, 3),
        (("image_jitter", "borders"), 2, 3),
        (("color",), 2, 2),
        (("jitter",), 3, 3),
        (tuple(FULL), 3, 3),
    ],
)
def test_launches_and_allocations_of_a_batch(launches, allocations, names, launched, allocated):
    import cupy

    output = OutputSpec(3, 5, 6, "float32", "NCHW")
    assembler = CudaAssembler(output, SimpleNamespace(device_id=0))
    pixels = to_gpu(images(np.random.default_rng(0), 2, 5, 6, 3))
    plan = replace(plain(2), **{name: FULL[name] for name in names})
    stream = cupy.cuda.Stream()
    for _ in range(2):
        for rows, expected in ((np.zeros(0, np.int32), (0, 1)), (None, (launched, allocated))):
            launches.sizes.clear()
            allocations.clear()
            assembler(pixels, plan, rows, stream)
            assert (len(launches.sizes), len(allocations)) == expected
