"""Image headers as 64-bit integers: kept for many images, and converted for whole batches.

A code has, from its lowest bit: width and height (16 bits each), orientation and whether there are
several parts (4 each), channels, format and structure (8 each). 0 is no header.
"""

from __future__ import annotations

import threading
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gpuio.decoding.header import ImageHeader
from gpuio.decoding.structure import Structure

_HEIGHT, _ORIENTATION, _PARTS, _CHANNELS, _FORMAT, _STRUCTURE = 16, 32, 36, 40, 48, 56
_SIZE_MASK, _BYTE_MASK, _ORIENTATION_MASK = 0xFFFF, 0xFF, 0xF

# The formats that occurred; codes have their numbers. Pillow has fewer than a byte can express.
_formats = ["jpeg", "png"]
_lock = threading.Lock()

# Distinct headers that are kept as objects.
_DISTINCT = 1 << 14


def encode_header(header: ImageHeader, structure: Structure) -> int:
    """Convert a header, and what the image's structure is like, to a code."""
    width, height, orientation, channels, name, several_parts = header
    if name not in _formats:
        with _lock:
            if name not in _formats:
                _formats.append(name)
    return (
        width
        | height << _HEIGHT
        | orientation << _ORIENTATION
        | several_parts << _PARTS
        | channels << _CHANNELS
        | _formats.index(name) << _FORMAT
        | structure << _STRUCTURE
    )


def encode_upright_jpegs(
    width: NDArray[np.int64],
    height: NDArray[np.int64],
    channels: NDArray[np.int64],
    structure: NDArray[np.int64],
    several_parts: NDArray[np.bool_] | bool = False,
) -> NDArray[np.uint64]:
    """Convert the headers of JPEGs without orientation, int64 or bool (N,) each, to codes: uint64
    (N,).
    """
    code = width | height << _HEIGHT | 1 << _ORIENTATION | channels << _CHANNELS
    code |= np.asarray(several_parts, np.int64) << _PARTS
    return code.astype(np.uint64) | structure.astype(np.uint64) << np.uint64(_STRUCTURE)


@lru_cache(_DISTINCT)
def decode_header(code: int) -> ImageHeader:
    """Convert a code to the header."""
    return ImageHeader(
        code & _SIZE_MASK,
        code >> _HEIGHT & _SIZE_MASK,
        code >> _ORIENTATION & _ORIENTATION_MASK,
        code >> _CHANNELS & _BYTE_MASK,
        _formats[code >> _FORMAT & _BYTE_MASK],
        bool(code >> _PARTS & 1),
    )


def with_structure(code: int, structure: Structure) -> int:
    """A code of unknown structure, with the structure."""
    return code | structure << _STRUCTURE


def structures_of(codes: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """The `Structure` in each code: uint8 (N,)."""
    return (codes >> np.uint64(_STRUCTURE)).astype(np.uint8)


def several_parts_of(codes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether the images have several parts: bool (N,)."""
    flags = _words(codes)[:, _PARTS // 16]
    found: NDArray[np.bool_] = flags & (1 << _PARTS % 16) != 0
    return found


def sizes_of(codes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Width and height in each code: int64 (N, 2); 0 x 0 where there is no header."""
    return _words(codes)[:, :2].astype(np.int64)


def pixels_of(codes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Width times height in each code: int64 (N,)."""
    words = _words(codes)
    pixels: NDArray[np.int64] = words[:, 0].astype(np.int64) * words[:, 1]
    return pixels


def _words(codes: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """The 16-bit words of each code, the lowest first: uint16 (N, 4). Far fewer steps than shifts
    and masks of 64 bits.
    """
    words: NDArray[np.uint16] = np.ascontiguousarray(codes, "<u8").view("<u2").reshape(-1, 4)
    return words


def without_orientation(codes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The codes of the images as stored, ignoring their orientation."""
    orientation = (codes >> np.uint64(_ORIENTATION)).astype(np.uint8) & _ORIENTATION_MASK
    if (orientation <= 1).all():
        return codes
    rows = np.flatnonzero(orientation > 1)
    changed = codes.copy()
    for row in rows.tolist():
        code = int(codes[row])
        header = decode_header(code).without_orientation()
        changed[row] = encode_header(header, Structure(code >> _STRUCTURE))
    return changed
