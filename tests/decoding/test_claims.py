"""Files that show Pillow and OpenCV different sizes."""

import struct

import cv2
import numpy as np
import pytest

from gpuio.decoding.claims import contradicts, opencv_size
from gpuio.decoding.header import read_header
from gpuio.decoding.limits import check_encoded
from gpuio.errors import DecodeError
from tests.decoding.samples import PIXELS, encoded


def test_the_box_and_the_codestream_of_a_jpeg_2000_file() -> None:
    data = bytearray(encoded(PIXELS, "JPEG2000").tobytes())
    assert read_header(np.frombuffer(bytes(data), np.uint8))[:2] == (41, 30)
    at = data.index(b"\xff\x4f\xff\x51") + 8
    assert struct.unpack_from(">2I", data, at) == (41, 30)
    struct.pack_into(">2I", data, at, 30_000, 30_000)
    with pytest.raises(DecodeError, match="two sizes"):
        read_header(np.frombuffer(bytes(data), np.uint8))


@pytest.mark.parametrize("big", [False, True])
def test_the_width_of_a_tiff_is_there_once(big: bool) -> None:
    data = bytearray(encoded(PIXELS, "TIFF", big_tiff=big).tobytes())
    assert read_header(np.frombuffer(bytes(data), np.uint8))[:2] == (41, 30)
    tag = struct.pack("<HH", 257, 4)
    at = data.index(tag)
    data[at : at + 2] = struct.pack("<H", 256)
    assert contradicts(memoryview(bytes(data)), "tiff", 41, 30)


def test_damaged_directories_and_other_formats() -> None:
    assert contradicts(memoryview(b"II*\0\xff\xff\xff\0"), "tiff", 1, 1)
    assert contradicts(memoryview(b"\xff\x4f\xff\x51"), "jpeg2000", 1, 1)
    assert not contradicts(memoryview(b""), "webp", 1, 1)


OPENCV_ONLY = {
    "HDR": (".hdr", np.float32),
    "PAM": (".pam", np.uint8),
    "PFM": (".pfm", np.float32),
    "TIFF": (".tiff", np.float32),
}


@pytest.mark.parametrize("name", OPENCV_ONLY)
def test_what_only_opencv_reads(name: str) -> None:
    ending, dtype = OPENCV_ONLY[name]
    data = cv2.imencode(ending, PIXELS.astype(dtype))[1]
    with pytest.raises(DecodeError):
        read_header(data)
    assert opencv_size(data.data) == (41, 30)
    assert check_encoded(data, 41 * 30)
    with pytest.raises(DecodeError, match="41 x 30 pixels is over the limit"):
        check_encoded(data, 41 * 30 - 1)


def test_jpegs_with_bytes_between_segments() -> None:
    data = encoded(PIXELS, "JPEG").tobytes()
    at = data.index(b"\xff\xdb")
    odd = np.frombuffer(data[:at] + b"garbage" + data[at:], np.uint8)
    assert cv2.imdecode(odd, 1).shape == (30, 41, 3) and opencv_size(odd.data) == (41, 30)
    assert opencv_size(memoryview(b"no image")) is None
    assert opencv_size(memoryview(b"II*\0")) is None
    assert check_encoded(odd, 41 * 30)
    assert not check_encoded(np.frombuffer(b"no image", np.uint8), 1)
