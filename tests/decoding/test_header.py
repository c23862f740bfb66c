"""Image headers: sizes, orientation, and errors for data that is not an image."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gpuio.decoding.header import (
    MAX_DIMENSION,
    MOST_SEGMENTS,
    SOS,
    ImageHeader,
    read_header,
    segments,
)
from gpuio.errors import DecodeError
from tests.decoding.bombs import claiming, with_scans
from tests.decoding.samples import PIXELS, encoded, oriented_image
from tests.decoding.test_exif import block


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_the_size_is_that_of_the_upright_image(name: str, orientation: int) -> None:
    data, upright = oriented_image(name, orientation)
    header = read_header(data)
    assert (header.height, header.width) == upright.shape[:2]
    # Pillow and OpenCV apply a TIFF's orientation themselves.
    assert header.orientation == (1 if name == "TIFF" else orientation)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_stored_size(orientation: int) -> None:
    header = read_header(encoded(PIXELS, "JPEG", orientation))
    assert header.without_orientation() == ImageHeader(41, 30, 1, 3, "jpeg")


def test_big_endian_exif_is_read() -> None:
    data = encoded(PIXELS, "JPEG").tobytes()
    tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    segment = b"Exif\0\0" + tiff
    marked = data[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + data[2:]
    assert read_header(np.frombuffer(marked, np.uint8)) == ImageHeader(30, 41, 6, 3, "jpeg")


@pytest.mark.parametrize(
    "exif", [b"II", b"XX*\0\x08\0\0\0", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff"]
)
def test_damaged_exif_means_upright(exif: bytes) -> None:
    data = encoded(PIXELS, "JPEG").tobytes()
    segment = b"Exif\0\0" + exif
    marked = data[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + data[2:]
    assert read_header(np.frombuffer(marked, np.uint8)).orientation == 1


# Type, count and value in EXIF: short integers, characters, bytes, a float.
@pytest.mark.parametrize(
    "entry", [(3, 1, 0), (3, 1, 9), (2, 4, 6), (7, 4, 6), (11, 1, 0x40C00000)], ids=str
)
def test_an_invalid_orientation_of_another_format_means_upright(
    entry: tuple[int, int, int],
) -> None:
    exif = b"Exif\0\0" + bytes(block((0x0112, *entry)))
    assert read_header(encoded(PIXELS, "WEBP", exif=exif)) == ImageHeader(41, 30, 1, 3, "webp")


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
    header = read_header(encoded(pixels, name))
    assert header == ImageHeader(41, 30, 1, channels, name.lower())


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
def test_errors_of_data_that_is_not_an_image(content: bytes, words: str) -> None:
    with pytest.raises(DecodeError, match=words):
        read_header(np.frombuffer(content, np.uint8))


@given(st.integers(0, len(JPEG) - 1), st.integers(0, 255))
def test_a_damaged_byte_gives_a_valid_header_or_a_decode_error(at: int, value: int) -> None:
    damaged = bytearray(JPEG)
    damaged[at] = value
    try:
        header = read_header(np.frombuffer(bytes(damaged), np.uint8))
    except DecodeError:
        return
    assert 1 <= header.orientation <= 8
    assert 0 < header.width <= MAX_DIMENSION and 0 < header.height <= MAX_DIMENSION


def test_segments_end_at_the_first_scan() -> None:
    markers = [marker for marker, _ in segments(memoryview(JPEG))]
    assert markers[0] == 0xE0 and 0xC0 in markers and SOS not in markers
    content = dict(segments(memoryview(JPEG)))[0xE0]
    assert bytes(content[:5]) == b"JFIF\0"


def test_sizes_out_of_range() -> None:
    at = JPEG.index(b"\xff\xc0") + 5
    damaged = JPEG[:at] + b"\0\0" + JPEG[at + 2 :]
    with pytest.raises(DecodeError, match="41 x 0 pixels, expected 1 to 65535 each"):
        read_header(np.frombuffer(damaged, np.uint8))


def test_scans_are_noticed() -> None:
    data = encoded(PIXELS, "JPEG").tobytes()
    assert not read_header(np.frombuffer(data, np.uint8)).several_parts
    for content in (
        encoded(PIXELS, "JPEG", progressive=True).tobytes(),
        with_scans(3, progressive=False),
        data[: data.index(b"\xff\xda")],  # they cannot be found
    ):
        assert read_header(np.frombuffer(content, np.uint8)).several_parts
    animated = encoded(PIXELS, "PNG", save_all=True, append_images=[Image.fromarray(PIXELS)])
    assert read_header(animated).several_parts
    assert not read_header(encoded(PIXELS, "PNG")).several_parts


@pytest.mark.parametrize("content", [b"\xff\xe1\0\2", b"\xff\xd0", b"\xff\x01"])
def test_very_many_segments_are_refused(content: bytes) -> None:
    data = encoded(PIXELS, "JPEG").tobytes()
    for count, bad in ((MOST_SEGMENTS // 2, False), (MOST_SEGMENTS, True)):
        many = np.frombuffer(data[:2] + content * count + data[2:], np.uint8)
        if bad:
            with pytest.raises(DecodeError, match="more than 4096 segments"):
                read_header(many)
        else:
            assert read_header(many)[:2] == (41, 30)


def test_very_many_chunks_are_refused() -> None:
    data = encoded(PIXELS, "PNG").tobytes()
    chunk = b"\0\0\0\0tEXt" + zlib.crc32(b"tEXt").to_bytes(4, "big")
    many = data[:33] + chunk * MOST_SEGMENTS + data[33:]
    with pytest.raises(DecodeError, match="more than 4096 chunks"):
        read_header(np.frombuffer(many, np.uint8))


def test_fill_bytes_are_skipped() -> None:
    data = encoded(PIXELS, "JPEG").tobytes()
    filled = np.frombuffer(data[:2] + b"\xff" * (1 << 20) + data[2:], np.uint8)
    assert read_header(filled)[:2] == (41, 30)
    with pytest.raises(DecodeError, match="cut off"):
        read_header(np.frombuffer(b"\xff\xd8" + b"\xff" * 100, np.uint8))


def test_pillow_s_own_limit() -> None:
    with pytest.raises(DecodeError, match="MAX_IMAGE_PIXELS"):
        read_header(np.frombuffer(claiming("BMP", 30_000, 30_000), np.uint8))
