"""DALI's own pipeline for record files, as one of the contestants.

It follows DALI's documentation of ``fn.readers.mxnet``. gpuio's DALI executor does not use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuio.errors import ContextError, UnsupportedError

# Options of ImageRecordIter that have a counterpart here, or do not change the work.
SUPPORTED_OPTIONS = {
    "antialias", "batch_size", "data_shape", "max_aspect_ratio", "max_random_area", "mean_b",
    "mean_g", "mean_r", "min_aspect_ratio", "min_random_area", "mirror", "preprocess_threads",
    "rand_crop", "rand_mirror", "random_resized_crop", "resize", "shuffle", "std_b", "std_g",
    "std_r",
    "data_name", "device_id", "executor", "hw_decoder_load", "label_name", "label_width",
    "last_batch_handle", "on_error", "prefetch_buffer", "round_batch", "seed", "seed_aug",
    "verbose",
}  # fmt: skip


def reader_pipeline(
    rec: str,
    idx: str,
    *,
    device_id: int | None,
    data_shape: Sequence[int],
    batch_size: int,
    threads: int,
    resize: int = -1,
    pad: int = 0,
    rand_crop: bool = False,
    random_resized_crop: bool = False,
    area: tuple[float, float] = (1.0, 1.0),
    ratio: tuple[float, float] = (1.0, 1.0),
    rand_mirror: bool = False,
    mirror: bool = False,
    mean: Sequence[float] = (0.0, 0.0, 0.0),
    std: Sequence[float] = (1.0, 1.0, 1.0),
    shuffle: bool = False,
    shuffle_after_epoch: bool = False,
    antialias: bool = True,
    depth: int = 2,
    hw_decoder_load: float | None = None,
) -> Any:
    """Build the pipeline; its outputs are float32 (batch_size, channels, height, width) and labels.

    Parameters
    ----------
    rec, idx : the record file and its index, which this reader requires
    device_id : the GPU; None: the CPU
    data_shape : (channels, height, width); 1 or 3 channels
    threads : DALI's CPU threads
    resize, rand_crop, random_resized_crop, rand_mirror, mirror, shuffle : as in ImageRecordIter
    pad : without random_resized_crop: add a black border of this many pixels, then crop at random
    shuffle_after_epoch : permute the files before each epoch. It leaves the records of a file in
        their order, so with this one file it has no effect; `shuffle` draws them from a buffer
    area, ratio : ranges of the random resized crop
    mean, std : per channel
    antialias : DALI's default; gpuio and MXNet resample without
    depth : batches in flight
    hw_decoder_load : fraction of the images offered to the GPU's JPEG engines, 0 to 1; None: DALI's
        default

    Raises
    ------
    ContextError : DALI is not installed.
    UnsupportedError : the number of channels is neither 1 nor 3.
    """
    try:
        from nvidia.dali import Pipeline, fn, math, types
    except ImportError as error:
        raise ContextError("NVIDIA DALI is not installed") from error

    channels, height, width = data_shape
    if channels not in (1, 3):
        raise UnsupportedError(f"DALI's decoder outputs 1 or 3 channels, not {channels}")
    device = "cpu" if device_id is None else "mixed"
    decoder = {"device": device, "output_type": types.GRAY if channels == 1 else types.RGB}
    if device_id is not None and hw_decoder_load is not None:
        decoder["hw_decoder_load"] = hw_decoder_load
    pipe = Pipeline(
        batch_size=batch_size, num_threads=threads, device_id=device_id, prefetch_queue_depth=depth
    )
    with pipe:
        encoded, label = fn.readers.mxnet(
            path=[rec],
            index_path=[idx],
            random_shuffle=shuffle,
            shuffle_after_epoch=shuffle_after_epoch,
            name="reader",
        )
        if random_resized_crop:
            images = fn.decoders.image_random_crop(
                encoded, random_area=list(area), random_aspect_ratio=list(ratio), **decoder
            )
            images = fn.resize(images, size=(height, width), antialias=antialias)
        else:
            images = fn.decoders.image(encoded, **decoder)
            if resize > 0:
                images = fn.resize(images, resize_shorter=resize, antialias=antialias)
            if pad:
                # A crop that may begin outside of the image is faster than a border and a crop.
                extent = images.shape()[0:2] + np.array([2 * pad - height, 2 * pad - width])
                place = fn.random.uniform(range=[0.0, 1.0], shape=[2]) * (extent + 1)
                images = fn.slice(
                    images,
                    start=fn.cast(math.floor(place), dtype=types.INT32) - pad,
                    shape=[height, width],
                    axes=[0, 1],
                    out_of_bounds_policy="pad",
                )
        position = [fn.random.uniform(range=[0.0, 1.0]) for _ in "xy"] if rand_crop else [0.5, 0.5]
        images = fn.crop_mirror_normalize(
            images,
            crop=(height, width),
            crop_pos_x=position[0],
            crop_pos_y=position[1],
            out_of_bounds_policy="pad",
            mean=list(mean[:channels]),
            std=list(std[:channels]),
            dtype=types.FLOAT,
            mirror=fn.random.coin_flip() if rand_mirror else int(mirror),
        )
        pipe.set_outputs(images, label)
    pipe.build()
    return pipe
