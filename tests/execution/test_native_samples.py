"""The native module makes the same samples as the Python code, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gpuio import native
from gpuio.execution.host import PlanRenderer
from gpuio.execution.native_samples import NativeRenderer
from gpuio.execution.output import DTYPES, LAYOUTS, OutputSpec
from gpuio.loading.reader import BatchReader
from gpuio.loading.source import Encoded
from gpuio.planning.crop import CropPlanner
from gpuio.planning.crop_options import CropOptions
from gpuio.planning.jitter import JitterOptions
from gpuio.planning.plan import LINEAR, NEAREST, Plan
from gpuio.planning.policies import (
    Policy,
    RandAugmentPolicy,
    RandomErasingPolicy,
    TrivialAugmentPolicy,
)
from tests.decoding.pngs import png
from tests.decoding.samples import adobe, named, oriented, segment
from tests.execution.native import Given, check, make
from tests.io.records import jpeg
from tests.loading.fakes import MemorySource, indices

pytestmark = pytest.mark.skipif(not native.state()[0], reason="the native module is not in use")

DATA = Path(__file__).parents[1] / "decoding" / "data"

SAMPLINGS = [
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
]
SIDES = st.sampled_from([1, 2, 3, 8, 15, 16, 17, 31, 33, 64, 130])
POLICIES = (RandAugmentPolicy(3, 25), TrivialAugmentPolicy(), RandomErasingPolicy())
MEAN, STD = (123.68, 116.78, 103.94, 0.0), (58.4, -57.1, 57.4, 1.0)


@st.composite
def images(draw: Any) -> bytes:
    """JPEGs of all kinds; some of them are damaged."""
    width, height = draw(SIDES), draw(SIDES)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    coarse = draw(st.sampled_from([1, 8]))
    small = (-(-height // coarse), -(-width // coarse), 3)
    pixels = cv2.resize(rng.integers(0, 256, small, np.uint8), (width, height))
    options = [cv2.IMWRITE_JPEG_QUALITY, draw(st.sampled_from([20, 92, 100]))]
    if draw(st.integers(0, 4)) == 0:
        pixels = pixels[..., 0]
    else:
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, draw(st.sampled_from(SAMPLINGS))]
    if draw(st.integers(0, 3)) == 0:
        options += [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    options += [cv2.IMWRITE_JPEG_RST_INTERVAL, draw(st.sampled_from([0, 0, 1, 3]))]
    data = cv2.imencode(".jpg", pixels, options)[1].tobytes()
    if orientation := draw(st.sampled_from([0] * 8 + list(range(1, 9)))):
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = data[:2] + segment(0xE1, exif.tobytes()) + data[2:]
    damage = draw(st.integers(0, 7))
    if damage == 0:
        data = data[: draw(st.integers(1, len(data)))]
    elif damage == 1:
        at = draw(st.integers(0, len(data) - 1))
        data = data[:at] + bytes([draw(st.integers(0, 255))]) + data[at + 1 :]
    return data


@st.composite
def outputs(draw: Any) -> OutputSpec:
    sides = st.sampled_from([1, 2, 3, 5, 16, 33])
    return OutputSpec(
        draw(st.sampled_from([1, 3, 3])),
        draw(sides),
        draw(sides),
        draw(st.sampled_from(DTYPES)),  # type: ignore[arg-type]
        draw(st.sampled_from(LAYOUTS)),
        MEAN,
        STD,
        draw(st.sampled_from([1.0, 1 / 255])),
    )


GEOMETRY: list[dict[str, Any]] = [
    {},
    {"resize": 1},
    {"resize": 33, "rand_crop": True},
    {"resized_crop": True, "area": (0.0001, 1.0), "ratio": (3 / 4, 4 / 3)},
    {"pad": 5, "rand_crop": True},
    {"crop_size": (1, 3), "rand_crop": True},
]


@settings(max_examples=120, deadline=None)
@given(
    st.lists(images(), min_size=4, max_size=4),
    outputs(),
    st.sampled_from(GEOMETRY),
    st.sampled_from([NEAREST, LINEAR, LINEAR, LINEAR]),
    st.sampled_from([(0.0, 0.0), (0.5, 20.0)]),
    st.lists(st.sampled_from(POLICIES), max_size=2),
)
def test_batches_are_the_same(
    payloads: list[bytes],
    output: OutputSpec,
    geometry: dict[str, Any],
    method: int,
    light: tuple[float, float],
    policies: list[Policy],
) -> None:
    options = CropOptions(
        output.height, output.width, method=method, rand_mirror=True,
        fill=(7, 100, 200)[: output.channels], **geometry,
    )  # fmt: skip
    jitter = JitterOptions(gain=light[0], shift=light[1])
    planner = CropPlanner(options, 3, 1, jitter=jitter, policies=policies, channels=output.channels)
    check(payloads, planner, output)


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_windows_of_any_place_and_size_are_the_same(sampling: int) -> None:
    pixels = cv2.imdecode(np.frombuffer(jpeg(7, 61, 53), np.uint8), cv2.IMREAD_COLOR)
    pixels ^= np.random.default_rng(0).integers(0, 64, pixels.shape, np.uint8)
    data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling])[1].tobytes()
    columns = [(x, x + w) for w in (1, 2, 3, 20) for x in (0, 1, 15, 16, 17, 33, 61 - w)]
    rows = [(y, y + h) for h in (1, 2, 20) for y in (0, 7, 15, 16, 17, 53 - h)]
    bounds = np.array([(x0, y0, x1, y1) for x0, x1 in columns for y0, y1 in rows])
    window = np.concatenate([bounds[:, :2], bounds[:, 2:] - bounds[:, :2]], axis=1).astype(float)
    count = len(bounds)
    plan = Plan(window, bounds, np.full(count, LINEAR), np.zeros(count, bool))
    output = OutputSpec(3, 9, 7, "float32", "NCHW", MEAN, STD)  # type: ignore[arg-type]
    assert check([data] * count, Given(plan), output) == list(range(count))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_rows_between_those_that_are_shown(sampling: int, progressive: bool) -> None:
    """Some are skipped, as far as that changes nothing of those that follow."""
    random = np.random.default_rng(1)
    options = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling, cv2.IMWRITE_JPEG_PROGRESSIVE]
    for width in (5, 70):
        pixels = random.integers(0, 256, (130, width, 3), np.uint8)
        data = cv2.imencode(".jpg", pixels, [*options, int(progressive)])[1].tobytes()
        # Of rows some apart, beginning anywhere.
        window = np.array(
            [
                (0, y, width, 130 - y - end)
                for y in (0, 1, 9, 15, 16, 17, 33)
                for end in (0, 5, 15, 16)
            ],
            float,
        )
        bounds = np.concatenate([window[:, :2], window[:, :2] + window[:, 2:]], 1).astype(int)
        count = len(window)
        for height in (1, 3, 5, 13, 40):
            for channels, method in ((3, LINEAR), (3, NEAREST), (1, NEAREST)):
                plan = Plan(window, bounds, np.full(count, method), np.zeros(count, bool))
                output = OutputSpec(channels, height, 4, "uint8", "NHWC")  # type: ignore[arg-type]
                assert check([data] * count, Given(plan), output) == list(range(count))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_are_applied(orientation: int) -> None:
    output = OutputSpec(3, 9, 7, "float32", "NCHW")  # type: ignore[arg-type]
    planner = CropPlanner(CropOptions(9, 7, resize=12, rand_crop=True), 0, 1)
    assert check([oriented(orientation)] * 3, planner, output) == [0, 1, 2]
    upright = check([oriented(orientation)], planner, output, apply_orientation=False)
    assert upright == [0]


def test_color_spaces_are_the_same() -> None:
    payloads = [adobe(0), adobe(1), named(b"RGB"), named(b"YCC"), jpeg(1, mode="L")]
    for channels in (1, 3):
        output = OutputSpec(channels, 20, 20, "uint8", "NHWC")  # type: ignore[arg-type]
        fill = (255,) * channels
        planner = CropPlanner(CropOptions(20, 20, rand_crop=True, fill=fill), 0, 1)
        assert check(payloads, planner, output) == list(range(5))


def test_tables_of_an_image_are_not_those_of_the_one_before() -> None:
    whole = jpeg(3)
    table = whole.index(b"\xff\xdb")
    length = 2 + int.from_bytes(whole[table + 2 : table + 4], "big")
    without = whole[:table] + whole[table + length :]
    output = OutputSpec(3, 20, 20, "uint8", "NHWC")  # type: ignore[arg-type]
    planner = CropPlanner(CropOptions(20, 20), 0, 1)
    assert check([whole, without, whole], planner, output) == [0, 2]


@pytest.mark.parametrize(
    ("options", "jitter", "antialias"),
    [
        ({"method": 2, "resize": 30}, {}, False),
        ({"method": 3, "resize": 30}, {}, False),
        ({"resize": 30}, {}, True),
        ({}, {"contrast": 0.5}, False),
        ({}, {"hls": (9, 9, 9)}, False),
    ],
)
def test_what_it_does_not_do_is_left_to_python(
    options: dict[str, Any], jitter: dict[str, Any], antialias: bool
) -> None:
    output = OutputSpec(3, 20, 20, "float32", "NCHW")  # type: ignore[arg-type]
    crop = CropOptions(20, 20, antialias=antialias, **options)
    planner = CropPlanner(crop, 0, 1, jitter=JitterOptions(**jitter))
    assert check([jpeg(0), jpeg(1)], planner, output, antialias=antialias) == []


def test_batches_may_have_samples_of_both() -> None:
    payloads = [jpeg(0), png(0, 40, 30, depth=16), jpeg(1)[:900], b"none", jpeg(2), None]
    output = OutputSpec(3, 20, 20, "float16", "NHWC", MEAN, STD)  # type: ignore[arg-type]
    planner = CropPlanner(CropOptions(20, 20, resize=21), 0, 1)
    assert check(payloads, planner, output) == [0, 4]


@pytest.mark.parametrize("dct_scaling", [False, True])
def test_what_cannot_be_decoded_is_not_tried_again(dct_scaling: bool) -> None:
    """Unless the records may change, or other pixels would come of it."""
    module = native.library()
    assert module is not None
    source = MemorySource([jpeg(0), jpeg(1)[:-200], jpeg(2)])
    reader = BatchReader(source, CropPlanner(CropOptions(20, 20), 0, 1), ())
    renderer = PlanRenderer(OutputSpec(3, 20, 20, "uint8", "NHWC"), False)  # type: ignore[arg-type]
    kernel = NativeRenderer(module, renderer.assembler, False, dct_scaling)
    batch = reader.read(indices(3, 3))
    data = renderer.prepare(batch)
    (cut,) = np.flatnonzero(batch.record == 1).tolist()
    for records in (None, batch.record):
        samples = kernel.samples(batch, data)
        assert samples.array["row"].tolist() == [0, 1, 2]
        assert kernel.render(samples, slice(0, 3), records) == [cut]
    again = kernel.samples(batch, data)
    left = [row for row in range(3) if dct_scaling or row != cut]
    assert again.array["row"].tolist() == left


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_large_images_are_decoded_at_a_part_of_their_size(factor: int) -> None:
    data = jpeg(5, 40 * 8, 30 * 8, subsampling=2)
    flags = {
        2: cv2.IMREAD_REDUCED_COLOR_2,
        4: cv2.IMREAD_REDUCED_COLOR_4,
        8: cv2.IMREAD_REDUCED_COLOR_8,
    }
    small = cv2.imdecode(np.frombuffer(data, np.uint8), flags[factor])[..., ::-1]
    assert small.shape == (240 // factor, 320 // factor, 3)
    size = 30 * 8 // factor - 3
    scaled = 4 * size // 3, size
    output = OutputSpec(3, size, size, "uint8", "NHWC")  # type: ignore[arg-type]
    planner = CropPlanner(CropOptions(size, size, resize=size), 0, 1)
    made = make([data], planner, output, True, dct_scaling=True)
    left = (scaled[0] - size) // 2
    expected = cv2.resize(small, scaled)[:, left : left + size]
    assert made.native == [0] and np.array_equal(made.data[0], expected)
    small_enough = OutputSpec(3, 200, 200, "uint8", "NHWC")  # type: ignore[arg-type]
    check([data], CropPlanner(CropOptions(200, 200), 0, 1), small_enough)


@pytest.mark.parametrize("sampling", ["4x2", "2x4"])
def test_coarsely_sampled_colors_at_a_part_of_their_size(sampling: str) -> None:
    """libjpeg-turbo would show colors of the images before."""
    data = (DATA / f"sampling_{sampling}.jpg").read_bytes()
    plain = [np.full((200, 240, 3), color, np.uint8) for color in np.eye(3) * 255]
    others = [cv2.imencode(".jpg", each)[1].tobytes() for each in plain]
    payloads = [each for other in others for each in (other, data)]
    output = OutputSpec(3, 50, 50, "uint8", "NHWC")  # type: ignore[arg-type]
    planner = CropPlanner(CropOptions(50, 50, resize=100), 0, 1)
    scaled = make(payloads, planner, output, True, dct_scaling=True)
    whole = make(payloads, planner, output, False)
    assert scaled.native == list(range(6))
    first, *again = scaled.data[1::2]
    assert all(np.array_equal(each, first) for each in again)
    assert np.abs(first.astype(int) - whole.data[1]).mean() < 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("crop", [{"resize": 33}, {"crop_size": (220, 220), "rand_crop": True}])
def test_parts_of_their_size_show_the_same_place(orientation: int, crop: dict[str, Any]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = jpeg(6, 317, 251, exif=exif.tobytes(), subsampling=0)
    output = OutputSpec(3, 24, 24, "uint8", "NHWC")  # type: ignore[arg-type]
    planner = CropPlanner(CropOptions(24, 24, rand_mirror=True, **crop), 3, 1)
    scaled, whole = (
        make([data] * 6, planner, output, True, dct_scaling=each).data.astype(int)
        for each in (True, False)
    )
    # Averages of more pixels differ by 0.7 or 1.3; an offset by a quarter of a pixel adds 3.
    assert 0 < np.abs(scaled - whole).mean() < 1.6


def test_bytes_that_do_not_follow_one_another_are_left_to_python() -> None:
    class Strided(MemorySource):
        def read(self, index: int) -> Encoded:
            encoded = super().read(index)
            return encoded._replace(image=np.repeat(encoded.data, 2)[::2])

    source = Strided([jpeg(0), jpeg(1)])
    reader = BatchReader(source, CropPlanner(CropOptions(20, 20), 0, 1), ())
    renderer = PlanRenderer(OutputSpec(3, 20, 20, "uint8", "NHWC"), False)  # type: ignore[arg-type]
    module = native.library()
    assert module is not None
    kernel = NativeRenderer(module, renderer.assembler, False)
    batch = reader.read(indices(2, 2))
    samples = kernel.samples(batch, renderer.prepare(batch))
    assert kernel.render(samples, slice(0, 2)) == [0, 1]
