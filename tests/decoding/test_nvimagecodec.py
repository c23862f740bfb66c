"""Decoding by nvImageCodec: its CPU backend, and a GPU if there is one."""

import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.decoding import nvimagecodec
from gpuio.errors import ContextError, DecodeError, DeviceError
from tests.close import EXACT, GPU_DECODER, assert_images_close
from tests.decoding.samples import HOST_ONLY, INVALID, NVIMAGECODEC, WHOLE
from tests.image.golden import encoded, manifest
from tests.io.records import jpeg

CPU, GPU = mx.cpu(), mx.gpu(0)


def decoded(data: bytes, channels: int, **options: Any) -> Any:
    (pixels,) = nvimagecodec.decode([np.frombuffer(data, np.uint8)], channels, CPU, **options)
    return pixels


@pytest.mark.parametrize("flag", [0, 1])
@pytest.mark.parametrize("name", NVIMAGECODEC)
def test_pixels_equal_the_hosts(name: str, flag: int) -> None:
    expected = mx.image.imdecode(NVIMAGECODEC[name], flag, ctx=CPU)
    found = decoded(NVIMAGECODEC[name], 3 if flag else 1)
    assert found.dtype == np.uint8 and found.flags.c_contiguous and found.flags.owndata
    # Both are libjpeg-turbo with the same settings.
    assert_images_close(found, np.asarray(expected), EXACT)


@pytest.mark.parametrize("name", HOST_ONLY)
def test_images_that_gpus_decode_differently_are_left_to_the_host(name: str) -> None:
    assert mx.image.imdecode(HOST_ONLY[name]).ndim == 3
    assert decoded(HOST_ONLY[name], 3) is None


@pytest.mark.parametrize("name", INVALID)
def test_invalid_images_are_left_to_the_host(name: str) -> None:
    assert decoded(INVALID[name], 3) is None
    with pytest.raises(DecodeError):
        mx.image.imdecode(INVALID[name])


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
def test_golden_images(file: str, case: str) -> None:
    images = encoded(file, manifest(case)["names"])
    found = {name: decoded(data, 3) for name, data in images.items()}
    accepted = [name for name, pixels in found.items() if pixels is not None]
    assert accepted
    for name in accepted:
        expected = mx.image.imdecode(images[name])
        np.testing.assert_array_equal(found[name], expected, err_msg=name)


@pytest.mark.parametrize("ctx", [CPU, pytest.param(GPU, marks=pytest.mark.gpu)])
def test_a_batch_is_decoded_in_order(ctx: mx.Context) -> None:
    """And what is not decoded here takes nothing along."""
    photos = [jpeg(seed, 60 + seed, 50) for seed in range(3)]
    given = [photos[0], HOST_ONLY["PNG"], photos[1], INVALID["no tables"], photos[2]]
    found = nvimagecodec.decode([np.frombuffer(data, np.uint8) for data in given], 3, ctx)
    assert [pixels is None for pixels in found] == [False, True, False, True, False]
    for number, data in ((0, photos[0]), (2, photos[1]), (4, photos[2])):
        pixels = mx.nd.wrap(found[number])
        assert pixels.context == ctx
        expected = np.asarray(mx.image.imdecode(data, ctx=CPU))
        assert_images_close(pixels.asnumpy(), expected, EXACT if ctx == CPU else GPU_DECODER)
    assert nvimagecodec.decode([], 3, ctx) == []


def test_bgr_order() -> None:
    found = decoded(WHOLE, 3, bgr=True)
    np.testing.assert_array_equal(found, mx.image.imdecode(WHOLE, to_rgb=False))
    assert found.flags.c_contiguous


def test_results_are_not_overwritten() -> None:
    kept = decoded(WHOLE, 3)
    before = kept.copy()
    for seed in range(1, 5):
        decoded(jpeg(seed), 3)
    np.testing.assert_array_equal(kept, before)


def test_threads_do_not_interfere() -> None:
    images = [jpeg(seed, 200 + seed, 150) for seed in range(8)]
    expected = [np.asarray(mx.image.imdecode(data)) for data in images]
    wrong: list[int] = []
    done: list[int] = []

    def work(first: int) -> None:
        for step in range(40):
            number = (first + step) % len(images)
            if not np.array_equal(decoded(images[number], 3), expected[number]):
                wrong.append(number)
            done.append(number)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and len(done) == 8 * 40


def test_a_refusal_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    nvimagecodec.warn_refused_once.cache_clear()
    for _ in range(2):
        assert decoded(INVALID["no tables"], 3) is None
    (record,) = caplog.records
    assert "decoded on the CPU" in record.message


def test_missing_nvimagecodec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nvidia.nvimgcodec", None)
    monkeypatch.delattr("nvidia.nvimgcodec", raising=False)
    with pytest.raises(ContextError, match=r"needs nvImageCodec.*pip install 'gpuio\[cuda12\]'"):
        decoded(WHOLE, 3)


@pytest.mark.gpu
def test_short_memory_is_not_the_images_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """nvImageCodec says of neither why it refuses an image."""
    import cupy

    images = [WHOLE, INVALID["no tables"]]
    given = [np.frombuffer(data, np.uint8) for data in images]
    monkeypatch.setattr(cupy.cuda.runtime, "memGetInfo", lambda: (1000, 1 << 30))
    said = r"refused 1 images.* 0 MiB are free; gpu\(0\)\.empty_cache\(\)"
    for call in (
        lambda: nvimagecodec.decode(given, 3, GPU),
        lambda: mx.image.imdecode(images, ctx=GPU),
    ):
        with pytest.raises(DeviceError, match=said):
            call()
    assert nvimagecodec.decode(given[:1], 3, GPU)[0] is not None  # nothing was refused
    monkeypatch.undo()
    assert nvimagecodec.decode(given, 3, GPU)[1] is None


@pytest.mark.parametrize("ctx", [CPU, pytest.param(GPU, marks=pytest.mark.gpu)])
@pytest.mark.parametrize("error", [RuntimeError("an illegal access"), MemoryError("out of memory")])
def test_errors_of_the_device_are_no_refusals(
    error: Exception, ctx: mx.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(ctx: mx.Context) -> None:
        raise error

    monkeypatch.setattr("gpuio.decoding.nvimagecodec.wait_for", fail)
    with pytest.raises(DeviceError, match=f"decoding on .pu.0. failed: {error}") as caught:
        nvimagecodec.decode([np.frombuffer(WHOLE, np.uint8)], 3, ctx)
    assert caught.value.__cause__ is error


@pytest.mark.gpu
@pytest.mark.parametrize("name", NVIMAGECODEC)
def test_a_gpu_decodes_all_these_jpegs(name: str) -> None:
    data = np.frombuffer(NVIMAGECODEC[name], np.uint8)
    assert nvimagecodec.decode([data], 3, GPU)[0] is not None


def test_decodable() -> None:
    for name, data in NVIMAGECODEC.items():
        assert nvimagecodec.decodable(np.frombuffer(data, np.uint8)), name
    for name, data in HOST_ONLY.items():
        assert not nvimagecodec.decodable(np.frombuffer(data, np.uint8)), name
