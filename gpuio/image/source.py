"""Decoded images of an ImageSource, one by one."""

from __future__ import annotations

from gpuio.context import cpu
from gpuio.decoding.limits import call_with_max_pixels, resolve_max_pixels
from gpuio.errors import DecodeError, RecordError
from gpuio.image.codec import imdecode
from gpuio.loading.source import ImageSource
from gpuio.nd import NDArray
from gpuio.planning.planner import Label


def read_image(
    source: ImageSource, index: int, flag: int, max_pixels: int | None = None
) -> tuple[NDArray, Label]:
    """Read and decode an image, as `imdecode` does, on the host. Thread-safe.

    Parameters
    ----------
    source : record files, or image files
    index : of the image's record
    flag : 1 color, 0 gray
    max_pixels : the most pixels of an image; None: see `resolve_max_pixels`

    Returns
    -------
    image : uint8 (height, width, 3), or (height, width, 1)
    label : a number, or float32 (n,), as in the record

    Raises
    ------
    RecordError, DecodeError : the record is damaged, not an image or too large; the message has its
        location.
    """
    try:
        encoded = source.read(index)

        def decode() -> NDArray:
            return imdecode(encoded.data, flag, ctx=cpu())

        return call_with_max_pixels(resolve_max_pixels(max_pixels), decode), encoded.label
    except (RecordError, DecodeError) as error:
        raise type(error)(f"{source.location(index)}: {error}") from error
