"""ImageDetRecordIter: from record files to batches of images and their objects' boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from gpuio.context import Context
from gpuio.errors import ArgumentError
from gpuio.execution.output import OutputSpec
from gpuio.io.mixed_records import mixture_options, mixture_shard
from gpuio.io.record_files import RecordFilesIter, log_opened
from gpuio.iterators.arguments import (
    as_batch_size,
    as_bool,
    as_channels,
    as_choice,
    as_float,
    as_image_shape,
    as_int,
    as_shuffle,
    check_call,
    last_batch_mode,
)
from gpuio.iterators.augmentation import as_policies
from gpuio.iterators.image_loader_iter import LoaderOptions
from gpuio.loading.labels import read_label_table
from gpuio.planning.boxes import MAX_LABEL
from gpuio.planning.detection import (
    EMIT_MODES,
    LABEL_PREFIX,
    RESIZE_MODES,
    CropSampler,
    DetectionOptions,
    DetectionPlanner,
)
from gpuio.recordio.quarantine import read_quarantine
from gpuio.storage.local import Path

# The most samplers: all are tried for an image of which none finds a crop.
MAX_SAMPLERS = 1 << 16


class ImageDetRecordIter(RecordFilesIter):
    """Batches of images and the bounding boxes of their objects from record files, on the CPU or on
    a GPU.

    Names, defaults and meanings are MXNet's. A record's label is: the header's width, an object's
    width, more of the header, and objects: class, left, top, right, bottom (as fractions of the
    image's width and height), and further numbers. Degenerate boxes are left out.

    The steps are, in this order: `resize`, jitter of hue, saturation, illumination and contrast,
    flipping, padding, a crop, and `resize_mode`; an image is resampled once. The random choices for
    a sample depend on the seed, the epoch and the record alone.

    Parameters
    ----------
    path_imgrec, path_imgidx, batch_size, shuffle, seed, round_batch, num_parts, part_index,
    preprocess_threads, prefetch_buffer, ctx, on_error, quarantine, last_batch_handle, partition,
    executor, hw_decoder_load, dct_scaling, data_name, label_name, verbose, block_size, pool_blocks,
    weights, epoch_size, shuffle_chunk_size, shuffle_chunk_seed, cache_dir, cache_limit,
    storage_options, retries, timeout, readahead : as in ImageRecordIter
    data_shape : (channels, height, width) of the output; 1 channel is gray, 3 RGB, 4 RGBA
    path_imglist : a list, ``id label … path``, whose labels replace those in the records
    label_width : numbers in each record's label; -1: any
    label_pad_width : space for numbers in each label of a batch; 0 or -1: as many as the longest
        label of the file. A record whose label has over 2**18 numbers, or more than this and
        label_width if those are larger, is a bad record. The longest label of a remote file is
        found by a request for nearly each record, many at once; not if this is given or there is a
        `path_imglist`: then what does not fit is a bad record
    label_pad_value : fills the rest of a label
    resize : scale the shorter side to this many pixels first; -1: keep the size
    rand_mirror_prob : probability of flipping left to right
    rand_pad_prob : probability of padding, with the image at a random position. This and the other
        probabilities may be negative: never
    max_pad_scale : most of the padded width and height, as a multiple of the image's; below 1.05
        nothing is padded
    fill_value : pixel value of the padding, 0 to 255
    rand_crop_prob : probability of a crop
    num_crop_sampler : number of samplers that draw crops; they are tried in random order, until one
        finds a crop. Each of the following has a value for each of them, or one for all
    min_crop_scales, max_crop_scales : range of the square root of the crop's fraction of the
        image
    min_crop_aspect_ratios, max_crop_aspect_ratios : range of its width / height
    min_crop_overlaps, max_crop_overlaps : of its intersection with an object over their union
    min_crop_sample_coverages, max_crop_sample_coverages : of the fraction of it that the object
        covers
    min_crop_object_coverages, max_crop_object_coverages : of the fraction of the object inside;
        at least one object must satisfy all three ranges
    max_crop_trials : number of attempts
    crop_emit_mode : keep objects whose center is inside the crop ("center"), or of which more than
        `emit_overlap_thresh` is ("overlap")
    emit_overlap_thresh : that fraction
    max_random_hue, random_hue_prob : largest change of hue, in steps of two degrees, and its
        probability
    max_random_saturation, random_saturation_prob, max_random_illumination,
    random_illumination_prob : the same for saturation and lightness, of 0 to 255
    max_random_contrast, random_contrast_prob : largest change of the factor of pixel values from 1,
        and its probability
    augmenters : what images go through after all of the above, but before they are mirrored:
        `gpuio.image.ColorJitter`, `RandomErasing`, or both, in their order; not what moves pixels,
        since boxes would not move along. (MXNet does not have them)
    inter_method : interpolation, as in ImageRecordIter
    resize_mode : "force": to the output's size, whatever the aspect ratio; "fit": as large as fits
        into it; "shrink": the same, but no larger than the image is. The rest, at the right or
        below, is black before mean and std
    mean_r, mean_g, mean_b, mean_a : subtracted from each channel if one is above 0
    std_r, std_g, std_b, std_a : each channel is divided by its own if that is above 0
    scale : then multiplied by this
    mean_img : as in ImageRecordIter, unless one of the means is above 0; subtracted after flipping,
        and computed from flipped images too
    dtype, layout : as in ImageRecordIter

    Attributes
    ----------
    provide_data : one DataDesc: (batch_size, channels, height, width) or as `layout` has it
    provide_label : one DataDesc: float32 (batch_size, 4 + numbers): channels, rows and columns that
        the image fills, how many numbers follow, those numbers (header and objects), and
        `label_pad_value`
    bad_records : as in ImageRecordIter

    Raises
    ------
    ArgumentError : a value is out of range, or two are inconsistent.
    TypeError : there is no such argument.
    RecordError, RecordFileNotFoundError : the files are missing or damaged.
    RemoteError, FileChangedError : a remote file cannot be read, or has changed since it was
        opened; raised whatever `on_error` is.
    ContextError : the device is not available.

    Examples
    --------
    >>> train = ImageDetRecordIter(
    ...     path_imgrec="objects.rec", path_imgidx="objects.idx", data_shape=(3, 300, 300),
    ...     batch_size=32, shuffle=True, rand_mirror_prob=0.5, rand_pad_prob=0.5, max_pad_scale=4,
    ...     rand_crop_prob=0.8, num_crop_sampler=2, min_crop_scales=0.3,
    ...     min_crop_overlaps=(0.1, 0.5), ctx="cpu",  # or "gpu:0"
    ... )
    """

    @check_call
    def __init__(
        self,
        *,
        path_imgrec: Path | Sequence[Path],
        data_shape: Sequence[int],
        batch_size: int,
        path_imglist: Path | None = None,
        label_width: int = -1,
        label_pad_width: int = 0,
        label_pad_value: float = -1.0,
        resize: int = -1,
        rand_mirror_prob: float = 0.0,
        rand_pad_prob: float = 0.0,
        max_pad_scale: float = 1.0,
        fill_value: int = 127,
        rand_crop_prob: float = 0.0,
        num_crop_sampler: int = 1,
        min_crop_scales: float | Sequence[float] = 0.0,
        max_crop_scales: float | Sequence[float] = 1.0,
        min_crop_aspect_ratios: float | Sequence[float] = 1.0,
        max_crop_aspect_ratios: float | Sequence[float] = 1.0,
        min_crop_overlaps: float | Sequence[float] = 0.0,
        max_crop_overlaps: float | Sequence[float] = 1.0,
        min_crop_sample_coverages: float | Sequence[float] = 0.0,
        max_crop_sample_coverages: float | Sequence[float] = 1.0,
        min_crop_object_coverages: float | Sequence[float] = 0.0,
        max_crop_object_coverages: float | Sequence[float] = 1.0,
        max_crop_trials: int | Sequence[int] = 25,
        crop_emit_mode: str = "center",
        emit_overlap_thresh: float = 0.3,
        max_random_hue: int = 0,
        random_hue_prob: float = 0.0,
        max_random_saturation: int = 0,
        random_saturation_prob: float = 0.0,
        max_random_illumination: int = 0,
        random_illumination_prob: float = 0.0,
        max_random_contrast: float = 0.0,
        random_contrast_prob: float = 0.0,
        inter_method: int = 1,
        resize_mode: str = "force",
        mean_r: float = 0.0,
        mean_g: float = 0.0,
        mean_b: float = 0.0,
        mean_a: float = 0.0,
        std_r: float = 0.0,
        std_g: float = 0.0,
        std_b: float = 0.0,
        std_a: float = 0.0,
        scale: float = 1.0,
        mean_img: Path | None = None,
        dtype: DTypeLike | None = None,
        layout: str = "NCHW",
        path_imgidx: Path | Sequence[Path] | None = None,
        shuffle: bool | str = False,
        seed: int = 0,
        shuffle_chunk_size: int = 0,
        shuffle_chunk_seed: int = 0,
        block_size: int | str = "8MB",
        pool_blocks: int = 16,
        weights: Sequence[float] | None = None,
        epoch_size: int | None = None,
        round_batch: bool = True,
        num_parts: int | str = 1,
        part_index: int = 0,
        preprocess_threads: int | None = None,
        prefetch_buffer: int = 4,
        ctx: Context | str | None = None,
        on_error: str = "raise",
        quarantine: Path | None = None,
        last_batch_handle: str | None = None,
        partition: str | None = None,
        executor: str | None = None,
        hw_decoder_load: float = 0.65,
        dct_scaling: bool = False,
        augmenters: Sequence[Any] = (),
        max_pixels: int | None = None,
        data_name: str = "data",
        label_name: str = "softmax_label",
        cache_dir: Path | None = None,
        cache_limit: int | str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        retries: int = 10,
        timeout: float = 60.0,
        readahead: int | str = "256MB",
        verbose: bool = True,
        aug_seq: str = "det_aug_default",
    ) -> None:
        super().__init__(as_batch_size(batch_size))
        as_choice("aug_seq", aug_seq, ("det_aug_default",))
        channels, height, width = as_image_shape(data_shape)
        samplers = _samplers(
            as_int("num_crop_sampler", num_crop_sampler, 0, MAX_SAMPLERS),
            scales=(min_crop_scales, max_crop_scales),
            aspect_ratios=(min_crop_aspect_ratios, max_crop_aspect_ratios),
            overlaps=(min_crop_overlaps, max_crop_overlaps),
            sample_coverages=(min_crop_sample_coverages, max_crop_sample_coverages),
            object_coverages=(min_crop_object_coverages, max_crop_object_coverages),
            trials=max_crop_trials,
        )
        hls = (
            ("hue", max_random_hue, random_hue_prob),
            ("illumination", max_random_illumination, random_illumination_prob),
            ("saturation", max_random_saturation, random_saturation_prob),
        )
        detection = DetectionOptions(
            height=height,
            width=width,
            resize=-1 if resize == -1 else as_int("resize", resize, 1),
            method=as_int("inter_method", inter_method, 0),
            resize_mode=as_choice("resize_mode", resize_mode, RESIZE_MODES),
            fill_value=as_int("fill_value", fill_value),
            mirror_prob=_probability("rand_mirror_prob", rand_mirror_prob),
            pad_prob=_probability("rand_pad_prob", rand_pad_prob),
            max_pad_scale=as_float("max_pad_scale", max_pad_scale),
            crop_prob=_probability("rand_crop_prob", rand_crop_prob),
            samplers=samplers,
            emit_mode=as_choice("crop_emit_mode", crop_emit_mode, EMIT_MODES),
            emit_overlap_thresh=as_float("emit_overlap_thresh", emit_overlap_thresh),
            hls=tuple(
                (
                    as_int(f"max_random_{name}", most, 0),
                    _probability(f"random_{name}_prob", probability),
                )
                for name, most, probability in hls
            ),
            contrast=(
                as_float("max_random_contrast", max_random_contrast),
                _probability("random_contrast_prob", random_contrast_prob),
            ),
        )
        if channels != 3 and any(most and probability for most, probability in detection.hls):
            raise ArgumentError(f"hue, saturation and illumination need 3 channels, not {channels}")
        policies = as_policies("augmenters", augmenters, channels, boxes=True)
        mean = as_channels("mean", (mean_r, mean_g, mean_b, mean_a))
        std = as_channels("std", (std_r, std_g, std_b, std_a))
        output = OutputSpec(
            channels=channels,
            height=height,
            width=width,
            dtype=np.float32 if dtype is None else dtype,  # type: ignore[arg-type]  # checked there
            layout=layout,
            mean=mean if max(mean) > 0 else (0.0,) * 4,
            std=tuple(each if each > 0 else 1.0 for each in std),
            scale=as_float("scale", scale),
        )
        remote = self._as_remote(
            cache_dir, cache_limit, storage_options, retries, timeout, readahead
        )
        order = as_shuffle(type(self).__name__, shuffle, block_size, pool_blocks)
        mixed = mixture_options(weights, epoch_size, order)
        options = LoaderOptions(
            batch_size=batch_size,
            shuffle=order,
            seed=seed,
            last_batch=last_batch_mode(as_bool("round_batch", round_batch), last_batch_handle),
            shard=mixture_shard(num_parts, part_index, partition, mixed),
            ctx=ctx,
            executor=executor,
            preprocess_threads=preprocess_threads,
            prefetch_buffer=prefetch_buffer,
            on_error=on_error,
            data_name=data_name,
            label_name=label_name,
            hw_decoder_load=hw_decoder_load,
            dct_scaling=as_bool("dct_scaling", dct_scaling),
            quarantine=() if quarantine is None else tuple(read_quarantine(quarantine, remote)),
            max_pixels=max_pixels,
            remote=remote,
        )
        options.check_size("resize: an image", max(detection.resize, 1), max(detection.resize, 1))
        label_width = _label_width(label_width)
        pad_width = as_int("label_pad_width", label_pad_width, -1)
        pad_value = as_float("label_pad_value", label_pad_value)
        mean_image = mean_img if max(mean) <= 0 and output.normalizes else None
        self._log_without_effect(
            mean_img=(
                bool(mean_img) and mean_image is None,
                "with dtype uint8" if max(mean) <= 0 else "with a mean above 0",
            ),
        )
        table = None
        if path_imglist:
            listed_width = label_width if label_width > 0 else None
            table = read_label_table(path_imglist, listed_width, True, remote)
        source = self._open_files(
            path_imgrec, path_imgidx, table, options, shuffle_chunk_size, shuffle_chunk_seed, mixed
        )
        limit = max(MAX_LABEL, pad_width, label_width)
        if table is not None:
            longest = table.longest(limit)
        elif pad_width > 0 and source.records.is_remote:  # what does not fit is a bad record
            longest = 0
        else:
            longest = source.records.most_labels(source.images, limit)
        longest = max(longest, label_width)
        if 0 < pad_width < longest:
            source.close()
            raise ArgumentError(
                f"label_pad_width {pad_width} has no space for the longest label, of {longest} "
                "numbers"
            )
        length = LABEL_PREFIX + max(pad_width, longest)
        planner = DetectionPlanner(
            detection, options.seed, channels, label_width, length, pad_value, policies
        )
        if mean_image:
            output = self._with_mean_image(output, mean_image, planner, (length,), False)
        self._load(planner, output, (length,))
        if verbose:
            log_opened(source, self.num_data, self._ctx)


def _samplers(count: int, trials: Any, **ranges: tuple[Any, Any]) -> tuple[CropSampler, ...]:
    """Create the samplers, from values given for all of them or for each."""
    columns = {
        name: list(
            zip(
                _for_each(f"min_crop_{name}", least, count),
                _for_each(f"max_crop_{name}", most, count),
                strict=True,
            )
        )
        for name, (least, most) in ranges.items()
    }
    tries = _for_each("max_crop_trials", trials, count)
    return tuple(
        CropSampler(
            scales=columns["scales"][index],
            aspects=columns["aspect_ratios"][index],
            overlaps=columns["overlaps"][index],
            sample_coverages=columns["sample_coverages"][index],
            object_coverages=columns["object_coverages"][index],
            trials=as_int("max_crop_trials", tries[index]),
        )
        for index in range(count)
    )


def _for_each(name: str, values: Any, count: int) -> list[float]:
    listed = list(values) if np.ndim(values) else [values]
    if len(listed) not in (1, count):
        raise ArgumentError(
            f"{name} must have a value for each of {count} samplers, or one, not {len(listed)}"
        )
    numbers = [as_float(name, value) for value in listed]
    return numbers * count if len(numbers) == 1 else numbers


def _probability(name: str, value: Any) -> float:
    probability = as_float(name, value)
    if probability > 1:
        raise ArgumentError(f"{name} is a probability, at most 1, not {value!r}")
    return max(probability, 0.0)  # MXNet's way to say never


def _label_width(value: Any) -> int:
    width = as_int("label_width", value)
    if width != -1 and width < 1:
        raise ArgumentError(f"label_width must be at least 1, or -1 for any, not {value!r}")
    return width
