"""Encoded images of many kinds, and damaged copies of them, each made from a number."""

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

import cv2
import numpy as np
import simplejpeg
from PIL import Image

# Bytes of a file that count as its header.
HEADER = 700


def pixels(seed: int, width: int, height: int) -> np.ndarray:
    """A smooth random image, uint8 (height, width, 3)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def exif(orientation: int, rich: bool = False) -> bytes:
    """An EXIF block with an orientation; a rich one has strings, rationals, another directory."""
    block = Image.Exif()
    block[0x0112] = orientation
    if rich:
        block[0x010F], block[0x0110], block[0x0131] = "gpuio", "a camera's name", "1.0"
        block[0x011A], block[0x011B], block[0x0128] = 72.0, 72.0, 2
        block.get_ifd(0x8769)[0x9003] = "2024:01:01 00:00:00"
    return block.tobytes()


@cache
def good_images() -> dict[str, bytes]:
    """Images that any decoder accepts, by a description."""
    sizes = [(60, 50), (17, 33), (1, 1), (200, 131), (8, 300)]
    found: dict[str, bytes] = {}
    for number, (width, height) in enumerate(sizes):
        rgb = pixels(number, width, height)
        image, size = Image.fromarray(rgb), f"{width} x {height}"
        alpha = Image.fromarray(np.dstack([rgb, rgb[..., :1]]))
        for progressive in (False, True):
            name = "progressive" if progressive else "baseline"
            for mode in ("RGB", "L", "CMYK"):
                found[f"{name} {mode} {size}"] = saved(
                    image.convert(mode), "JPEG", progressive=progressive
                )
            for factors in (0, 1, 2):
                found[f"{name}, subsampling {factors}, {size}"] = saved(
                    image, "JPEG", progressive=progressive, subsampling=factors, optimize=True
                )
        for factors in ("440", "411", "420"):
            found[f"JPEG {factors} {size}"] = simplejpeg.encode_jpeg(rgb, colorsubsampling=factors)
        found[f"restart markers {size}"] = saved(image, "JPEG", restart_marker_blocks=2)
        found[f"comment and profile {size}"] = saved(
            image, "JPEG", comment=b"\xff\xda not a scan", icc_profile=bytes(range(256)) * 4
        )
        found[f"JPEG, XMP {size}"] = saved(image, "JPEG", xmp=b"<x:xmpmeta/>")
        for orientation in (1, 2, 6, 7, 8):
            rich = orientation % 2 == 0
            block = exif(orientation, rich)
            found[f"JPEG, orientation {orientation}, {size}"] = saved(image, "JPEG", exif=block)
            if orientation in (6, 7):
                found[f"PNG, orientation {orientation}, {size}"] = saved(image, "PNG", exif=block)
        for mode in ("RGB", "L", "P", "RGBA", "LA", "1", "I;16"):
            source = alpha if mode in ("RGBA", "LA") else image
            converted = (source.convert("L") if mode == "I;16" else source).convert(
                "I" if mode == "I;16" else mode
            )
            if mode == "I;16":
                converted = converted.convert("I;16")
            found[f"PNG {mode} {size}"] = saved(converted, "PNG")
        found[f"PNG 16 bits {size}"] = cv2.imencode(".png", rgb.astype(np.uint16) * 257)[
            1
        ].tobytes()
        found[f"PNG interlaced {size}"] = interlaced(rgb)
        for mode in ("RGB", "L", "P", "1"):
            found[f"BMP {mode} {size}"] = saved(image.convert(mode), "BMP")
        found[f"BMP RGBA {size}"] = saved(alpha, "BMP")
        found[f"WebP {size}"] = saved(image, "WEBP")
        found[f"WebP, orientation 6, {size}"] = saved(image, "WEBP", exif=exif(6))
        found[f"WebP lossless {size}"] = saved(image, "WEBP", lossless=True)
        found[f"WebP alpha {size}"] = saved(alpha, "WEBP")
        found[f"WebP animated {size}"] = saved(
            image, "WEBP", save_all=True, append_images=[image.rotate(180)]
        )
        for compression in (None, "tiff_lzw", "tiff_adobe_deflate", "jpeg"):
            found[f"TIFF {compression} {size}"] = saved(image, "TIFF", compression=compression)
        found[f"GIF {size}"] = saved(image, "GIF")
        found[f"GIF animated {size}"] = saved(
            image, "GIF", save_all=True, append_images=[image.rotate(180)]
        )
        found[f"PPM {size}"] = saved(image, "PPM")
        found[f"PGM {size}"] = saved(image.convert("L"), "PPM")
        found[f"JPEG 2000 {size}"] = saved(image, "JPEG2000")
        found[f"Sun raster {size}"] = cv2.imencode(".ras", rgb)[1].tobytes()
    return found


def interlaced(rgb: np.ndarray) -> bytes:
    """An RGB image as a PNG with Adam7 interlacing, which neither Pillow nor OpenCV write."""
    height, width = rgb.shape[:2]
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
              (0, 1, 1, 2))  # fmt: skip
    rows = b""
    for x, y, across, down in passes:
        part = rgb[y::down, x::across]
        if part.size:
            rows += b"".join(b"\0" + row.tobytes() for row in part)

    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


Mutation = Callable[[np.random.Generator, bytes], bytes]


def truncate(rng: np.random.Generator, data: bytes) -> bytes:
    """Cut off the end: anywhere, within the header, or the last bytes only."""
    kind = rng.integers(3)
    low, high = ((0, len(data)), (0, min(len(data), HEADER)), (max(0, len(data) - 20), len(data)))[
        kind
    ]
    return data[: int(rng.integers(low, high + 1))]


def flip_bytes(rng: np.random.Generator, data: bytes) -> bytes:
    """Change some bytes anywhere."""
    return _change(rng, data, len(data))


def flip_header_bytes(rng: np.random.Generator, data: bytes) -> bytes:
    """Change some bytes of the first hundreds."""
    return _change(rng, data, min(len(data), HEADER))


def _change(rng: np.random.Generator, data: bytes, end: int) -> bytes:
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        if end:
            changed[int(rng.integers(end))] = int(rng.choice([0, 1, 0x7F, 0xFF, rng.integers(256)]))
    return bytes(changed)


def segments(data: bytes) -> list[bytes]:
    """A file as its segments or chunks, as far as there are any; joined, they are `data`."""
    parts: list[bytes] = []
    at = 0
    if data[:2] == b"\xff\xd8":
        parts.append(data[:2])
        at = 2
        while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
            end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
            parts.append(data[at:end])
            at = end
    elif data[:4] == b"\x89PNG":
        parts.append(data[:8])
        at = 8
        while at + 8 <= len(data):
            end = at + 12 + int.from_bytes(data[at : at + 4], "big")
            parts.append(data[at:end])
            at = end
    elif data[:4] == b"RIFF":
        parts.append(data[:12])
        at = 12
        while at + 8 <= len(data):
            end = at + 8 + (int.from_bytes(data[at + 4 : at + 8], "little") + 1) // 2 * 2
            parts.append(data[at:end])
            at = end
    else:
        step = max(1, len(data) // 8)
        return [data[begin : begin + step] for begin in range(0, len(data), step)]
    if at < len(data):
        parts.append(data[at:])
    return parts


def delete_segment(rng: np.random.Generator, data: bytes) -> bytes:
    parts = segments(data)
    if parts:
        del parts[int(rng.integers(len(parts)))]
    return b"".join(parts)


def duplicate_segment(rng: np.random.Generator, data: bytes) -> bytes:
    parts = segments(data)
    if parts:
        parts.insert(int(rng.integers(len(parts) + 1)), parts[int(rng.integers(len(parts)))])
    return b"".join(parts)


def shuffle_segments(rng: np.random.Generator, data: bytes) -> bytes:
    first, *rest = segments(data) or [b""]
    return first + b"".join(rest[number] for number in rng.permutation(len(rest)))


def change_length(rng: np.random.Generator, data: bytes) -> bytes:
    """Let the length of a segment lie."""
    parts = segments(data)
    number = int(rng.integers(len(parts))) if parts else 0
    if not parts or len(parts[number]) < 8:
        return data
    part = bytearray(parts[number])
    if data[:2] == b"\xff\xd8":
        part[2:4] = int(rng.choice([0, 1, 2, 3, 7, 8, 9, 0xFFFF, rng.integers(1 << 16)])).to_bytes(
            2, "big"
        )
    else:
        at = 4 if data[:4] == b"RIFF" else 0
        value = rng.choice([0, 1, 12, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFF4, rng.integers(1 << 20)])
        part[at : at + 4] = int(value).to_bytes(4, "little" if at else "big")
    return b"".join([*parts[:number], bytes(part), *parts[number + 1 :]])


def change_size(rng: np.random.Generator, data: bytes) -> bytes:
    """Let the width, height, depth or number of components in the header lie."""
    changed = bytearray(data)
    at, bytes_each = {b"\x89P": (16, 4), b"BM": (18, 4), b"RI": (26, 2)}.get(
        bytes(data[:2]), (0, 0)
    )
    if data[:2] == b"\xff\xd8":
        frames = [i for i in (data.find(bytes((0xFF, 0xC0 + n))) for n in range(3)) if i > 0]
        at, bytes_each = (frames[0] + 5, 2) if frames else (0, 0)
    if not at or len(data) < at + 12:
        return data
    order = "big" if data[:1] in b"\xff\x89" else "little"
    which = int(rng.integers(4))
    if which < 2:
        value = int(rng.choice([0, 1, 2, 7, 255, 4000, 65535, (1 << 31) - 1, (1 << 32) - 1]))
        value &= (1 << 8 * bytes_each) - 1
        changed[at + which * bytes_each : at + (which + 1) * bytes_each] = value.to_bytes(
            bytes_each, order
        )
    else:
        changed[at + 2 * bytes_each + int(rng.integers(-1, 6))] = int(
            rng.choice([0, 1, 2, 3, 4, 5, 8, 16, 0x11, 0x41, 0xFF, rng.integers(256)])
        )
    return bytes(changed)


def insert_marker(rng: np.random.Generator, data: bytes) -> bytes:
    """Insert a marker of a JPEG, or random bytes, between two segments or anywhere."""
    new = bytes([0xFF, int(rng.choice([0, 0xFF, 0xD0, 0xD8, 0xD9, 0xC0, 0xC3, 0xC9, 0xDA, 0xDC,
                                       rng.integers(256)]))])  # fmt: skip
    new += rng.bytes(int(rng.choice([0, 0, 2, 6, 20])))
    parts = segments(data)
    if parts and rng.integers(2):
        parts.insert(int(rng.integers(len(parts) + 1)), new)
        return b"".join(parts)
    at = int(rng.integers(len(data) + 1))
    return data[:at] + new + data[at:]


def insert_exif(rng: np.random.Generator, data: bytes) -> bytes:
    """Insert another EXIF segment, perhaps with errors, at the beginning or at another segment."""
    block = exif(int(rng.integers(1, 9)), bool(rng.integers(2)))
    if not block.startswith(b"Exif"):
        block = b"Exif\0\0" + block
    if rng.integers(3):
        block = block[:6] + _change(rng, block[6:], len(block) - 6)
    if not rng.integers(4):
        block = block[: int(rng.integers(len(block)))]
    parts = segments(data)
    if data[:2] == b"\xff\xd8":
        new = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    else:
        new = struct.pack(">I", max(0, len(block) - 6)) + b"eXIf" + block[6:] + bytes(4)
    parts.insert(1 if rng.integers(2) else int(rng.integers(len(parts) + 1)), new)
    return b"".join(parts)


def change_exif(rng: np.random.Generator, data: bytes) -> bytes:
    """Change bytes of the EXIF block, if there is one."""
    at = max(data.find(b"II*\0"), data.find(b"MM\0*"))
    if at < 0:
        return insert_exif(rng, data)
    end = min(len(data), at + 140)
    return data[:at] + _change(rng, data[at:end], end - at) + data[end:]


def overwrite(rng: np.random.Generator, data: bytes) -> bytes:
    """Overwrite a range by zeros, by random bytes, or by another part of the file."""
    if not data:
        return data
    at, other = int(rng.integers(len(data))), int(rng.integers(len(data)))
    count = int(rng.integers(1, 65))
    new = (bytes(count), rng.bytes(count), data[other : other + count])[int(rng.integers(3))]
    return data[:at] + new + data[at + len(new) :]


def correct_checksums(rng: np.random.Generator, data: bytes) -> bytes:
    """Let the checksums of a PNG's chunks fit, so that what is in them is looked at."""
    if data[:4] != b"\x89PNG":
        return data
    parts = segments(data)
    for number, part in enumerate(parts[1:], 1):
        if len(part) >= 12:
            parts[number] = part[:-4] + struct.pack(">I", zlib.crc32(part[4:-4]))
    return b"".join(parts)


MUTATIONS: list[Mutation] = [
    truncate, flip_bytes, flip_header_bytes, delete_segment, duplicate_segment, shuffle_segments,
    change_length, change_size, insert_marker, insert_exif, change_exif, overwrite,
    correct_checksums,
]  # fmt: skip


def mutated(seed: int, number: int) -> tuple[str, bytes]:
    """A damaged image, and how it was made; one in sixteen is left as it was."""
    rng = np.random.default_rng((seed, number))
    sources = good_images()
    # Half of them are JPEGs, which nearly all records are.
    names = [name for name in sources if sources[name][:2] == b"\xff\xd8"]
    names = names if rng.integers(2) else list(sources)
    name = names[int(rng.integers(len(names)))]
    data, said = sources[name], [name]
    if rng.integers(16):
        for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
            mutation = MUTATIONS[int(rng.integers(len(MUTATIONS)))]
            data = mutation(rng, data)
            said.append(mutation.__name__)
    return ", ".join(said), data
