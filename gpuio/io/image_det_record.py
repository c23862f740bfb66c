"""ImageDetRecordIter: from record files to batches of images and their objects' boxes."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from gpuio.errors import ArgumentError
from gpuio.execution.assemble import Output
from gpuio.io.record_images import RecordImages, Running
from gpuio.iterators.arguments import as_choice, as_float, as_image_shape, as_int, reject_unknown
from gpuio.loading.labels import DetLabels
from gpuio.planning.detection import (
    EMIT_MODES,
    RESIZE_MODES,
    DetAugment,
    DetPlanner,
    Sampler,
)
from gpuio.storage.local import Path

# MXNet's options that are not here yet, with MXNet's defaults.
NOT_YET: dict[str, Any] = {
    "aug_seq": "det_aug_default",
    "shuffle_chunk_size": 0,
    "shuffle_chunk_seed": 0,
    "mean_img": "",
}

# In a batch's label, in front of the record's: channels, rows, columns, length.
FRONT = 4


class ImageDetRecordIter(RecordImages):
    """Batches of images and the boxes of their objects from record files, on the CPU or on a GPU.

    Names, defaults and meanings are MXNet's. A record's label is: the header's width, an object's
    width, more of the header, and objects: class, left, top, right, bottom (as shares of the
    picture's sides), and whatever follows. Objects without an area are left out.

    A picture goes through, in this order: `resize`, jitters of hue, saturation, illumination and
    contrast, mirroring, a canvas, a crop, and `resize_mode`; it is resampled once. The random
    choices for a sample follow from the seed, the epoch and the record alone.

    Parameters
    ----------
    path_imgrec, path_imgidx, batch_size, shuffle, seed, round_batch, num_parts, part_index,
    preprocess_threads, prefetch_buffer, ctx, on_error, quarantine, last_batch_handle, partition,
    executor, hw_decoder_load, data_name, label_name, verbose : as in ImageRecordIter
    data_shape : (channels, height, width) of the output; 1 channel is gray, 3 RGB, 4 RGBA
    path_imglist : a list, ``id label … path``, whose labels replace those in the records
    label_width : numbers in each record's label; -1: they may differ
    label_pad_width : numbers that a batch has room for, for each label; 0 or -1: as many as the
        longest label of the file
    label_pad_value : stands where a label has no numbers
    resize : scale the shorter side to so many pixels first; -1: leave the size
    rand_mirror_prob : probability of mirroring left to right
    rand_pad_prob : probability of a canvas, on which the picture lies anywhere. This and the other
        probabilities may be negative: never
    max_pad_scale : most of the canvas's sides, as a multiple of the picture's; less than 1.05 is
        left out
    fill_value : level of the canvas, 0 to 255
    rand_crop_prob : probability of a crop
    num_crop_sampler : how many samplers draw crops; they are asked in a random order, until one has
        found a crop. Each of the following has a value for each of them, or one for all
    min_crop_scales, max_crop_scales : range of the square root of the crop's share of the picture
    min_crop_aspect_ratios, max_crop_aspect_ratios : range of its width / height
    min_crop_overlaps, max_crop_overlaps : of its intersection with an object over their union
    min_crop_sample_coverages, max_crop_sample_coverages : of the share of it that the object covers
    min_crop_object_coverages, max_crop_object_coverages : of the share of the object inside; at
        least one object must satisfy all three ranges
    max_crop_trials : how often to draw
    crop_emit_mode : objects are kept whose centre lies in the crop ("center"), or of which more
        than `emit_overlap_thresh` does ("overlap")
    emit_overlap_thresh : that share
    max_random_hue, random_hue_prob : most of the change of hue, in steps of two degrees, and its
        probability
    max_random_saturation, random_saturation_prob, max_random_illumination,
    random_illumination_prob : the same of saturation and lightness, in levels of 0 to 255
    max_random_contrast, random_contrast_prob : most of what the levels are multiplied by, less 1,
        and its probability
    inter_method : interpolation, as in ImageRecordIter
    resize_mode : "force": to the output's size, whatever the aspect; "fit": as large as goes into
        it; "shrink": the same, but no larger than it is. What is left free, at the right or
        below, is black before mean and std
    mean_r, mean_g, mean_b, mean_a : subtracted from each channel if one is above 0
    std_r, std_g, std_b, std_a : each channel is divided by its own if that is above 0
    scale : then multiplied by this
    dtype, layout : as in ImageRecordIter

    Attributes
    ----------
    provide_data : one DataDesc: (batch_size, channels, height, width) or as `layout` has it
    provide_label : one DataDesc: float32 (batch_size, 4 + numbers): channels, rows and columns that
        the picture takes, how many numbers follow, those numbers (header and objects), and
        `label_pad_value`
    bad_records : as in ImageRecordIter

    Raises
    ------
    ArgumentError : a value is out of range, or two contradict each other.
    TypeError : there is no such argument.
    UnsupportedError : an option of MXNet that is not here yet.
    RecordError, RecordFileNotFoundError : the files are missing or damaged.
    ContextError : the device is not there.

    Examples
    --------
    >>> train = ImageDetRecordIter(
    ...     path_imgrec="train.rec", path_imgidx="train.idx", data_shape=(3, 300, 300),
    ...     batch_size=32, shuffle=True, rand_mirror_prob=0.5, rand_pad_prob=0.5, max_pad_scale=4,
    ...     rand_crop_prob=0.8, num_crop_sampler=2, min_crop_scales=0.3,
    ...     min_crop_overlaps=(0.1, 0.5), ctx="gpu:0",
    ... )
    """

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
        dtype: DTypeLike | None = None,
        layout: str = "NCHW",
        **others: Any,
    ) -> None:
        shared = {each.name for each in fields(Running)}
        known = {*inspect.signature(ImageDetRecordIter.__init__).parameters, *shared} - {"others"}
        unknown = {name: value for name, value in others.items() if name not in shared}
        reject_unknown(unknown, known, type(self).__name__, NOT_YET)
        channels, height, width = as_image_shape(data_shape)
        samplers = _samplers(
            as_int("num_crop_sampler", num_crop_sampler, 0),
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
        augment = DetAugment(
            height=height,
            width=width,
            resize=-1 if resize == -1 else as_int("resize", resize, 1),
            method=as_int("inter_method", inter_method, 0),
            resize_mode=as_choice("resize_mode", resize_mode, RESIZE_MODES),
            fill_value=as_int("fill_value", fill_value),
            mirror_prob=_chance("rand_mirror_prob", rand_mirror_prob),
            pad_prob=_chance("rand_pad_prob", rand_pad_prob),
            max_pad_scale=as_float("max_pad_scale", max_pad_scale),
            crop_prob=_chance("rand_crop_prob", rand_crop_prob),
            samplers=samplers,
            emit_mode=as_choice("crop_emit_mode", crop_emit_mode, EMIT_MODES),
            emit_overlap_thresh=as_float("emit_overlap_thresh", emit_overlap_thresh),
            hls=tuple(
                (
                    as_int(f"max_random_{name}", most, 0),
                    _chance(f"random_{name}_prob", chance),
                )
                for name, most, chance in hls
            ),
            contrast=(
                as_float("max_random_contrast", max_random_contrast),
                _chance("random_contrast_prob", random_contrast_prob),
            ),
        )
        if channels != 3 and any(most and chance for most, chance in augment.hls):
            raise ArgumentError(
                f"hue, saturation and illumination are those of 3 channels, not {channels}"
            )
        mean = [as_float(f"mean_{name}", value) for name, value in zip(
            "rgba", (mean_r, mean_g, mean_b, mean_a), strict=True)]  # fmt: skip
        std = [as_float(f"std_{name}", value) for name, value in zip(
            "rgba", (std_r, std_g, std_b, std_a), strict=True)]  # fmt: skip
        output = Output(
            channels=channels,
            height=height,
            width=width,
            dtype=np.float32 if dtype is None else dtype,  # type: ignore[arg-type]  # checked there
            layout=layout,
            mean=tuple(mean) if max(mean) > 0 else (0.0,) * 4,
            std=tuple(each if each > 0 else 1.0 for each in std),
            scale=as_float("scale", scale),
        )
        running = Running(
            path_imgrec=path_imgrec,
            batch_size=batch_size,
            **{name: value for name, value in others.items() if name in shared},
        )
        label_width = _label_width(label_width)
        pad_width = as_int("label_pad_width", label_pad_width, -1)
        labels = DetLabels(label_width, path_imglist or None)
        super().__init__(running)
        try:
            longest = labels.most if path_imglist else self._records.most_labels()
            longest = max(longest, label_width)
            if 0 < pad_width < longest:
                raise ArgumentError(
                    f"label_pad_width {pad_width} has no room for the longest label, of {longest} "
                    "numbers"
                )
            room = FRONT + max(pad_width, longest)
            planner = DetPlanner(
                augment, self._seed, channels, room, as_float("label_pad_value", label_pad_value)
            )
            canvases = augment.pad_prob > 0 or augment.resize_mode != "force"
            self._load(output, labels, planner, (room,), canvases=canvases)
        except BaseException:
            self.close_records()
            raise


def _samplers(count: int, trials: Any, **ranges: tuple[Any, Any]) -> tuple[Sampler, ...]:
    """As many samplers, of values that are each given for all of them or for each."""
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
        Sampler(
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


def _chance(name: str, value: Any) -> float:
    chance = as_float(name, value)
    if chance > 1:
        raise ArgumentError(f"{name} is a probability, at most 1, not {value!r}")
    return max(chance, 0.0)  # MXNet's way of saying never


def _label_width(value: Any) -> int:
    width = as_int("label_width", value)
    if width != -1 and width < 1:
        raise ArgumentError(f"label_width must be at least 1, or -1 for any, not {value!r}")
    return width
