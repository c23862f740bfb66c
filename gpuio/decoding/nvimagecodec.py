"""JPEGs decoded by nvImageCodec, one at a time: on a GPU by its JPEG engines or by nvJPEG.

On a CPU its own CPU backend decodes, which is how this is tested with no GPU.

Only JPEGs whose pixels are those of the host's decoder, but for rounding, are decoded here. Of what
is left out, GPUs decode hardly anything: nvImageCodec decodes PNG, WebP and BMP on the CPU too.
"""

from __future__ import annotations

import functools
import logging
import struct
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuio.context import Context
from gpuio.decoding.header import SOF, segments
from gpuio.errors import ContextError, DecodeError
from gpuio.execution.kernels import INSTALL, require_cupy

log = logging.getLogger("gpuio")

# JPEG markers (ITU-T T.81, table B.1): baseline, extended and progressive, all with Huffman codes.
HUFFMAN = frozenset({0xC0, 0xC1, 0xC2})
APP14 = 0xEE
END = b"\xff\xd9"

# Sampling factors, horizontal and vertical, 4 bits each: gray, 4:4:4, 4:2:2, 4:2:0, 4:4:0. For
# these libjpeg interpolates chroma; for others it repeats it, which nvJPEG may not.
SAMPLINGS = (b"\x11", b"\x11\x11\x11", b"\x21\x11\x11", b"\x22\x11\x11", b"\x12\x11\x11")

# nvimgcodec.h's NVIMGCODEC_DEVICE_CPU_ONLY, which its Python module has no name for.
NO_DEVICE = -99999

# As libjpeg does; nvImageCodec's default has been either, from release to release.
OPTIONS = ":fancy_upsampling=1"

# A decoder works for one thread at a time, so each thread has its own for each device.
_kept = threading.local()


def decode(
    data: NDArray[np.uint8], channels: int, ctx: Context, *, bgr: bool = False
) -> Any | None:
    """Decode a JPEG as it is stored, whatever EXIF says of its orientation.

    Parameters
    ----------
    data : uint8 (bytes,), the image file's content, on the host, whose header `probe` has read
    channels : 1 gray, 3 colour
    ctx : the device to decode on, which is there
    bgr : the order of colours

    Returns
    -------
    uint8 (height, width, channels) on ctx: a new numpy.ndarray or cupy.ndarray in CuPy's own
    memory, complete. CuPy's current stream has been waited for. None: not a JPEG that is decoded
    here, or nvImageCodec refuses it.

    Raises
    ------
    ContextError : nvImageCodec is missing, or does not work on the device.
    """
    if not decodable(data):
        return None
    codec = _nvimgcodec()
    colour = codec.ColorSpec.GRAY if channels == 1 else codec.ColorSpec.SRGB
    params = codec.DecodeParams(apply_exif_orientation=False, color_spec=colour)
    if ctx.device_type == "cpu":
        picture = _decoder(ctx).decode(codec.CodeStream(data), params=params)
        if picture is None:
            tell_of_refusal(ctx)
            return None
        return _copied(np, np.asarray(picture), bgr)
    cupy = require_cupy()
    with cupy.cuda.Device(ctx.device_id):
        stream = cupy.cuda.get_current_stream()
        picture = _decoder(ctx).decode(
            codec.CodeStream(data), params=params, cuda_stream=stream.ptr
        )
        if picture is None:
            tell_of_refusal(ctx)
            return None
        made = _copied(cupy, cupy.asarray(picture), bgr)
        # nvImageCodec's memory must not be given back before it has been copied, on whichever
        # stream it does that.
        stream.synchronize()
    return made


def decodable(data: NDArray[np.uint8]) -> bool:
    """Whether a file is a JPEG that libjpeg and nvJPEG decode alike.

    It is not cut off; it has 8 bits, Huffman codes and a usual sampling; and it is gray or YCbCr,
    which nvImageCodec takes any three components for, where libjpeg (default_decompress_parms in
    jdapimin.c) knows RGB by Adobe's marker and by the components' names.
    """
    view = data.data
    if bytes(view[:2]) != b"\xff\xd8" or bytes(view[-2:]) != END:
        return False
    usual = ycc = False
    try:
        for marker, held in segments(view):
            if marker in SOF:
                segment = bytes(held)
                components = segment[6:]
                sampling, names = components[1::3], components[0::3]
                usual = marker in HUFFMAN and segment[0] == 8 and sampling in SAMPLINGS
                ycc = names != b"RGB"
            elif marker == APP14 and bytes(held[:5]) == b"Adobe" and held[11] == 0:
                return False
    except (DecodeError, struct.error, IndexError):
        return False
    return usual and ycc


@functools.cache
def tell_of_refusal(ctx: Context) -> None:
    """Log, once for a device, that not all JPEGs that look sound are decoded there."""
    log.warning(
        "nvImageCodec refused a JPEG on %s that looks sound; such JPEGs are decoded on the CPU, "
        "more slowly",
        ctx,
    )


def _nvimgcodec() -> Any:
    try:
        from nvidia import nvimgcodec
    except ImportError as error:
        raise ContextError(
            f"decoding JPEGs on a GPU needs nvImageCodec, which cannot be imported ({error}); "
            f"{INSTALL}"
        ) from error
    return nvimgcodec


def _decoder(ctx: Context) -> Any:
    """The calling thread's decoder for a device; on a GPU, the current one."""
    decoders: dict[Context, Any] = _kept.__dict__.setdefault("decoders", {})
    if ctx not in decoders:
        codec = _nvimgcodec()
        kinds = codec.BackendKind
        number, wanted = ctx.device_id, [kinds.HW_GPU_ONLY, kinds.GPU_ONLY, kinds.HYBRID_CPU_GPU]
        if ctx.device_type == "cpu":
            number, wanted = NO_DEVICE, [kinds.CPU_ONLY]
        try:
            decoders[ctx] = codec.Decoder(
                device_id=number,
                max_num_cpu_threads=1,
                backends=[codec.Backend(kind) for kind in wanted],
                options=OPTIONS,
            )
        except RuntimeError as error:
            raise ContextError(f"nvImageCodec does not work on {ctx}: {error}") from error
    return decoders[ctx]


def _copied(xp: Any, pixels: Any, bgr: bool) -> Any:
    return xp.array(pixels[:, :, ::-1] if bgr else pixels, order="C")
