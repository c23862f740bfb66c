"""The DALI graph, of CPU operators, and what it is fed."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from gpuio.decoding.header import read_header
from gpuio.errors import ContextError, DecodeError
from gpuio.execution.dali_graph import (
    build_graph,
    host_reason,
    host_rows,
    interpolation_types,
    make_feed,
)
from gpuio.execution.dali_windows import SUPPORT
from gpuio.execution.output import OutputSpec
from gpuio.execution.resample import render_sample
from gpuio.loading.batch import ImageBatch
from gpuio.loading.reader import BatchReader
from gpuio.planning.affine import AffineOptions
from gpuio.planning.crop import CropPlanner
from gpuio.planning.crop_options import CropOptions
from gpuio.planning.plan import LINEAR, NEAREST, Border
from gpuio.planning.planner import AffineFill
from tests.close import LEVELS, WARPED, assert_images_close
from tests.io.records import jpeg, open_iter
from tests.loading.fakes import MemorySource, indices

SIZE = (28, 24)
NUMBER = 1 << 40  # of the batch


def planned(payloads: list[Any], **options: Any) -> ImageBatch:
    planner = CropPlanner(CropOptions(24, 28, **options), 0, 1)
    reader = BatchReader(MemorySource(payloads), planner, ())
    at = indices(len(payloads), len(payloads))
    return reader.plan(at, reader.read_whole(at), strict=True)


def run(
    batch: ImageBatch, channels: int = 3, borders: bool = False, affine: AffineFill | None = None
) -> np.ndarray:
    """The graph's samples of one batch."""
    arrays = make_feed(batch, SIZE, channels, interpolation_types(), borders).arrays()
    feeds: Iterator[Any] = iter([[np.full(len(batch), NUMBER), *arrays]])
    pipe = build_graph(
        lambda: next(feeds), OutputSpec(channels, 24, 28, "uint8", "NHWC"), len(batch),
        device_id=None, threads=2, depth=1, antialias=False, hw_decoder_load=0.5,
        apply_orientation=True, borders=borders, affine=affine,
    )  # fmt: skip
    samples, numbers = pipe.run()
    assert np.asarray(numbers.as_tensor()).tolist() == [NUMBER] * len(batch)
    return np.asarray(samples.as_tensor())


@pytest.mark.parametrize("method", [NEAREST, LINEAR])
@pytest.mark.parametrize(
    "options", [{}, {"resize": 30}, {"resize": 90, "rand_crop": True}], ids=str
)
def test_the_graph_resamples_as_the_host_does(options: dict[str, Any], method: int) -> None:
    batch = planned([jpeg(number, 60 + number, 50) for number in range(4)], **options,
                    method=method)  # fmt: skip
    found = run(batch)
    for row in range(4):
        expected = render_sample(batch, row, SIZE, 3, False)
        assert_images_close(found[row], expected, LEVELS["dali", method])


AFFINE = AffineOptions(
    max_rotation=180, max_shear=0.3, scale=(0.3, 2.0), ratio=(0.5, 2.0), canvas=(10, 90)
)


@pytest.mark.parametrize("fill", [(9, 9, 9), (200, 10, 30)])
@pytest.mark.parametrize("method", [NEAREST, LINEAR])
@pytest.mark.parametrize("options", [{}, {"resize": 45}, {"crop_size": (5, 9)}], ids=str)
def test_the_graph_warps_as_the_host_does(
    options: dict[str, Any], method: int, fill: tuple[int, ...]
) -> None:
    batch = planned([jpeg(number, 60 + number, 50) for number in range(16)], **options,
                    affine=AFFINE, fill=fill, method=method)  # fmt: skip
    batch.errors[3] = DecodeError("found elsewhere")
    found = run(batch, affine=AffineFill(fill, method == NEAREST))
    for row in {*range(16)} - {3}:
        expected = render_sample(batch, row, SIZE, 3, False)
        assert_images_close(found[row], expected, WARPED[method])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_bad_records_are_replaced_by_black_pixels(channels: int) -> None:
    image = np.random.default_rng(0).integers(1, 256, (40, 50, channels), np.uint8)
    good = cv2.imencode(".png", image)[1].tobytes()
    batch = planned([good, None, b"no image", good])
    batch.errors[3] = DecodeError("found elsewhere")
    found = run(batch, channels)
    assert found.shape == (4, 24, 28, channels)
    assert found[0].any() and not found[1:].any()


def test_a_truncated_jpeg_gets_its_end() -> None:
    whole = jpeg(3, 60, 50)
    batch = planned([whole[:-2], whole, whole[:-300]])
    found = run(batch)
    np.testing.assert_array_equal(found[0], found[1])
    encoded = make_feed(batch, SIZE, 3, interpolation_types(), False).arrays()[0]
    original = batch.encoded[1]
    assert original is not None
    assert np.shares_memory(encoded[1], original.data), "a complete one is not copied"


CUT_PNG = cv2.imencode(".png", np.full((50, 60, 3), 90, np.uint8))[1].tobytes()[:80]


def test_images_that_dali_must_not_be_given() -> None:
    whole = jpeg(0, 60, 50)
    bad_marker = whole[:2] + b"\xff\x00\x00\x02" + whole[2:]
    assert read_header(np.frombuffer(CUT_PNG, np.uint8)).width == 60
    batch = planned([whole, CUT_PNG, None, bad_marker, whole[:-2]])
    batch.errors[3] = DecodeError("found elsewhere")
    assert host_rows(batch, 3) == [1]
    encoded = make_feed(batch, SIZE, 3, interpolation_types(), False).encoded
    assert [len(each) < 700 for each in encoded] == [False, True, True, True, False]
    encoded = make_feed(batch, SIZE, 3, interpolation_types(), False, [0]).encoded
    assert [len(each) < 700 for each in encoded] == [True, True, True, True, False]
    found = run(batch)
    assert found[0].any() and not found[1:4].any()
    np.testing.assert_array_equal(found[4], found[0])


def test_images_with_other_channels_are_no_rgba() -> None:
    pixels = np.zeros((9, 8, 4), np.uint8)
    pngs = [cv2.imencode(".png", pixels[..., :channels])[1].tobytes() for channels in (1, 3, 4)]
    batch = planned([*pngs, jpeg(0), jpeg(1, mode="L"), jpeg(2, mode="CMYK")])
    assert host_rows(batch, 4) == [0, 1, 3, 4, 5]
    assert host_rows(batch, 3) == host_rows(batch, 1) == [5]
    assert "RGBA" in host_reason(batch, 0) and "color space" in host_reason(batch, 5)


def test_a_batch_has_to_be_checked() -> None:
    planner = CropPlanner(CropOptions(24, 28), 0, 1)
    batch = BatchReader(MemorySource([jpeg(0)]), planner, ()).read(indices(1, 1))
    with pytest.raises(AssertionError, match="has been checked"):
        make_feed(batch, SIZE, 3, interpolation_types(), False)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_fill_what_is_visible(channels: int) -> None:
    batch = planned([jpeg(number, 60, 50) for number in range(3)])
    plain = run(batch, channels)
    assert batch.plan is not None
    inside = np.array([[0, 0, 28, 24], [5, 4, 20, 22], [9, 9, 9, 9]])
    border = Border(inside, np.zeros((3, channels), np.uint8))
    batch.plan = replace(batch.plan, borders=(border,))
    found = run(batch, channels, borders=True)
    for row, (x0, y0, x1, y1) in enumerate(inside.tolist()):
        np.testing.assert_array_equal(found[row, y0:y1, x0:x1], plain[row, y0:y1, x0:x1])


def test_every_interpolation_has_one_of_dali() -> None:
    types = interpolation_types()
    assert [*types] == [*range(len(SUPPORT))] and len(set(types.values())) == len(types)


def test_a_missing_dali_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nvidia.dali", None)
    with pytest.raises(ContextError, match=r"DALI is missing; install it with pip install"):
        open_iter(executor="dali")
    with pytest.raises(ContextError, match=r"DALI is missing; install it with pip install"):
        build_graph(
            list, OutputSpec(3, 24, 28, "uint8", "NHWC"), 1, device_id=None, threads=1, depth=1,
            antialias=False, hw_decoder_load=0.5, apply_orientation=True,
            borders=False, affine=None,
        )  # fmt: skip
