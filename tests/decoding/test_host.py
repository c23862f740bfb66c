"""Decoding on the host: pixels and orientation, damaged images, and warnings."""

import threading

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuio.decoding.header import read_header
from gpuio.decoding.host import KEPT, LOOK_BACK, decode, jpeg_warning
from gpuio.errors import DecodeError
from tests.decoding.samples import PIXELS, encoded, oriented_image

JPEG = encoded(PIXELS, "JPEG").tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_images_are_upright(name: str, orientation: int) -> None:
    data, upright = oriented_image(name, orientation)
    # Pillow's JPEG decoder is libjpeg-turbo too, but may be another release of it.
    tolerance = 2 if name == "JPEG" else 0
    np.testing.assert_allclose(decode(data, read_header(data), 3), upright, atol=tolerance)


@pytest.mark.parametrize("name", ["PNG", "JPEG", "BMP"])
def test_gray(name: str) -> None:
    data = encoded(PIXELS[..., 0], name)
    gray, rgb = (decode(data, read_header(data), channels).copy() for channels in (1, 3))
    assert gray.shape == (30, 41, 1) and gray.dtype == np.uint8
    np.testing.assert_array_equal(rgb, np.repeat(gray, 3, axis=2))


def test_16_bits_become_8() -> None:
    rgba = np.dstack([PIXELS, PIXELS[..., :1]])
    wide = rgba[..., [2, 1, 0, 3]].astype(np.uint16) * 256 + 17
    data = np.asarray(cv2.imencode(".png", wide)[1]).reshape(-1)
    np.testing.assert_array_equal(decode(data, read_header(data), 4), rgba)


@given(st.integers(0, len(JPEG) - 1), st.integers(0, 255))
def test_a_damaged_byte_gives_an_image_or_a_decode_error(at: int, value: int) -> None:
    damaged = bytearray(JPEG)
    damaged[at] = value
    data = np.frombuffer(bytes(damaged), np.uint8)
    try:
        header = read_header(data)
        image = decode(data, header, 3)
    except DecodeError:
        return
    assert image.shape == (header.height, header.width, 3)


def test_truncated_jpegs_are_decoded_as_far_as_possible() -> None:
    smooth = cv2.resize(PIXELS[:4, :4], (160, 160), interpolation=cv2.INTER_CUBIC)
    data = encoded(smooth, "JPEG")
    cut = data[: len(data) * 2 // 3]
    whole, part = decode(data, read_header(data), 3).copy(), decode(cut, read_header(cut), 3)
    assert part.shape == whole.shape
    np.testing.assert_array_equal(part[:48], whole[:48])


@pytest.mark.parametrize("channels", [1, 3])
def test_a_warning_about_the_header_is_not_an_error(channels: int) -> None:
    odd = bytearray(JPEG)
    odd[odd.index(b"JFIF") + 5] = 90  # the version
    data, usual = (np.frombuffer(bytes(each), np.uint8) for each in (odd, JPEG))
    expected = decode(usual, read_header(usual), channels).copy()
    np.testing.assert_array_equal(decode(data, read_header(data), channels), expected)


@pytest.mark.parametrize("factor", [0.5, 2])
def test_an_image_of_another_size_than_its_header_s(factor: float) -> None:
    """As when its file has been overwritten."""
    data = encoded(PIXELS, "JPEG")
    header = read_header(data)
    said = header._replace(width=int(header.width * factor), height=int(header.height * factor))
    with pytest.raises(DecodeError, match="decodes to 41 x 30 pixels, its header says"):
        decode(data, said, 3)


def test_an_error_after_a_warning_is_an_error() -> None:
    """And does not leave the pixels of the image before."""
    whole = encoded(PIXELS, "JPEG", progressive=True).tobytes()
    second = whole.index(b"\xff\xc4", whole.index(b"\xff\xda"))
    broken = np.frombuffer(whole[:second] + b"warning\xff\xc4\0\1", np.uint8)
    decode(encoded(PIXELS, "JPEG"), read_header(broken), 3)
    for channels in (1, 3):
        with pytest.raises(DecodeError, match="gave up"):
            decode(broken, read_header(broken), channels)


@pytest.mark.parametrize("value", [0, 255])
def test_pixels_may_be_what_the_buffer_holds_before(value: int) -> None:
    data = encoded(np.full((1, 1), value, np.uint8), "JPEG")
    assert decode(data, read_header(data), 1).item() == value


def test_four_channels_must_be_stored() -> None:
    data = encoded(PIXELS, "PNG")
    with pytest.raises(DecodeError, match="3 channels, data_shape asks for 4"):
        decode(data, read_header(data), 4)
    with_alpha = np.dstack([PIXELS, PIXELS[..., :1]])
    data = encoded(with_alpha, "PNG")
    np.testing.assert_array_equal(decode(data, read_header(data), 4), with_alpha)
    np.testing.assert_array_equal(decode(data, read_header(data), 3), PIXELS)


def test_errors_of_the_decoders() -> None:
    for name in ("JPEG", "PNG", "BMP"):
        data = encoded(PIXELS, name)
        header = read_header(data)
        with pytest.raises(DecodeError, match="cannot be decoded"):
            decode(data[:60], header, 3)
        with pytest.raises(DecodeError, match="decodes to 41 x 30 pixels, its header says 9 x 30"):
            decode(data, header._replace(width=9, format="other"), 3)


def test_each_thread_has_its_own_buffer() -> None:
    data = np.frombuffer(JPEG, np.uint8)
    header = read_header(data)
    mine = decode(data, header, 3)
    before = mine.copy()
    other = threading.Thread(
        target=lambda: decode(encoded(255 - PIXELS, "JPEG"), header, 3), daemon=True
    )
    other.start()
    other.join()
    np.testing.assert_array_equal(mine, before)


def test_warnings_of_jpegs() -> None:
    data = np.frombuffer(JPEG, np.uint8)
    assert jpeg_warning(data) is None
    warning = jpeg_warning(data[: len(data) // 2])
    assert warning is not None and "decodes in part" in warning


def test_own_pixels_stay() -> None:
    data = np.frombuffer(JPEG, np.uint8)
    mine = decode(data, read_header(data), 3, own=True)
    before = mine.copy()
    decode(encoded(255 - PIXELS, "JPEG"), read_header(data), 3)
    np.testing.assert_array_equal(mine, before)


def test_a_thread_keeps_memory_for_what_it_decodes_only() -> None:
    """In a thread of its own: it begins with none."""
    sizes: list[int] = []

    def memory_of(content: np.ndarray) -> int:
        image = decode(content, read_header(content), 3)
        while isinstance(image.base, np.ndarray):
            image = image.base
        return image.nbytes

    def run() -> None:
        small = encoded(PIXELS, "JPEG")
        medium = encoded(np.zeros((400, 400, 3), np.uint8), "JPEG")
        large = encoded(np.zeros((4800, 4800), np.uint8), "JPEG")
        sizes.append(memory_of(medium))
        sizes.extend(memory_of(small) for _ in range(LOOK_BACK))
        sizes.append(memory_of(large))
        sizes.append(memory_of(small))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert sizes[0] == 400 * 400 * 3
    assert sizes[1:LOOK_BACK] == [400 * 400 * 3] * (LOOK_BACK - 1)
    assert sizes[LOOK_BACK] == 30 * 41 * 3
    assert sizes[-2:] == [4800 * 4800 * 3, 30 * 41 * 3] and sizes[-2] > KEPT
