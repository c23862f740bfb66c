"""The DALI graph that decodes images and resamples windows, and the arrays it is fed.

One function builds the graph for either kind of device. On a GPU the mixed decoder and the resize
run there; with no GPU the same graph is built of CPU operators, which is how it is tested.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from gpuio.decoding.structure import REASONS, Structure
from gpuio.errors import ContextError
from gpuio.execution.dali_windows import affine_arrays, window_arrays
from gpuio.execution.output import OutputSpec
from gpuio.loading.batch import ImageBatch
from gpuio.planning.plan import AREA, CUBIC, LANCZOS, LINEAR, NEAREST
from gpuio.planning.planner import AffineFill

JPEG_END = np.array([0xFF, 0xD9], np.uint8)

# Replaces a bad record in the graph: one black pixel. Four channels are decoded as stored.
BLANK = np.frombuffer(simplejpeg.encode_jpeg(np.zeros((1, 1, 3), np.uint8)), np.uint8)
BLANK_RGBA = np.asarray(cv2.imencode(".png", np.zeros((1, 1, 4), np.uint8))[1], np.uint8)

INSTALL = "pip install 'gpuio[dali]' (or 'gpuio[cuda12]', 'gpuio[cuda13]' with a GPU)"


class Feed(NamedTuple):
    """A batch as the graph takes it.

    Attributes
    ----------
    encoded : B uint8 arrays, the contents of image files; a single black pixel replaces what is not
        decoded in the graph
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


def _missing() -> ContextError:
    """What to do without DALI."""
    return ContextError(f"NVIDIA DALI is missing; install it with {INSTALL}")


def interpolation_types() -> dict[int, int]:
    """DALI's closest interpolation for each of MXNet's.

    Raises
    ------
    ContextError : DALI is not installed.
    """
    try:
        from nvidia.dali import types
    except ImportError as error:
        raise _missing() from error

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
        raise _missing() from error

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


def host_rows(batch: ImageBatch, channels: int) -> list[int]:
    """Rows without error whose images DALI must not be given, ascending: they are decoded on the
    host.

    Parameters
    ----------
    batch : read with ``strict=True``
    channels : of the output; 4 are decoded as stored, but gray JPEGs then corrupt DALI's memory
    """
    assert batch.structures is not None, "the batch has been checked"
    rows = set(np.flatnonzero(batch.structures > Structure.UNTERMINATED).tolist())
    if channels == 4:
        rows |= {
            row
            for row, header in enumerate(batch.headers)
            if header is not None and header.channels != 4
        }
    return sorted(rows - batch.errors.keys())


def host_reason(batch: ImageBatch, row: int) -> str:
    """Why an image of `host_rows` is decoded on the host."""
    assert batch.structures is not None, "the batch has been checked"
    return REASONS.get(Structure(batch.structures[row]), "it is not stored as RGBA")


def make_feed(
    batch: ImageBatch,
    size: tuple[int, int],
    channels: int,
    types: dict[int, int],
    borders: bool,
    left_out: Iterable[int] = (),
) -> Feed:
    """Convert a planned batch to what the graph takes.

    A single black pixel replaces the images of rows with errors, of `host_rows`, and of `left_out`.

    Parameters
    ----------
    batch : read with ``strict=True``
    size : width and height of the output in pixels
    channels : of the output
    types : see `interpolation_types`
    borders : whether the graph was built for borders
    left_out : further rows
    """
    plan = batch.plan
    assert plan is not None, "the batch has been planned"
    blank = BLANK_RGBA if channels == 4 else BLANK
    encoded = [blank if each is None else each.data for each in batch.encoded]
    assert batch.structures is not None, "the batch has been checked"
    for row in np.flatnonzero(batch.structures == Structure.UNTERMINATED).tolist():
        encoded[row] = np.concatenate([encoded[row], JPEG_END])
    bad = sorted({*batch.errors, *host_rows(batch, channels), *left_out})
    for row in bad:
        encoded[row] = blank
    if plan.affine is not None:
        return Feed(encoded, **affine_arrays(plan, plan.affine.matrix, size, bad))
    methods = np.array([types[method] for method in range(len(types))], np.int32)
    arrays = window_arrays(plan, size, borders, bad)
    return Feed(encoded, **arrays, method=methods[plan.method])
