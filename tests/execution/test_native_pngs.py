"""PNGs that the native module makes are the same as OpenCV's, and so are those that it leaves."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gpuio import native
from gpuio.execution.output import OutputSpec
from gpuio.planning.crop import CropPlanner
from gpuio.planning.crop_options import CropOptions
from tests.decoding.pngs import DEPTHS, Chunk, header, joined, png, split
from tests.execution.native import check
from tests.io.records import jpeg

module = native.library() if native.state()[0] else None
pytestmark = pytest.mark.skipif(
    module is None or not module.png, reason="the native module does not decode PNGs"
)

COLOR = OutputSpec(3, 20, 20, "uint8", "NHWC")  # type: ignore[arg-type]
GRAY = OutputSpec(1, 20, 20, "float32", "NCHW")  # type: ignore[arg-type]

KINDS = [(depth, color) for color, depths in DEPTHS.items() for depth in depths]


def planner(channels: int = 3, **options: Any) -> CropPlanner:
    fill = (9, 99, 199)[:channels]
    return CropPlanner(CropOptions(20, 20, rand_mirror=True, fill=fill, **options), 0, 1)


@pytest.mark.parametrize(("depth", "color"), KINDS)
def test_kinds(depth: int, color: int) -> None:
    payloads = [png(0, 61, 53, depth, color), png(1, 20, 20, depth, color, parts=4)]
    payloads.append(png(2, 21, 300, depth, color))
    expected = [0, 1, 2] if depth <= 8 else []
    for options in ({"resize": 33, "rand_crop": True}, {"pad": 3, "rand_crop": True}):
        assert check(payloads, planner(**options), COLOR) == expected
    colored = color in (2, 3, 6)
    assert check(payloads, planner(1), GRAY) == ([] if colored else expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    first, *rest = split(png(0, 61, 53))
    turned = joined([first, (b"eXIf", exif.tobytes()[6:]), *rest])
    assert check([turned] * 3, planner(resize=30, rand_crop=True), COLOR) == [0, 1, 2]
    assert check([turned], planner(), COLOR, apply_orientation=False) == [0]


ANCILLARY: list[Chunk] = [
    (b"gAMA", struct.pack(">I", 45455)),
    (b"sRGB", b"\0"),
    (b"iCCP", b"ICC\0\0" + zlib.compress(b"no profile")),
    (b"tEXt", b"Comment\0text"),
    (b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 9999)),
    (b"pHYs", struct.pack(">IIB", 2835, 2835, 1)),
    (b"sBIT", b"\5\6\5"),
    (b"tIME", bytes(7)),
    (b"bKGD", bytes(6)),
    (b"prIv", b"a private chunk"),
]


def test_chunks_that_do_not_matter() -> None:
    first, *rest = split(png(0, 30, 30))
    payloads = [joined([first, chunk, *rest]) for chunk in ANCILLARY]
    payloads += [joined([first, *rest[:-1], (b"tEXt", b"Comment\0after"), rest[-1]])]
    payloads += [joined([first, *rest]) + b"trailing bytes"]
    assert check(payloads, planner(), COLOR) == list(range(len(payloads)))


def test_transparency_is_dropped() -> None:
    cases = []
    for color, content in ((0, bytes(2)), (2, bytes(6)), (3, bytes(range(200)))):
        chunks = split(png(0, 30, 30, 8, color))
        at = 1 + (color == 3)
        cases.append(joined([*chunks[:at], (b"tRNS", content), *chunks[at:]]))
    assert check(cases, planner(), COLOR) == [0, 1, 2]
    assert check(cases, planner(1), GRAY) == [0]


def test_what_it_does_not_make() -> None:
    """Interlaced images; animations; what is damaged."""
    whole = png(0, 30, 30)
    chunks = split(whole)
    interlaced = joined([header(1, 1, 8, 2, 1), *split(png(0, 1, 1))[1:]])
    animated = joined([chunks[0], (b"acTL", struct.pack(">II", 1, 0)), *chunks[1:]])
    rows = zlib.decompress(chunks[1][1])
    parts = {
        "too few rows": zlib.compress(rows[:-91]),
        "too many rows": zlib.compress(rows + bytes(91)),
        "no such filter": zlib.compress(b"\7" + rows[1:]),
        "no checksum": zlib.compress(rows)[:-4],
        "bytes behind": zlib.compress(rows) + b"more",
        "a wrong checksum": zlib.compress(rows)[:-1] + b"x",
        "nothing": b"",
    }
    payloads = [interlaced, animated, whole[:-12], whole[:-20], whole[:-1] + b"x", whole[:40]]
    payloads += [joined([chunks[0], (b"IDAT", each), chunks[2]]) for each in parts.values()]
    payloads += [joined([chunks[0], chunks[2]]), joined(chunks[:1]), joined(chunks[1:])]
    payloads += [joined([chunks[0], (b"CRIT", b""), *chunks[1:]])]
    assert check([whole, *payloads], planner(), COLOR) == [0]


@pytest.mark.parametrize("window", range(9, 16))
def test_windows_of_the_compression(window: int) -> None:
    """zlib refuses distances beyond the window that is declared, libdeflate does not."""
    first, (_, content), last = split(png(0, 30, 30))
    rows = zlib.decompress(content)
    deflate = zlib.compressobj(wbits=window)
    small = deflate.compress(rows) + deflate.flush()
    begin = (window - 8) << 12 | 0x800
    lies = struct.pack(">H", begin + 31 - begin % 31) + content[2:]
    payloads = [joined([first, (b"IDAT", each), last]) for each in (small, lies)]
    assert check(payloads, planner(), COLOR) == ([0, 1] if len(rows) <= 1 << window else [])


def test_a_palette_that_is_too_short() -> None:
    chunks = split(png(0, 30, 30, 8, 3))
    payloads = [joined([chunks[0], (b"PLTE", chunks[1][1][:size]), *chunks[2:]])
                for size in (3, 300, 765, 766, 0)]  # fmt: skip
    payloads.append(joined([chunks[0], *chunks[2:]]))
    check(payloads, planner(), COLOR)


def damaged(rng: np.random.Generator, data: bytes) -> bytes:
    """A file with changed bytes or chunks, whose checksums fit or do not."""
    if rng.integers(2):
        content = bytearray(data)
        for _ in range(int(rng.integers(1, 3))):
            content[int(rng.integers(len(content)))] = int(rng.integers(256))
        if rng.integers(3) == 0:
            del content[int(rng.integers(1, len(data))) :]
        return bytes(content)
    chunks = split(data)
    for _ in range(int(rng.integers(1, 3))):
        at = int(rng.integers(len(chunks)))
        name, content = chunks[at]
        what = rng.integers(6)
        if what == 0:
            del chunks[at]
        elif what == 1:
            chunks.insert(int(rng.integers(len(chunks))), chunks[at])
        elif what == 2:
            chunks.insert(at, ANCILLARY[int(rng.integers(len(ANCILLARY)))])
        elif what == 3:
            chunks.insert(at, (b"tRNS", rng.bytes(int(rng.integers(9)))))
        elif content:
            changed = bytearray(content)
            changed[int(rng.integers(len(changed)))] = int(rng.integers(256))
            chunks[at] = name, bytes(changed)
        if not chunks:
            break
    return joined(chunks)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(KINDS), st.sampled_from([1, 3]))
def test_damaged_files_are_the_same(seed: int, kind: tuple[int, int], channels: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = [int(rng.choice([1, 7, 20, 33])) for _ in range(2)]
    whole = png(seed, *sizes, *kind, parts=int(rng.integers(1, 4)))
    payloads = [whole, *(damaged(rng, whole) for _ in range(12)), jpeg(0)]
    made = check(payloads, planner(channels, rand_crop=True), COLOR if channels == 3 else GRAY)
    assert 13 in made
