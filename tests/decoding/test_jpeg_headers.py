"""Headers of many JPEGs: the same as those that are read one by one."""

from pathlib import Path

import numpy as np
import pytest

from gpuio.decoding.header import read_header
from gpuio.decoding.header_codes import encode_header
from gpuio.decoding.jpeg_headers import MOST_SEGMENTS, WINDOW, read_jpeg_headers
from gpuio.decoding.structure import check_structure
from tests.decoding.samples import HOST_ONLY, INVALID, NVIMAGECODEC, image, saved, segment
from tests.fuzz.images import good_images, mutated

JPEG = saved(image(), "JPEG")
SCAN = JPEG.index(b"\xff\xda")


def read(contents: list[bytes]) -> list[int]:
    return read_jpeg_headers([np.frombuffer(each, np.uint8) for each in contents]).tolist()


def one_by_one(content: bytes) -> int:
    data = np.frombuffer(content, np.uint8)
    return encode_header(read_header(data), check_structure(data))


def assert_same(contents: list[bytes]) -> int:
    """Compare with what is read one by one; the number of images that were read together."""
    found = read(contents)
    for content, code in zip(contents, found, strict=True):
        assert code in (0, one_by_one(content) if code else 0)
    return sum(code != 0 for code in found)


def test_ordinary_jpegs_are_read() -> None:
    contents = [
        content
        for name, content in good_images().items()
        if content[:2] == b"\xff\xd8"
        and not any(word in name for word in ("orientation", "XMP", "CMYK"))
    ]
    assert assert_same(contents) == len(contents) > 70


def test_samples_of_all_kinds() -> None:
    assert assert_same([*NVIMAGECODEC.values(), *HOST_ONLY.values(), *INVALID.values()]) > 20


def test_damaged_images() -> None:
    assert assert_same([mutated(2, number)[1] for number in range(4000)]) > 500


def test_photographs(photos: list[Path]) -> None:
    assert assert_same([path.read_bytes() for path in photos]) > len(photos) / 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"\xff\xd8",
        JPEG[:SCAN],
        JPEG[: SCAN + 3],
        JPEG[: SCAN + 14],
        JPEG[:2] + segment(0xFE, bytes(WINDOW)) + JPEG[2:],
        JPEG[:2] + segment(0xFE, b"") * MOST_SEGMENTS + JPEG[2:],
    ],
)
def test_others_are_left_out(content: bytes) -> None:
    # Neighbors begin with what would complete it.
    assert read([JPEG, content, JPEG, content]) == [one_by_one(JPEG), 0] * 2


def test_a_header_may_end_with_the_window() -> None:
    fill = WINDOW - (SCAN + 4) - 4
    for more, expected in ((0, True), (1, False)):
        content = JPEG[:2] + segment(0xFE, bytes(fill + more)) + JPEG[2:]
        assert bool(read([content])[0]) == expected


def test_no_images() -> None:
    assert read([]) == []
