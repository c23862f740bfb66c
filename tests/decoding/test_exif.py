"""EXIF: orientations, and blocks in which other readers find another one."""

import struct

import pytest
from PIL import Image

from gpuio.decoding.exif import MOST_ENTRIES, has_consistent_orientation, read_orientation

SHORT, RATIONAL, ASCII = 3, 5, 2


def block(*entries: tuple[int, int, int, int], order: str = "<", version: int = 42) -> memoryview:
    """A TIFF structure of entries: tag, type, count, value or offset."""
    begin = {"<": b"II", ">": b"MM"}[order]
    content = struct.pack(order + "HIH", version, 8, len(entries))
    for tag, kind, count, value in entries:
        field = "HH" if kind == SHORT else "I"
        values = (value, 0) if kind == SHORT else (value,)
        content += struct.pack(f"{order}HHI{field}", tag, kind, count, *values)
    return memoryview(begin + content + bytes(4))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_orientation_is_read(orientation: int, order: str) -> None:
    tiff = block((0x0112, SHORT, 1, orientation), order=order)
    assert read_orientation(tiff) == orientation and has_consistent_orientation(tiff)


def test_what_cameras_write_is_consistent() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = "a maker", "abc", 6
    exif[0x011A], exif[0x013E] = 72.0, (0.3, 0.3)
    exif.get_ifd(0x8769)[0x9003] = "2024:01:01 00:00:00"
    tiff = memoryview(exif.tobytes()[6:])
    assert read_orientation(tiff) == 6 and has_consistent_orientation(tiff)


@pytest.mark.parametrize(
    ("tiff", "orientation", "consistent"),
    [
        (block(), 1, True),
        (block((0x0112, SHORT, 1, 0)), 1, True),
        (block((0x0112, SHORT, 1, 9)), 1, True),
        (block((0x0112, SHORT, 1, 6), (0x0112, SHORT, 1, 6)), 6, True),
        (block((0x0112, SHORT, 1, 6), (0x0112, SHORT, 1, 3)), 6, False),
        (block((0x0112, SHORT, 1, 6), version=43), 6, False),
        # What these point to lies outside, and so OpenCV drops the orientation, too.
        (block((0x0112, SHORT, 1, 6), (0x010F, ASCII, 9, 1000)), 6, False),
        (block((0x0112, SHORT, 1, 6), (0x010F, ASCII, 1000, 8)), 6, False),
        (block((0x0112, SHORT, 1, 6), (0x011A, RATIONAL, 1, 1000)), 6, False),
        # Two rationals do not fit between there and the end.
        (block((0x0112, SHORT, 1, 6), (0x013E, RATIONAL, 2, 28)), 6, False),
        (block((0x0112, SHORT, 1, 6), (0x011A, RATIONAL, 1, 28)), 6, True),
        # Of other tags OpenCV reads no value.
        (block((0x0112, SHORT, 1, 6), (0x9000, ASCII, 1000, 1000)), 6, True),
        (block((0x0112, SHORT, 1, 6))[:19], 1, False),
        (memoryview(b"XX"), 1, False),
        (memoryview(b""), 1, False),
    ],
)
def test_damaged_blocks(tiff: memoryview, orientation: int, consistent: bool) -> None:
    assert read_orientation(tiff) == orientation
    assert has_consistent_orientation(tiff) == consistent


def test_endless_directories_are_not_followed() -> None:
    entries = [(0x9000, SHORT, 1, 1)] * MOST_ENTRIES
    assert has_consistent_orientation(block(*entries))
    assert not has_consistent_orientation(block(*entries, (0x9000, SHORT, 1, 1)))
