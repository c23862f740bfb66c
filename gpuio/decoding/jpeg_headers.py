"""The headers of many JPEGs, read together.

All images are walked from segment to segment at once, by array operations. Only ordinary JPEGs are
read this way; what is unusual is left to `read_header` and `check_structure`, whose results for
ordinary ones are the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gpuio.decoding.header_codes import encode_upright_jpegs
from gpuio.decoding.structure import (
    APP1,
    APP14,
    EOI,
    FRAMES,
    JPEG_PIXELS,
    SAMPLINGS,
    SOF_PROGRESSIVE,
    SOI,
    SOS,
    TABLES,
    Structure,
)

# Bytes of each image in which its first scan has to begin, and segments before it.
WINDOW, MOST_SEGMENTS = 4096, 32

# Bytes behind a marker that are looked at: a frame header of four components.
_LOOKAHEAD = 32

# By the two bytes of a marker: what segment it begins.
_OTHER, _SCAN, _SKIPPED, _FRAME = range(4)
_KIND = np.full(1 << 16, _OTHER, np.uint8)
_KIND[[0xFF00 | marker for marker in TABLES - {APP1, APP14}]] = _SKIPPED
_KIND[[0xFF00 | marker for marker in FRAMES]] = _FRAME
_KIND[0xFF00 | SOS] = _SCAN
# By the factors of luma and chroma, across and down: whether the sampling is usual.
_SAMPLINGS = np.zeros((16, 16, 16, 16), np.bool_)
for _across, _down in itertools.product(range(1, 16), repeat=2):
    for _ratio in SAMPLINGS:
        _factors = _ratio[0] * _across, _ratio[1] * _down
        if max(_factors) < 16:
            _SAMPLINGS[(*_factors, _across, _down)] = True


def read_jpeg_headers(
    images: Sequence[NDArray[np.uint8]], sizes: NDArray[np.int64] | None = None
) -> NDArray[np.uint64]:
    """Read the headers of JPEGs and check their structure.

    Parameters
    ----------
    images : N of uint8 (bytes,), the contents of image files, or their beginnings, of which the
        structure remains unknown
    sizes : int64 (N,), the files' sizes in bytes; None: these are the whole contents

    Returns
    -------
    uint64 (N,), codes, see `header_codes`; 0 for all that are not ordinary JPEGs: of other formats,
    damaged, with EXIF or XMP (APP1), with Adobe's marker, or with a longer header
    """
    codes = np.zeros(len(images), np.uint64)
    if not images:
        return codes
    given = np.fromiter(map(len, images), np.int64, len(images))
    sizes = given if sizes is None else sizes
    # One byte more than the window, for the number of components of a scan that begins at its end.
    lengths = np.minimum(given, WINDOW + 1)
    begins = lengths.cumsum() - lengths
    parts = [image[: WINDOW + 1] for image in images]
    data = np.concatenate([*parts, np.zeros(_LOOKAHEAD, np.uint8)])
    frames, scans, pixels = _walk(data, begins, begins + np.minimum(given, WINDOW))
    rows = np.flatnonzero((frames > 0) & (pixels < begins + sizes))
    rows = rows[_usual_frames(data, frames[rows], sizes[rows])]
    if not len(rows):
        return codes
    height, width = (_words(data, frames[rows] + at) for at in (5, 7))
    channels = data[frames[rows] + 9].astype(np.int64)
    tails = np.concatenate([images[row][-2:] for row in rows.tolist()]).reshape(-1, 2)
    ended = (tails == (0xFF, EOI)).all(1)
    structure = np.where(ended, int(Structure.COMPLETE), int(Structure.UNTERMINATED))
    structure[given[rows] < sizes[rows]] = int(Structure.UNKNOWN)
    components = scans[rows] + 4  # where their number in the first scan is
    several = (data[frames[rows] + 1] == SOF_PROGRESSIVE) | (data[components] < channels)
    several |= components >= (begins + lengths)[rows]  # it is not there
    codes[rows] = encode_upright_jpegs(width, height, channels, structure, several)
    return codes


def _walk(
    data: NDArray[np.uint8], begins: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Walk over the segments of images that begin and end at these bytes of `data`.

    Returns
    -------
    int64 (N,) each: where the only frame header begins, where the first scan's header does, and
    where its data does; 0 of images that are left out
    """
    frames, scans, pixels = (np.zeros_like(begins) for _ in range(3))
    rows = np.flatnonzero((data[begins] == 0xFF) & (data[begins + 1] == SOI))
    at, limit = begins[rows] + 2, ends[rows]
    # The marker and the length of a segment that begins at each byte.
    heads = np.ndarray(len(data) - 3, ">u4", data, strides=(1,))
    for _ in range(MOST_SEGMENTS):
        head = heads[at].astype(np.int64)
        kind, length = _KIND[head >> 16], head & 0xFFFF
        kind[(at + 4 > limit) | (length < 2)] = _OTHER
        following = at + 2 + length
        frame = np.flatnonzero(kind == _FRAME)
        kind[frame[frames[rows[frame]] > 0]] = _OTHER  # a second one
        frames[rows[frame]] = at[frame]
        scan = np.flatnonzero(kind == _SCAN)
        scans[rows[scan]], pixels[rows[scan]] = at[scan], following[scan]
        further = kind >= _SKIPPED
        rows, at, limit = rows[further], following[further], limit[further]
        at = np.minimum(at, limit)
        if not len(rows):
            break
    frames[pixels == 0] = 0
    return frames, scans, pixels


def _usual_frames(
    data: NDArray[np.uint8], at: NDArray[np.int64], sizes: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which of the frame headers at these bytes are usual for files of these sizes; see
    `check_structure`.
    """
    length, height, width = (_words(data, at + offset) for offset in (2, 5, 7))
    count, pixels = data[at + 9].astype(np.int64), height * width
    usual = (data[at + 4] == 8) & (pixels > 0) & (pixels <= JPEG_PIXELS * sizes)
    usual &= length == 8 + 3 * count
    (y_across, y_down), (across, down), other = (
        np.divmod(data[at + 11 + 3 * component].astype(np.int64), 16) for component in range(3)
    )
    gray = (count == 1) & (y_across > 0) & (y_down > 0)
    sampled = _SAMPLINGS[y_across, y_down, across, down]
    color = (count == 3) & sampled & (across == other[0]) & (down == other[1])
    color &= (data[at + 10] != ord("R")) | (data[at + 13] != ord("G")) | (data[at + 16] != ord("B"))
    found: NDArray[np.bool_] = usual & (gray | color)
    return found


def _words(data: NDArray[np.uint8], at: NDArray[np.int64]) -> NDArray[np.int64]:
    """The 16-bit big-endian integers at these bytes."""
    return data[at].astype(np.int64) << 8 | data[at + 1]
