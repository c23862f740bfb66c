"""Rotation about the center."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from tests.image.images import noise

I = mx.image  # noqa: E741


def test_rotation_of_a_square_by_right_angles() -> None:
    picture = noise(9, 9, dtype=np.float32).transpose(2, 0, 1)
    for turns in (1, 2, 3):
        found = I.imrotate(picture, 90 * turns)
        np.testing.assert_allclose(found, np.rot90(picture, turns, (1, 2)), atol=1e-3)


def test_zooms_show_everything_or_no_corner() -> None:
    white = mx.nd.ones((1, 40, 60), dtype="float32")
    for angle in (20, 70, 135):
        assert I.imrotate(white, angle, zoom_in=True).min() > 0.8  # half a pixel
        inside = I.imrotate(white, angle, zoom_out=True)
        assert inside[0, 0].max() < 0.5 or inside[0, :, 0].max() < 0.5
    found = I.random_rotate(mx.nd.stack(white, white), (-30, 30))
    assert found.shape == (2, 1, 40, 60)
    assert not np.array_equal(found[0], found[1])


def test_plain_arrays_stay_on_their_device(ctx: mx.Context) -> None:
    array = mx.nd.ones((1, 8, 8), ctx=ctx, dtype="float32")
    plain = mx.context.get_array_module(array).asarray(array)
    assert I.imrotate(plain, 90).context == ctx
    assert I.random_rotate(plain, (0, 90)).context == ctx


X = noise(10, 12)


F = np.zeros((3, 5, 5), np.float32)


MISTAKES: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "bytes": (lambda: I.imrotate(X, 3), TypeError, "Only `float32` images"),
    "zooms": (lambda: I.imrotate(F, 3, True, True), ValueError, "cannot be both"),
    "axes": (lambda: I.imrotate(F[0], 3), ValueError, "or several such images"),
    "angles": (lambda: I.imrotate(F, [3, 4]), TypeError, "one angle"),
    "count": (lambda: I.imrotate(F[None], [3, 4]), ValueError, "an angle for each of 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_named(name: str) -> None:
    call, kind, said = MISTAKES[name]
    with pytest.raises(kind, match=said):
        call()
