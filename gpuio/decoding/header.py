"""What an encoded image says about itself: size, channels and orientation, read without decoding
it.

The plan needs every picture's size before anything is decoded. JPEG and PNG, nearly all of what
records hold, are read here in a few microseconds, which a general library does not do; any other
format goes to Pillow.
"""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import DecodeError

# The tag of EXIF's orientation (EXIF 2.32, section 4.6.4); 5 to 8 exchange rows and columns.
ORIENTATION_TAG = 0x0112
TRANSPOSED = (5, 6, 7, 8)

# JPEG markers (ITU-T T.81, table B.1).
SOI, EOI, SOS, APP1 = 0xD8, 0xD9, 0xDA, 0xE1
SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
STANDALONE = frozenset({0x01, SOI, EOI, *range(0xD0, 0xD8)})

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
LARGEST_SIDE = 65535


class ImageInfo(NamedTuple):
    """An encoded image, as its header describes it.

    Attributes
    ----------
    width, height : pixels of the upright picture, that is after `orientation` has been applied
    orientation : EXIF's number, 1 (upright) to 8
    channels : as stored: 1 gray, 3 colour, 4 with alpha or CMYK
    format : "jpeg", "png" or Pillow's name of the format, in lower case
    """

    width: int
    height: int
    orientation: int
    channels: int
    format: str

    def as_stored(self) -> ImageInfo:
        """The same image where orientations are ignored."""
        width, height = self.width, self.height
        if self.orientation in TRANSPOSED:
            width, height = height, width
        return self._replace(width=width, height=height, orientation=1)


def probe(data: NDArray[np.uint8]) -> ImageInfo:
    """Read an encoded image's header.

    Parameters
    ----------
    data : uint8 (bytes,), the image file's content

    Raises
    ------
    DecodeError : the content is empty, not an image, or its header is damaged.
    """
    view = data.data
    if len(view) == 0:
        raise DecodeError("there is no image: its content is empty")
    try:
        if bytes(view[:2]) == b"\xff\xd8":
            info = _probe_jpeg(view)
        elif bytes(view[:8]) == PNG_SIGNATURE:
            info = _probe_png(view)
        else:
            info = _probe_other(view)
    except (struct.error, IndexError) as error:
        raise DecodeError(f"the image's header is cut off ({len(view)} bytes)") from error
    if not (0 < info.width <= LARGEST_SIDE and 0 < info.height <= LARGEST_SIDE):
        raise DecodeError(f"the image's header says {info.width} x {info.height} pixels")
    return info


def _probe_jpeg(view: memoryview) -> ImageInfo:
    orientation = 1
    for marker, segment in segments(view):
        if marker in SOF:
            height, width, channels = struct.unpack_from(">HHB", segment, 1)
            if orientation in TRANSPOSED:
                width, height = height, width
            return ImageInfo(width, height, orientation, channels, "jpeg")
        if marker == APP1 and bytes(segment[:6]) == b"Exif\0\0":
            orientation = _orientation(segment[6:])
    raise DecodeError("not a JPEG: the scan begins before the size is known")


def segments(view: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The segments of a JPEG's header: each one's marker and what it holds, up to the first scan.

    Raises
    ------
    DecodeError : there is something else between them.
    struct.error, IndexError : the header is cut off.
    """
    at = 2
    while True:
        if view[at] != 0xFF:
            raise DecodeError(
                f"not a JPEG: byte {at} should begin a marker, but is {view[at]:#04x}"
            )
        while view[at] == 0xFF:  # any number of fill bytes may stand before a marker
            at += 1
        marker = view[at]
        at += 1
        if marker in STANDALONE:
            continue
        if marker == SOS:
            return
        (length,) = struct.unpack_from(">H", view, at)
        yield marker, view[at + 2 : at + length]
        at += length


def _probe_png(view: memoryview) -> ImageInfo:
    width, height, _, colour = struct.unpack_from(">IIBB", view, 16)
    orientation = 1
    at = 8
    while True:  # eXIf, where there is one, stands before the pixels
        length, name = struct.unpack_from(">I4s", view, at)
        if name == b"eXIf":
            orientation = _orientation(view[at + 8 : at + 8 + length])
        if name in (b"IDAT", b"eXIf"):
            break
        at += 12 + length
    if orientation in TRANSPOSED:
        width, height = height, width
    return ImageInfo(width, height, orientation, PNG_CHANNELS.get(colour, 3), "png")


def _orientation(tiff: memoryview) -> int:
    """The orientation in EXIF's TIFF structure; 1 where there is none or it makes no sense."""
    try:
        order = {b"II": "<", b"MM": ">"}[bytes(tiff[:2])]
        (directory,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, directory)
        for entry in range(entries):
            tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, directory + 2 + 12 * entry)
            if tag == ORIENTATION_TAG:
                return value if 1 <= value <= 8 else 1
    except (KeyError, struct.error):
        pass
    return 1


def _probe_other(view: memoryview) -> ImageInfo:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(view)) as picture:
                width, height = picture.size
                # Pillow's and OpenCV's TIFF readers turn the picture upright themselves.
                turned = picture.format == "TIFF"
                orientation = 1 if turned else picture.getexif().get(ORIENTATION_TAG, 1)
                channels = len(picture.getbands())
                name = (picture.format or "unknown").lower()
    except Exception as error:  # Pillow's plug-ins raise whatever their parsers ran into
        head = bytes(view[:8]).hex(" ")
        raise DecodeError(f"not an image: its first bytes are {head}") from error
    if orientation in TRANSPOSED:
        width, height = height, width
    return ImageInfo(width, height, orientation, channels, name)
