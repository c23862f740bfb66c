"""ImageRecordIter: from record files to batches of images on a device."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from gpuio.context import Context
from gpuio.execution.output import OutputSpec
from gpuio.io.record_files import RecordFilesIter, log_opened, open_records
from gpuio.iterators.arguments import (
    as_bool,
    as_channels,
    as_float,
    as_image_shape,
    as_int,
    crop_ranges,
    last_batch_mode,
    reject_unknown,
)
from gpuio.iterators.image_loader_iter import LoaderOptions
from gpuio.loading.labels import read_label_table
from gpuio.planning.crop import CropOptions, CropPlanner
from gpuio.recordio.quarantine import read_quarantine
from gpuio.sampling.sharding import resolve_shard
from gpuio.storage.local import Path


class ImageRecordIter(RecordFilesIter):
    """Batches of decoded, cropped and normalized images from record files, on the CPU or on a GPU.

    Names, defaults and meanings are MXNet's. On the CPU images are decoded by libjpeg-turbo and
    resampled by OpenCV in threads; on a GPU by NVIDIA DALI and a CUDA kernel. Batches are made
    ahead of the caller; one that has been handed out is never overwritten.

    The random choices for a sample depend on the seed, the epoch and the record alone: they are the
    same on any device, with any number of threads or parts, any batch size, and after a resume.

    Parameters
    ----------
    path_imgrec : the record file; or several, as a sequence or joined by ";", or a directory of
        ``*.rec`` files
    data_shape : (channels, height, width) of the output; 1 channel is gray, 3 RGB, 4 RGBA
    batch_size : images in a batch
    path_imgidx : the index, or one for each record file. Without one, the record files are
        scanned when the iterator is created
    path_imglist : an im2rec list whose labels replace those in the records; lines are found by the
        records' id
    label_width : numbers in a label. Of a face dataset, 1 gives the identity alone, also where the
        records have longer labels
    resize : scale the shorter side to this many pixels before the crop; -1: keep the size
    rand_crop : crop at a random position instead of the center. Images smaller than the crop are
        enlarged
    random_resized_crop : crop a random area of a random aspect ratio and scale it to the output
    min_random_area, max_random_area : range of that area, as a fraction of the image
    min_aspect_ratio, max_aspect_ratio : range of that width/height (or, with equal
        probability, height/width); without min_aspect_ratio the range is 1 - max_aspect_ratio to
        1 + max_aspect_ratio
    rand_mirror : mirror each image with probability 0.5
    mirror : mirror every image
    mean_r, mean_g, mean_b, mean_a : subtracted from each channel, as pixel values of 0 to 255
    std_r, std_g, std_b, std_a : each channel is divided by these
    scale : then multiplied by this; ``(pixel - mean) * (scale / std)``
    inter_method : interpolation: 0 nearest, 1 bilinear, 2 bicubic, 3 area, 4 Lanczos, 9 bicubic to
        enlarge and area to shrink, 10 one of 0 to 4 at random
    shuffle : a new order of all records each epoch
    seed : determines the order
    seed_aug : determines the augmentation; None: `seed`
    round_batch : fill an incomplete last batch with the next epoch's first images, after which that
        epoch continues; if False, fill it with images of the same epoch, and begin each epoch with
        its first image. `pad` counts them
    num_parts, part_index : divide the records into this many contiguous parts, and read this one.
        ``num_parts="auto"`` takes both from the launcher's environment variables (torchrun, Open
        MPI, MVAPICH, PMI, Slurm)
    preprocess_threads : decoding threads
    prefetch_buffer : batches made ahead of the caller
    dtype : "float32" (None means that), "float16", "uint8" or "int8". uint8 ignores mean, std and
        scale; int8 subtracts the rounded mean and saturates
    layout : "NCHW" or "NHWC"
    ctx : the device, such as ``gpu(0)`` or "gpu:0"; None: the current context
    on_error : what to do about a record that cannot be used. "raise"; "skip": the other images move
        up, and `pad` counts the rows missing at the batch's end, which repeat others; "substitute":
        another image of the batch replaces it. `bad_records` lists them
    quarantine : a list of records to leave out, as `write_quarantine` and ``gpuio verify`` write it
    last_batch_handle : instead of round_batch: "pad" (as round_batch=False), "discard" the
        incomplete batch, or "roll_over": it becomes the beginning of the next epoch's first batch
    partition : "contiguous" parts, as in MXNet, or "global": all records are in one order, and part
        i takes the i-th slice of each global batch, so that the order is the same for any number of
        parts. None: "global" with ``num_parts="auto"``, else "contiguous"
    antialias : when shrinking, average all source pixels of an output pixel, as Pillow and
        torchvision do (MXNet does not)
    executor : "host" or "dali"; None: "host" on the CPU, "dali" on a GPU. "dali" on the CPU runs
        DALI's CPU operators
    hw_decoder_load : on a GPU, the fraction of the images offered to its JPEG engines
    data_name, label_name : names of the arrays
    verbose : log what was opened, through the logger "gpuio"

    Attributes
    ----------
    provide_data : one DataDesc: (batch_size, channels, height, width) or as `layout` has it
    provide_label : one DataDesc: float32 (batch_size,), or (batch_size, label_width)
    bad_records : the records that `on_error` has left out or replaced so far, as
        BadRecord(key, place, reason, file, offset)

    Raises
    ------
    ArgumentError : a value is out of range, or two are inconsistent.
    TypeError : there is no such argument.
    UnsupportedError : an option of MXNet is not supported yet.
    RecordError, RecordFileNotFoundError : the files are missing or damaged.
    ContextError : the device is not available.

    Examples
    --------
    >>> train = ImageRecordIter(
    ...     path_imgrec="train.rec", path_imgidx="train.idx",
    ...     data_shape=(3, 224, 224), batch_size=256, shuffle=True, rand_mirror=True,
    ...     random_resized_crop=True, min_random_area=0.08,
    ...     min_aspect_ratio=3 / 4, max_aspect_ratio=4 / 3, ctx="gpu:0",
    ... )
    >>> for batch in train:
    ...     images, labels = batch.data[0], batch.label[0]
    """

    _dtype: ClassVar[str | None] = None  # of subclasses that have a fixed one

    def __init__(
        self,
        *,
        path_imgrec: Path | Sequence[Path],
        data_shape: Sequence[int],
        batch_size: int,
        path_imgidx: Path | Sequence[Path] | None = None,
        path_imglist: Path | None = None,
        label_width: int = 1,
        resize: int = -1,
        rand_crop: bool = False,
        random_resized_crop: bool = False,
        min_random_area: float = 1.0,
        max_random_area: float = 1.0,
        min_aspect_ratio: float | None = None,
        max_aspect_ratio: float = 0.0,
        rand_mirror: bool = False,
        mirror: bool = False,
        mean_r: float = 0.0,
        mean_g: float = 0.0,
        mean_b: float = 0.0,
        mean_a: float = 0.0,
        std_r: float = 1.0,
        std_g: float = 1.0,
        std_b: float = 1.0,
        std_a: float = 1.0,
        scale: float = 1.0,
        inter_method: int = 1,
        shuffle: bool = False,
        seed: int = 0,
        seed_aug: int | None = None,
        round_batch: bool = True,
        num_parts: int | str = 1,
        part_index: int = 0,
        preprocess_threads: int = 4,
        prefetch_buffer: int = 4,
        dtype: DTypeLike | None = None,
        layout: str = "NCHW",
        ctx: Context | str | None = None,
        on_error: str = "raise",
        quarantine: Path | None = None,
        last_batch_handle: str | None = None,
        partition: str | None = None,
        antialias: bool = False,
        executor: str | None = None,
        hw_decoder_load: float = 0.65,
        data_name: str = "data",
        label_name: str = "softmax_label",
        verbose: bool = True,
        **unknown: Any,
    ) -> None:
        known = inspect.signature(ImageRecordIter.__init__).parameters
        reject_unknown(unknown, known, type(self).__name__)
        super().__init__(as_int("batch_size", batch_size, 1))
        channels, height, width = as_image_shape(data_shape)
        label_width = as_int("label_width", label_width, 1)
        resized_crop = as_bool("random_resized_crop", random_resized_crop)
        area, ratio = crop_ranges(
            resized_crop, min_random_area, max_random_area, min_aspect_ratio, max_aspect_ratio
        )
        crop = CropOptions(
            height=height,
            width=width,
            resize=None if resize == -1 else as_int("resize", resize, 1),
            rand_crop=as_bool("rand_crop", rand_crop),
            resized_crop=resized_crop,
            area=area,
            ratio=ratio,
            mirror=as_bool("mirror", mirror),
            rand_mirror=as_bool("rand_mirror", rand_mirror),
            method=as_int("inter_method", inter_method, 0),
            antialias=as_bool("antialias", antialias),
        )
        output = OutputSpec(
            channels=channels,
            height=height,
            width=width,
            dtype=self._dtype or dtype or np.float32,  # type: ignore[arg-type]  # checked there
            layout=layout,
            mean=as_channels("mean", (mean_r, mean_g, mean_b, mean_a)),
            std=as_channels("std", (std_r, std_g, std_b, std_a)),
            scale=as_float("scale", scale),
        )
        options = LoaderOptions(
            batch_size=batch_size,
            shuffle=as_bool("shuffle", shuffle),
            seed=seed,
            last_batch=last_batch_mode(as_bool("round_batch", round_batch), last_batch_handle),
            shard=resolve_shard(num_parts, part_index, partition),
            ctx=ctx,
            executor=executor,
            preprocess_threads=preprocess_threads,
            prefetch_buffer=prefetch_buffer,
            on_error=on_error,
            data_name=data_name,
            label_name=label_name,
            antialias=crop.antialias,
            hw_decoder_load=hw_decoder_load,
            quarantine=() if quarantine is None else tuple(read_quarantine(quarantine)),
        )
        seed_aug = options.seed if seed_aug is None else as_int("seed_aug", seed_aug)
        table = None
        if path_imglist:
            table = read_label_table(path_imglist, label_width, whitespace=True)
        source, images = open_records(
            path_imgrec, path_imgidx, table, options.shard, options.quarantine
        )
        self._open(source, images, options)
        planner = CropPlanner(crop, seed_aug, label_width, source.records.has_faces)
        self._load(planner, output, () if label_width == 1 else (label_width,))
        if verbose:
            log_opened(source, self.num_data, self._ctx)


class ImageRecordUInt8Iter(ImageRecordIter):
    """ImageRecordIter with dtype "uint8"."""

    _dtype = "uint8"


class ImageRecordInt8Iter(ImageRecordIter):
    """ImageRecordIter with dtype "int8"."""

    _dtype = "int8"
