"""Images as arrays: devices, and numbers for each channel."""

import random
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError
from gpuio.image.arrays import as_image, as_range, as_size, by_channel, host, on_device_of
from tests.image.images import noise
from tests.io.records import jpeg

I = mx.image  # noqa: E741


def test_it_has_both_of_mxnets_names() -> None:
    assert mx.img is mx.image


def test_images_stay_on_their_device(ctx: mx.Context) -> None:
    host = I.imdecode(jpeg(0, 64, 48), ctx=mx.cpu())
    picture = host.as_in_context(ctx)
    random.seed(3)
    for make in (
        lambda each: each,
        lambda each: I.imresize(each, 30, 20, 2),
        lambda each: I.resize_short(each, 20),
        lambda each: I.fixed_crop(each, 3, 4, 20, 21),
        lambda each: I.center_crop(each, (30, 30))[0],
        lambda each: I.copyMakeBorder(each, 1, 2, 3, 4, 2),
        lambda each: I.copyMakeBorder(each, 1, 2, 3, 4, values=(1, 2, 3)),
        lambda each: I.color_normalize(each.astype("float32"), [1, 2, 3], mx.nd.array([2, 3, 4])),
        lambda each: I.imrotate(
            mx.nd.wrap(each.transpose(2, 0, 1).astype("float32")), 30, zoom_in=True
        ),
        I.ContrastJitterAug(0),
        I.SaturationJitterAug(0),
        I.HueJitterAug(0),
        I.RandomGrayAug(1),
    ):
        made, expected = make(picture), make(host)
        assert made.context == ctx
        assert made.dtype == expected.dtype
        np.testing.assert_allclose(made.asnumpy().astype(float), expected.astype(float), atol=1.01)


@pytest.mark.parametrize("values", [2, [2.0], [1, 2, 4]])
@pytest.mark.parametrize("view", ["whole", "flipped", "cut", "transposed"])
def test_numbers_for_each_channel_meet_their_channel(view: str, values: Any) -> None:
    """However the image lies in memory; in place it is the same memory that changes."""
    whole = noise(6, 5, dtype=np.float32)
    picture = {
        "whole": whole,
        "flipped": whole[:, ::-1],
        "cut": whole[1:4, 2:5],
        "transposed": mx.nd.wrap(np.asarray(whole).transpose(1, 0, 2)),
    }[view]
    expected = (np.array(picture) - np.float32(values)) / np.float32(values)
    made = I.ColorNormalizeAug(values, values)(picture)
    np.testing.assert_array_equal(made, expected)
    assert not np.shares_memory(made, picture)
    assert I.color_normalize(picture, values, values) is picture
    np.testing.assert_array_equal(picture, expected)
    assert np.shares_memory(picture, whole)


def test_host_gives_numpy_arrays(ctx: mx.Context) -> None:
    array = mx.nd.array([1, 2], ctx=ctx)
    plain = mx.context.get_array_module(array).asarray(array)
    for values in ([1, 2], (1, 2), np.array([1, 2]), array, plain):
        found = host(values)
        assert type(found) is np.ndarray and found.tolist() == [1, 2]


def test_as_image_shares_memory() -> None:
    pixels = np.zeros((2, 3, 1), np.uint8)
    image = as_image(pixels)
    assert isinstance(image, mx.nd.NDArray) and np.shares_memory(image, pixels)
    assert as_image(image) is image
    assert as_image([[[1], [2]]]).shape == (1, 2, 1)
    for wrong in (pixels[0], pixels[None], pixels[:0], 5):
        with pytest.raises(ArgumentError, match=r"an image has the shape \(height, width, ch"):
            as_image(wrong)


def test_numbers_take_the_dtype_of_the_image() -> None:
    image = mx.nd.wrap(np.zeros((2, 2, 3), np.float32))
    for values in (5, [1, 2, 3], np.arange(3.0), mx.nd.array([1, 2, 3], dtype="float64")):
        numbers = on_device_of(image, values)
        assert numbers.dtype == np.float32 and numbers.context == image.context
        np.testing.assert_array_equal(numbers, host(values))


def test_ranges_are_checked() -> None:
    assert as_range("area", (0.5, 0.5)) == (0.5, 0.5)
    for wrong in ((0, 1), (2, 1), (-1, 1)):
        with pytest.raises(ArgumentError, match="area must be a range 0 < least <= most"):
            as_range("area", wrong)


@pytest.mark.parametrize("values", [3, [3.0], [1, 2, 4]])
def test_by_channel_leaves_the_image_unless_it_is_the_output(values: Any) -> None:
    image = noise(4, 5, dtype=np.float32)
    before = np.array(image)
    found = by_channel(np.multiply, image, values)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(found, before * np.float32(values))
    assert by_channel(np.multiply, image, values, image) is image
    np.testing.assert_array_equal(image, found)


@pytest.mark.parametrize("size", [7, np.array(7), [7], (7, 7), np.array([7, 7])])
def test_sizes(size: Any) -> None:
    assert as_size(size) == (7, 7)
    assert as_size((3, 4)) == (3, 4)


@pytest.mark.parametrize("size", [(), (1, 2, 3), 0, (3, 0), 1.5, "7", None])
def test_wrong_sizes(size: Any) -> None:
    with pytest.raises(ArgumentError, match="size"):
        as_size(size)
