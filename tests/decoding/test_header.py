"""Header reading: sizes, orientation, and what is said of things that are not images."""

import io

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from gpuio.decoding.header import ImageInfo, probe
from gpuio.decoding.host import decode
from gpuio.errors import DecodeError

PIXELS = np.random.default_rng(0).integers(0, 256, (30, 41, 3), np.uint8)


def encoded(pixels: np.ndarray, name: str, orientation: int = 1, **options: object) -> np.ndarray:
    file = io.BytesIO()
    if orientation != 1:
        options["exif"] = exif = Image.Exif()
        exif[0x0112] = orientation
    Image.fromarray(pixels).save(file, name, **options)
    return np.frombuffer(file.getvalue(), np.uint8)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_pictures_come_out_upright(name: str, orientation: int) -> None:
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(name, {})
    data = encoded(PIXELS, name, orientation, **options)
    expected = Image.open(io.BytesIO(data))
    expected.load()
    upright = np.asarray(ImageOps.exif_transpose(expected).convert("RGB"))
    info = probe(data)
    assert (info.height, info.width) == upright.shape[:2]
    # Pillow's JPEG decoder is libjpeg-turbo too, but may be another release of it.
    np.testing.assert_allclose(decode(data, info, 3), upright, atol=2 if name == "JPEG" else 0)


def test_big_endian_exif_is_read() -> None:
    data = encoded(PIXELS, "JPEG").tobytes()
    tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    segment = b"Exif\0\0" + tiff
    marked = data[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + data[2:]
    assert probe(np.frombuffer(marked, np.uint8)) == ImageInfo(30, 41, 6, 3, "jpeg")


@pytest.mark.parametrize(
    "exif", [b"II", b"XX*\0\x08\0\0\0", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff"]
)
def test_damaged_exif_means_upright(exif: bytes) -> None:
    data = encoded(PIXELS, "JPEG").tobytes()
    segment = b"Exif\0\0" + exif
    marked = data[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + data[2:]
    assert probe(np.frombuffer(marked, np.uint8)).orientation == 1


@pytest.mark.parametrize(
    ("pixels", "name", "channels"),
    [
        (PIXELS[..., 0], "JPEG", 1),
        (PIXELS[..., 0], "PNG", 1),
        (PIXELS, "PNG", 3),
        (np.dstack([PIXELS, PIXELS[..., :1]]), "PNG", 4),
        (PIXELS, "BMP", 3),
    ],
)
def test_channels(pixels: np.ndarray, name: str, channels: int) -> None:
    info = probe(encoded(pixels, name))
    assert info == ImageInfo(41, 30, 1, channels, name.lower())


JPEG = encoded(PIXELS, "JPEG").tobytes()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"this is a text", "not an image: its first bytes are 74 68 69 73"),
        (JPEG[:20], "cut off"),
        (b"\xff\xd8" + b"\0" * 50, "should begin a marker"),
        (b"\x89PNG\r\n\x1a\n\0\0", "cut off"),
    ],
)
def test_what_is_not_an_image_is_said_so(content: bytes, words: str) -> None:
    with pytest.raises(DecodeError, match=words):
        probe(np.frombuffer(content, np.uint8))


@given(st.integers(0, len(JPEG) - 1), st.integers(0, 255))
def test_a_damaged_byte_gives_an_image_or_a_decode_error(at: int, value: int) -> None:
    damaged = bytearray(JPEG)
    damaged[at] = value
    data = np.frombuffer(bytes(damaged), np.uint8)
    try:
        info = probe(data)
        picture = decode(data, info, 3)
    except DecodeError:
        return
    assert picture.shape == (info.height, info.width, 3)


def test_truncated_jpegs_give_what_can_be_decoded() -> None:
    smooth = cv2.resize(PIXELS[:4, :4], (160, 160), interpolation=cv2.INTER_CUBIC)
    data = encoded(smooth, "JPEG")
    cut = data[: len(data) * 2 // 3]
    whole, part = decode(data, probe(data), 3).copy(), decode(cut, probe(cut), 3)
    assert part.shape == whole.shape
    np.testing.assert_array_equal(part[:48], whole[:48])


def test_four_channels_must_be_there() -> None:
    data = encoded(PIXELS, "PNG")
    with pytest.raises(DecodeError, match="3 channels, data_shape asks for 4"):
        decode(data, probe(data), 4)
    with_alpha = np.dstack([PIXELS, PIXELS[..., :1]])
    data = encoded(with_alpha, "PNG")
    np.testing.assert_array_equal(decode(data, probe(data), 4), with_alpha)
    np.testing.assert_array_equal(decode(data, probe(data), 3), PIXELS)
