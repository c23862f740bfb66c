"""imdecode and imread on the host and on a GPU."""

import threading
from pathlib import Path

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import (
    ArgumentError,
    ContextError,
    DecodeError,
    RecordError,
    RecordFileNotFoundError,
)
from tests.close import EXACT, GPU_DECODER, assert_images_close
from tests.decoding.samples import HOST_ONLY, INVALID, NVIMAGECODEC, WHOLE
from tests.io.records import jpeg

CPU, GPU = mx.cpu(), mx.gpu(0)


@pytest.mark.parametrize("flag", [0, 1])
@pytest.mark.parametrize("name", [*NVIMAGECODEC, *HOST_ONLY])
def test_decoding_on_the_host(name: str, flag: int, tmp_path: Path) -> None:
    data = {**NVIMAGECODEC, **HOST_ONLY}[name]
    rgb = mx.image.imdecode(data, flag)
    assert rgb.dtype == np.uint8 and rgb.ndim == 3 and rgb.shape[2] == (3 if flag else 1)
    bgr = mx.image.imdecode(memoryview(data), flag, to_rgb=False)
    np.testing.assert_array_equal(bgr, np.asarray(rgb)[..., ::-1])
    (tmp_path / "image").write_bytes(data)
    np.testing.assert_array_equal(mx.image.imread(tmp_path / "image", flag), rgb)
    out = mx.nd.zeros(rgb.shape, CPU, "uint8")
    assert mx.image.imdecode(bytearray(data), flag, out=out) is out
    np.testing.assert_array_equal(out, rgb)


def test_lists_are_decoded_at_once(ctx: mx.Context, tmp_path: Path) -> None:
    encoded = [*NVIMAGECODEC.values(), *HOST_ONLY.values()]
    for number, data in enumerate(encoded):
        (tmp_path / str(number)).write_bytes(data)
    paths = [tmp_path / str(number) for number in range(len(encoded))]
    for flag, to_rgb in ((1, True), (0, True), (1, False)):
        expected = [mx.image.imdecode(data, flag, to_rgb, ctx=ctx) for data in encoded]
        for found in (
            mx.image.imdecode(encoded, flag, to_rgb, ctx=ctx),
            mx.img.imread(tuple(paths), flag, to_rgb, ctx=ctx),
        ):
            assert type(found) is list
            for one, other in zip(found, expected, strict=True):
                assert isinstance(one, mx.nd.NDArray) and one.context == ctx
                np.testing.assert_array_equal(one.asnumpy(), other.asnumpy())
    assert mx.image.imdecode([], ctx=ctx) == mx.image.imread([], ctx=ctx) == []
    (one,) = mx.nd.imdecode((WHOLE,), ctx=ctx)
    assert one.shape == mx.image.imdecode(WHOLE).shape


def test_images_of_a_list_do_not_share_memory() -> None:
    one, other = mx.image.imdecode([WHOLE, WHOLE])
    one[:] = 0
    assert other.asnumpy().any()


def test_the_bad_image_of_a_list_is_named(ctx: mx.Context, tmp_path: Path) -> None:
    for name, data in INVALID.items():
        with pytest.raises(DecodeError, match=r"^buf\[1\]: ") as caught:
            mx.image.imdecode([WHOLE, data, WHOLE], ctx=ctx)
        assert "Decoding failed" in str(caught.value) or not data, name
        (tmp_path / "whole.jpg").write_bytes(WHOLE)
        (tmp_path / "broken.jpg").write_bytes(data)
        with pytest.raises(DecodeError, match=f"^{tmp_path}/broken.jpg: "):
            mx.image.imread([tmp_path / "whole.jpg", tmp_path / "broken.jpg"], ctx=ctx)
    with pytest.raises(ArgumentError, match=r"^buf\[1\]: buf must be of type bytes.*not a str"):
        mx.image.imdecode([WHOLE, "text"], ctx=ctx)  # type: ignore[list-item]
    with pytest.raises(ArgumentError, match="out takes one image, not a list"):
        mx.image.imdecode([WHOLE], out=mx.nd.zeros((1, 1, 3), ctx))  # type: ignore[call-overload]
    with pytest.raises(RecordFileNotFoundError, match=r"none\.jpg"):
        mx.image.imread([tmp_path / "whole.jpg", tmp_path / "none.jpg"], ctx=ctx)


@pytest.mark.parametrize("name", INVALID)
def test_invalid_images(name: str, tmp_path: Path) -> None:
    with pytest.raises(DecodeError):
        mx.image.imdecode(INVALID[name])
    (tmp_path / "broken.jpg").write_bytes(INVALID[name])
    with pytest.raises(DecodeError, match=r"broken\.jpg"):
        mx.image.imread(tmp_path / "broken.jpg")


@pytest.mark.parametrize("given", ["text", None, np.zeros(4, np.float32)], ids=str)
def test_only_bytes_are_decoded(given: object) -> None:
    with pytest.raises(ArgumentError, match="buf must be of type bytes"):
        mx.image.imdecode(given)


def test_a_folder_is_not_an_image(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=f"^{tmp_path} cannot be read: Is a directory"):
        mx.image.imread(tmp_path)


@pytest.mark.skipif(mx.num_gpus() > 0, reason="there is a GPU")
@pytest.mark.parametrize("name", ["PNG", "JPEG"])
def test_a_missing_gpu(name: str) -> None:
    """For any format: the CPU does not replace a missing device."""
    data = HOST_ONLY["PNG"] if name == "PNG" else WHOLE
    with pytest.raises(ContextError, match=r"gpu\(0\) needs"):
        mx.image.imdecode(data, ctx=GPU)


@pytest.mark.gpu
@pytest.mark.parametrize("to_rgb", [True, False])
@pytest.mark.parametrize("flag", [0, 1])
@pytest.mark.parametrize("name", [*NVIMAGECODEC, *HOST_ONLY])
def test_a_gpu_decodes_as_the_cpu(name: str, flag: int, to_rgb: bool) -> None:
    data = {**NVIMAGECODEC, **HOST_ONLY}[name]
    found = mx.image.imdecode(data, flag, to_rgb, ctx=GPU)
    assert found.context == GPU and found.dtype == np.uint8
    expected = np.asarray(mx.image.imdecode(data, flag, to_rgb, ctx=CPU))
    assert_images_close(found.asnumpy(), expected, GPU_DECODER if name in NVIMAGECODEC else EXACT)


@pytest.mark.gpu
@pytest.mark.parametrize("name", INVALID)
def test_invalid_images_on_a_gpu(name: str) -> None:
    with pytest.raises(DecodeError):
        mx.image.imdecode(INVALID[name], ctx=GPU)


@pytest.mark.gpu
def test_a_gpu_decodes_photographs(photos: list[Path], tmp_path: Path) -> None:
    for path in photos:
        found = mx.image.imread(path, ctx=GPU).asnumpy()
        assert_images_close(found, np.asarray(mx.image.imread(path, ctx=CPU)), GPU_DECODER)
    (tmp_path / "broken.jpg").write_bytes(INVALID["header"])
    with pytest.raises(DecodeError, match=r"broken\.jpg"):
        mx.image.imread(tmp_path / "broken.jpg", ctx=GPU)


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["gray", "PNG"])
def test_out_determines_the_device(name: str) -> None:
    data = {**NVIMAGECODEC, **HOST_ONLY}[name]
    expected = mx.image.imdecode(data, ctx=GPU)
    for ctx in (CPU, GPU):
        out = mx.nd.zeros(expected.shape, ctx, "uint8")
        assert mx.image.imdecode(data, out=out) is out
        assert_images_close(out.asnumpy(), expected.asnumpy(), GPU_DECODER)


@pytest.mark.gpu
@pytest.mark.parametrize("blocking", [True, False])
def test_a_gpus_images_are_complete_on_every_stream(blocking: bool) -> None:
    """And do not share memory with nvImageCodec, which reuses its own."""
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
def test_threads_decode_on_a_gpu_at_the_same_time() -> None:
    images = [jpeg(seed, 200 + seed, 150) for seed in range(4)]
    expected = [mx.image.imdecode(data, ctx=GPU).asnumpy() for data in images]
    wrong: list[int] = []
    done: list[int] = []

    def work(first: int) -> None:
        for step in range(20):
            number = (first + step) % len(images)
            found = mx.image.imdecode(images[number], ctx=GPU).asnumpy()
            if not np.array_equal(found, expected[number]):
                wrong.append(number)
            done.append(number)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and len(done) == 4 * 20
