"""The structure of encoded images, checked without decoding: what DALI's graph may be given.

DALI reads the headers of a batch in several threads, and when nvImageCodec refuses one, it frees
the memory that the other threads still use (`ImageDecoder::SetupImpl` in image_decoder.h): the
process may end. What nvImageCodec would refuse, or understand differently from `read_header`, is
therefore decoded on the host, which decides whether it is a bad record. What goes wrong later, in
the decoder itself, only fails the batch.

Only the markers of a JPEG up to its first scan, and the chunks of other files, are visited.
"""

from __future__ import annotations

import struct
import zlib
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from gpuio.decoding.exif import has_consistent_orientation
from gpuio.decoding.header import MAX_DIMENSION, PNG_SIGNATURE

APP0, APP1, APP14, APP15, COM = 0xE0, 0xE1, 0xEE, 0xEF, 0xFE
SOF_BASELINE, SOF_EXTENDED, SOF_PROGRESSIVE, DHT = 0xC0, 0xC1, 0xC2, 0xC4
SOI, EOI, SOS, DQT, DRI = 0xD8, 0xD9, 0xDA, 0xDB, 0xDD
FRAMES = (SOF_BASELINE, SOF_EXTENDED, SOF_PROGRESSIVE)
# Segments that may precede the first scan; and that scan.
TABLES = frozenset({DHT, DQT, DRI, COM, *range(APP0, APP15 + 1)})
KNOWN = TABLES.union(FRAMES, {SOS})

# Pixels of luma, across and down, for one of chroma.
SAMPLINGS = {(1, 1), (2, 1), (2, 2), (1, 2), (4, 1), (4, 2), (2, 4)}
# nvImageCodec takes any three components for YCbCr, while libjpeg (default_decompress_parms in
# jdapimin.c) recognizes RGB by Adobe's marker and by the names of the components.
ADOBE_YCBCR = b"\1"

# By PNG's color type: the bit depths that DALI converts as the host does. It takes pixel values of
# fewer bits for values of that range, which the decoder has already scaled to 8 bits.
PNG_DEPTHS = {0: (8, 16), 2: (8, 16), 3: (8,), 4: (8, 16), 6: (8, 16)}
# Uncompressed BMPs with the common header.
BMP_HEADER_BYTES, BMP_BITS = 40, (1, 4, 8, 24, 32)
# Flags of WebP's extended header. nvImageCodec skips chunks without their padding on its way to
# EXIF, and does not decode animations.
WEBP_ANIMATION, WEBP_EXIF = 0x02, 0x08
# Segments or chunks of a file that are visited.
MOST_SEGMENTS = 4096

# The most pixels for each byte of a file. JPEG has at least a bit for each block of 8 x 8 pixels;
# deflate, in PNGs, at least a byte for 1032.
JPEG_PIXELS, PNG_PIXELS = 512, 1032

# Pixels of the largest image that DALI is given, 200 MB of RGB: its pools of memory do not shrink.
LARGEST = 1 << 26

EXIF = b"Exif\0\0"


class Structure(IntEnum):
    """What the structure of an encoded image is like. Values after `UNTERMINATED` are reasons to
    decode it on the host.
    """

    UNKNOWN = 0
    COMPLETE = 1
    UNTERMINATED = 2  # a JPEG without end marker, which DALI requires
    FORMAT = 3
    TRUNCATED = 4
    SEGMENTS = 5
    FRAME = 6
    EXIF = 7
    LARGE = 8  # not of the structure itself; see `without_large`


# Why an image is decoded on the host.
REASONS = {
    Structure.FORMAT: "DALI does not read this kind of image, or not as the host does",
    Structure.TRUNCATED: "the file ends before the image does",
    Structure.SEGMENTS: "the order or the lengths of its segments are unusual or damaged",
    Structure.FRAME: "its size, color space or sampling is unusual or damaged",
    Structure.EXIF: "its EXIF orientation is ambiguous or damaged",
    Structure.LARGE: "it is large, and DALI would keep the memory that it takes",
}


def check_structure(data: NDArray[np.uint8]) -> Structure:
    """Check the structure of an encoded image.

    Parameters
    ----------
    data : uint8 (bytes,), the image file's content
    """
    view = data.data
    try:
        if bytes(view[:2]) == b"\xff\xd8":
            return _check_jpeg(view)
        if bytes(view[:8]) == PNG_SIGNATURE:
            return _check_png(view)
        if bytes(view[:2]) == b"BM":
            return _check_bmp(view)
        if bytes(view[:4]) == b"RIFF" and bytes(view[8:12]) == b"WEBP":
            return _check_webp(view)
    except (struct.error, IndexError):
        return Structure.TRUNCATED
    return Structure.FORMAT


def without_large(structures: NDArray[np.uint8], pixels: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Structures, (N,), with LARGE for images that have too many pixels for DALI."""
    return np.where(pixels > LARGEST, np.uint8(Structure.LARGE), structures)


def _check_jpeg(view: memoryview) -> Structure:
    at, frames, exif, ycbcr = 2, 0, 0, True
    for _ in range(MOST_SEGMENTS):
        start, marker, length = struct.unpack_from(">BBH", view, at)
        if start != 0xFF or length < 2 or marker not in KNOWN:
            return Structure.SEGMENTS
        segment = view[at + 4 : at + 2 + length]
        at += 2 + length
        if at >= len(view):
            return Structure.TRUNCATED
        if marker == SOS:
            break
        if marker in FRAMES:
            frames += 1
            if not _is_usual_frame(bytes(segment), len(view)):
                return Structure.FRAME
            components = segment[5]
        elif marker == APP1 and bytes(segment[:6]) == EXIF:
            exif += 1
            if exif > 1 or frames or not has_consistent_orientation(segment[6:]):
                return Structure.EXIF
        elif marker == APP14 and bytes(segment[:5]) == b"Adobe":
            ycbcr = bytes(segment[11:12]) == ADOBE_YCBCR
    else:
        return Structure.SEGMENTS
    if frames != 1 or (components == 3 and not ycbcr):
        return Structure.FRAME
    ended = bytes(view[-2:]) == bytes((0xFF, EOI))
    return Structure.COMPLETE if ended else Structure.UNTERMINATED


def _is_usual_frame(frame: bytes, size: int) -> bool:
    """Whether a frame header has 8 bits, a size that a file of `size` bytes may have, and gray or
    YCbCr components with a sampling that nvImageCodec knows.
    """
    precision, height, width, count = struct.unpack_from(">BHHB", frame)
    if precision != 8 or not 0 < height * width <= JPEG_PIXELS * size:
        return False
    if len(frame) != 6 + 3 * count:
        return False
    if count == 1:
        return 0 not in divmod(frame[7], 16)
    if count != 3 or frame[6::3] == b"RGB":
        return False
    (y_across, y_down), across_down, other = (divmod(factor, 16) for factor in frame[7::3])
    across, down = across_down
    if across_down != other or not across or not down or y_across % across or y_down % down:
        return False
    return (y_across // across, y_down // down) in SAMPLINGS


def _check_png(view: memoryview) -> Structure:
    at, pixels, exif = 8, 0, 0
    for number in range(MOST_SEGMENTS):
        length, name = struct.unpack_from(">I4s", view, at)
        content = at + 8
        at = content + length + 4
        if at > len(view):
            return Structure.TRUNCATED
        if (number == 0) != (name == b"IHDR"):
            return Structure.SEGMENTS
        if name == b"IHDR":
            if length != 13:
                return Structure.SEGMENTS
            width, height, depth, color, *methods = struct.unpack_from(">IIBBBBB", view, content)
            if not 0 < width * height <= PNG_PIXELS * len(view):
                return Structure.FRAME
            if methods[:2] != [0, 0] or methods[2] > 1:
                return Structure.FRAME
            if depth not in PNG_DEPTHS.get(color, ()):
                return Structure.FORMAT
        elif name == b"IDAT":
            pixels += 1
        elif name == b"acTL":  # an animation
            return Structure.FORMAT
        elif name == b"eXIf":
            exif += 1
            tiff = view[content : content + length]
            if exif > 1 or pixels or not has_consistent_orientation(tiff):
                return Structure.EXIF
            # OpenCV, which turns PNGs for nvImageCodec, ignores a damaged chunk.
            if view[at - 4 : at] != zlib.crc32(view[content - 4 : at - 4]).to_bytes(4, "big"):
                return Structure.EXIF
        elif name == b"IEND":
            return Structure.COMPLETE if pixels else Structure.SEGMENTS
    return Structure.SEGMENTS


def _check_bmp(view: memoryview) -> Structure:
    (pixels,) = struct.unpack_from("<I", view, 10)
    header, width, height, planes, bits, compression = struct.unpack_from("<IiiHHI", view, 14)
    (colors,) = struct.unpack_from("<I", view, 46)
    if header < BMP_HEADER_BYTES or planes != 1 or bits not in BMP_BITS or compression:
        return Structure.FORMAT
    if not (0 < width <= MAX_DIMENSION and 0 < height <= MAX_DIMENSION):
        return Structure.FRAME
    palette = 0 if bits > 8 else colors or 1 << bits
    if palette > 1 << 8 or palette > 1 << bits or 14 + header + 4 * palette > pixels:
        return Structure.SEGMENTS
    stride = (width * bits + 31) // 32 * 4
    return Structure.COMPLETE if pixels + stride * height <= len(view) else Structure.TRUNCATED


def _check_webp(view: memoryview) -> Structure:
    (size,) = struct.unpack_from("<I", view, 4)
    if size + 8 > len(view):
        return Structure.TRUNCATED
    at, canvas, frame = 12, None, None
    for number in range(MOST_SEGMENTS):
        if at + 8 > size + 8:
            break
        name, length = struct.unpack_from("<4sI", view, at)
        content, at = at + 8, at + 8 + (length + 1) // 2 * 2
        if content + length > len(view):
            return Structure.TRUNCATED
        if name == b"VP8X" and number == 0 and length == 10:
            if view[content] & (WEBP_ANIMATION | WEBP_EXIF):
                return Structure.FORMAT
            canvas = tuple(
                1 + int.from_bytes(view[begin : begin + 3], "little")
                for begin in (content + 4, content + 7)
            )
        elif name in (b"VP8 ", b"VP8L") and frame is None and (number == 0 or canvas):
            frame = _webp_frame(view, name, content, length)
        elif not canvas or name in (b"VP8 ", b"VP8L", b"VP8X", b"ANIM", b"ANMF", b"EXIF"):
            return Structure.SEGMENTS
    if frame is None or 0 in frame or (canvas is not None and canvas != frame):
        return Structure.FRAME
    return Structure.COMPLETE


def _webp_frame(view: memoryview, name: bytes, at: int, length: int) -> tuple[int, int] | None:
    """Width and height in a frame's header; None if it is none."""
    if name == b"VP8 ":
        tag, sync, width, height = struct.unpack_from("<B2x3sHH", view, at)
        usual = length > 10 and not tag & 1 and sync == b"\x9d\x01\x2a"
        return (width & 0x3FFF, height & 0x3FFF) if usual else None
    signature, features = struct.unpack_from("<BI", view, at)
    usual = length > 5 and signature == 0x2F and features >> 29 == 0
    return ((features & 0x3FFF) + 1, (features >> 14 & 0x3FFF) + 1) if usual else None
