"""imdecode, imread and imencode: the kinds of buffers, and mistakes."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, DecodeError, RecordFileNotFoundError
from tests.image.images import noise
from tests.io.records import jpeg

I = mx.image  # noqa: E741


def test_every_kind_of_bytes_is_decoded() -> None:
    data = jpeg(0)
    expected = I.imdecode(data)
    array = np.frombuffer(data, np.uint8)
    for buf in (bytearray(data), memoryview(data), array, mx.nd.array(array, dtype="uint8")):
        np.testing.assert_array_equal(I.imdecode(buf), expected)
    out = mx.nd.empty(expected.shape, dtype="uint8")
    assert I.imdecode(data, out=out) is out
    np.testing.assert_array_equal(out, expected)
    kept = I.imdecode(jpeg(1))
    before = kept.copy()
    I.imdecode(jpeg(2))
    np.testing.assert_array_equal(kept, before)


def test_imread_and_imencode(tmp_path: Any) -> None:
    picture = noise(20, 30)
    (tmp_path / "x.png").write_bytes(I.imencode(picture, 3, ".png"))
    np.testing.assert_array_equal(I.imread(tmp_path / "x.png"), picture)
    np.testing.assert_array_equal(
        I.imread(str(tmp_path / "x.png"), to_rgb=False), picture[:, :, ::-1]
    )
    assert I.imread(tmp_path / "x.png", flag=0).shape == (20, 30, 1)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "x.png")), picture[:, :, ::-1])
    gray = noise(20, 30, 1)
    for each in (gray, gray[:, :, 0]):
        np.testing.assert_array_equal(I.imdecode(I.imencode(each, 0, ".png"), 0), gray)
    assert len(I.imencode(picture, 20)) < len(I.imencode(picture, 95))


MISTAKES: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "empty": (lambda: I.imdecode(b""), DecodeError, "empty buffer"),
    "text": (lambda: I.imdecode("text"), ValueError, "buf must be of type bytes"),
    "floats": (lambda: I.imdecode(np.zeros(9)), ValueError, "buf must be of type bytes"),
    "no image": (lambda: I.imdecode(b"no image"), DecodeError, "Decoding failed"),
    "cut": (lambda: I.imdecode(jpeg(0)[:60]), DecodeError, "Decoding failed"),
    "flag": (lambda: I.imdecode(jpeg(0), -1), ArgumentError, "flag must be 1"),
    "out": (lambda: I.imdecode(jpeg(0), out=mx.nd.zeros((2, 2, 3))), ArgumentError, "out must be"),
    "missing": (lambda: I.imread("none.jpg"), RecordFileNotFoundError, "none.jpg: couldn't open"),
    "no array": (lambda: I.imencode(np.zeros((4, 4, 3))), ArgumentError, "uint8 with 2 or 3"),
    "ending": (lambda: I.imencode(noise(9, 9), 95, ".xyz"), ArgumentError, "cannot be encoded as"),
    "array": (lambda: I.imdecode(np.zeros(9)), ValueError, "not a float64 array"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_named(name: str) -> None:
    call, kind, said = MISTAKES[name]
    with pytest.raises(kind, match=said):
        call()
