"""Sizes that OpenCV may find where Pillow finds another one: in files that have two.

The limits on images rest on the size in the header. Of formats whose header Pillow reads, a file
that was made for it can show Pillow one size, and another one to OpenCV, which decodes it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator

# JPEG 2000: the beginning of a codestream, and of the segment with its size (ISO/IEC 15444-1, A.5).
_CODESTREAM = re.compile(rb"\xff\x4f\xff\x51")
# What OpenCV decodes although `read_header` may not read its header: JPEGs with other bytes between
# their segments, Radiance's HDR, PAM, and PFM; and where these have a size.
_OPENCV_ONLY = {
    b"\xff\xd8": re.compile(
        rb"\xff[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf]...(?P<h>..)(?P<w>..)", re.DOTALL
    ),
    b"#?": re.compile(rb"-Y\s*(?P<h>\d+)\s*\+X\s*(?P<w>\d+)"),
    b"P7": re.compile(rb"WIDTH\s+(?P<w>\d+)|HEIGHT\s+(?P<h>\d+)"),
    b"PF": re.compile(rb"PF\s+(?P<w>\d+)\s+(?P<h>\d+)"),
}
MOST_DIGITS = 20  # of a number, more of which would only take time

# TIFF 6.0, section 8: the tags of width and height, and the types that these may have.
_TIFF_TAGS = {256: "w", 257: "h"}
_TIFF_TYPES = {3: "H", 4: "I", 16: "Q"}
_BIG_TIFF = 43


def contradicts(view: memoryview, name: str, width: int, height: int) -> bool:
    """Whether an image has another size than this one somewhere in its header.

    Parameters
    ----------
    view : the image file's content
    name : the format, as in `ImageHeader`
    width, height : in pixels, as stored
    """
    try:
        if name == "jpeg2000":
            return any(size != (width, height) for size in _codestream_sizes(view))
        return name == "tiff" and _has_repeated_size(view)
    except struct.error:
        return True


def opencv_size(view: memoryview) -> tuple[int, int] | None:
    """The largest width and height that OpenCV may find in an image whose header `read_header`
    refuses, TIFFs of floating-point pixels among them; None: OpenCV does not decode it either.
    """
    head = bytes(view[:2])
    numbers: Iterable[tuple[str, int]]
    if head in (b"II", b"MM"):
        numbers = _tiff_sizes(view)
    elif pattern := _OPENCV_ONLY.get(head):
        numbers = _matched_sizes(view, pattern, binary=head == b"\xff\xd8")
    else:
        return None
    sizes = {"w": 0, "h": 0}
    try:
        for name, number in numbers:
            sizes[name] = max(sizes[name], number)
    except struct.error:
        return None
    return sizes["w"], sizes["h"]


def _matched_sizes(
    view: memoryview, pattern: re.Pattern[bytes], binary: bool
) -> Iterator[tuple[str, int]]:
    for found in pattern.finditer(view):
        for name, value in found.groupdict().items():
            if value is not None:
                yield name, int.from_bytes(value, "big") if binary else int(value[:MOST_DIGITS])


def _codestream_sizes(view: memoryview) -> Iterator[tuple[int, int]]:
    """Width and height in each codestream of a JPEG 2000 file: its box may say something else."""
    for found in _CODESTREAM.finditer(view):
        right, bottom, left, top = struct.unpack_from(">4I", view, found.end() + 4)
        yield right - left, bottom - top


def _has_repeated_size(view: memoryview) -> bool:
    """Whether a TIFF has a width or a height twice, of which Pillow takes the last and libtiff the
    first.
    """
    tags = [tag for tag, _ in _tiff_sizes(view)]
    return sorted(tags) != ["h", "w"]


def _tiff_sizes(view: memoryview) -> Iterator[tuple[str, int]]:
    """The widths, "w", and heights, "h", in the first directory of a TIFF."""
    order = "<" if bytes(view[:2]) == b"II" else ">"
    (version,) = struct.unpack_from(order + "H", view, 2)
    big = version == _BIG_TIFF
    (at,) = (
        struct.unpack_from(order + "Q", view, 8)
        if big
        else struct.unpack_from(order + "I", view, 4)
    )
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), view, at)
    begin, length, value_at = (at + 8, 20, 12) if big else (at + 2, 12, 8)
    for entry in range(begin, min(begin + count * length, len(view) - length + 1), length):
        tag, kind = struct.unpack_from(order + "HH", view, entry)
        if name := _TIFF_TAGS.get(tag):
            code = _TIFF_TYPES.get(kind, "I")
            yield name, struct.unpack_from(order + code, view, entry + value_at)[0]
