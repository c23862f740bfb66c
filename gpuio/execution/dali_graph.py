"""The DALI graph that decodes images and resamples windows, and the arrays it is fed.

One function builds the graph for either kind of device. On a GPU the mixed decoder and the resize
run there; with no GPU the same graph is built of CPU operators, which is how it is tested.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from gpuio.errors import ContextError
from gpuio.execution.output import OutputSpec
from gpuio.loading.batch import ImageBatch
from gpuio.nd.types import HostArray
from gpuio.planning.plan import AREA, CUBIC, LANCZOS, LINEAR, NEAREST, Ints, Plan
from gpuio.planning.planner import AffineFill

# Pixels on each side of a window that its interpolation reads, in pixels of the coarser grid.
SUPPORT = {NEAREST: 1, LINEAR: 1, CUBIC: 2, AREA: 1, LANCZOS: 4}

# Pixels on each side of what affine maps show that bilinear interpolation may read.
WARP_MARGIN = 2

# What lies within half a pixel of a region's limit is the edge's color, and so is all beyond.
EDGE = 0.5

# DALI's nearest neighbor takes the source pixel at the output pixel's center, OpenCV's (and
# MXNet's) the one at its corner. Half an output pixel less, and a little more against rounding,
# turns the one into the other.
CORNER, EPSILON = 0.5, 1e-3

JPEG_START = (0xFF, 0xD8)
JPEG_END = np.array([0xFF, 0xD9], np.uint8)

# Replaces a bad record in the graph: one black pixel. Four channels are decoded as stored.
BLANK = np.frombuffer(simplejpeg.encode_jpeg(np.zeros((1, 1, 3), np.uint8)), np.uint8)
BLANK_RGBA = np.asarray(cv2.imencode(".png", np.zeros((1, 1, 4), np.uint8))[1], np.uint8)

INSTALL = "pip install 'gpuio[dali]' (or 'gpuio[cuda12]', 'gpuio[cuda13]' with a GPU)"


class Feed(NamedTuple):
    """A batch as the graph takes it.

    Attributes
    ----------
    encoded : B uint8 arrays, views of the record files unless a JPEG has to be completed; a single
        black pixel replaces a bad record
    anchor, shape : int32 (B, 2), rows and columns: the region to decode
    start, end : float32 (B, 2), rows and columns in that region: the window to resample
    method : int32 (B,), DALI's interpolation
    visible : float32 (B, 2), rows and columns of the output that show the image
    offset : int32 (B, 2), rows and columns from where these begin to where the output does;
        `visible` and `offset` are None unless plans may have borders
    matrix : float32 (B, 2, 3), affine maps from (column, row) of the output to those in the region,
        counted from corners, not centers, of pixels; the only field after `shape` that is not None
        if plans have affine maps, and None if not
    """

    encoded: list[NDArray[np.uint8]]
    anchor: NDArray[np.int32]
    shape: NDArray[np.int32]
    start: NDArray[np.float32] | None = None
    end: NDArray[np.float32] | None = None
    method: NDArray[np.int32] | None = None
    visible: NDArray[np.float32] | None = None
    offset: NDArray[np.int32] | None = None
    matrix: NDArray[np.float32] | None = None

    def arrays(self) -> list[Any]:
        """The inputs of the graph, in their order.

        The images are DALI tensors, sharing memory: DALI makes these of arrays in any case, after
        trying what else they could be.
        """
        from nvidia.dali.tensors import TensorCPU

        encoded = [TensorCPU(image) for image in self.encoded]
        return [encoded, *(each for each in self[1:] if each is not None)]

    def take(self, rows: list[int]) -> Feed:
        """The feed of some of the samples."""
        encoded = [self.encoded[row] for row in rows]
        return Feed._make([encoded, *(None if each is None else each[rows] for each in self[1:])])


def blank_feed(channels: int, borders: bool, affine: bool) -> Feed:
    """A feed of one black pixel, for a graph that was built with these arguments.

    Parameters
    ----------
    channels : of the output
    borders : images may fill only a part of the output
    affine : plans have affine maps
    """
    origin, pixel = np.zeros((1, 2), np.int32), np.ones((1, 2), np.int32)
    feed = Feed(encoded=[BLANK_RGBA if channels == 4 else BLANK], anchor=origin, shape=pixel)
    if affine:
        return feed._replace(matrix=np.eye(2, 3, dtype=np.float32)[None])
    feed = feed._replace(
        start=origin.astype(np.float32),
        end=pixel.astype(np.float32),
        method=np.array([interpolation_types()[LINEAR]], np.int32),
    )
    if borders:
        return feed._replace(visible=pixel.astype(np.float32), offset=origin)
    return feed


def interpolation_types() -> dict[int, int]:
    """DALI's closest interpolation for each of MXNet's."""
    from nvidia.dali import types

    names = {
        NEAREST: types.INTERP_NN,
        LINEAR: types.INTERP_LINEAR,
        CUBIC: types.INTERP_CUBIC,
        AREA: types.INTERP_TRIANGULAR,
        LANCZOS: types.INTERP_LANCZOS3,
    }
    return {method: int(name) for method, name in names.items()}


def build_graph(
    source: Callable[[], list[Any]],
    output: OutputSpec,
    batch_size: int,
    *,
    device_id: int | None,
    threads: int,
    depth: int,
    antialias: bool,
    hw_decoder_load: float,
    apply_orientation: bool,
    borders: bool,
    affine: AffineFill | None,
) -> Any:
    """Build the graph: encoded bytes and windows or affine maps in, uint8 samples of one size out.

    Parameters
    ----------
    source : called for each batch, gives its number for each sample, int64 (B,), and the arrays of
        its `Feed`; the number comes first, as DALI takes one input after another
    device_id : the GPU, or None for CPU operators
    threads : DALI's CPU threads
    depth : batches in flight
    hw_decoder_load : fraction of the images offered to the GPU's JPEG engines, 0 to 1
    apply_orientation : rotate images as their EXIF orientation says
    borders : images may fill only a part of the output; the rest is painted later
    affine : plans have affine maps; None: they have windows

    Returns
    -------
    A built DALI pipeline with two outputs: uint8 (B, height, width, channels), on the device, and
    the batch's number, int64 (B,), on the host

    Raises
    ------
    ContextError : DALI is not installed, or lacks the executor that never overwrites held outputs.
    """
    try:
        from nvidia.dali import Pipeline, fn, types
    except ImportError as error:
        raise ContextError(f"NVIDIA DALI is missing; install it with {INSTALL}") from error

    color_types = {1: types.GRAY, 3: types.RGB, 4: types.ANY_DATA}
    pipe = Pipeline(
        batch_size=batch_size,
        num_threads=threads,
        device_id=device_id,
        prefetch_queue_depth=depth,
        exec_dynamic=True,
    )
    tuning: dict[str, Any] = {} if device_id is None else {"hw_decoder_load": hw_decoder_load}
    with pipe:
        inputs = _inputs(borders, affine is not None)
        fed = fn.external_source(
            source=source,
            num_outputs=len(inputs) + 1,
            batch=True,
            no_copy=True,
            ndim=[0, *(axes for axes, _ in inputs.values())],
            dtype=[types.INT64, *(dtype for _, dtype in inputs.values())],
        )
        number, *fields = fed
        feed = Feed(**dict(zip(inputs, fields, strict=True)))
        pixels = fn.decoders.image_slice(
            feed.encoded,
            feed.anchor,
            feed.shape,
            axes=[0, 1],
            device="cpu" if device_id is None else "mixed",
            output_type=color_types[output.channels],
            adjust_orientation=apply_orientation,
            jpeg_fancy_upsampling=True,  # the GPU's default is off, and its pixels then differ
            **tuning,
        )
        size = output.height, output.width
        if affine is not None:
            samples = _warp(pixels, feed.matrix, size, affine, output.channels)
        else:
            samples = _resize(pixels, feed, size, antialias)
        pipe.set_outputs(samples, number)
    pipe.build()
    if not pipe.exec_dynamic:
        raise ContextError("this DALI overwrites batches that are held; install DALI 1.50 or later")
    return pipe


def _inputs(borders: bool, affine: bool) -> dict[str, tuple[int, Any]]:
    """Number of axes and dtype of the fields of a `Feed` that the graph takes, in their order."""
    from nvidia.dali import types

    inputs = {"encoded": (1, types.UINT8), "anchor": (1, types.INT32), "shape": (1, types.INT32)}
    if affine:
        return inputs | {"matrix": (2, types.FLOAT)}
    inputs |= {"start": (1, types.FLOAT), "end": (1, types.FLOAT), "method": (0, types.INT32)}
    if borders:
        inputs |= {"visible": (1, types.FLOAT), "offset": (1, types.INT32)}
    return inputs


def _resize(pixels: Any, feed: Any, size: tuple[int, int], antialias: bool) -> Any:
    """Resample windows; where images may have borders, these are black.

    Parameters
    ----------
    feed : a `Feed` of the graph's inputs
    size : rows and columns of the output
    """
    from nvidia.dali import fn, types

    samples = fn.resize(
        pixels,
        roi_start=feed.start,
        roi_end=feed.end,
        size=size if feed.visible is None else feed.visible,
        antialias=antialias,
        interp_type=fn.cast(feed.method, dtype=types.INTERP_TYPE),
    )
    if feed.visible is None:
        return samples
    return fn.slice(samples, start=feed.offset, shape=size, axes=[0, 1], out_of_bounds_policy="pad")


def _warp(
    pixels: Any, matrix: Any, size: tuple[int, int], affine: AffineFill, channels: int
) -> Any:
    """Resample images by affine maps; DALI fills all channels with one value."""
    from nvidia.dali import fn, types

    def warp(part: Any, fill: int) -> Any:
        return fn.warp_affine(
            part,
            matrix=matrix,
            size=size,
            fill_value=float(fill),
            interp_type=types.INTERP_NN if affine.nearest else types.INTERP_LINEAR,
        )

    if len(set(affine.fill)) == 1:
        return warp(pixels, affine.fill[0])
    parts = [
        warp(fn.slice(pixels, start=[channel], shape=[1], axes=[2]), affine.fill[channel])
        for channel in range(channels)
    ]
    return fn.cat(*parts, axis=2)


def make_feed(
    batch: ImageBatch,
    size: tuple[int, int],
    channels: int,
    types: dict[int, int],
    borders: bool,
) -> Feed:
    """Convert a planned batch to what the graph takes.

    Parameters
    ----------
    size : width and height of the output in pixels
    channels : of the output
    types : see `interpolation_types`
    borders : whether the graph was built for borders
    """
    plan = batch.plan
    assert plan is not None, "the batch has been planned"
    blank = BLANK_RGBA if channels == 4 else BLANK
    encoded = [blank if each is None else _with_end(each.data) for each in batch.encoded]
    for row in batch.errors:
        encoded[row] = blank
    bad = list(batch.errors)
    if plan.affine is not None:
        return _affine_feed(encoded, plan, plan.affine.matrix, size, bad)
    return _window_feed(encoded, plan, size, types, borders, bad)


def _window_feed(
    encoded: list[NDArray[np.uint8]],
    plan: Plan,
    size: tuple[int, int],
    types: dict[int, int],
    borders: bool,
    bad: list[int],
) -> Feed:
    """A feed of windows; only the pixels that they read are decoded."""
    # DALI reads outside its memory for windows far outside an image: it gets the visible part, or
    # if there is none, the image's first pixel, which is painted over.
    visible = plan.visible(size)
    hidden = (visible[:, 2:] <= visible[:, :2]).any(1)
    visible[hidden] = 0, 0, 1, 1
    shown = visible[:, 2:] - visible[:, :2]
    pixel = plan.window[:, 2:] / size
    window = np.concatenate([plan.window[:, :2] + visible[:, :2] * pixel, shown * pixel], axis=1)
    window[hidden, :2], window[hidden, 2:] = plan.bounds[hidden, :2], 1
    region = _region(plan, window, shown)
    region[bad], window[bad] = (0, 0, 1, 1), (0, 0, 1, 1)
    start = window[:, 1::-1] - region[:, 1::-1]
    extent = window[:, :1:-1]
    corner = np.where(plan.method == NEAREST, CORNER, 0)[:, None] * extent / shown[:, ::-1]
    shift = EPSILON * (corner > 0) - corner
    if plan.resample_flipped is not None:
        shift[plan.resample_flipped, 1] *= -1
    start = start + shift
    end = start + extent
    shape = region[:, :1:-1] - region[:, 1::-1]
    # Beyond the region its edge repeats; DALI reads outside its memory if nothing overlaps.
    before, after = end < EDGE, start > shape - EDGE
    start, end = (
        np.where(before, edge, np.where(after, shape - 1 + edge, value))
        for edge, value in ((0, start), (1, end))
    )
    nearest = (plan.method == NEAREST)[:, None]
    inside = _nearest_inside(start, end, shape, shown[:, ::-1])
    start, end = (
        np.where(nearest, new, old) for new, old in zip(inside, (start, end), strict=True)
    )
    feed = Feed(
        encoded=encoded,
        anchor=region[:, 1::-1].astype(np.int32),
        shape=shape.astype(np.int32),
        start=start.astype(np.float32),
        end=end.astype(np.float32),
        method=np.array([types[method] for method in plan.method.tolist()], np.int32),
    )
    if not borders:
        return feed
    return feed._replace(
        visible=shown[:, ::-1].astype(np.float32),
        offset=-visible[:, 1::-1].astype(np.int32),
    )


def _nearest_inside(
    start: HostArray, end: HostArray, shape: Ints, size: Ints
) -> tuple[HostArray, HostArray]:
    """Windows of which all pixels that nearest neighbor takes lie inside the region: beyond it DALI
    corrupts memory. Windows that are inside stay as they are, others are squeezed.

    Parameters
    ----------
    start, end, shape, size : (B, 2), rows and columns: windows, regions, and numbers of pixels that
        are taken, evenly and each from the middle of its part of the window
    """
    half = (end - start) / size / 2
    margin = EPSILON + shape * 2.0**-20  # for float32
    first, last = start + half, end - half
    low, high = (each.clip(margin, shape - margin) for each in (first, last))
    moved, single = (low != first) | (high != last), size == 1
    # Where all were beyond the same edge, they are spread within its pixel.
    beyond = (low == high) & ~single
    high = np.where(beyond & (low < 0.5), low + 0.5, high)
    low = np.where(beyond & (low == high), high - 0.5, low)
    half = np.where(single, half, (high - low) / np.maximum(size - 1, 1) / 2)
    return np.where(moved, low - half, start), np.where(moved, high + half, end)


def _affine_feed(
    encoded: list[NDArray[np.uint8]],
    plan: Plan,
    matrix: NDArray[np.float64],
    size: tuple[int, int],
    bad: list[int],
) -> Feed:
    """A feed of affine maps, (B, 2, 3); only the pixels that they read are decoded."""
    corners = np.array([(x, y, 1) for x in (0, size[0] - 1) for y in (0, size[1] - 1)])
    ends = matrix @ corners.T
    first, last = plan.bounds[:, :2], plan.bounds[:, 2:]
    # Beyond the image everything is filled: one pixel of it is decoded where none is seen.
    low = np.clip(np.floor(ends.min(2)) - WARP_MARGIN, first, last - 1).astype(np.int64)
    high = np.clip(np.ceil(ends.max(2)) + WARP_MARGIN + 1, low + 1, last).astype(np.int64)
    low[bad], high[bad] = 0, 1
    to_region = matrix.copy()
    to_region[:, :, 2] += 0.5 - matrix[:, :, :2].sum(2) / 2 - low
    return Feed(
        encoded=encoded,
        anchor=low[:, ::-1].astype(np.int32),
        shape=(high - low)[:, ::-1].astype(np.int32),
        matrix=to_region.astype(np.float32),
    )


def _region(plan: Plan, window: NDArray[np.float64], size: Ints) -> Ints:
    """The pixels within the bounds that resampling windows, (N, 4), to sizes, (N, 2), reads:
    int64 (N, 4), x0, y0, x1, y1.
    """
    support = np.array([SUPPORT[method] for method in plan.method.tolist()])[:, None]
    margin = support * np.maximum(window[:, 2:] / size, 1) + 1
    first, last = plan.bounds[:, :2], plan.bounds[:, 2:]
    low = np.floor(window[:, :2] - margin).clip(first, last - 1)
    high = np.ceil(window[:, :2] + window[:, 2:] + margin).clip(low + 1, last)
    return np.concatenate([low, high], axis=1).astype(np.int64)


def _with_end(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image, with the end marker that DALI requires if it is a truncated JPEG."""
    jpeg = image[0] == JPEG_START[0] and image[1] == JPEG_START[1]
    if jpeg and (image[-2] != JPEG_END[0] or image[-1] != JPEG_END[1]):
        return np.concatenate([image, JPEG_END])
    return image
