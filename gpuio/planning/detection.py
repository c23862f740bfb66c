"""The geometry and the jitters that ImageDetRecordIter's arguments ask for, and what becomes of the
boxes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError
from gpuio.loading.batch import Draft
from gpuio.planning.boxes import SIDES, Boxes, areas, mirrored, moved
from gpuio.planning.plan import METHODS, Plan
from gpuio.planning.tracer import ImageTracer, plan_of, trace_batch
from gpuio.sampling import sample_rng as draws

RESIZE_MODES = ("force", "shrink", "fit")
EMIT_MODES = ("center", "overlap")

# A canvas that is not larger than this, as a multiple of the picture's sides, is left out.
LEAST_PAD_SCALE = 1.05

Range = tuple[float, float]


@dataclass(frozen=True)
class Sampler:
    """One way of drawing crops.

    Attributes
    ----------
    scales : of the square root of the crop's share of the picture
    aspects : of its width / height in pixels
    overlaps : of intersection over union with an object
    sample_coverages : of the share of the crop that an object covers
    object_coverages : of the share of an object that lies in the crop
    trials : how often to draw
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
class DetAugment:
    """What ImageDetRecordIter's arguments ask for, in its words."""

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
    samplers: tuple[Sampler, ...]
    emit_mode: str
    emit_overlap_thresh: float
    hls: tuple[tuple[int, float], ...]  # hue, lightness, saturation: range and probability
    contrast: tuple[float, float]  # range and probability

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ArgumentError(
                f"inter_method must be one of {', '.join(map(str, METHODS))}, not {self.method}"
            )
        if not 0 <= self.fill_value <= 255:
            raise ArgumentError(f"fill_value must be 0 to 255, not {self.fill_value}")


class DetPlanner:
    """Plans batches, and moves the labels along.

    Parameters
    ----------
    augment : what is asked for
    seed : of which, with a sample's epoch and number, its draws are made
    channels : of the pictures
    room : numbers of a batch's label, with the four in front
    pad_value : stands where a label has no numbers
    """

    def __init__(
        self, augment: DetAugment, seed: int, channels: int, room: int, pad_value: float
    ) -> None:
        self._augment = augment
        self._seed = seed
        self._channels = channels
        self._room = room
        self._pad_value = pad_value

    def __call__(self, draft: Draft) -> Plan:
        """The plan of a batch; its labels become rows of the batch's."""
        augment, count = self._augment, len(draft.sizes)
        hls, gain = np.zeros((count, 3), np.int64), np.ones(count)

        def make(picture: ImageTracer, row: int) -> NDArray[np.float32]:
            header, boxes = draft.labels[row]
            if augment.resize > 0:
                picture.shorter_side(augment.resize, augment.method)
            hls[row], gain[row] = self._jitter()
            boxes = self._move(picture, boxes)
            return self._label(self._fit(picture), header, boxes)

        sketches = trace_batch(draft, self._seed, make)
        plan = plan_of(sketches, augment.width, augment.height)
        return replace(
            plan, hls=hls if hls.any() else None, gain=gain if (gain != 1).any() else None
        )

    def _jitter(self) -> tuple[Sequence[int], float]:
        """Shifts of hue, lightness and saturation, and the contrast's factor."""
        augment = self._augment
        shifts = []
        for most, chance in augment.hls:
            shift = int(draws.uniform(-most, most))
            shifts.append(shift if draws.below(chance) else 0)
        most_contrast, chance = augment.contrast
        contrast = draws.uniform(-most_contrast, most_contrast)
        return shifts, max(0.0, 1 + contrast) if draws.below(chance) else 1.0

    def _move(self, made: ImageTracer, boxes: Boxes) -> Boxes:
        augment = self._augment
        if draws.below(augment.mirror_prob):
            made.flip()
            boxes = mirrored(boxes)
        if draws.below(augment.pad_prob):
            boxes = self._pad(made, boxes)
        if augment.samplers and draws.below(augment.crop_prob):
            boxes = self._crop(made, boxes)
        return boxes

    def _pad(self, made: ImageTracer, boxes: Boxes) -> Boxes:
        """Put the picture somewhere on a canvas of its own aspect."""
        scale = draws.uniform(1, max(self._augment.max_pad_scale, 1))
        if scale < LEAST_PAD_SCALE:
            return boxes
        x, y = draws.uniform(0, scale - 1), draws.uniform(0, scale - 1)
        width, height = made.width, made.height
        made.pad(
            int(x * width),
            int(y * height),
            int((scale - x - 1) * width),
            int((scale - y - 1) * height),
            # As OpenCV's colours, with nothing for alpha.
            (self._augment.fill_value,) * min(self._channels, 3) + (0,) * (self._channels == 4),
        )
        return moved(boxes, (-x, -y, scale, scale))

    def _crop(self, made: ImageTracer, boxes: Boxes) -> Boxes:
        """Cut out what one of the samplers finds first."""
        for sampler in draws.shuffled(self._augment.samplers):
            for _ in range(sampler.trials):
                window = draw_window(sampler, made.width / made.height)
                kept = self._kept(sampler, window, boxes)
                if kept is not None:
                    x, y, w, h = window
                    width, height = max(int(w * made.width), 1), max(int(h * made.height), 1)
                    left = min(int(x * made.width), made.width - width)
                    top = min(int(y * made.height), made.height - height)
                    made.crop(left, top, width, height)
                    return kept
        return boxes

    def _kept(self, sampler: Sampler, window: Any, boxes: Boxes) -> Boxes | None:
        """The boxes as a crop has them; None: it does not fulfil the conditions."""
        if not len(boxes):
            return boxes
        sides = boxes[:, SIDES]
        x, y, w, h = window
        whole, crop = areas(sides), w * h
        common = areas(sides.clip((x, y, x, y), (x + w, y + h, x + w, y + h)))
        with np.errstate(invalid="ignore"):  # an area may be too small for float32
            inside = common / whole
        shares = (
            (common / (whole + crop - common), sampler.overlaps),
            (common / max(crop, 1e-12), sampler.sample_coverages),
            (inside, sampler.object_coverages),
        )
        good = np.ones(len(boxes), bool)
        for share, (least, most) in shares:
            good &= (share >= least) & (share <= most)
        if not good.any():
            return None
        if self._augment.emit_mode == "center":
            middle = (sides[:, :2] + sides[:, 2:]) / 2
            stays = ((middle >= (x, y)) & (middle < (x + w, y + h))).all(1)
        else:
            stays = inside > self._augment.emit_overlap_thresh
        if not stays.any():
            return None
        kept = moved(boxes[stays], window)
        kept[:, SIDES] = kept[:, SIDES].clip(0, 1)
        return kept

    def _fit(self, made: ImageTracer) -> tuple[int, int]:
        """Bring the picture into the batch's size; gives rows and columns that it takes there."""
        augment = self._augment
        width, height = augment.width, augment.height
        if augment.resize_mode != "force":
            # In MXNet's float32, of which the rounding down makes a pixel's difference.
            wide, high = np.float32(made.width), np.float32(made.height)
            scale = min(np.float32(width) / wide, np.float32(height) / high)
            if augment.resize_mode == "shrink":
                scale = min(scale, np.float32(1))
            width = min(max(int(wide * scale), 1), width)
            height = min(max(int(high * scale), 1), height)
        made.resize(width, height, augment.method)
        if (width, height) != (augment.width, augment.height):
            border = augment.width - width, augment.height - height
            made.pad(0, 0, *border, (0,) * self._channels)
        return height, width

    def _label(
        self, written: tuple[int, int], header: NDArray[np.float32], boxes: Boxes
    ) -> NDArray[np.float32]:
        numbers = np.concatenate([header, boxes.reshape(-1)])
        if 4 + len(numbers) > self._room:
            raise ArgumentError(
                f"the label holds {len(numbers)} numbers, label_pad_width leaves room for "
                f"{self._room - 4}"
            )
        row = np.full(self._room, self._pad_value, np.float32)
        row[:4] = self._channels, *written, len(numbers)
        row[4 : 4 + len(numbers)] = numbers
        return row


def draw_window(sampler: Sampler, picture_aspect: float) -> tuple[float, float, float, float]:
    """A crop's left, top, width and height in shares of the picture.

    Parameters
    ----------
    picture_aspect : its width / height
    """
    scale = draws.uniform(*sampler.scales) + 1e-12
    least = max(sampler.aspects[0] / picture_aspect, scale * scale)
    most = min(sampler.aspects[1] / picture_aspect, 1 / (scale * scale))
    ratio = math.sqrt(draws.uniform(least, most))
    width, height = min(1.0, scale * ratio), min(1.0, scale / ratio)
    return draws.uniform(0, 1 - width), draws.uniform(0, 1 - height), width, height
