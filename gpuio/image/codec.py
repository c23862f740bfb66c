"""MXNet's imdecode, imread and imencode."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias, TypeVar, overload

import numpy as np
import numpy.typing as npt

from gpuio import nd
from gpuio.context import Context, as_context, require
from gpuio.errors import (
    ArgumentError,
    DecodeError,
    DeviceError,
    RecordError,
    RecordFileNotFoundError,
)
from gpuio.image.arrays import host, write
from gpuio.nd import NDArray
from gpuio.storage.local import local_path
from gpuio.storage.remote.url import is_remote

if TYPE_CHECKING:
    from gpuio.nd.types import Array
    from gpuio.storage.local import Path

In = TypeVar("In")
Out = TypeVar("Out")
Encoded: TypeAlias = "bytes | bytearray | memoryview | Array"  # an array of uint8


@overload
def imdecode(
    buf: list[Encoded] | tuple[Encoded, ...],
    flag: int = ...,
    to_rgb: bool | int = ...,
    out: None = ...,
    *,
    ctx: Context | str | None = ...,
) -> list[NDArray]: ...
@overload
def imdecode(
    buf: Encoded,
    flag: int = ...,
    to_rgb: bool | int = ...,
    out: NDArray | None = ...,
    *,
    ctx: Context | str | None = ...,
) -> NDArray: ...
def imdecode(
    buf: Encoded | list[Encoded] | tuple[Encoded, ...],
    flag: int = 1,
    to_rgb: bool | int = True,
    out: NDArray | None = None,
    *,
    ctx: Context | str | None = None,
) -> NDArray | list[NDArray]:
    """Decode an image, or several at once.

    The EXIF orientation is ignored, as in MXNet; ImageRecordIter applies it. A truncated JPEG is
    decoded as far as possible. The most pixels that an image may have is what the environment
    variable GPUIO_MAX_PIXELS says, by default 2**28.

    On a GPU, complete gray and YCbCr JPEGs of 8 bits with a common sampling (4:4:4, 4:2:2, 4:2:0,
    4:4:0) are decoded by nvImageCodec, those of a list in one batch; pixel values may differ from
    the CPU's by a few units. All others (other formats, CMYK and truncated JPEGs, what nvImageCodec
    refuses) are decoded on the CPU and copied. On the CPU a list is decoded by several threads.

    Parameters
    ----------
    buf : the image file's content: bytes, bytearray, memoryview, or a uint8 array; or a list or
        tuple of these
    flag : 1 color, 0 gray
    to_rgb : whether the channels are in RGB order; False: BGR
    out : for one image: uint8 array of its shape to write to; its device replaces `ctx`
    ctx : device of the result; None: the current context

    Returns
    -------
    uint8 (height, width, 3), or (height, width, 1) with flag 0; `out` if given. For a list, a list
    of these

    Raises
    ------
    ArgumentError : flag is neither 0 nor 1, or out has another shape or dtype, or is given with a
        list.
    ValueError : buf is not bytes-like.
    DecodeError : buf is empty, not an image, or too large; of a list, the message begins with
        ``buf[number]``.
    ContextError : the device is not available, or it is a GPU and nvImageCodec is not installed.
    DeviceError : the GPU failed, or memory is too short.
    """
    if isinstance(buf, (list, tuple)):
        if out is not None:
            raise ArgumentError("out takes one image, not a list of them")
        names = [f"buf[{number}]: " for number in range(len(buf))]
        return _decode(buf, names, flag, to_rgb, as_context(ctx))
    device = as_context(ctx) if out is None else out.context
    (image,) = _decode([buf], [""], flag, to_rgb, device)
    return image if out is None else write(out, image)


@overload
def imread(
    filename: Path, flag: int = ..., to_rgb: bool | int = ..., *, ctx: Context | str | None = ...
) -> NDArray: ...
@overload
def imread(
    filename: list[Path] | tuple[Path, ...],
    flag: int = ...,
    to_rgb: bool | int = ...,
    *,
    ctx: Context | str | None = ...,
) -> list[NDArray]: ...
def imread(
    filename: Path | list[Path] | tuple[Path, ...],
    flag: int = 1,
    to_rgb: bool | int = True,
    *,
    ctx: Context | str | None = None,
) -> NDArray | list[NDArray]:
    """Read and decode an image file, or a list or tuple of them at once, as `imdecode` does.

    Raises
    ------
    RecordFileNotFoundError : the file does not exist.
    RecordError : it cannot be read, or is a folder.
    UnsupportedError : it is a URL; ImageIter, ImageFolderDataset and ImageListDataset take those.
    DecodeError : the file is empty or not an image; the message has its name.
    """
    several = filename if isinstance(filename, (list, tuple)) else [filename]
    paths = [
        local_path(each, "the image") if is_remote(each) else os.fspath(each) for each in several
    ]
    names = [f"{path}: " for path in paths]
    images = _decode(_in_threads(_read, paths), names, flag, to_rgb, as_context(ctx))
    return images if several is filename else images[0]


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError as error:
        raise RecordFileNotFoundError(f"{path}: couldn't open file: No such file") from error
    except (OSError, ValueError) as error:  # ValueError: its name has a null character
        reason = getattr(error, "strerror", None) or error
        raise RecordError(f"{path} cannot be read: {reason}") from error


def imencode(img: Array, quality: int = 95, img_fmt: str = ".jpg") -> bytes:
    """Encode an image.

    Parameters
    ----------
    img : uint8 (height, width, 3) RGB, or (height, width, 1) or (height, width) gray
    quality : JPEG quality, 1 to 100, or PNG compression level, 0 to 9
    img_fmt : file extension of the format, such as ".jpg" or ".png"

    Raises
    ------
    ArgumentError : the image cannot be encoded in this format.
    """
    from gpuio.recordio.header import encode

    pixels = host(img)
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3):
        raise ArgumentError(
            f"expected an image of uint8 with 2 or 3 axes, not {pixels.dtype} {pixels.shape}"
        )
    if pixels.ndim == 3 and pixels.shape[2] >= 3:
        pixels = pixels[:, :, [2, 1, 0, *range(3, pixels.shape[2])]]
    return encode(np.ascontiguousarray(pixels), quality, img_fmt).tobytes()


def _decode(
    encoded: Sequence[Encoded],
    names: Sequence[str],
    flag: int,
    to_rgb: bool | int,
    ctx: Context,
) -> list[NDArray]:
    """Decode images on a device; see `imdecode`.

    Parameters
    ----------
    names : what the message of an error of each image begins with
    """
    from gpuio.decoding import nvimagecodec
    from gpuio.decoding.header import read_header
    from gpuio.decoding.host import decode
    from gpuio.decoding.limits import check_image, resolve_max_pixels

    if flag not in (0, 1):
        raise ArgumentError(f"flag must be 1 (color) or 0 (gray), not {flag!r}")
    require(ctx)
    channels, bgr, max_pixels = 3 if flag else 1, not to_rgb, resolve_max_pixels()
    images, headers = [], []
    for name, buf in zip(names, encoded, strict=True):
        images.append(_as_uint8(buf, name))
        with _invalid_images_named(name):
            headers.append(read_header(images[-1]).without_orientation())
            check_image(headers[-1], images[-1], max_pixels)

    def decode_on_host(number: int) -> Array:
        with _invalid_images_named(names[number]):
            pixels = decode(images[number], headers[number], channels, own=True)
        return np.ascontiguousarray(pixels[:, :, ::-1]) if bgr else pixels

    decoded: dict[int, Array] = {}
    if ctx.device_type == "gpu":
        on_gpu = enumerate(nvimagecodec.decode(images, channels, ctx, bgr=bgr))
        decoded = {number: pixels for number, pixels in on_gpu if pixels is not None}
    left = [number for number in range(len(images)) if number not in decoded]
    decoded |= zip(left, _in_threads(decode_on_host, left), strict=True)
    return [nd.wrap(decoded[number]).as_in_context(ctx) for number in range(len(images))]


@contextmanager
def _invalid_images_named(name: str) -> Iterator[None]:
    try:
        yield
    except DecodeError as error:
        raise DecodeError(f"{name}Decoding failed. Invalid image file: {error}") from error
    except MemoryError as error:
        raise DeviceError(f"{name}Decoding failed. Memory is too short: {error}") from error


def _in_threads(function: Callable[[In], Out], arguments: Sequence[In]) -> list[Out]:
    """The results of a function in order, computed by several threads if there are several."""
    if len(arguments) < 2:
        return [function(each) for each in arguments]
    with ThreadPoolExecutor(thread_name_prefix="gpuio-image") as pool:
        return list(pool.map(function, arguments))


def _as_uint8(buf: Encoded, name: str) -> npt.NDArray[np.uint8]:
    """View or copy an image file's content as uint8 (bytes,) on the host.

    Parameters
    ----------
    name : what the message of an error begins with
    """
    if isinstance(buf, (bytes, bytearray, memoryview)):
        data = np.frombuffer(buf, np.uint8)
    elif hasattr(buf, "dtype") and buf.dtype == np.uint8:
        data = np.ascontiguousarray(host(buf), np.uint8).reshape(-1)
    else:
        given = f"{buf.dtype} array" if hasattr(buf, "dtype") else type(buf).__name__
        raise ArgumentError(
            f"{name}buf must be of type bytes, bytearray, memoryview, or a uint8 array, not a "
            + given
        )
    if not data.size:
        raise DecodeError(f"{name}Input cannot be an empty buffer")
    return data
