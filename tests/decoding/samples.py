"""Encoded images of many kinds: those that nvImageCodec decodes, others, and invalid ones."""

import io
from typing import Any

import cv2
import numpy as np
import simplejpeg
from PIL import Image, ImageOps

from tests.io.records import jpeg

PIXELS = np.random.default_rng(0).integers(0, 256, (30, 41, 3), np.uint8)


def encoded(pixels: np.ndarray, name: str, orientation: int = 1, **options: object) -> np.ndarray:
    """Pixels in a format of Pillow's, with an EXIF orientation: uint8 (bytes,)."""
    file = io.BytesIO()
    if orientation != 1:
        options["exif"] = exif = Image.Exif()
        exif[0x0112] = orientation
    Image.fromarray(pixels).save(file, name, **options)
    return np.frombuffer(file.getvalue(), np.uint8)


LOSSLESS = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}


def oriented_image(name: str, orientation: int) -> tuple[np.ndarray, np.ndarray]:
    """A file with an EXIF orientation, and Pillow's upright image of it."""
    data = encoded(PIXELS, name, orientation, **LOSSLESS.get(name, {}))
    expected = Image.open(io.BytesIO(data))
    expected.load()
    return data, np.asarray(ImageOps.exif_transpose(expected).convert("RGB"))


def image(mode: str = "RGB", width: int = 41, height: int = 30) -> Image.Image:
    return Image.open(io.BytesIO(jpeg(3, width, height))).convert(mode)


def saved(source: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    source.save(file, kind, **options)
    return file.getvalue()


def oriented(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return jpeg(4, 41, 30, exif=exif.tobytes())


def sampled(name: str) -> bytes:
    pixels = np.asarray(image(width=43, height=35))
    return simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), colorsubsampling=name)


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


def adobe(transform: int) -> bytes:
    """A JPEG whose color space is given by Adobe's marker only."""
    data = jpeg(5)
    jfif = 4 + int.from_bytes(data[4:6], "big")
    marker = segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))
    return data[:2] + marker + data[jfif:]


def named(names: bytes) -> bytes:
    """A JPEG whose color space is given by the names of its components only."""
    data = bytearray(jpeg(5, subsampling=0))
    del data[2 : 4 + int.from_bytes(data[4:6], "big")]
    frame, scan = data.index(b"\xff\xc0") + 10, data.index(b"\xff\xda") + 5
    data[frame : frame + 9 : 3] = data[scan : scan + 6 : 2] = names
    return bytes(data)


WHOLE = jpeg(0)
SCAN = WHOLE.index(b"\xff\xda")
# JPEGs that nvImageCodec decodes.
NVIMAGECODEC = {
    **{f"{width} x {height}": jpeg(1, width, height) for width, height in
       ((1, 1), (7, 5), (8, 8), (16, 16), (17, 33), (63, 64), (300, 201))},
    **{f"{name}, {width} wide": jpeg(2, width, 47, subsampling=factors)
       for name, factors in (("4:4:4", 0), ("4:2:2", 1), ("4:2:0", 2)) for width in (61, 64)},
    "4:4:0": sampled("440"),
    "gray": jpeg(6, mode="L"),
    "progressive": jpeg(7, 61, 47, progressive=True),
    "progressive gray": jpeg(7, 61, 47, progressive=True, mode="L"),
    "quality 100": saved(image(), quality=100, subsampling=0),
    "quality 5": saved(image(), quality=5),
    "restarts": saved(image(width=99), restart_marker_blocks=2),
    "comment": saved(image(), comment=b"\xff\xda of the image"),
    "fill bytes": WHOLE[:2] + b"\xff\xff" + WHOLE[2:],
    "profile": saved(image(), icc_profile=bytes(range(256)) * 300),
    "Adobe's YCbCr": adobe(1),
    "without JFIF": named(b"\x01\x02\x03"),
    **{f"orientation {number}": oriented(number) for number in range(1, 9)},
}  # fmt: skip
# Images that are left to the host decoder.
HOST_ONLY = {
    "truncated": WHOLE[: len(WHOLE) // 2],
    "no end marker": WHOLE[:-2],
    "bytes behind": WHOLE + b"more",
    "bytes between segments": WHOLE[:SCAN] + b"garbage" + WHOLE[SCAN:],
    "4:1:1": sampled("411"),
    "Adobe's RGB": adobe(0),
    "RGB by names": named(b"RGB"),
    "CMYK": jpeg(8, mode="CMYK"),
    "PNG": saved(image(), "PNG"),
    "PNG, gray": saved(image("L"), "PNG"),
    "PNG, palette": saved(image("P"), "PNG"),
    "PNG, alpha": saved(image("RGBA"), "PNG"),
    "PNG, 16 bits": cv2.imencode(
        ".png", np.asarray(image()).astype(np.uint16) * 257
    )[1].tobytes(),
    "BMP": saved(image(), "BMP"),
    "GIF": saved(image(), "GIF"),
    "WebP": saved(image(), "WEBP"),
    "TIFF": saved(image(), "TIFF"),
}  # fmt: skip
# What no decoder accepts.
INVALID = {
    "empty": b"",
    "text": b"no image",
    "header": WHOLE[:60],
    "markers only": b"\xff\xd8\xff\xd9",
    "no tables": WHOLE[:2] + WHOLE[WHOLE.index(b"\xff\xc0") :],
    "PNG": saved(image(), "PNG")[:40],
}
