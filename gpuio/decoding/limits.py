"""Limits on images, which bound what a damaged or hostile one can cost.

An image over a limit is a bad record. What it claims is compared before anything is allocated:

- Its pixels, and those of every size that it has on its way to the batch: at most `max_pixels`.
- The memory that decoding takes, where that is much more than the pixels; see `bytes_per_pixel`.
- The bytes that there are. Whatever an encoder does, a byte cannot express more than `PIXELS` in
  these formats. Truncated images are decoded as far as possible, so only large ones are compared.
- The bytes of a PNG's chunk.
- The scans of a JPEG that has several, each of which visits all pixels.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gpuio.context_variables import call_with
from gpuio.decoding.claims import opencv_size
from gpuio.decoding.header import (
    EOI,
    PNG_SIGNATURE,
    SOI,
    SOS,
    ImageHeader,
    read_header,
)
from gpuio.errors import ArgumentError, DecodeError

T = TypeVar("T")

# The default of `max_pixels`: 0.8 GB of RGB.
MAX_PIXELS = 1 << 28
VARIABLE = "GPUIO_MAX_PIXELS"

# Bytes of memory for each pixel of `max_pixels` that decoding may take: 1.6 GB with the default,
# which stays the limit if `max_pixels` is lower.
MEMORY = 6

# For images that OpenCV decodes, and whose header `read_header` refuses: Radiance, PAM, PFM, TIFFs
# of floating-point pixels, and JPEGs that begin with other bytes.
OPENCV_ONLY = "this format"

# Bytes that decoders need for each pixel besides the decoded ones, as measured with OpenCV 5.0:
# canvases of animations, strips and tiles, and JPEG 2000's coefficients. Others need a second copy,
# and may have 16 bits with alpha.
WORKING = {"avif": 16, "gif": 6, "jpeg2000": 15, "tiff": 8, "webp": 9, OPENCV_ONLY: 13}
WORKING_ANIMATED_PNG, WORKING_ALPHA, WORKING_OTHERS = 12, 12, 3
# libjpeg keeps the coefficients of all components of an image in several scans, 16 bits each.
COEFFICIENT = 2

# Up to this many pixels, what an image claims is not compared with its bytes.
PLAUSIBLE = 1 << 24
# The most pixels that a byte can express.
# - JPEG: a block of 8 x 8 pixels takes a bit at least, in baseline files two.
# - PNG: deflate makes at most 1032 bytes of one, with at most 8 pixels each.
# - GIF: a code of 12 bits stands for at most 4096 pixels.
# - BMP: with run lengths, 2 bytes are at most 255 pixels.
# - PPM and its like: a bit for a pixel.
# There is no such limit for WebP, AVIF, JPEG 2000 and some compressions of TIFF: an image of one
# color takes next to nothing.
PIXELS = {"jpeg": 512, "png": 8 * 1032, "gif": 4096 * 8 // 12, "bmp": 128, "ppm": 8}
PIXELS[OPENCV_ONLY] = 512  # JPEGs, or pixels that take bytes

# Bytes that the last chunk of a PNG may lack.
MISSING = 1 << 26

# Scans of a JPEG: libjpeg's tools write at most 100, usual progressive files have about 10. And
# all scans together visit at most so many times `max_pixels` (a pixel takes up to 2 ns).
SCANS, VISITS = 100, 16

_START, _SCAN = bytes((0xFF, SOI)), bytes((0xFF, SOS))
# In the data of a scan, 0xFF is followed by 0 or is a restart marker; this is another marker. Of
# several 0xFF before it the last one is enough: to try all takes quadratic time where none follows.
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])", re.DOTALL)

_max_pixels: ContextVar[int | None] = ContextVar("max_pixels", default=None)


def resolve_max_pixels(value: int | None = None) -> int:
    """The limit on the pixels of an image.

    Parameters
    ----------
    value : as the caller says; None: that of `call_with_max_pixels`, else that of the environment
        variable GPUIO_MAX_PIXELS, else `MAX_PIXELS`

    Raises
    ------
    ArgumentError : it is not an integer of at least 1.
    """
    name, given = "max_pixels", value if value is not None else _max_pixels.get()
    if given is None:
        name, given = VARIABLE, os.environ.get(VARIABLE) or MAX_PIXELS  # type: ignore[assignment]
    try:
        limit = int(given)  # type: ignore[arg-type]
        valid = not isinstance(given, bool) and float(given) == limit >= 1  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        valid = False
    if not valid:
        raise ArgumentError(f"{name} must be an integer of at least 1, not {given!r}")
    return limit


def call_with_max_pixels(limit: int, function: Callable[..., T], *arguments: Any) -> T:
    """Call a function with this as the limit of what the calling thread does."""
    return call_with(_max_pixels, limit, function, *arguments)


def over_limit(width: float, height: float, limit: int, kind: str = "the image") -> str | None:
    """What to say about a size in pixels over the limit; None: it is not.

    Parameters
    ----------
    kind : what has that size
    """
    width, height = int(width), int(height)  # NumPy's overflow
    if width * height <= limit:
        return None
    return (
        f"{kind} of {width} x {height} pixels is over the limit of {limit} pixels; a "
        f"larger max_pixels, or {VARIABLE} in the environment, allows it"
    )


def check_pixels(width: float, height: float, kind: str = "an image") -> None:
    """Check the size in pixels that a function is asked for.

    Raises
    ------
    ArgumentError : it is over the limit.
    """
    if problem := over_limit(width, height, resolve_max_pixels(), kind):
        raise ArgumentError(problem)


def check_image(header: ImageHeader, data: NDArray[np.uint8], limit: int) -> None:
    """Check an image before it is decoded.

    Parameters
    ----------
    header : from `read_header`
    data : uint8 (bytes,), the image file's content
    limit : the most pixels

    Raises
    ------
    DecodeError : it is over a limit, or claims more pixels than its bytes can express.
    """
    pixels, size = header.width * header.height, f"{header.width} x {header.height} pixels"
    if problem := over_limit(header.width, header.height, limit):
        raise DecodeError(problem)
    limit = max(limit, MAX_PIXELS)
    needed = pixels * bytes_per_pixel(header)
    if needed > MEMORY * limit:
        raise DecodeError(
            f"the image of {size} needs {needed / 1e9:.1f} GB while it is decoded, over the limit "
            f"of {MEMORY * limit / 1e9:.1f} GB; a larger max_pixels allows it"
        )
    most = PIXELS.get(header.format)
    if most is not None and pixels > max(PLAUSIBLE, most * len(data)):
        raise DecodeError(
            f"the image claims {size} in {len(data)} bytes, more than {header.format} can express"
        )
    if header.format == "jpeg" and header.several_parts:
        _check_scans(data, header.width, header.height, limit)
    if header.format == "png":
        check_chunks(data)


def check_chunks(data: NDArray[np.uint8]) -> None:
    """Check the length of a PNG's last chunk, for which OpenCV allocates memory before it reads it.
    A truncated file may lack some of it. IEND is the last one only behind the pixels.

    Raises
    ------
    DecodeError : it claims far more bytes than there are.
    """
    view, at, has_pixels, ended = memoryview(data), len(PNG_SIGNATURE), False, False
    while at + 8 <= len(view) and not ended:
        length, name = struct.unpack_from(">I4s", view, at)
        at += 12 + length
        has_pixels |= name == b"IDAT"
        ended = has_pixels and name == b"IEND"
    missing = at - len(view)
    if missing > MISSING:
        raise DecodeError(f"a chunk of the PNG claims {missing} bytes more than there are")


def check_encoded(data: NDArray[np.uint8], limit: int) -> bool:
    """Check an image that OpenCV is going to decode by itself.

    Returns
    -------
    Whether it is an image

    Raises
    ------
    DecodeError : as `check_image`.
    """
    try:
        header = read_header(data)
    except DecodeError:
        if (size := opencv_size(data.data)) is None:
            return False
        check_image(ImageHeader(*size, 1, 3, OPENCV_ONLY), data, limit)
        if data[:2].tobytes() == _START:
            _check_scans(data, *size, max(limit, MAX_PIXELS))
        return True
    check_image(header, data, limit)
    return True


def bytes_per_pixel(header: ImageHeader) -> int:
    """Memory that decoding takes at most, in bytes for each pixel: the decoded pixels, and either
    what the decoder needs, or the copy that is turned upright.
    """
    channels = max(header.channels, 3)
    if header.format == "jpeg":
        working = COEFFICIENT * channels if header.several_parts else 0
    elif header.format == "png" and header.several_parts:
        working = WORKING_ANIMATED_PNG
    else:
        usual = WORKING_ALPHA if channels > 3 else WORKING_OTHERS
        working = WORKING.get(header.format, usual)
    return channels + max(working, channels * (header.orientation != 1))


def _check_scans(data: NDArray[np.uint8], width: int, height: int, limit: int) -> None:
    """Check the number of scans of a JPEG for its size.

    Raises
    ------
    DecodeError : there are more.
    """
    scans = min(SCANS, VISITS * limit // max(width * height, 1))
    if _has_more_scans(data, scans):
        raise DecodeError(
            f"the image of {width} x {height} pixels has more than {scans} scans, the limit for "
            "its size; re-encoding it helps"
        )


def _has_more_scans(data: NDArray[np.uint8], most: int) -> bool:
    """Whether a JPEG has more scans than this. What merely looks like one, in metadata, is not
    counted.
    """
    content = data.tobytes()
    if content.count(_SCAN) <= most:
        return False
    scans, at = 0, 2
    while scans <= most and (found := _MARKER.search(content, at)):
        at = found.end()
        marker = found.group(1)[0]
        scans += marker == SOS
        if marker not in (0x01, SOI):
            at += int.from_bytes(content[at : at + 2], "big")
        if marker == EOI:
            break
    return scans > most
