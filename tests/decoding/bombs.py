"""Images that claim more than they are."""

import struct
import zlib

import numpy as np

from tests.decoding.samples import PIXELS, encoded

# Formats whose pixels take bytes, whatever they show.
CLAIMS = ["JPEG", "PNG", "GIF", "BMP", "PPM"]


def claiming(name: str, width: int, height: int) -> bytes:
    """A small image whose header claims a size."""
    data = bytearray(encoded(PIXELS, name).tobytes())
    if name == "JPEG":
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", height, width)
    elif name == "PNG":
        data[16:24] = struct.pack(">II", width, height)
        data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    elif name == "GIF":
        data[6:10] = struct.pack("<HH", width, height)
    elif name == "BMP":
        data[18:26] = struct.pack("<ii", width, height)
    else:
        data = bytearray(b"P6\n%d %d\n255\n" % (width, height) + PIXELS.tobytes())
    return bytes(data)


def with_scans(count: int, progressive: bool) -> bytes:
    """A JPEG in this many scans, most of which repeat one that tells nothing new."""
    if progressive:
        data = encoded(PIXELS, "JPEG", progressive=True).tobytes()
        last = data[data.rindex(b"\xff\xc4") : -2]
        return data[:-2] + last * (count - data.count(b"\xff\xda")) + data[-2:]
    data = encoded(np.zeros((30, 41, 3), np.uint8), "JPEG", subsampling=0).tobytes()
    begin = data.index(b"\xff\xda")
    # One component after another, each with the blocks of the gray image.
    gray = encoded(np.zeros((30, 41), np.uint8), "JPEG").tobytes()
    blocks = gray[gray.index(b"\xff\xda") + 10 : -2]
    scans = [
        b"\xff\xda\0\x08\x01" + bytes((number % 3 + 1, 0x11 if number % 3 else 0)) + b"\0\x3f\0"
        for number in range(count)
    ]
    return data[:begin] + b"".join(scan + blocks for scan in scans) + data[-2:]
