"""Headers as integers."""

import numpy as np
import pytest

from gpuio.decoding.header import MAX_DIMENSION, ImageHeader
from gpuio.decoding.header_codes import (
    decode_header,
    encode_header,
    encode_upright_jpegs,
    sizes_of,
    structures_of,
    with_structure,
    without_orientation,
)
from gpuio.decoding.structure import Structure

HEADERS = [
    ImageHeader(500, 375, 1, 3, "jpeg"),
    ImageHeader(MAX_DIMENSION, 1, 8, 255, "png"),
    ImageHeader(1, MAX_DIMENSION, 5, 4, "a new format"),
]


@pytest.mark.parametrize("structure", Structure)
@pytest.mark.parametrize("header", HEADERS)
def test_headers_survive(header: ImageHeader, structure: Structure) -> None:
    code = encode_header(header, structure)
    assert 0 < code < 1 << 64 and decode_header(code) == header
    codes = np.array([code], np.uint64)
    assert structures_of(codes).tolist() == [structure]
    assert sizes_of(codes).tolist() == [[header.width, header.height]]
    assert with_structure(encode_header(header, Structure.UNKNOWN), structure) == code


def test_no_header_has_no_size() -> None:
    nothing = np.zeros(2, np.uint64)
    assert sizes_of(nothing).tolist() == [[0, 0]] * 2
    assert structures_of(nothing).tolist() == [Structure.UNKNOWN] * 2


def test_orientations_are_removed() -> None:
    codes = np.array([encode_header(header, Structure.EXIF) for header in HEADERS] + [0], np.uint64)
    stored = without_orientation(codes)
    assert stored[-1] == 0 and (structures_of(stored)[:-1] == Structure.EXIF).all()
    for header, code in zip(HEADERS, stored.tolist(), strict=False):
        assert decode_header(code) == header.without_orientation()
    assert decode_header(int(codes[1])) == HEADERS[1], "the given ones are not changed"
    assert without_orientation(codes[:1]).tolist() == codes[:1].tolist()


def test_jpegs_are_encoded_together() -> None:
    found = encode_upright_jpegs(
        *(np.array(each) for each in ([500, 1], [375, 2], [3, 1], [Structure.COMPLETE] * 2))
    )
    expected = [
        encode_header(ImageHeader(*size, 1, channels, "jpeg"), Structure.COMPLETE)
        for size, channels in (((500, 375), 3), ((1, 2), 1))
    ]
    assert found.dtype == np.uint64 and found.tolist() == expected
