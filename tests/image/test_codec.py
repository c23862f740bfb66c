"""imdecode with nvImageCodec: its CPU backend here, and where there is one, a GPU."""

import io
import sys
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import simplejpeg
from PIL import Image

import gpuio as mx
from gpuio.decoding import nvimagecodec
from gpuio.errors import ContextError, DecodeError
from tests.close import EXACT, GPU_DECODER, assert_images_close
from tests.image.golden import encoded, manifest
from tests.io.records import jpeg

CPU, GPU = mx.cpu(), mx.gpu(0)


def picture(mode: str = "RGB", width: int = 41, height: int = 30) -> Image.Image:
    return Image.open(io.BytesIO(jpeg(3, width, height))).convert(mode)


def saved(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return jpeg(4, 41, 30, exif=exif)


def sampled(name: str) -> bytes:
    pixels = np.asarray(picture(width=43, height=35))
    return simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), colorsubsampling=name)


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


def adobe(transform: int) -> bytes:
    """A JPEG with nothing but Adobe's marker to tell its colours by."""
    data = jpeg(5)
    jfif = 4 + int.from_bytes(data[4:6], "big")
    marker = segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))
    return data[:2] + marker + data[jfif:]


def named(names: bytes) -> bytes:
    """A JPEG with nothing but its components' names to tell its colours by."""
    data = bytearray(jpeg(5, subsampling=0))
    del data[2 : 4 + int.from_bytes(data[4:6], "big")]
    frame, scan = data.index(b"\xff\xc0") + 10, data.index(b"\xff\xda") + 5
    data[frame : frame + 9 : 3] = data[scan : scan + 6 : 2] = names
    return bytes(data)


WHOLE = jpeg(0)
SCAN = WHOLE.index(b"\xff\xda")
# Decoded on a GPU.
THERE = {
    **{f"{width} x {height}": jpeg(1, width, height) for width, height in
       ((1, 1), (7, 5), (8, 8), (16, 16), (17, 33), (63, 64), (300, 201))},
    **{f"{name}, {width} wide": jpeg(2, width, 47, subsampling=factors)
       for name, factors in (("4:4:4", 0), ("4:2:2", 1), ("4:2:0", 2)) for width in (61, 64)},
    "4:4:0": sampled("440"),
    "gray": jpeg(6, mode="L"),
    "progressive": jpeg(7, 61, 47, progressive=True),
    "progressive gray": jpeg(7, 61, 47, progressive=True, mode="L"),
    "quality 100": saved(picture(), quality=100, subsampling=0),
    "quality 5": saved(picture(), quality=5),
    "restarts": saved(picture(width=99), restart_marker_blocks=2),
    "comment": saved(picture(), comment=b"\xff\xda of the picture"),
    "fill bytes": WHOLE[:2] + b"\xff\xff" + WHOLE[2:],
    "profile": saved(picture(), icc_profile=bytes(range(256)) * 300),
    "Adobe's YCbCr": adobe(1),
    "without JFIF": named(b"\x01\x02\x03"),
    **{f"orientation {number}": turned(number) for number in range(1, 9)},
}  # fmt: skip
# Decoded on the CPU.
HERE = {
    "truncated": WHOLE[: len(WHOLE) // 2],
    "no end marker": WHOLE[:-2],
    "bytes behind": WHOLE + b"more",
    "4:1:1": sampled("411"),
    "Adobe's RGB": adobe(0),
    "RGB by names": named(b"RGB"),
    "CMYK": jpeg(8, mode="CMYK"),
    "PNG": saved(picture(), "PNG"),
    "PNG, gray": saved(picture("L"), "PNG"),
    "PNG, palette": saved(picture("P"), "PNG"),
    "PNG, alpha": saved(picture("RGBA"), "PNG"),
    "PNG, 16 bits": cv2.imencode(
        ".png", np.asarray(picture()).astype(np.uint16) * 257
    )[1].tobytes(),
    "BMP": saved(picture(), "BMP"),
    "GIF": saved(picture(), "GIF"),
    "WebP": saved(picture(), "WEBP"),
    "TIFF": saved(picture(), "TIFF"),
}  # fmt: skip
BROKEN = {
    "empty": b"",
    "text": b"no image",
    "header": WHOLE[:60],
    "garbage between segments": WHOLE[:SCAN] + b"garbage" + WHOLE[SCAN:],
    "markers only": b"\xff\xd8\xff\xd9",
    "no tables": WHOLE[:2] + WHOLE[WHOLE.index(b"\xff\xc0") :],
    "PNG": saved(picture(), "PNG")[:40],
}


def decoded(data: bytes, channels: int, **options: Any) -> Any:
    return nvimagecodec.decode(np.frombuffer(data, np.uint8), channels, CPU, **options)


@pytest.mark.parametrize("flag", [0, 1])
@pytest.mark.parametrize("name", THERE)
def test_nvimagecodec_gives_the_hosts_pixels(name: str, flag: int) -> None:
    expected = mx.image.imdecode(THERE[name], flag, ctx=CPU)
    found = decoded(THERE[name], 3 if flag else 1)
    assert found.dtype == np.uint8 and found.flags.c_contiguous and found.flags.owndata
    # Both are libjpeg-turbo with the same settings.
    assert_images_close(found, np.asarray(expected), EXACT)


@pytest.mark.parametrize("name", HERE)
def test_what_gpus_do_not_decode_alike_is_left_to_the_host(name: str) -> None:
    assert mx.image.imdecode(HERE[name]).ndim == 3
    assert decoded(HERE[name], 3) is None


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_image_is_left_to_the_host(name: str) -> None:
    assert decoded(BROKEN[name], 3) is None
    with pytest.raises(DecodeError):
        mx.image.imdecode(BROKEN[name])


def test_real_photographs(photos: list[Path]) -> None:
    count = 0
    for path in photos:
        data = path.read_bytes()
        for flag in (0, 1):
            found = decoded(data, 3 if flag else 1)
            if found is not None:
                count += 1
                assert_images_close(found, np.asarray(mx.image.imdecode(data, flag)), EXACT)
    assert count > 1.8 * len(photos)


@pytest.mark.parametrize(
    ("file", "case"), [("img", "image_functions"), ("special", "special_encodings")]
)
def test_golden_pictures(file: str, case: str) -> None:
    pictures = encoded(file, manifest(case)["names"])
    found = {name: decoded(data, 3) for name, data in pictures.items()}
    there = [name for name, pixels in found.items() if pixels is not None]
    assert there
    for name in there:
        expected = mx.image.imdecode(pictures[name])
        np.testing.assert_array_equal(found[name], expected, err_msg=name)


def test_blue_comes_first_where_it_is_asked_for() -> None:
    found = decoded(WHOLE, 3, bgr=True)
    np.testing.assert_array_equal(found, mx.image.imdecode(WHOLE, to_rgb=False))
    assert found.flags.c_contiguous


def test_pictures_are_not_overwritten() -> None:
    kept = decoded(WHOLE, 3)
    before = kept.copy()
    for seed in range(1, 5):
        decoded(jpeg(seed), 3)
    np.testing.assert_array_equal(kept, before)


def test_threads_do_not_meet() -> None:
    pictures = [jpeg(seed, 200 + seed, 150) for seed in range(8)]
    expected = [np.asarray(mx.image.imdecode(data)) for data in pictures]
    wrong: list[int] = []
    done: list[int] = []

    def work(first: int) -> None:
        for step in range(40):
            number = (first + step) % len(pictures)
            if not np.array_equal(decoded(pictures[number], 3), expected[number]):
                wrong.append(number)
            done.append(number)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and len(done) == 8 * 40


def test_a_refusal_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    nvimagecodec.tell_of_refusal.cache_clear()
    for _ in range(2):
        assert decoded(BROKEN["no tables"], 3) is None
    (record,) = caplog.records
    assert "decoded on the CPU" in record.message


def test_missing_nvimagecodec_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nvidia.nvimgcodec", None)
    monkeypatch.delattr("nvidia.nvimgcodec", raising=False)
    with pytest.raises(ContextError, match=r"needs nvImageCodec.*pip install 'gpuio\[cuda12\]'"):
        decoded(WHOLE, 3)


@pytest.mark.skipif(mx.num_gpus() > 0, reason="there is a GPU")
@pytest.mark.parametrize("name", ["PNG", "JPEG"])
def test_a_missing_gpu_is_said(name: str) -> None:
    """Whatever the format: the CPU does not step in for a device that is not there."""
    data = HERE["PNG"] if name == "PNG" else WHOLE
    with pytest.raises(ContextError, match=r"gpu\(0\) needs"):
        mx.image.imdecode(data, ctx=GPU)


@pytest.mark.gpu
@pytest.mark.parametrize("to_rgb", [True, False])
@pytest.mark.parametrize("flag", [0, 1])
@pytest.mark.parametrize("name", [*THERE, *HERE])
def test_a_gpu_decodes_as_the_cpu_does(name: str, flag: int, to_rgb: bool) -> None:
    data = {**THERE, **HERE}[name]
    found = mx.image.imdecode(data, flag, to_rgb, ctx=GPU)
    assert found.context == GPU and found.dtype == np.uint8
    expected = np.asarray(mx.image.imdecode(data, flag, to_rgb, ctx=CPU))
    assert_images_close(found.asnumpy(), expected, GPU_DECODER if name in THERE else EXACT)


@pytest.mark.gpu
@pytest.mark.parametrize("name", THERE)
def test_a_gpu_does_not_leave_sound_jpegs_to_the_host(name: str) -> None:
    data = np.frombuffer(THERE[name], np.uint8)
    assert nvimagecodec.decode(data, 3, GPU) is not None


@pytest.mark.gpu
@pytest.mark.parametrize("name", BROKEN)
def test_a_gpu_says_what_is_no_image(name: str) -> None:
    with pytest.raises(DecodeError):
        mx.image.imdecode(BROKEN[name], ctx=GPU)


@pytest.mark.gpu
def test_a_gpu_decodes_photographs(photos: list[Path], tmp_path: Path) -> None:
    for path in photos:
        found = mx.image.imread(path, ctx=GPU).asnumpy()
        assert_images_close(found, np.asarray(mx.image.imread(path, ctx=CPU)), GPU_DECODER)
    (tmp_path / "broken.jpg").write_bytes(BROKEN["header"])
    with pytest.raises(DecodeError, match=r"broken\.jpg"):
        mx.image.imread(tmp_path / "broken.jpg", ctx=GPU)


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["gray", "PNG"])
def test_out_is_written_where_it_is(name: str) -> None:
    data = {**THERE, **HERE}[name]
    expected = mx.image.imdecode(data, ctx=GPU)
    for ctx in (CPU, GPU):
        out = mx.nd.zeros(expected.shape, ctx, "uint8")
        assert mx.image.imdecode(data, out=out) is out
        assert_images_close(out.asnumpy(), expected.asnumpy(), GPU_DECODER)


@pytest.mark.gpu
@pytest.mark.parametrize("blocking", [True, False])
def test_a_gpus_pictures_are_complete_on_every_stream(blocking: bool) -> None:
    """And their memory is nobody else's, though nvImageCodec's is given back and taken again."""
    import cupy

    data = jpeg(9, 1000, 800)
    with cupy.cuda.Device(0):
        expected = mx.image.imdecode(data, ctx=GPU).asnumpy()
        for _ in range(20):
            with cupy.cuda.Stream(non_blocking=not blocking):
                found = mx.image.imdecode(data, ctx=GPU)
                mx.image.imdecode(jpeg(10, 1000, 800), ctx=GPU)
            with cupy.cuda.Stream(non_blocking=True):
                np.testing.assert_array_equal(found.asnumpy(), expected)


@pytest.mark.gpu
def test_threads_decode_on_a_gpu_together() -> None:
    pictures = [jpeg(seed, 200 + seed, 150) for seed in range(4)]
    expected = [mx.image.imdecode(data, ctx=GPU).asnumpy() for data in pictures]
    wrong: list[int] = []
    done: list[int] = []

    def work(first: int) -> None:
        for step in range(20):
            number = (first + step) % len(pictures)
            found = mx.image.imdecode(pictures[number], ctx=GPU).asnumpy()
            if not np.array_equal(found, expected[number]):
                wrong.append(number)
            done.append(number)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and len(done) == 4 * 20
