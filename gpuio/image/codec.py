"""Image files' contents to pictures, and back."""

from __future__ import annotations

import os
from typing import Any, TypeAlias

import numpy as np

from gpuio import nd
from gpuio.context import Context, as_context, require
from gpuio.errors import ArgumentError, DecodeError, RecordFileNotFoundError
from gpuio.image.arrays import host
from gpuio.nd import NDArray

Encoded: TypeAlias = Any  # bytes, bytearray, memoryview, or a uint8 array


def imdecode(
    buf: Encoded,
    flag: int = 1,
    to_rgb: bool | int = True,
    out: NDArray | None = None,
    *,
    ctx: Context | str | None = None,
) -> NDArray:
    """Decode an image.

    EXIF's orientation is ignored, as in MXNet; ImageRecordIter follows it. A truncated JPEG gives
    what could be decoded.

    For a GPU, whole gray and YCbCr JPEGs of 8 bits and the usual samplings (4:4:4, 4:2:2, 4:2:0,
    4:4:0) are decoded there by nvImageCodec, with pixels that may differ from the CPU's by a few
    levels. All else (other formats, CMYK and truncated JPEGs, what nvImageCodec refuses) is decoded
    on the CPU and copied.

    Parameters
    ----------
    buf : the image file's content: bytes, bytearray, memoryview, or a uint8 array
    flag : 1: colour, 0: gray
    to_rgb : RGB; False: BGR
    out : an array of the picture's shape to write to, on its own device, which then stands for ctx
    ctx : where the picture goes; None: the current context

    Returns
    -------
    uint8 (height, width, 3), or (height, width, 1) with flag 0

    Raises
    ------
    ArgumentError : flag is neither; or out has another shape or dtype.
    ValueError : buf is not made of bytes.
    DecodeError : it is empty, or not an image.
    ContextError : the device is not there; or it is a GPU, and nvImageCodec is missing.
    """
    if flag not in (0, 1):
        raise ArgumentError(f"flag must be 1 (colour) or 0 (gray), not {flag!r}")
    data = _encoded(buf)
    if out is None:
        return _decode(data, 3 if flag else 1, not to_rgb, as_context(ctx))
    picture = _decode(data, 3 if flag else 1, not to_rgb, out.context)
    if out.shape != picture.shape or out.dtype != np.uint8:
        raise ArgumentError(
            f"out must be uint8 {picture.shape}, as the picture, not {out.dtype} {out.shape}"
        )
    _write(out, picture)
    return out


def _decode(data: Any, channels: int, bgr: bool, ctx: Context) -> NDArray:
    """A picture on a device, uint8 (height, width, channels); see `imdecode`."""
    from gpuio.decoding import nvimagecodec
    from gpuio.decoding.header import probe
    from gpuio.decoding.host import decode

    try:
        info = probe(data).as_stored()
        if ctx.device_type == "gpu":
            require(ctx)
            pixels = nvimagecodec.decode(data, channels, ctx, bgr=bgr)
            if pixels is not None:
                return nd.wrap(pixels)
        picture = decode(data, info, channels)
    except DecodeError as error:
        raise DecodeError(f"Decoding failed. Invalid image file: {error}") from error
    # A copy: JPEG's pixels are in a buffer that the next decoding writes to.
    picture = np.array(picture[:, :, ::-1] if bgr else picture, order="C")
    return nd.wrap(picture).as_in_context(ctx)


def _write(out: NDArray, picture: NDArray) -> None:
    """Copy to an array of the same shape on the same device, on that device's current stream."""
    if out.context.device_type == "cpu":
        out[...] = picture
        return
    import cupy

    with cupy.cuda.Device(out.context.device_id):
        out[...] = picture


def imread(
    filename: str | os.PathLike[str],
    flag: int = 1,
    to_rgb: bool | int = True,
    *,
    ctx: Context | str | None = None,
) -> NDArray:
    """Read and decode an image file, as `imdecode` does.

    Raises
    ------
    RecordFileNotFoundError : there is no such file.
    DecodeError : it is empty, or not an image; the text has its name.
    """
    path = os.fspath(filename)
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError as error:
        raise RecordFileNotFoundError(f"{path}: couldn't open file: No such file") from error
    try:
        return imdecode(data, flag, to_rgb, ctx=ctx)
    except DecodeError as error:
        raise DecodeError(f"{path}: {error}") from error


def imencode(img: Any, quality: int = 95, img_fmt: str = ".jpg") -> bytes:
    """Encode a picture.

    Parameters
    ----------
    img : uint8 (height, width, 3) RGB, or (height, width, 1) or (height, width) gray
    quality : of a JPEG, 1 to 100; of a PNG, compression, 0 to 9
    img_fmt : the file's ending, such as ".jpg" or ".png"

    Raises
    ------
    ArgumentError : it cannot be encoded so.
    """
    from gpuio.recordio.header import encode

    pixels = host(img)
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3):
        raise ArgumentError(
            f"a picture to be encoded is uint8 with 2 or 3 axes, not {pixels.dtype} {pixels.shape}"
        )
    if pixels.ndim == 3 and pixels.shape[2] >= 3:
        pixels = pixels[:, :, [2, 1, 0, *range(3, pixels.shape[2])]]
    return encode(np.ascontiguousarray(pixels), quality, img_fmt).tobytes()


def _encoded(buf: Encoded) -> Any:
    """An image file's content: uint8 (bytes,), on the host."""
    if isinstance(buf, (bytes, bytearray, memoryview)):
        data = np.frombuffer(buf, np.uint8)
    elif hasattr(buf, "dtype") and buf.dtype == np.uint8:
        data = np.ascontiguousarray(host(buf)).reshape(-1)
    else:
        given = f"{buf.dtype} array" if hasattr(buf, "dtype") else type(buf).__name__
        raise ValueError(
            "buf must be of type bytes, bytearray, memoryview, or a uint8 array, not a " + given
        )
    if not data.size:
        raise DecodeError("Input cannot be an empty buffer")
    return data
