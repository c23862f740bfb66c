"""Image headers: size, channels and orientation, read without decoding.

The plan needs every image's size before anything is decoded. The headers of JPEG and PNG, nearly
all that records contain, are parsed here in a few microseconds, faster than any general library;
other formats go to Pillow.
"""

from __future__ import annotations

import io
import re
import struct
import warnings
from collections.abc import Generator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.decoding.claims import contradicts
from gpuio.decoding.exif import ORIENTATION_TAG, TRANSPOSED, read_orientation
from gpuio.errors import DecodeError

# JPEG markers (ITU-T T.81, table B.1).
SOI, EOI, SOS, APP1 = 0xD8, 0xD9, 0xDA, 0xE1
SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
STANDALONE = frozenset({0x01, SOI, EOI, *range(0xD0, 0xD8)})
# Frames whose scans follow one another: progressive, with Huffman or arithmetic codes.
PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
# Segments of a JPEG before its first scan, or chunks of a PNG before its pixels, that are visited.
MOST_SEGMENTS = 4096
_FILL_BYTES = re.compile(rb"\xff+")

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
MAX_DIMENSION = 65535


class ImageHeader(NamedTuple):
    """An encoded image, as described by its header.

    Attributes
    ----------
    width, height : in pixels, of the upright image, that is, with `orientation` applied
    orientation : EXIF orientation, 1 (upright) to 8
    channels : as stored: 1 gray, 3 color, 4 with alpha or CMYK
    format : "jpeg", "png" or Pillow's name for the format, in lower case
    several_parts : decoding holds more than the pixels: a JPEG in several scans (progressive, or
        with a scan for each component), or whose scans cannot be found; or an animated PNG
    """

    width: int
    height: int
    orientation: int
    channels: int
    format: str
    several_parts: bool = False

    def without_orientation(self) -> ImageHeader:
        """The header of the image as stored, ignoring the orientation."""
        width, height = self.width, self.height
        if self.orientation in TRANSPOSED:
            width, height = height, width
        return self._replace(width=width, height=height, orientation=1)


def read_header(data: NDArray[np.uint8]) -> ImageHeader:
    """Read an encoded image's header.

    Parameters
    ----------
    data : uint8 (bytes,), the image file's content

    Raises
    ------
    DecodeError : `data` is empty, not an image, or its header is damaged.
    """
    view = data.data
    if len(view) == 0:
        raise DecodeError("there is no image: the data is empty")
    try:
        if bytes(view[:2]) == b"\xff\xd8":
            header = _read_jpeg_header(view)
        elif bytes(view[:8]) == PNG_SIGNATURE:
            header = _read_png_header(view)
        else:
            header = _read_other_header(view)
    except (struct.error, IndexError) as error:
        raise DecodeError(f"the image's header is cut off ({len(view)} bytes)") from error
    if not (0 < header.width <= MAX_DIMENSION and 0 < header.height <= MAX_DIMENSION):
        raise DecodeError(
            f"the image's header says {header.width} x {header.height} pixels, expected 1 to "
            f"{MAX_DIMENSION} each"
        )
    return header


def import_pillow() -> None:
    """Import Pillow and all its plugins, before threads are started that call `read_header`.

    Python's import system can be left with a lock held where an import fails for want of memory;
    were it to fail in a thread, others that import the same module would wait forever.
    """
    from PIL import Image

    Image.init()


def _read_jpeg_header(view: memoryview) -> ImageHeader:
    orientation = 1
    following = segments(view)
    for marker, segment in following:
        if marker in SOF:
            height, width, channels = struct.unpack_from(">HHB", segment, 1)
            if orientation in TRANSPOSED:
                width, height = height, width
            several = marker in PROGRESSIVE or _has_several_scans(view, following, channels)
            return ImageHeader(width, height, orientation, channels, "jpeg", several)
        if marker == APP1 and bytes(segment[:6]) == b"Exif\0\0":
            orientation = read_orientation(segment[6:])
    raise DecodeError("not a JPEG: the scan begins before the frame header")


def _has_several_scans(
    view: memoryview, following: Generator[tuple[int, memoryview], None, int], channels: int
) -> bool:
    """Whether the first scan of a JPEG does not have all components, or cannot be found.

    Parameters
    ----------
    following : the segments behind the frame header
    """
    try:
        while True:
            next(following)
    except StopIteration as end:
        return bool(view[end.value] < channels) if end.value < len(view) else True
    except (DecodeError, struct.error, IndexError):
        return True


def segments(view: memoryview) -> Generator[tuple[int, memoryview], None, int]:
    """The marker and the content of each segment of a JPEG, up to the first scan.

    Returns
    -------
    (of the generator) where the first scan's header has its number of components

    Raises
    ------
    DecodeError : there is no marker where a segment should begin, or there are very many.
    struct.error, IndexError : the data ends before the first scan.
    """
    at = 2
    for _ in range(MOST_SEGMENTS):
        # A marker may be preceded by fill bytes.
        fill = _FILL_BYTES.match(view, at)
        if fill is None:
            raise DecodeError(
                f"not a JPEG: byte {at} should begin a marker, but is {view[at]:#04x}"
            )
        at = fill.end()
        marker = view[at]
        at += 1
        if marker in STANDALONE:
            continue
        if marker == SOS:
            return at + 2
        (length,) = struct.unpack_from(">H", view, at)
        yield marker, view[at + 2 : at + length]
        at += length
    raise DecodeError(f"there are more than {MOST_SEGMENTS} segments before the first scan")


def _read_png_header(view: memoryview) -> ImageHeader:
    width, height, _, color_type = struct.unpack_from(">IIBB", view, 16)
    orientation, animated, at = 1, False, 8
    for _ in range(MOST_SEGMENTS):  # eXIf, if any, precedes the pixels
        length, name = struct.unpack_from(">I4s", view, at)
        if name == b"eXIf" and orientation == 1:
            orientation = read_orientation(view[at + 8 : at + 8 + length])
        animated |= name == b"acTL"
        if name == b"IDAT":
            break
        at += 12 + length
    else:
        raise DecodeError(f"there are more than {MOST_SEGMENTS} chunks before the pixels")
    if orientation in TRANSPOSED:
        width, height = height, width
    channels = PNG_CHANNELS.get(color_type, 3)
    return ImageHeader(width, height, orientation, channels, "png", animated)


def _read_other_header(view: memoryview) -> ImageHeader:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(view)) as image:
                width, height = image.size
                # Pillow's and OpenCV's TIFF readers apply the orientation themselves.
                found = 1 if image.format == "TIFF" else image.getexif().get(ORIENTATION_TAG)
                # In a damaged block it may be of any type.
                orientation = found if isinstance(found, int) and 1 <= found <= 8 else 1
                channels = len(image.getbands())
                name = (image.format or "unknown").lower()
    except Image.DecompressionBombError as error:
        raise DecodeError(
            f"the image is over the limit of PIL.Image.MAX_IMAGE_PIXELS: {error}"
        ) from error
    except Exception as error:  # Pillow's plug-ins raise errors of any type
        head = bytes(view[:8]).hex(" ")
        raise DecodeError(f"not an image: its first bytes are {head}") from error
    if contradicts(view, name, width, height):
        raise DecodeError(f"the {name} image has two sizes, one of which is {width} x {height}")
    if orientation in TRANSPOSED:
        width, height = height, width
    return ImageHeader(width, height, orientation, channels, name)
