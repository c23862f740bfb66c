"""Normalization."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError
from tests.image.images import noise

I = mx.image  # noqa: E741


def test_color_normalize_is_in_place() -> None:
    picture = noise(6, 5, dtype=np.float32)
    before = np.array(picture)
    assert I.color_normalize(picture, 10, [1, 2, 4]) is picture
    np.testing.assert_allclose(picture, (before - 10) / np.float32([1, 2, 4]))
    assert I.color_normalize(picture, None) is picture


X = noise(10, 12)


MISTAKES: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "whole numbers": (lambda: I.color_normalize(X, 3), ArgumentError, "works in place"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_named(name: str) -> None:
    call, kind, said = MISTAKES[name]
    with pytest.raises(kind, match=said):
        call()
