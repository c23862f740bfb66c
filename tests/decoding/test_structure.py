"""The structure of images: which ones DALI may be given, and that nvImageCodec reads these."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gpuio.decoding.header import read_header
from gpuio.decoding.structure import (
    JPEG_PIXELS,
    MOST_SEGMENTS,
    REASONS,
    Structure,
    check_structure,
    without_large,
)
from gpuio.errors import DecodeError
from tests.decoding.samples import image, saved, segment
from tests.fuzz.images import exif, good_images, mutated

JPEG = saved(image(), "JPEG")
GRAY = saved(image("L"), "JPEG")
PNG = saved(image(), "PNG")
BMP = saved(image(), "BMP")
WEBP = saved(image(), "WEBP")
LOSSLESS = saved(image("RGBA"), "WEBP", lossless=True)
FRAME, SCAN = JPEG.index(b"\xff\xc0"), JPEG.index(b"\xff\xda")
EXIF = segment(0xE1, b"Exif\0\0" + exif(6)[6:])


def check(content: bytes) -> Structure:
    return check_structure(np.frombuffer(content, np.uint8))


def changed(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def chunk(name: bytes, content: bytes, error: int = 0) -> bytes:
    checksum = zlib.crc32(name + content) ^ error
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


# Good files that the host decodes: DALI reads them otherwise, not at all, or on the CPU as well.
LEFT_TO_THE_HOST = ("CMYK", "PNG 1 ", "WebP, orientation", "WebP animated", "TIFF", "GIF", "PPM",
                    "PGM", "JPEG 2000", "Sun raster")  # fmt: skip


@pytest.mark.parametrize("name", good_images())
def test_good_images_are_complete(name: str) -> None:
    found = check(good_images()[name])
    if any(kind in name for kind in LEFT_TO_THE_HOST) and name != "WebP animated 1 x 1":
        assert found in REASONS
    else:
        assert found == Structure.COMPLETE


def test_photographs_are_complete(photos: list[Path]) -> None:
    for path in photos:
        assert check(path.read_bytes()) == Structure.COMPLETE, path


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (JPEG[:-2], Structure.UNTERMINATED),
        (JPEG[: SCAN + 30], Structure.UNTERMINATED),
        (JPEG + b"more", Structure.UNTERMINATED),
        (b"", Structure.FORMAT),
        (b"no image", Structure.FORMAT),
        (JPEG[:2], Structure.TRUNCATED),
        (JPEG[:FRAME], Structure.TRUNCATED),
        (JPEG[: FRAME + 5], Structure.TRUNCATED),
        (JPEG[: SCAN + 14], Structure.TRUNCATED),
        (JPEG[:2] + b"\xff\xff" + JPEG[2:], Structure.SEGMENTS),
        (JPEG[:2] + b"\xff\xd0" + JPEG[2:], Structure.SEGMENTS),
        (JPEG[:2] + b"\xff\0" + JPEG[2:], Structure.SEGMENTS),
        (JPEG[:SCAN] + b"garbage" + JPEG[SCAN:], Structure.SEGMENTS),
        (changed(JPEG, 4, b"\0\1"), Structure.SEGMENTS),
        (JPEG[:2] + segment(0xFE, b"") * MOST_SEGMENTS + JPEG[2:], Structure.SEGMENTS),
        (changed(JPEG, FRAME + 1, b"\xc9"), Structure.SEGMENTS),  # arithmetic coding
        (JPEG[:FRAME] + JPEG[SCAN:], Structure.FRAME),
        (JPEG[:SCAN] + JPEG[FRAME:], Structure.FRAME),
        (changed(JPEG, FRAME + 4, b"\x0c"), Structure.FRAME),  # 12 bits
        (changed(JPEG, FRAME + 5, b"\0\0"), Structure.FRAME),
        (changed(JPEG, FRAME + 5, b"\xff\xff\xff\xff"), Structure.FRAME),
        (changed(JPEG, FRAME + 9, b"\2"), Structure.FRAME),
        (changed(JPEG, FRAME + 11, b"\0"), Structure.FRAME),
        (changed(JPEG, FRAME + 11, b"\x31"), Structure.FRAME),
        (changed(JPEG, FRAME + 14, b"\x12"), Structure.FRAME),
        (JPEG[:2] + EXIF + JPEG[2:], Structure.COMPLETE),
        (JPEG[:2] + EXIF + EXIF + JPEG[2:], Structure.EXIF),
        (JPEG[:SCAN] + EXIF + JPEG[SCAN:], Structure.EXIF),
        (JPEG[:2] + segment(0xE1, b"Exif\0\0") + JPEG[2:], Structure.EXIF),
        (JPEG[:2] + segment(0xE1, b"http://ns.adobe") + JPEG[2:], Structure.COMPLETE),
        (JPEG[:2] + segment(0xEE, b"Adobe" + bytes(7)) + JPEG[2:], Structure.FRAME),
        (JPEG[:2] + segment(0xEE, b"Adobe" + bytes(6) + b"\1") + JPEG[2:], Structure.COMPLETE),
        (JPEG[:2] + segment(0xEE, b"Adobe") + JPEG[2:], Structure.FRAME),
        (GRAY[:2] + segment(0xEE, b"Adobe" + bytes(7)) + GRAY[2:], Structure.COMPLETE),
    ],
)  # fmt: skip
def test_jpegs(content: bytes, expected: Structure) -> None:
    assert check(content) == expected


def test_components_that_are_rgb_by_their_names_are_left_to_the_host() -> None:
    data = bytearray(JPEG)
    data[FRAME + 10 : FRAME + 19 : 3] = b"RGB"
    assert check(bytes(data)) == Structure.FRAME


def test_pixels_that_a_file_cannot_hold() -> None:
    height = JPEG_PIXELS * len(JPEG) // 60
    for rows, expected in ((height, Structure.COMPLETE), (height + 1, Structure.FRAME)):
        size = struct.pack(">HH", rows, 60)
        assert check(changed(JPEG, FRAME + 5, size)) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (PNG[: len(PNG) // 2], Structure.TRUNCATED),
        (PNG[:-5], Structure.TRUNCATED),
        (PNG[:20], Structure.TRUNCATED),
        (PNG[:33] + PNG[-12:], Structure.SEGMENTS),  # no pixels
        (PNG[:8] + PNG[33:], Structure.SEGMENTS),  # no header
        (PNG[:33] + chunk(b"tEXt", b"") * MOST_SEGMENTS + PNG[33:], Structure.SEGMENTS),
        (changed(PNG, 16, b"\0\0\0\0"), Structure.FRAME),
        (changed(PNG, 16, b"\0\1\0\0\0\1\0\0"), Structure.FRAME),
        (changed(PNG, 26, b"\1"), Structure.FRAME),
        (changed(PNG, 28, b"\2"), Structure.FRAME),
        (changed(PNG, 24, b"\4"), Structure.FORMAT),
        (changed(PNG, 25, b"\7"), Structure.FORMAT),
        (PNG[:33] + chunk(b"acTL", bytes(8)) + PNG[33:], Structure.FORMAT),
        (PNG[:33] + chunk(b"eXIf", exif(6)[6:]) + PNG[33:], Structure.COMPLETE),
        (PNG[:33] + chunk(b"eXIf", exif(6)[6:], error=1) + PNG[33:], Structure.EXIF),
        (PNG[:33] + chunk(b"eXIf", exif(6)[6:]) * 2 + PNG[33:], Structure.EXIF),
        (PNG[:33] + chunk(b"eXIf", b"II") + PNG[33:], Structure.EXIF),
        (PNG[:-12] + chunk(b"eXIf", exif(6)[6:]) + PNG[-12:], Structure.EXIF),
    ],
)
def test_pngs(content: bytes, expected: Structure) -> None:
    assert check(content) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (BMP[:-1], Structure.TRUNCATED),
        (BMP[:30], Structure.TRUNCATED),
        (changed(BMP, 14, b"\x0c"), Structure.FORMAT),
        (changed(BMP, 28, b"\x10"), Structure.FORMAT),
        (changed(BMP, 30, b"\1"), Structure.FORMAT),
        (changed(BMP, 22, b"\xff\xff\xff\xff"), Structure.FRAME),  # upside down
        (changed(BMP, 18, b"\0\0\0\0"), Structure.FRAME),
        (changed(BMP, 18, b"\0\1\0\0"), Structure.TRUNCATED),
        (changed(saved(image("P"), "BMP"), 46, b"\0\2"), Structure.SEGMENTS),
        (changed(saved(image("P"), "BMP"), 10, b"\x40\0"), Structure.SEGMENTS),
        (WEBP[:-4], Structure.TRUNCATED),
        (WEBP[:19], Structure.TRUNCATED),
        (changed(WEBP, 12, b"abcd"), Structure.SEGMENTS),
        (changed(WEBP, 23, b"\0"), Structure.FRAME),
        (changed(WEBP, 26, b"\0\0"), Structure.FRAME),
        (changed(LOSSLESS, 20, b"\0"), Structure.FRAME),
        (changed(WEBP, 4, b"\x04\0\0\0"), Structure.FRAME),  # no frame
    ],
)
def test_bmp_and_webp(content: bytes, expected: Structure) -> None:
    assert check(content) == expected


def extended(width: int, flags: int = 0) -> bytes:
    """A WebP with the extended header."""
    canvas = struct.pack("<II", flags, width - 1)[:7] + struct.pack("<I", 29)[:3]
    body = b"WEBP" + b"VP8X" + struct.pack("<I", 10) + canvas + WEBP[12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def test_extended_webp() -> None:
    assert Image.open(io.BytesIO(extended(41))).size == (41, 30)
    assert check(extended(41)) == Structure.COMPLETE
    assert check(extended(42)) == Structure.FRAME
    assert check(extended(41, flags=8)) == check(extended(41, flags=2)) == Structure.FORMAT


def test_whatever_is_for_dali_is_read_by_nvimagecodec() -> None:
    """Otherwise DALI may die. The sizes are those of the header, too."""
    nvimgcodec = pytest.importorskip("nvidia.nvimgcodec")
    complete = 0
    for number in range(3000):
        description, content = mutated(1, number)
        data = np.frombuffer(content, np.uint8)
        try:
            header = read_header(data).without_orientation()
        except DecodeError:
            continue
        if check_structure(data) in (Structure.COMPLETE, Structure.UNTERMINATED):
            stream = nvimgcodec.CodeStream(content)
            found = stream.codec_name, stream.width, stream.height
            assert found == (header.format, header.width, header.height), description
            complete += 1
    assert complete > 500


def test_large_images_are_not_for_dali() -> None:
    structures = np.array([Structure.COMPLETE, Structure.COMPLETE, Structure.EXIF], np.uint8)
    found = without_large(structures, np.array([1 << 26, (1 << 26) + 1, 5]))
    assert found.tolist() == [Structure.COMPLETE, Structure.LARGE, Structure.EXIF]
    assert "large" in REASONS[Structure.LARGE]
