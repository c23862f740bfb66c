"""MXNet's imdecode, imread and imencode."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from gpuio import nd
from gpuio.context import Context, as_context, require
from gpuio.errors import ArgumentError, DecodeError, RecordError, RecordFileNotFoundError
from gpuio.image.arrays import host, write
from gpuio.nd import NDArray

if TYPE_CHECKING:
    from gpuio.nd.types import Array
    from gpuio.storage.local import Path

Encoded: TypeAlias = "bytes | bytearray | memoryview | Array"  # an array of uint8


def imdecode(
    buf: Encoded,
    flag: int = 1,
    to_rgb: bool | int = True,
    out: NDArray | None = None,
    *,
    ctx: Context | str | None = None,
) -> NDArray:
    """Decode an image.

    The EXIF orientation is ignored, as in MXNet; ImageRecordIter applies it. A truncated JPEG is
    decoded as far as possible.

    On a GPU, complete gray and YCbCr JPEGs of 8 bits with a common sampling (4:4:4, 4:2:2, 4:2:0,
    4:4:0) are decoded by nvImageCodec; pixel values may differ from the CPU's by a few units. All
    others (other formats, CMYK and truncated JPEGs, what nvImageCodec refuses) are decoded on the
    CPU and copied.

    Parameters
    ----------
    buf : the image file's content: bytes, bytearray, memoryview, or a uint8 array
    flag : 1 color, 0 gray
    to_rgb : whether the channels are in RGB order; False: BGR
    out : uint8 array of the image's shape to write to; its device replaces `ctx`
    ctx : device of the result; None: the current context

    Returns
    -------
    uint8 (height, width, 3), or (height, width, 1) with flag 0; `out` if given

    Raises
    ------
    ArgumentError : flag is neither 0 nor 1, or out has another shape or dtype.
    ValueError : buf is not bytes-like.
    DecodeError : buf is empty, or not an image.
    ContextError : the device is not available, or it is a GPU and nvImageCodec is not installed.
    """
    if flag not in (0, 1):
        raise ArgumentError(f"flag must be 1 (color) or 0 (gray), not {flag!r}")
    data = _as_uint8(buf)
    if out is None:
        return _decode(data, 3 if flag else 1, not to_rgb, as_context(ctx))
    return write(out, _decode(data, 3 if flag else 1, not to_rgb, out.context))


def _decode(data: npt.NDArray[np.uint8], channels: int, bgr: bool, ctx: Context) -> NDArray:
    """Decode to uint8 (height, width, channels) on a device; see `imdecode`."""
    from gpuio.decoding import nvimagecodec
    from gpuio.decoding.header import read_header
    from gpuio.decoding.host import decode

    try:
        header = read_header(data).without_orientation()
        if ctx.device_type == "gpu":
            require(ctx)
            pixels = nvimagecodec.decode(data, channels, ctx, bgr=bgr)
            if pixels is not None:
                return nd.wrap(pixels)
        image = decode(data, header, channels)
    except DecodeError as error:
        raise DecodeError(f"Decoding failed. Invalid image file: {error}") from error
    # Copy, because a JPEG's pixels are in a buffer that the next decoding overwrites.
    image = np.array(image[:, :, ::-1] if bgr else image, order="C")
    return nd.wrap(image).as_in_context(ctx)


def imread(
    filename: Path,
    flag: int = 1,
    to_rgb: bool | int = True,
    *,
    ctx: Context | str | None = None,
) -> NDArray:
    """Read and decode an image file, as `imdecode` does.

    Raises
    ------
    RecordFileNotFoundError : the file does not exist.
    RecordError : it cannot be read, or is a folder.
    DecodeError : the file is empty or not an image; the message has its name.
    """
    path = os.fspath(filename)
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError as error:
        raise RecordFileNotFoundError(f"{path}: couldn't open file: No such file") from error
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return imdecode(data, flag, to_rgb, ctx=ctx)
    except DecodeError as error:
        raise DecodeError(f"{path}: {error}") from error


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


def _as_uint8(buf: Encoded) -> npt.NDArray[np.uint8]:
    """View or copy an image file's content as uint8 (bytes,) on the host."""
    if isinstance(buf, (bytes, bytearray, memoryview)):
        data = np.frombuffer(buf, np.uint8)
    elif hasattr(buf, "dtype") and buf.dtype == np.uint8:
        data = np.ascontiguousarray(host(buf), np.uint8).reshape(-1)
    else:
        given = f"{buf.dtype} array" if hasattr(buf, "dtype") else type(buf).__name__
        raise ArgumentError(
            "buf must be of type bytes, bytearray, memoryview, or a uint8 array, not a " + given
        )
    if not data.size:
        raise DecodeError("Input cannot be an empty buffer")
    return data
