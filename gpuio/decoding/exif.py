"""EXIF: the orientation of an image, and whether all readers find the same one."""

from __future__ import annotations

import struct
from collections.abc import Iterator

# The orientation's tag (EXIF 2.32, section 4.6.4); values 5 to 8 exchange rows and columns.
ORIENTATION_TAG = 0x0112
TRANSPOSED = (5, 6, 7, 8)

_BYTE_ORDERS = {b"II": "<", b"MM": ">"}
_VERSION = 42  # of TIFF
_ENTRY_BYTES = 12
MOST_ENTRIES = 1024  # that are looked at for consistency

# Tags whose values OpenCV's reader (exif.cpp, a copy of which nvImageCodec has) looks at, because
# it drops the orientation, too, if it cannot read one of them: strings, and numbers of rationals.
_STRINGS = {0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x8298}
_RATIONALS = {0x011A: 1, 0x011B: 1, 0x013E: 2, 0x013F: 6, 0x0211: 3, 0x0214: 6}
_INLINE_BYTES = 4


def read_orientation(tiff: memoryview) -> int:
    """Read the orientation from EXIF's TIFF structure.

    Returns
    -------
    1 (upright) to 8; 1 if it is missing or invalid
    """
    try:
        for tag, _, value, _ in _entries(tiff):
            if tag == ORIENTATION_TAG:
                return value if 1 <= value <= 8 else 1
    except (KeyError, struct.error):
        pass
    return 1


def has_consistent_orientation(tiff: memoryview) -> bool:
    """Whether gpuio and OpenCV's reader find the same orientation, or both find none."""
    length = len(tiff)
    orientations: list[int] = []
    try:
        if struct.unpack_from(_BYTE_ORDERS[bytes(tiff[:2])] + "H", tiff, 2)[0] != _VERSION:
            return False
        for number, (tag, count, short, offset) in enumerate(_entries(tiff)):
            if number == MOST_ENTRIES:
                return False
            if tag == ORIENTATION_TAG:
                orientations.append(short)
            elif tag in _STRINGS:
                begin = offset if count > _INLINE_BYTES else 8
                if begin + count > length:
                    return False
            elif tag in _RATIONALS and offset + 8 * _RATIONALS[tag] > length:
                return False
    except (KeyError, struct.error):
        return False
    return len(set(orientations)) <= 1


def _entries(tiff: memoryview) -> Iterator[tuple[int, int, int, int]]:
    """Tag, count, and value as a 16-bit and as a 32-bit integer, of each entry of the directory.

    Raises
    ------
    KeyError : the byte order is neither of the two.
    struct.error : the data ends inside the directory.
    """
    order = _BYTE_ORDERS[bytes(tiff[:2])]
    (directory,) = struct.unpack_from(order + "I", tiff, 4)
    (number,) = struct.unpack_from(order + "H", tiff, directory)
    entry = struct.Struct(order + "HHI")
    short, long = struct.Struct(order + "H"), struct.Struct(order + "I")
    for at in range(directory + 2, directory + 2 + number * _ENTRY_BYTES, _ENTRY_BYTES):
        tag, _, count = entry.unpack_from(tiff, at)
        yield tag, count, short.unpack_from(tiff, at + 8)[0], long.unpack_from(tiff, at + 8)[0]
