"""The native module reads the same headers as the Python code."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from gpuio import native
from gpuio.decoding.header import PNG_SIGNATURE, read_header
from gpuio.decoding.header_codes import encode_header
from gpuio.decoding.jpeg_headers import MOST_SEGMENTS, WINDOW, read_jpeg_headers
from gpuio.decoding.structure import Structure
from gpuio.errors import DecodeError
from gpuio.native_structs import PLACE
from tests.decoding.pngs import joined, png, split
from tests.decoding.samples import HOST_ONLY, NVIMAGECODEC, oriented, segment
from tests.fuzz import images

module = native.library() if native.state()[0] else None
pytestmark = pytest.mark.skipif(module is None, reason="the native module is not in use")


def native_codes(contents: list[bytes], known: list[int]) -> list[int]:
    """Codes of images, each behind 28 other bytes, of which the beginnings are in memory; what
    follows them is foreign.
    """
    assert module is not None
    places = np.zeros(len(contents), PLACE)
    memory = [np.frombuffer(bytes(28) + content, np.uint8) for content in contents]
    kept = [each[: 28 + size].copy() for each, size in zip(memory, known, strict=True)]
    places["known"] = [each.ctypes.data for each in kept]
    places["known_size"] = [len(each) for each in kept]
    places["begin"], places["end"] = 28, [len(each) for each in memory]
    codes: list[int] = module.headers(places).tolist()
    return codes


def expected_code(content: bytes, known: int) -> int:
    """The oracle's code; 0: it finds none, or leaves it to Pillow."""
    data = np.frombuffer(content, np.uint8)
    if content[:2] != b"\xff\xd8" and content[:8] != PNG_SIGNATURE:
        return 0
    (code,) = read_jpeg_headers([data[:known]], np.array([len(data)])).tolist()
    try:
        return code or encode_header(read_header(data), Structure.UNKNOWN)
    except DecodeError:
        return 0


def check(contents: list[bytes], known: list[int]) -> int:
    """Compare the codes; the number of those that are found."""
    found = native_codes(contents, known)
    for content, size, code in zip(contents, known, found, strict=True):
        expected = expected_code(content, size)
        if size == len(content):
            assert code == expected, content[:200]
        else:  # it may have to be read
            assert code in (0, expected), (size, content[:200])
    return np.count_nonzero(found)


def check_whole(contents: list[bytes]) -> int:
    return check(contents, list(map(len, contents)))


def test_sound_images() -> None:
    contents = [*images.good_images().values(), *NVIMAGECODEC.values(), *HOST_ONLY.values()]
    usual = [each for each in contents if each[:2] == b"\xff\xd8" or each[:8] == PNG_SIGNATURE]
    assert len(usual) > 50
    found = check_whole(contents)
    assert found == sum(expected_code(each, len(each)) > 0 for each in usual) > 50


@pytest.mark.parametrize("seed", range(4))
def test_damaged_images(seed: int) -> None:
    contents = [images.mutated(seed, number)[1] for number in range(400)]
    contents = [each for each in contents if each]
    assert check_whole(contents) > 100
    rng = np.random.default_rng(seed)
    known = [int(rng.integers(len(each) + 1)) for each in contents]
    assert check(contents, known) > 20
    known = [min(len(each), int(rng.integers(WINDOW - 8, WINDOW + 9))) for each in contents]
    assert check(contents, known) > 100


def test_each_length_of_a_beginning() -> None:
    rich = images.exif(6, rich=True)
    turned_png = joined([*split(png(0, 9, 5))[:1], (b"eXIf", rich[6:]), *split(png(0, 9, 5))[1:]])
    jpegs = oriented(6), images.good_images()["baseline RGB 60 x 50"]
    for content in (*jpegs, turned_png):
        known = list(range(len(content) + 1))
        assert check([content] * len(known), known) > 1
        cut = [content[:size] for size in known[1:]]
        assert check_whole(cut) > 1


@pytest.mark.parametrize("count", [MOST_SEGMENTS - 6, MOST_SEGMENTS, 4085, 4096, 5000])
@pytest.mark.parametrize("kind", [0xE0, 0xE1, 0xFE])
def test_many_segments(count: int, kind: int) -> None:
    content = images.good_images()["baseline RGB 60 x 50"]
    check_whole([content[:2] + segment(kind, b"") * count + content[2:]])
    check_whole([content[:2] + b"\xff\xd0" * count + content[2:]])
    check_whole([content[:2] + b"\xff" * count + content[2:]])
    first, *rest = split(png(0, 9, 5))
    check_whole([joined([first, *[(b"tEXt", b"")] * count, *rest])])


def test_a_scan_at_the_end_of_the_window() -> None:
    content = images.good_images()["progressive RGB 60 x 50"]
    scan = content.index(b"\xff\xda")
    for end in range(WINDOW - 20, WINDOW + 8):
        filling = segment(0xFE, bytes(end - scan - 4))
        whole = content[:2] + filling + content[2:]
        check([whole] * 3, [len(whole), WINDOW, end + 1])


def framed(content: bytes, **changes: int) -> bytes:
    """A JPEG with other bytes in its frame header, by their places there, b0 to b17."""
    data = bytearray(content)
    begin = content.index(b"\xff\xc0")
    for name, value in changes.items():
        data[begin + int(name[1:])] = value
    return bytes(data)


def test_each_sampling() -> None:
    whole = images.good_images()["baseline RGB 60 x 50"]
    factors = [16 * across + down for across in (0, 1, 2, 3, 4, 8) for down in (0, 1, 2, 4)]
    contents = [
        framed(whole, b11=luma, b14=first, b17=first + (luma == 0x22))
        for luma in factors
        for first in factors
    ]
    assert check_whole(contents) == len(contents)
    assert len({code >> 56 for code in native_codes(contents, list(map(len, contents)))}) == 2
    gray = images.good_images()["baseline L 60 x 50"]
    check_whole([framed(gray, b11=each) for each in factors])


def test_the_most_pixels_for_a_size() -> None:
    whole = images.good_images()["baseline RGB 60 x 50"]
    sizes = [(width, len(whole) + more) for width in (511, 512, 513) for more in (-1, 0, 1)]
    contents = [
        framed(whole, b5=height >> 8, b6=height & 255, b7=width >> 8, b8=width & 255)
        for width, height in sizes
    ]
    check_whole(contents)
    structures = [code >> 56 for code in native_codes(contents, list(map(len, contents)))]
    assert structures == [1, 1, 1, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("order", "<>")
def test_exif(order: str) -> None:
    """Directories of all kinds, and what lies at their edges."""
    whole = images.good_images()["baseline RGB 60 x 50"]
    contents = []
    begin = b"II*\0" if order == "<" else b"MM\0*"
    for orientation in (0, 1, 5, 8, 9, 65535):
        for before in range(3):
            entries = struct.pack(order + "HHII", 0x010F, 2, 1, 0) * before
            entries += struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
            for offset in (8, 10, 9999, 2**32 - 1):
                for count in (before, before + 1, 65535):
                    block = begin + struct.pack(order + "I", offset) + bytes(offset - 8 & 7)
                    block += struct.pack(order + "H", count) + entries
                    for size in (len(block), len(block) - 1, 9, 7):
                        content = b"Exif\0\0" + block[:size]
                        contents.append(whole[:2] + segment(0xE1, content) + whole[2:])
    assert check_whole(contents) == len(contents)


def test_images_beside_nothing() -> None:
    """Of records that cannot be used, and of formats that it does not read."""
    assert module is not None
    assert module.headers(np.zeros(3, PLACE)).tolist() == [0, 0, 0]
    assert check_whole([b"BM", b"\xff\xd8", b"\xff\xd8\xff", PNG_SIGNATURE, b"x" * 99]) == 0
