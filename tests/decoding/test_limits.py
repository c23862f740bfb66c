"""Limits on images: pixels, memory, what bytes can express, and scans."""

import io

import numpy as np
import pytest
from PIL import Image

from gpuio.decoding.header import ImageHeader, read_header
from gpuio.decoding.host import decode
from gpuio.decoding.limits import (
    MAX_PIXELS,
    PLAUSIBLE,
    SCANS,
    VARIABLE,
    bytes_per_pixel,
    call_with_max_pixels,
    check_chunks,
    check_encoded,
    check_image,
    check_pixels,
    resolve_max_pixels,
)
from gpuio.errors import ArgumentError, DecodeError
from tests.decoding.bombs import CLAIMS, claiming, with_scans
from tests.decoding.samples import encoded

PIXELS = np.random.default_rng(0).integers(0, 256, (30, 41, 3), np.uint8)


def check(data: bytes, limit: int = MAX_PIXELS) -> None:
    image = np.frombuffer(data, np.uint8)
    check_image(read_header(image), image, limit)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP", "JPEG2000"])
def test_pixels_are_limited(name: str) -> None:
    data = encoded(PIXELS, name).tobytes()
    check(data, 41 * 30)
    with pytest.raises(DecodeError, match=r"41 x 30 pixels is over the limit of 1229 pixels.*max"):
        check(data, 41 * 30 - 1)


@pytest.mark.parametrize("name", CLAIMS)
def test_sizes_that_the_bytes_cannot_express(name: str) -> None:
    check(claiming(name, 4096, 4096))  # as many as PLAUSIBLE
    with pytest.raises(DecodeError, match=r"claims 12000 x 12000 pixels in \d+ bytes"):
        check(claiming(name, 12000, 12000))
    with pytest.raises(DecodeError, match=r"60000 x 60000 pixels is over the limit|MAX_IMAGE_PIX"):
        check(claiming(name, 60000, 60000))


def test_large_images_that_are_what_they_claim() -> None:
    """The densest of each format: one color."""
    white = np.full((4100, 4100), 255, np.uint8)
    assert white.size > PLAUSIBLE
    for name in ("JPEG", "PNG", "GIF"):
        data = encoded(white, name).tobytes()
        check(data)
        assert len(data) < white.size / 50
    check(encoded(white, "JPEG", progressive=True).tobytes())
    file = io.BytesIO()
    Image.fromarray(white > 0).save(file, "PNG")
    check(file.getvalue())


def test_truncated_photographs_are_decoded_as_far_as_possible() -> None:
    smooth = np.add.outer(np.arange(4200), np.arange(4200)) % 251
    data = encoded(smooth.astype(np.uint8), "JPEG")
    cut = data[: len(data) // 8]
    check(cut.tobytes())
    assert (decode(cut, read_header(cut), 1, own=True)[:100] == smooth[:100, :, None]).mean() > 0.2


def test_a_chunk_of_png_that_claims_far_more_bytes_than_there_are() -> None:
    data = encoded(np.full((4, 3, 3), 9, np.uint8), "PNG").tobytes()
    at = data.index(b"IDAT") - 4
    check(data[:at] + (1 << 20).to_bytes(4, "big") + data[at + 4 :])  # as of a truncated file
    check(data + b"\x89PNG other bytes behind the image")
    content = data[:at] + (2**31 - 1).to_bytes(4, "big") + data[at + 4 :]
    with pytest.raises(DecodeError, match=r"claims 2147483\d\d\d bytes more than there are"):
        check(content)
    with pytest.raises(DecodeError, match="bytes more than there are"):
        decode(np.frombuffer(content, np.uint8), ImageHeader(3, 4, 1, 3, "png"), 3)
    # OpenCV goes on behind an end that comes before the pixels.
    early = content[:at] + bytes(4) + b"IEND" + bytes(4) + content[at:]
    with pytest.raises(DecodeError, match=r"claims 2147483\d\d\d bytes more than there are"):
        check_chunks(np.frombuffer(early, np.uint8))


@pytest.mark.parametrize(
    ("size", "problem"),
    [
        (b"-Y 16384 +X 16384", r"needs 4\.3 GB"),
        (b"-Y16384+X16384", r"needs 4\.3 GB"),
        (b"-Y 8000 +X 8000", r"claims 8000 x 8000 pixels in \d+ bytes"),
        (b"-Y 80000 +X 80000", "over the limit"),
    ],
)
def test_what_only_opencv_reads_has_limits_too(size: bytes, problem: str) -> None:
    content = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n"
    assert check_encoded(np.frombuffer(content + b"-Y 4 +X 4\n", np.uint8), MAX_PIXELS)
    with pytest.raises(DecodeError, match=problem):
        check_encoded(np.frombuffer(content + size, np.uint8), MAX_PIXELS)


def header(
    name: str, *, channels: int = 3, orientation: int = 1, parts: bool = False
) -> ImageHeader:
    return ImageHeader(12_000, 12_000, orientation, channels, name, parts)


def test_memory_is_limited() -> None:
    """By what decoding takes, not by the pixels alone."""
    for cheap in ("jpeg", "png", "bmp"):
        check_image(header(cheap), np.zeros(1 << 25, np.uint8), MAX_PIXELS)
    assert bytes_per_pixel(header("jpeg")) < bytes_per_pixel(header("jpeg", orientation=6))
    assert bytes_per_pixel(header("png")) < bytes_per_pixel(header("png", parts=True))
    assert bytes_per_pixel(header("jpeg", parts=True)) == 9
    for costly in (header("jpeg2000"), header("avif"), header("jpeg", channels=4, parts=True)):
        large = costly._replace(width=15_000)
        with pytest.raises(DecodeError, match=r"needs [2-4]\.\d GB while it is decoded, over the"):
            check_image(large, np.empty(1 << 25, np.uint8), 1 << 28)
        check_image(large, np.empty(1 << 25, np.uint8), 1 << 30)
    # A lower limit on the pixels does not make it lower.
    check_image(ImageHeader(100, 100, 1, 3, "jpeg2000"), np.empty(1, np.uint8), 100 * 100)


@pytest.mark.parametrize("progressive", [True, False])
def test_scans_are_limited(progressive: bool) -> None:
    check(with_scans(SCANS, progressive))
    with pytest.raises(DecodeError, match=f"41 x 30 pixels has more than {SCANS} scans"):
        check(with_scans(SCANS + 1, progressive))


def test_what_looks_like_a_scan_in_metadata_is_none() -> None:
    data = with_scans(10, True)
    comment = b"\xff\xfe" + (2 + 4000).to_bytes(2, "big") + b"\xff\xda" * 2000
    check(data[:2] + comment + data[2:])
    last = data.rindex(b"\xff\xda")
    check(data[:last] + comment + data[last:] + b"\xff\xda" * 1000)
    # What looks like the end in a comment is none.
    end = b"\xff\xfe\0\4\xff\xd9"
    at = data.index(b"\xff\xc4", data.index(b"\xff\xda"))
    more = with_scans(SCANS + 1, True)
    with pytest.raises(DecodeError, match="scans"):
        check(more[:at] + end + more[at:])


def test_scans_behind_what_looks_like_a_segment() -> None:
    """Where a component has the number 255, the header of its scan has bytes like a marker's."""
    data = with_scans(SCANS + 1, True)
    scan = b"\xff\xda\0\x08\1\xff\x11\x3f\x3f\0"
    at = data.index(b"\xff\xda")
    with pytest.raises(DecodeError, match="scans"):
        check(data[:at] + scan + data[at:])


def test_scans_behind_many_fill_bytes() -> None:
    """Looking for a marker in them must take linear time, else this does not end."""
    filled = b"\xff" * 2_000_000 + b"\0"
    data = with_scans(SCANS, True)
    last = data.rindex(b"\xff\xda")
    check(data[:-2] + filled + b"\xff\xd9" + data[last:-2] * 2)
    with pytest.raises(DecodeError, match="scans"):
        check(data[:-2] + filled + data[last:])


def test_scans_of_a_jpeg_that_only_opencv_reads() -> None:
    for count in (SCANS, SCANS + 1):
        data = with_scans(count, True)
        image = np.frombuffer(data[:2] + b"between" + data[2:], np.uint8)
        with pytest.raises(DecodeError, match="not a JPEG"):
            read_header(image)
        if count > SCANS:
            with pytest.raises(DecodeError, match=f"41 x 30 pixels has more than {SCANS} scans"):
                check_encoded(image, MAX_PIXELS)
        else:
            assert check_encoded(image, MAX_PIXELS)


def test_an_image_in_one_scan_has_no_others() -> None:
    """What follows the scan of all components is not decoded."""
    data = encoded(PIXELS, "JPEG").tobytes()
    scan = data[data.index(b"\xff\xda") : -2]
    check(data[:-2] + scan * 1000 + data[-2:])


def test_the_environment_sets_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert resolve_max_pixels() == MAX_PIXELS
    monkeypatch.setenv(VARIABLE, "1000")
    assert resolve_max_pixels() == 1000 and resolve_max_pixels(7) == 7
    assert call_with_max_pixels(50, resolve_max_pixels) == 50
    assert call_with_max_pixels(50, resolve_max_pixels, 7) == 7
    for wrong in ("many", "0", "-1", "1.5"):
        monkeypatch.setenv(VARIABLE, wrong)
        with pytest.raises(ArgumentError, match=f"{VARIABLE} must be an integer of at least 1"):
            resolve_max_pixels()
    for value in (0, -3, 1.5, "x", True, float("inf")):
        with pytest.raises(ArgumentError, match="max_pixels must be an integer of at least 1"):
            resolve_max_pixels(value)  # type: ignore[arg-type]


def test_sizes_that_are_asked_for() -> None:
    check_pixels(1 << 14, 1 << 14)
    with pytest.raises(ArgumentError, match=r"an image of 16384 x 16385 pixels is over the limit"):
        check_pixels(1 << 14, (1 << 14) + 1)
    with pytest.raises(ArgumentError, match="over the limit"):
        check_pixels(10**200, 10**200)
