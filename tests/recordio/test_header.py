"""IRHeader; packing and unpacking records, with and without images."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuio.errors import ArgumentError, DecodeError, ShortLabelError, ShortRecordError
from gpuio.recordio import IRHeader, pack, pack_img, unpack, unpack_img
from gpuio.recordio.header import is_face_header
from tests.decoding.bombs import claiming

DATA = Path(__file__).parents[1] / "golden" / "data"
CASES = json.loads((DATA / "pack.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["header"][1]))
def test_pack_and_unpack_agree_with_mxnet(case: dict) -> None:
    packed = pack(IRHeader(*case["header"]), b"payload")
    assert packed.hex() == case["packed_hex"]
    header, payload = unpack(packed)
    assert payload == b"payload" and (header.id, header.id2) == (
        case["unpacked_id"],
        case["unpacked_id2"],
    )
    assert header.flag == case["unpacked_flag"]
    assert isinstance(header.label, np.ndarray) == case["label_is_array"]
    np.testing.assert_array_equal(header.label, case["unpacked_label"])


def test_the_header_prints_as_in_mxnet() -> None:
    assert repr(IRHeader(0, 1, 2, 3)) == "HEADER(flag=0, label=1, id=2, id2=3)"


def test_a_label_vector_is_read_only_and_payloads_are_views() -> None:
    packed = pack((7, [1, 2], 3, 4), bytearray(b"data"))
    header, payload = unpack(memoryview(packed))
    assert header.label.dtype == np.float32 and not header.label.flags.writeable
    assert payload.obj is packed and bytes(payload) == b"data"
    array = np.frombuffer(packed, np.uint8)
    assert np.shares_memory(unpack(array)[1], array)


def test_numbers_of_every_kind_are_scalar_labels() -> None:
    for label in (True, np.float64(2), np.int8(3), 4.5):
        header, _ = unpack(pack(IRHeader(0, label, 0, 0), b""))
        assert header.flag == 0 and header.label == float(label)


def test_errors() -> None:
    with pytest.raises(TypeError, match="encode it first"):
        pack(IRHeader(0, 1, 0, 0), "text")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="None"):
        pack(IRHeader(0, None, 0, 0), b"")
    for number in (-1, 2**64, 1.5):
        with pytest.raises(struct.error):
            pack(IRHeader(0, 1, number, 0), b"")


FLOATS = st.floats(width=32)
IDS = st.integers(0, 2**64 - 1)


@given(st.one_of(FLOATS, st.lists(FLOATS, min_size=1, max_size=5)), IDS, IDS, st.binary())
def test_what_is_packed_unpacks(label: Any, number: int, second: int, payload: bytes) -> None:
    header, found = unpack(pack(IRHeader(7, label, number, second), payload))
    assert found == payload and (header.id, header.id2) == (number, second)
    assert header.flag == (len(label) if isinstance(label, list) else 0)
    np.testing.assert_array_equal(header.label, np.float32(label))


@given(st.binary(max_size=60), st.integers(0, 2**32 - 1) | st.integers(0, 6))
def test_any_bytes_unpack_or_are_too_short(content: bytes, flag: int) -> None:
    record = struct.pack("<I", flag) + content
    labels = 4 * flag
    if len(record) < 24:
        with pytest.raises(ShortRecordError):
            unpack(record)
    elif len(record) < 24 + labels:
        with pytest.raises(ShortLabelError):
            unpack(record)
    else:
        header, payload = unpack(record)
        assert payload == record[24 + labels :]
        label = np.ravel(np.float32(header.label)).tobytes()
        assert flag == 0 or label == record[24 : 24 + labels]


def test_headers_of_face_datasets() -> None:
    for label, image, expected in (
        ([5, 7], b"", True),
        ([5, 5], b"", True),
        ([5, 7], b"image", False),
        ([7, 5], b"", False),
        ([0, 5], b"", False),
        ([5, 7.5], b"", False),
        ([5, float("nan")], b"", False),
        ([5, 7, 9], b"", False),
        (5, b"", False),
    ):
        record = np.frombuffer(pack(IRHeader(0, label, 0, 0), image), np.uint8)
        assert is_face_header(*unpack(record)) is expected


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda s: np.frombuffer(s, "u1")])
@pytest.mark.parametrize("function", [unpack, unpack_img])
def test_records_that_are_too_short(function: Callable, kind: Callable) -> None:
    """With the built-in exceptions that MXNet raises."""
    for record in (b"", b"abc", pack(IRHeader(0, 1, 0, 0), b"")[:-1]):
        with pytest.raises(struct.error) as caught:
            function(kind(record))
        assert isinstance(caught.value, ShortRecordError)
        assert f"the record has {len(record)} bytes, too few" in str(caught.value)
    with pytest.raises(ValueError) as short:
        function(kind(pack(IRHeader(0, [1, 2, 3], 0, 0), b"")[:-2]))
    assert isinstance(short.value, ShortLabelError)
    assert "34 bytes, too few for an image record's header and label of 3" in str(short.value)


GOLDEN = np.load(DATA / "packimg.npz")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("jpg", {}),
        ("jpg50", {"quality": 50}),
        ("png", {"quality": 3, "img_fmt": ".png"}),
        ("gray", {}),
    ],
)
def test_images_agree_with_mxnet(name: str, options: dict) -> None:
    image = np.load(DATA / "packimg_input.npy")
    packed = pack_img(
        IRHeader(0, 3.0, 11, 0), image[..., 0] if name == "gray" else image, **options
    )
    for record in (packed, (DATA / f"packimg_{name}.bin").read_bytes()):
        for iscolor in (-1, 0, 1):
            header, decoded = unpack_img(record, iscolor)
            assert (header.label, header.id) == (3.0, 11)
            np.testing.assert_array_equal(decoded, GOLDEN[f"{name}_iscolor{iscolor}"])


def test_bgra_png_and_other_formats() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 8, 4), np.uint8)
    assert (unpack_img(pack_img((0, 1, 2, 3), image, img_fmt=".PNG"))[1] == image).all()
    assert (
        unpack_img(pack_img((0, 1, 2, 3), image[..., :3], img_fmt=".bmp"))[1] == image[..., :3]
    ).all()


def test_image_errors() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(ArgumentError, match="check that the file was read"):
        pack_img((0, 1, 2, 3), None)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"\.tea"):
        pack_img((0, 1, 2, 3), image, img_fmt=".tea")
    assert unpack_img(pack((0, 1, 2, 3), b"not an image"))[1] is None
    with pytest.raises(ArgumentError, match="empty"):
        unpack_img(pack((0, 1, 2, 3), b""))
    assert (
        cv2.imdecode(np.frombuffer(unpack(pack_img((0, 1, 2, 3), image))[1], np.uint8), 1)
        is not None
    )


def test_images_over_a_limit_are_not_unpacked() -> None:
    bomb = claiming("JPEG", 16384, 16384)
    with pytest.raises(DecodeError, match="claims 16384 x 16384 pixels"):
        unpack_img(pack(IRHeader(0, 1.0, 0, 0), bomb))
    assert unpack_img(pack(IRHeader(0, 1.0, 0, 0), b"no image"))[1] is None
