"""Images in formats and variants beside the usual ones of `images`, and images that cost much more
than their bytes suggest. None is a photograph; all are made here.
"""

from __future__ import annotations

import struct
import zlib
from functools import cache

import cv2
import numpy as np
from PIL import Image

from tests.decoding.samples import adobe, named, segment
from tests.fuzz.images import exif, good_images, pixels, saved

WIDTH, HEIGHT = 37, 26

# Bits of a value, by color type.
PNG_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
         (0, 1, 1, 2))  # fmt: skip


def png_chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def png(
    color: int, depth: int, adam7: bool = False, before: bytes = b"",
    width: int = WIDTH, height: int = HEIGHT,
) -> bytes:  # fmt: skip
    """A PNG of random pixel values.

    Parameters
    ----------
    color : 0 gray, 2 RGB, 3 palette, 4 gray with alpha, 6 RGBA
    depth : bits of a value
    adam7 : with Adam7 interlacing
    before : chunks that precede the pixels
    """
    rng = np.random.default_rng((color, depth))
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    rows = b""
    for x, y, across, down in ADAM7 if adam7 else ((0, 0, 1, 1),):
        columns = len(range(x, width, across))
        if columns:
            for _ in range(y, height, down):
                rows += bytes([int(rng.integers(5))]) + rng.bytes((columns * bits + 7) // 8)
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, adam7)
    palette = png_chunk(b"PLTE", rng.bytes(3 << depth)) if color == 3 else b""
    return (
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + palette + before
        + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    )  # fmt: skip


def bmp(
    bits: int, compression: int = 0, height: int = HEIGHT, header: int = 40, body: bytes = b""
) -> bytes:
    """A BMP of random pixel values.

    Parameters
    ----------
    bits : of a pixel
    compression : 0 none, 1 RLE8, 2 RLE4, 3 bit fields
    height : negative: the rows begin at the top
    header : bytes of the header: 12 (OS/2), 40, 108 or 124
    body : instead of random values
    """
    rng = np.random.default_rng((bits, compression))
    colors = 1 << bits if bits <= 8 else 0
    if header == 12:
        head = struct.pack("<IHHHH", 12, WIDTH, height, 1, bits)
        palette = rng.bytes(3 * colors)
    else:
        head = struct.pack(
            "<IiiHHIIiiII", header, WIDTH, height, 1, bits, compression, 0, 0, 0, 0, 0
        )
        masks = {16: (0xF800, 0x07E0, 0x001F, 0), 32: (0xFF0000, 0xFF00, 0xFF, 0xFF000000)}
        fields = struct.pack("<4I", *masks.get(bits, (0, 0, 0, 0)))
        head += (
            fields + bytes(header - 56) if header > 40 else fields[:12] if compression == 3 else b""
        )
        palette = rng.bytes(4 * colors)
    stride = (WIDTH * bits + 31) // 32 * 4
    begin = 14 + len(head) + len(palette)
    body = body or rng.bytes(stride * abs(height))
    return b"BM" + struct.pack("<IHHI", begin + len(body), 0, 0, begin) + head + palette + body


def rle(four: bool = False) -> bytes:
    """The body of a BMP with RLE: runs, literal values, jumps and ends of lines."""
    rows = [b"\x05\x11" * 6 + b"\x00\x04\x12\x34" + (b"" if four else b"\x56\x78") + b"\0\0"] * 6
    return b"".join(rows) + b"\0\2\3\1" + b"\7\x22\0\0" + b"\0\1"


def tiff(
    order: str = "<", planar: bool = False, kind: str = "uint8", tile: int = 0,
    samples: int = 3, compression: int = 1, width: int = WIDTH, height: int = HEIGHT,
) -> bytes:  # fmt: skip
    """A TIFF of random pixel values, uncompressed or with deflate.

    Parameters
    ----------
    order : "<" or ">"
    planar : each channel on its own
    kind : dtype of the values
    tile : side of square tiles; 0: one strip
    samples : channels
    compression : 1 none, 8 deflate
    """
    rng = np.random.default_rng(samples)
    dtype = np.dtype(kind)
    planes = samples if planar else 1
    down, across = (tile, tile) if tile else (height, width)
    count = -(-height // down) * -(-width // across) * planes
    size = down * across * samples // planes * dtype.itemsize
    values = (rng.random((count, size // dtype.itemsize)) * 200).astype(dtype.newbyteorder(order))
    blocks = [row.tobytes() for row in values]
    if compression == 8:
        blocks = [zlib.compress(block) for block in blocks]
    sample_format = {"u": 1, "i": 2, "f": 3}[dtype.kind]
    tags: list[tuple[int, int, tuple[int, ...]]] = [
        (256, 4, (width,)), (257, 4, (height,)), (258, 3, (8 * dtype.itemsize,) * samples),
        (259, 3, (compression,)), (262, 3, (2 if samples >= 3 else 1,)), (277, 3, (samples,)),
        (284, 3, (2 if planar else 1,)), (339, 3, (sample_format,) * samples),
    ]  # fmt: skip
    sizes, at = tuple(map(len, blocks)), 8
    offsets = tuple(at + sum(sizes[:number]) for number in range(count))
    if tile:
        tags += [(322, 4, (tile,)), (323, 4, (tile,)), (324, 4, offsets), (325, 4, sizes)]
    else:
        tags += [(273, 4, offsets), (278, 4, (height,)), (279, 4, sizes)]
    body = b"".join(blocks)
    body += bytes(len(body) % 2)
    begin = 8 + len(body)
    extra, entries = b"", b""
    after = begin + 2 + 12 * len(tags) + 4
    for tag, code, numbers in sorted(tags):
        packed = struct.pack(order + f"{len(numbers)}{'H' if code == 3 else 'I'}", *numbers)
        if len(packed) > 4:
            entry = struct.pack(order + "I", after + len(extra))
            extra += packed + bytes(len(packed) % 2)
        else:
            entry = packed.ljust(4, b"\0")
        entries += struct.pack(order + "HHI", tag, code, len(numbers)) + entry
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(order + "I", begin)
    return head + body + struct.pack(order + "H", len(tags)) + entries + bytes(4) + extra


def opencv(ending: str, values: np.ndarray, *options: int) -> bytes:
    """Pixels as OpenCV writes them."""
    done, encoded = cv2.imencode(ending, values, options)
    assert done
    return encoded.tobytes()


def frame_offset(data: bytes) -> int:
    """Where the frame header of a JPEG begins."""
    return next(at for at in (data.find(bytes((0xFF, 0xC0 + n))) for n in range(3)) if at > 0)


def resized_jpeg(data: bytes, width: int, height: int, marker: int | None = None) -> bytes:
    """A JPEG that claims another size, and perhaps another kind of frame."""
    changed = bytearray(data)
    at = frame_offset(data)
    struct.pack_into(">HH", changed, at + 5, height, width)
    if marker is not None:
        changed[at + 1] = marker
    return bytes(changed)


def wide_tables(data: bytes) -> bytes:
    """A JPEG whose quantization tables have 16 bits."""
    parts, at = [data[:2]], 2
    while data[at + 1] != 0xDA:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        content = data[at + 4 : at + 2 + length]
        if data[at + 1] == 0xDB:
            tables = [content[begin : begin + 65] for begin in range(0, len(content), 65)]
            content = b"".join(
                bytes([table[0] | 0x10]) + b"".join(b"\0" + table[i : i + 1] for i in range(1, 65))
                for table in tables
            )
        parts.append(segment(data[at + 1], content))
        at += 2 + length
    return b"".join(parts) + data[at:]


def repeated_scans(data: bytes, count: int) -> bytes:
    """A JPEG whose last scan comes many times."""
    at = data.rindex(b"\xff\xda")
    return data[:at] + data[at:-2] * count + data[-2:]


@cache
def rare_images() -> dict[str, bytes]:
    """Images of formats and variants that are seldom in record files, by a description; not every
    decoder accepts all of them.
    """
    rgb = pixels(9, WIDTH, HEIGHT)
    image, gray = Image.fromarray(rgb), Image.fromarray(rgb[..., 0])
    alpha = Image.fromarray(np.dstack([rgb, rgb[..., :1]]))
    baseline = saved(image, "JPEG", quality=90)
    progressive = saved(image, "JPEG", progressive=True)
    cmyk = saved(image.convert("CMYK"), "JPEG")
    ycck = bytearray(cmyk)
    ycck[cmyk.index(b"Adobe") + 11] = 2
    floats = rgb.astype(np.float32) / 255
    wide = rgb.astype(np.uint16) * 257
    found: dict[str, bytes] = {
        "JPEG, Adobe's YCbCr": adobe(1),
        "JPEG, Adobe's RGB": adobe(0),
        "JPEG, RGB by names": named(b"RGB"),
        "JPEG YCCK": bytes(ycck),
        "JPEG, 16-bit tables": wide_tables(baseline),
        "JPEG, arithmetic coding claimed": resized_jpeg(baseline, WIDTH, HEIGHT, 0xC9),
        "JPEG, lossless claimed": resized_jpeg(baseline, WIDTH, HEIGHT, 0xC3),
        "JPEG, extended": resized_jpeg(baseline, WIDTH, HEIGHT, 0xC1),
        "JPEG, height 0": resized_jpeg(baseline, WIDTH, 0),
        "JPEG, truncated": baseline[: len(baseline) * 2 // 3],
        "JPEG, truncated progressive": progressive[: len(progressive) // 2],
        "JPEG, scan repeated": repeated_scans(baseline, 3),
        "JPEG, fill bytes": baseline[:2] + b"\xff" * 50 + baseline[2:],
        "JPEG, thumbnail": saved(image, "JPEG", exif=exif(3, True)[:-1] + baseline[:400]),
        "JPEG, restart in every block": saved(image, "JPEG", restart_marker_blocks=1),
        "JPEG, quality 1": saved(image, "JPEG", quality=1),
        "MPO": saved(image, "MPO", save_all=True, append_images=[image.rotate(90)]),
        "PNG, animated": saved(image, "PNG", save_all=True, append_images=[image.rotate(90)]),
        "PNG, profile": saved(image, "PNG", icc_profile=bytes(range(256)) * 4),
        "PNG, texts": png(
            2, 8, before=png_chunk(b"zTXt", b"k\0\0" + zlib.compress(b"v" * 900))
            + png_chunk(b"tEXt", b"k\0v") + png_chunk(b"iTXt", b"k\0\0\0\0\0v"),
        ),
        "PNG, gamma and background": png(
            0, 8, before=png_chunk(b"gAMA", struct.pack(">I", 45455))
            + png_chunk(b"bKGD", b"\0\7") + png_chunk(b"pHYs", bytes(9)),
        ),
        "PNG, transparent gray": png(0, 8, before=png_chunk(b"tRNS", b"\0\7")),
        "PNG, transparent RGB": png(2, 16, before=png_chunk(b"tRNS", bytes(6))),
        "PNG, transparent palette": png(3, 4, before=png_chunk(b"tRNS", bytes(range(9)))),
        "WebP, quality 0": saved(image, "WEBP", quality=0, method=0),
        "WebP, profile": saved(image, "WEBP", icc_profile=bytes(600)),
        "WebP, animated, lossless": saved(
            alpha, "WEBP", lossless=True, save_all=True, append_images=[alpha.rotate(90)]
        ),
        "GIF, transparent": saved(gray.convert("P"), "GIF", transparency=3, interlace=1),
        "GIF, many frames": saved(
            gray, "GIF", save_all=True, append_images=[gray.rotate(9 * n) for n in range(20)]
        ),
        "BMP, RLE8": bmp(8, 1, body=rle()),
        "BMP, RLE4": bmp(4, 2, body=rle(four=True)),
        "BMP, 1 bit": bmp(1),
        "BMP, 4 bits": bmp(4),
        "BMP, 8 bits": bmp(8),
        "BMP, 16 bits": bmp(16),
        "BMP, 16 bits, fields": bmp(16, 3),
        "BMP, 32 bits": bmp(32),
        "BMP, from the top": bmp(24, height=-HEIGHT),
        "BMP, OS/2": bmp(24, header=12),
        "BMP, OS/2, 8 bits": bmp(8, header=12),
        "BMP, version 4": bmp(32, 3, header=108),
        "BMP, version 5": bmp(24, header=124),
        "TIFF, big-endian": tiff(">"),
        "TIFF, planar": tiff(planar=True),
        "TIFF, tiles": tiff(tile=16),
        "TIFF, tiles, deflate, planar": tiff(tile=16, planar=True, compression=8),
        "TIFF, float": tiff(kind="float32"),
        "TIFF, float64, gray": tiff(kind="float64", samples=1),
        "TIFF, 16 bits": tiff(">", kind="uint16"),
        "TIFF, signed": tiff(kind="int16", samples=1),
        "TIFF, 4 channels": tiff(samples=4),
        "TIFF, 2 channels": tiff(samples=2),
        "TIFF, packbits": saved(image, "TIFF", compression="packbits"),
        "TIFF, fax": saved(gray.convert("1"), "TIFF", compression="group4"),
        "TIFF, palette": saved(image.convert("P"), "TIFF"),
        "TIFF, CMYK": saved(image.convert("CMYK"), "TIFF"),
        "TIFF, big": saved(image, "TIFF", big_tiff=True),
        "TIFF, pages": saved(image, "TIFF", save_all=True, append_images=[gray]),
        "PBM, text": b"P1\n# comment\n3 2\n1 0 1\n010\n",
        "PGM, text": b"P2\n3 2\n15\n0 1 2 15 14 13\n",
        "PPM, text": b"P3 2 2 255 " + b" ".join(b"%d" % n for n in range(12)) + b"\n",
        "PBM": saved(gray.convert("1"), "PPM"),
        "PGM, 16 bits": opencv(".pgm", wide[..., 0]),
        "PPM, 16 bits": opencv(".ppm", wide),
        "PAM": opencv(".pam", rgb),
        "PAM, alpha": b"P7\nWIDTH 2\nHEIGHT 2\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n"
        + bytes(range(16)),
        "PFM": opencv(".pfm", floats),
        "PFM, gray": opencv(".pfm", floats[..., 0]),
        "HDR": opencv(".hdr", floats),
        "HDR, not compressed": opencv(".hdr", floats, cv2.IMWRITE_HDR_COMPRESSION, 0),
        "Sun raster, gray": opencv(".ras", rgb[..., 0]),
        "JPEG 2000, gray": saved(gray, "JPEG2000"),
        "JPEG 2000, lossy": saved(image, "JPEG2000", irreversible=True, quality_layers=[40, 20]),
        "JPEG 2000, tiles": saved(image, "JPEG2000", tile_size=(16, 16)),
        "JPEG 2000, codestream": saved(image, "JPEG2000", no_jp2=True),
        "JPEG 2000, 16 bits": opencv(".jp2", np.tile(wide, (2, 2, 1))),
        "AVIF": saved(image, "AVIF"),
        "AVIF, alpha": saved(alpha, "AVIF"),
        "AVIF, animated": saved(image, "AVIF", save_all=True, append_images=[image.rotate(90)]),
        # What Pillow reads, and with it the header, but OpenCV does not.
        "ICO": saved(alpha, "ICO"),
        "TGA": saved(image, "TGA"),
        "TGA, RLE": saved(image, "TGA", compression="tga_rle"),
        "PCX": saved(image, "PCX"),
        "SGI": saved(image, "SGI"),
        "DDS": saved(image, "DDS"),
        "XBM": saved(gray.convert("1"), "XBM"),
        "EPS": saved(gray, "EPS"),
        "QOI": saved(image, "QOI"),
        "EXR": b"v/1\x01\x02\0\0\0channels\0chlist\0\x13\0\0\0R\0\0\0\0\0" + bytes(200),
    }  # fmt: skip
    for color, depths in PNG_DEPTHS.items():
        for depth in depths:
            found[f"PNG, color type {color}, {depth} bits"] = png(color, depth)
            found[f"PNG, color type {color}, {depth} bits, Adam7"] = png(color, depth, True)
    for orientation in (3, 4, 5):
        found[f"JPEG, orientation {orientation}"] = saved(image, "JPEG", exif=exif(orientation))
    return found


def _sized(data: bytes, at: int, code: str, *sizes: int) -> bytes:
    """A file with other numbers at a place."""
    changed = bytearray(data)
    struct.pack_into(code, changed, at, *sizes)
    return bytes(changed)


@cache
def bombs() -> dict[str, bytes]:
    """Images that claim or contain far more than their bytes suggest, by a description."""
    rgb = pixels(9, WIDTH, HEIGHT)
    image = Image.fromarray(rgb)
    baseline = saved(image, "JPEG")
    progressive = saved(image, "JPEG", progressive=True)
    rare, usual = rare_images(), good_images()
    found: dict[str, bytes] = {}
    for side in (4096, 16384, 30000, 65535):
        found[f"JPEG claims {side}"] = resized_jpeg(baseline, side, side)
        found[f"progressive JPEG claims {side}"] = resized_jpeg(progressive, side, side)
        found[f"BMP claims {side}"] = _sized(bmp(24), 18, "<ii", side, side)
        found[f"BMP, RLE8, claims {side}"] = _sized(rare["BMP, RLE8"], 18, "<ii", side, side)
        found[f"GIF claims {side}"] = _sized(usual["GIF 60 x 50"], 6, "<HH", side, side)
        found[f"TIFF, deflate, claims {side}"] = _patched_tiff(side)
        found[f"PPM claims {side}"] = b"P6 %d %d 255\n" % (side, side) + bytes(100)
        found[f"PGM, text, claims {side}"] = b"P2 %d %d 255\n1 2 3" % (side, side)
        found[f"PAM claims {side}"] = (
            b"P7\nWIDTH %d\nHEIGHT %d\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n" % (side, side)
        )
        found[f"HDR claims {side}"] = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y %d +X %d\n" % (
            side,
            side,
        ) + bytes(99)
        found[f"PFM claims {side}"] = b"PF\n%d %d\n-1.0\n" % (side, side) + bytes(99)
        found[f"Sun raster claims {side}"] = _sized(rare["Sun raster, gray"], 4, ">II", side, side)
        header = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 1)
        found[f"PNG claims {side}"] = (
            b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header)
            + png_chunk(b"IDAT", zlib.compress(bytes(9999))) + png_chunk(b"IEND", b"")
        )  # fmt: skip
        jp2 = rare["JPEG 2000, codestream"]
        found[f"JPEG 2000 claims {side}"] = _sized(
            jp2, jp2.index(b"\xff\x51") + 6, ">II", side, side
        )
        avif = rare["AVIF"]
        found[f"AVIF claims {side}"] = _sized(avif, avif.index(b"ispe") + 8, ">II", side, side)
    webp = usual["WebP 60 x 50"]
    found["WebP claims 16383"] = _sized(webp, webp.index(b"\x9d\x01\x2a") + 3, "<HH", 16383, 16383)
    lossless = usual["WebP lossless 60 x 50"]
    found["WebP, lossless, claims 16384"] = _sized(
        lossless, lossless.index(b"VP8L") + 9, "<I", 0x0FFFFFFF
    )
    vp8x = bytearray(usual["WebP animated 60 x 50"])
    at = vp8x.index(b"VP8X") + 12
    vp8x[at : at + 6] = b"\xff\x3f\x00" * 2
    found["WebP, animated, canvas 16384"] = bytes(vp8x)
    found["WebP, solid"] = saved(Image.new("RGB", (5000, 5000)), "WEBP", lossless=True, method=0)
    found["JPEG 65500 x 1"] = saved(Image.new("RGB", (65500, 1)), "JPEG")
    found["JPEG 1 x 65500"] = saved(Image.new("RGB", (1, 65500)), "JPEG")
    found["PNG 1 x 65500"] = saved(Image.new("L", (1, 65500)), "PNG")
    found["JPEG 8000, solid"] = saved(Image.new("L", (8000, 8000)), "JPEG", quality=1)
    found["JPEG of 3,000 scans"] = repeated_scans(saved(image, "JPEG", progressive=True), 3000)
    found["JPEG of 100 large scans"] = repeated_scans(
        saved(Image.new("L", (3000, 3000)), "JPEG", progressive=True, quality=1), 100
    )
    found["baseline JPEG of 2,000 scans"] = repeated_scans(baseline, 2000)
    found["JPEG of 300,000 segments"] = baseline[:2] + b"\xff\xe5\0\2" * 300_000 + baseline[2:]
    found["JPEG of 2 MB of fill bytes"] = baseline[:2] + b"\xff" * (1 << 21) + baseline[2:]
    found["JPEG of 500,000 markers"] = baseline[:2] + b"\xff\xd0" * 500_000 + baseline[2:]
    one = png(2, 8)
    found["PNG of 100,000 chunks"] = one[:33] + png_chunk(b"teSt", b"") * 100_000 + one[33:]
    found["PNG, text of 500 MB"] = png(
        2, 8, before=png_chunk(b"zTXt", b"k\0\0" + deflate_bomb(500)) * 3
    )
    found["PNG, profile of 500 MB"] = png(
        2, 8, before=png_chunk(b"iCCP", b"k\0\0" + deflate_bomb(500))
    )
    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    found["PNG of 2.7 GB"] = (
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", deflate_bomb(2700)) + png_chunk(b"IEND", b"")
    )  # fmt: skip
    gif = rare["GIF, many frames"]
    frames = gif.index(b"!\xf9")
    found["GIF of many frames"] = gif[:frames] + gif[frames:-1] * 60 + gif[-1:]
    # A directory of EXIF that refers to itself.
    loop = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0"
    found["JPEG, EXIF in a loop"] = saved(image, "JPEG", exif=loop)
    return found


def _patched_tiff(side: int) -> bytes:
    data = tiff(compression=8)
    (at,) = struct.unpack_from("<I", data, 4)
    for number, tag in ((0, 256), (1, 257)):
        assert struct.unpack_from("<H", data, at + 2 + 12 * number)[0] == tag
        data = _sized(data, at + 2 + 12 * number + 8, "<I", side)
    return data


@cache
def deflate_bomb(megabytes: int) -> bytes:
    """A zlib stream of this many MB of zeros."""
    compressor = zlib.compressobj(9)
    first = compressor.compress(bytes(1 << 20)) + compressor.flush(zlib.Z_FULL_FLUSH)
    block = compressor.compress(bytes(1 << 20)) + compressor.flush(zlib.Z_FULL_FLUSH)
    # Without a right checksum, which comes too late for most readers.
    return first + block * (megabytes - 2) + compressor.compress(b"") + compressor.flush()
