"""Decoding of JPEGs by nvImageCodec: on a GPU by its JPEG engines or by nvJPEG.

For a CPU context, nvImageCodec's CPU backend is used, which allows testing without a GPU.

Only JPEGs whose pixels agree with the host decoder's, up to rounding, are decoded here. Little is
lost: nvImageCodec itself decodes PNG, WebP and BMP on the CPU.
"""

from __future__ import annotations

import functools
import logging
import struct
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gpuio.context import GPU_INSTALL_HINT, Context, on_device, require_cupy
from gpuio.decoding.header import SOF, segments
from gpuio.errors import ContextError, DecodeError, DeviceError
from gpuio.nd.placement import wait_for

if TYPE_CHECKING:
    from gpuio.nd.types import Array

log = logging.getLogger("gpuio")

# JPEG markers (ITU-T T.81, table B.1): baseline, extended and progressive, all with Huffman codes.
HUFFMAN = frozenset({0xC0, 0xC1, 0xC2})
APP14 = 0xEE
END = b"\xff\xd9"

# Sampling factors, horizontal and vertical, 4 bits each: gray, 4:4:4, 4:2:2, 4:2:0, 4:4:0. For
# these libjpeg interpolates chroma; for others it replicates it, which nvJPEG may not do.
SAMPLINGS = (b"\x11", b"\x11\x11\x11", b"\x21\x11\x11", b"\x22\x11\x11", b"\x12\x11\x11")

# NVIMGCODEC_DEVICE_CPU_ONLY in nvimgcodec.h, missing in the Python module.
NO_DEVICE = -99999

# As in libjpeg; nvImageCodec's default differs between releases.
OPTIONS = ":fancy_upsampling=1"

# GPU memory that decoding may take, at most: pixels, planes of YCbCr, coefficients.
BYTES_PER_PIXEL = 16

# A decoder is not thread-safe, so each thread has its own for each device.
_thread = threading.local()


def decode(
    images: Sequence[NDArray[np.uint8]], channels: int, ctx: Context, *, bgr: bool = False
) -> list[Array | None]:
    """Decode JPEGs as stored, ignoring their EXIF orientation, all in one batch.

    Parameters
    ----------
    images : uint8 (bytes,) each, the image files' content, on the host, accepted by `read_header`
    channels : 1 gray, 3 color
    ctx : the device to decode on, which must be available
    bgr : whether the channels are in BGR order

    Returns
    -------
    For each, uint8 (height, width, channels) on ctx: a new numpy.ndarray, or cupy.ndarray in CuPy's
    own memory. CuPy's current stream has been synchronized. None: not a JPEG that is decoded here,
    or nvImageCodec refused it

    Raises
    ------
    ContextError : nvImageCodec is not installed, or does not work on the device.
    DeviceError : nvImageCodec or CUDA failed, or the GPU's memory is too short for the images that
        were refused: nvImageCodec does not say why it refuses one.
    """
    places = [place for place, data in enumerate(images) if decodable(data)]
    found: list[Array | None] = [None] * len(images)
    if not places:
        return found
    codec = _nvimgcodec()
    color = codec.ColorSpec.GRAY if channels == 1 else codec.ColorSpec.SRGB
    options = {"params": codec.DecodeParams(apply_exif_orientation=False, color_spec=color)}
    with on_device(ctx):
        decoder = _decoder(ctx, parallel=len(places) > 1)
        if ctx.device_type == "gpu":
            options["cuda_stream"] = require_cupy().cuda.get_current_stream().ptr
        streams = [codec.CodeStream(images[place]) for place in places]
        try:
            decoded = decoder.decode(streams, **options)
            refused = [
                stream for stream, image in zip(streams, decoded, strict=True) if image is None
            ]
            if refused:
                _check_memory(ctx, refused)
                warn_refused_once(ctx)
            for place, image in zip(places, decoded, strict=True):
                found[place] = None if image is None else _copy(ctx, image, bgr)
            # nvImageCodec may free its memory on another stream, so the copies must be complete.
            wait_for(ctx)
        except (RuntimeError, MemoryError) as error:  # CUDA's and CuPy's, too
            raise DeviceError(f"decoding on {ctx} failed: {error}") from error
    return found


def _check_memory(ctx: Context, refused: Sequence[Any]) -> None:
    """Raise a RuntimeError if images may have been refused because of the GPU, not of themselves.

    Parameters
    ----------
    refused : CodeStreams
    """
    if ctx.device_type == "cpu":
        return
    wait_for(ctx)  # raises CUDA's error, if there is one
    needed = sum(BYTES_PER_PIXEL * each.height * each.width for each in refused)
    free, _ = require_cupy().cuda.runtime.memGetInfo()
    if free < needed:
        raise RuntimeError(
            f"nvImageCodec refused {len(refused)} images, and may need {needed >> 20} MiB for "
            f"them, while {free >> 20} MiB are free; {ctx}.empty_cache() frees what CuPy keeps"
        )


def decodable(data: NDArray[np.uint8]) -> bool:
    """Whether this is a JPEG that libjpeg and nvJPEG decode alike.

    It is not truncated; it has 8 bits, Huffman codes and a common sampling; and it is gray or
    YCbCr. nvImageCodec takes any three components for YCbCr, while libjpeg
    (default_decompress_parms in jdapimin.c) recognizes RGB by Adobe's marker and by the names of
    the components.
    """
    view = data.data
    if bytes(view[:2]) != b"\xff\xd8" or bytes(view[-2:]) != END:
        return False
    common = ycc = False
    try:
        for marker, content in segments(view):
            if marker in SOF:
                segment = bytes(content)
                components = segment[6:]
                sampling, names = components[1::3], components[0::3]
                common = marker in HUFFMAN and segment[0] == 8 and sampling in SAMPLINGS
                ycc = names != b"RGB"
            elif marker == APP14 and bytes(content[:5]) == b"Adobe" and content[11] == 0:
                return False
    except (DecodeError, struct.error, IndexError):
        return False
    return common and ycc


@functools.cache
def warn_refused_once(ctx: Context) -> None:
    """Log, once per device, that valid JPEGs are refused and decoded on the CPU instead."""
    log.warning(
        "nvImageCodec refused a JPEG on %s that seems valid; such JPEGs are decoded on the CPU, "
        "which is slower",
        ctx,
    )


def _nvimgcodec() -> Any:
    """Import nvImageCodec."""
    try:
        from nvidia import nvimgcodec
    except ImportError as error:
        raise ContextError(
            f"decoding JPEGs on a GPU needs nvImageCodec, which cannot be imported ({error}); "
            f"{GPU_INSTALL_HINT}"
        ) from error
    return nvimgcodec


def _decoder(ctx: Context, parallel: bool) -> Any:
    """The calling thread's decoder for a device, with threads of its own if `parallel`."""
    decoders: dict[tuple[Context, bool], Any] = _thread.__dict__.setdefault("decoders", {})
    if (ctx, parallel) not in decoders:
        codec = _nvimgcodec()
        kinds = codec.BackendKind
        number, wanted = ctx.device_id, [kinds.HW_GPU_ONLY, kinds.GPU_ONLY, kinds.HYBRID_CPU_GPU]
        if ctx.device_type == "cpu":
            number, wanted = NO_DEVICE, [kinds.CPU_ONLY]
        try:
            decoders[ctx, parallel] = codec.Decoder(
                device_id=number,
                max_num_cpu_threads=0 if parallel else 1,  # 0: as many as suit the CPUs
                backends=[codec.Backend(kind) for kind in wanted],
                options=OPTIONS,
            )
        except RuntimeError as error:
            raise ContextError(f"nvImageCodec does not work on {ctx}: {error}") from error
    return decoders[ctx, parallel]


def _copy(ctx: Context, image: Any, bgr: bool) -> Array:
    """Copy nvImageCodec's pixels to a new C-contiguous array of NumPy or CuPy."""
    xp: Any = np if ctx.device_type == "cpu" else require_cupy()
    pixels = xp.asarray(image)
    copied: Array = xp.array(pixels[:, :, ::-1] if bgr else pixels, order="C")
    return copied
