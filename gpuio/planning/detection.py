"""Planning of ImageDetRecordIter: geometry, color jitter, and the boxes that move along."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError, RecordError
from gpuio.planning.boxes import (
    CORNERS,
    MAX_LABEL,
    Boxes,
    areas,
    boxes_in_window,
    flip_boxes,
    split_label,
)
from gpuio.planning.plan import Jitter, check_method, draw_method, gray_fill
from gpuio.planning.planner import Label, PlannedBatch, Planner, Samples
from gpuio.planning.policies import Policy, plan_operations
from gpuio.planning.tracer import ImageTracer, trace_batch
from gpuio.sampling.sample_rng import SampleRng

RESIZE_MODES = ("force", "shrink", "fit")
EMIT_MODES = ("center", "overlap")

# Padding to less than this multiple of the image's width and height is omitted.
MIN_PAD_SCALE = 1.05

# A batch's label begins with channels, rows, columns and length.
LABEL_PREFIX = 4

Range: TypeAlias = tuple[float, float]
Window: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True)
class CropSampler:
    """One way of drawing crops.

    Attributes
    ----------
    scales : range of the square root of the crop's fraction of the image
    aspects : of its width / height in pixels
    overlaps : of intersection over union with an object
    sample_coverages : of the fraction of the crop that an object covers
    object_coverages : of the fraction of an object inside the crop
    trials : number of attempts
    """

    scales: Range
    aspects: Range
    overlaps: Range
    sample_coverages: Range
    object_coverages: Range
    trials: int

    def __post_init__(self) -> None:
        for name, (least, most), low in (
            ("scales", self.scales, 0.0),
            ("aspect_ratios", self.aspects, 0.0),
            ("overlaps", self.overlaps, -math.inf),
            ("sample_coverages", self.sample_coverages, -math.inf),
            ("object_coverages", self.object_coverages, -math.inf),
        ):
            if not low <= least <= most:
                raise ArgumentError(
                    f"min_crop_{name} must be at most max_crop_{name}, and neither below {low}: "
                    f"not {least} and {most}"
                )
        if self.scales[1] > 1:
            raise ArgumentError(f"max_crop_scales must be at most 1, not {self.scales[1]}")


@dataclass(frozen=True, kw_only=True)
class DetectionOptions:
    """What ImageDetRecordIter's arguments ask for, under its names.

    Attributes
    ----------
    height, width : pixels of the output
    hls : for hue, lightness and saturation: largest change, and its probability
    contrast : largest change, and its probability
    """

    height: int
    width: int
    resize: int
    method: int
    resize_mode: str
    fill_value: int
    mirror_prob: float
    pad_prob: float
    max_pad_scale: float
    crop_prob: float
    samplers: tuple[CropSampler, ...]
    emit_mode: str
    emit_overlap_thresh: float
    hls: tuple[tuple[int, float], ...]
    contrast: tuple[float, float]

    def __post_init__(self) -> None:
        check_method(self.method)
        if not 0 <= self.fill_value <= 255:
            raise ArgumentError(f"fill_value must be 0 to 255, not {self.fill_value}")


class DetectionPlanner(Planner):
    """Plans batches of images with boxes.

    Parameters
    ----------
    options : what is asked for
    seed : the augmentation's seed
    channels : of the images
    label_width : numbers that every record's label has; -1: any
    label_length : numbers of a batch's label, including LABEL_PREFIX
    pad_value : fills the rest of a batch's label
    policies : draw the operations on the outputs, in their order; none of them moves pixels
    """

    def __init__(
        self,
        options: DetectionOptions,
        seed: int,
        channels: int,
        label_width: int,
        label_length: int,
        pad_value: float,
        policies: Sequence[Policy] = (),
    ) -> None:
        self.borders = options.pad_prob > 0 or options.resize_mode != "force"
        self._options = options
        self._seed = seed
        self._channels = channels
        self._label_width = label_width
        self._label_length = label_length
        self._pad_value = pad_value
        self._policies = policies

    def plan(self, samples: Samples) -> PlannedBatch:
        """Plan a batch."""
        options = self._options
        jitters: list[tuple[list[int], float]] = []

        def trace(image: ImageTracer, rng: SampleRng, label: Label) -> Label:
            header, boxes = self._split(label)
            method = draw_method(rng, options.method)
            if options.resize > 0:
                image.resize_shorter(options.resize, method)
            jitter = self._jitter(rng)
            boxes = self._augment(image, rng, boxes)
            row = self._label(self._fit(image, method), header, boxes)
            jitters.append(jitter)
            return row

        size = options.width, options.height
        planned = trace_batch(self._seed, samples, trace, size)
        operations = plan_operations(
            self._policies, size, self._channels, self._seed, samples.epoch, samples.record
        )
        count = len(samples.sizes)
        hls, gain = np.zeros((count, 3), np.int64), np.ones(count)
        good = [row for row, label in enumerate(planned.labels) if label is not None]
        for row, (shifts, factor) in zip(good, jitters, strict=True):
            hls[row], gain[row] = shifts, factor
        return planned._replace(
            plan=replace(
                planned.plan,
                operations=operations,
                image_jitter=Jitter(
                    hls=hls if hls.any() else None, gain=gain if (gain != 1).any() else None
                ),
            )
        )

    def _split(self, label: Label) -> tuple[NDArray[np.float32], Boxes]:
        raw = np.atleast_1d(np.asarray(label, np.float32))
        if self._label_width > 0 and len(raw) != self._label_width:
            raise RecordError(
                f"the label holds {len(raw)} numbers, label_width asks for {self._label_width}"
            )
        return split_label(raw, max(MAX_LABEL, self._label_length - LABEL_PREFIX))

    def _jitter(self, rng: SampleRng) -> tuple[list[int], float]:
        """Shifts of hue, lightness and saturation, and the factor of the contrast."""
        shifts = []
        for most, probability in self._options.hls:
            shift = int(rng.uniform(-most, most))
            shifts.append(shift if rng.random() < probability else 0)
        most_contrast, probability = self._options.contrast
        contrast = rng.uniform(-most_contrast, most_contrast)
        return shifts, max(0.0, 1 + contrast) if rng.random() < probability else 1.0

    def _augment(self, image: ImageTracer, rng: SampleRng, boxes: Boxes) -> Boxes:
        options = self._options
        if rng.random() < options.mirror_prob:
            image.flip()
            boxes = flip_boxes(boxes)
        if rng.random() < options.pad_prob:
            boxes = self._pad(image, rng, boxes)
        if options.samplers and rng.random() < options.crop_prob:
            boxes = self._crop(image, rng, boxes)
        return boxes

    def _pad(self, image: ImageTracer, rng: SampleRng, boxes: Boxes) -> Boxes:
        """Place the image somewhere in a larger one of the same aspect ratio."""
        scale = rng.uniform(1, max(self._options.max_pad_scale, 1))
        if scale < MIN_PAD_SCALE:
            return boxes
        x, y = rng.uniform(0, scale - 1), rng.uniform(0, scale - 1)
        width, height = image.width, image.height
        image.pad(
            int(x * width),
            int(y * height),
            int((scale - x - 1) * width),
            int((scale - y - 1) * height),
            gray_fill(self._options.fill_value, self._channels),
        )
        return boxes_in_window(boxes, (-x, -y, scale, scale))

    def _crop(self, image: ImageTracer, rng: SampleRng, boxes: Boxes) -> Boxes:
        """Crop to what one of the samplers finds first."""
        for sampler in rng.shuffled(self._options.samplers):
            for _ in range(sampler.trials):
                window = draw_window(sampler, image.width / image.height, rng)
                kept = self._boxes_in(sampler, window, boxes)
                if kept is not None:
                    x, y, w, h = window
                    width, height = max(int(w * image.width), 1), max(int(h * image.height), 1)
                    left = min(int(x * image.width), image.width - width)
                    top = min(int(y * image.height), image.height - height)
                    image.crop(left, top, width, height)
                    return kept
        return boxes

    def _boxes_in(self, sampler: CropSampler, window: Window, boxes: Boxes) -> Boxes | None:
        """The boxes in the coordinates of a crop; None: it does not satisfy the conditions."""
        if not len(boxes):
            return boxes
        corners = boxes[:, CORNERS]
        x, y, w, h = window
        whole, crop = areas(corners), w * h
        common = areas(corners.clip((x, y, x, y), (x + w, y + h, x + w, y + h)))
        with np.errstate(invalid="ignore"):  # an area may be too small for float32
            inside = common / whole
        fractions = (
            (common / (whole + crop - common), sampler.overlaps),
            (common / max(crop, 1e-12), sampler.sample_coverages),
            (inside, sampler.object_coverages),
        )
        good = np.ones(len(boxes), bool)
        for fraction, (least, most) in fractions:
            good &= (fraction >= least) & (fraction <= most)
        if not good.any():
            return None
        if self._options.emit_mode == "center":
            center = (corners[:, :2] + corners[:, 2:]) / 2
            stays = ((center >= (x, y)) & (center < (x + w, y + h))).all(1)
        else:
            stays = inside > self._options.emit_overlap_thresh
        if not stays.any():
            return None
        kept = boxes_in_window(boxes[stays], window)
        kept[:, CORNERS] = kept[:, CORNERS].clip(0, 1)
        return kept

    def _fit(self, image: ImageTracer, method: int) -> tuple[int, int]:
        """Resize the image to the output; returns the rows and columns that it fills there."""
        options = self._options
        width, height = options.width, options.height
        if options.resize_mode != "force":
            # In MXNet's float32, whose rounding makes a difference of a pixel.
            wide, high = np.float32(image.width), np.float32(image.height)
            scale = min(np.float32(width) / wide, np.float32(height) / high)
            if options.resize_mode == "shrink":
                scale = min(scale, np.float32(1))
            width = min(max(int(wide * scale), 1), width)
            height = min(max(int(high * scale), 1), height)
        image.resize(width, height, method)
        if (width, height) != (options.width, options.height):
            rest = options.width - width, options.height - height
            image.pad(0, 0, *rest, (0,) * self._channels)
        return height, width

    def _label(
        self, filled: tuple[int, int], header: NDArray[np.float32], boxes: Boxes
    ) -> NDArray[np.float32]:
        numbers = np.concatenate([header, boxes.reshape(-1)])
        end = LABEL_PREFIX + len(numbers)
        if end > self._label_length:
            raise RecordError(
                f"the label holds {len(numbers)} numbers, label_pad_width leaves space for "
                f"{self._label_length - LABEL_PREFIX}"
            )
        row = np.full(self._label_length, self._pad_value, np.float32)
        row[:LABEL_PREFIX] = self._channels, *filled, len(numbers)
        row[LABEL_PREFIX:end] = numbers
        return row


def draw_window(sampler: CropSampler, aspect: float, rng: SampleRng) -> Window:
    """Draw a crop: left, top, width and height as fractions of the image.

    Parameters
    ----------
    aspect : the image's width / height
    """
    scale = rng.uniform(*sampler.scales) + 1e-12
    least = max(sampler.aspects[0] / aspect, scale * scale)
    most = min(sampler.aspects[1] / aspect, 1 / (scale * scale))
    ratio = math.sqrt(rng.uniform(least, most))
    width, height = min(1.0, scale * ratio), min(1.0, scale / ratio)
    return rng.uniform(0, 1 - width), rng.uniform(0, 1 - height), width, height
