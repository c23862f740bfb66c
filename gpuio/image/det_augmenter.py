"""MXNet's augmenters for detection: callables that take an image and its boxes and return both.

Boxes are rows of a label, float32 (objects, at least 5): class, left, top, right, bottom, and
further numbers; the coordinates are fractions of the image's width and height.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray as HostArray

from gpuio import nd
from gpuio.errors import ArgumentError
from gpuio.image.augmenter import (
    Augmenter,
    AugmenterBase,
    apply_augmenters,
    size_of,
    undefined,
)
from gpuio.image.geometry import copyMakeBorder, fixed_crop
from gpuio.nd import NDArray
from gpuio.planning.augmenters import GEOMETRY, Params, Size, is_described
from gpuio.planning.boxes import CORNERS, Boxes, areas, boxes_in_window, flip_boxes
from gpuio.planning.policies import Policy
from gpuio.planning.tracer import ImageTracer
from gpuio.sampling.sample_rng import Rng, current_rng

Window: TypeAlias = HostArray[np.float64]  # left, top, width, height, as fractions of the image

# A crop, or an object in pixels, of a smaller area is ignored; padding must add at least this many
# pixels to width and height.
MIN_AREA, MIN_MARGIN = 2, 2

# A fraction of a box that is left by rounding errors alone.
SLIVER = 1e-5


class DetAugmenter(AugmenterBase):
    """Base of the detection augmenters: `__call__` takes an image and its boxes and returns both.

    Subclass it for one of your own, with `__call__` alone, or with `draw`, `apply`, `trace` and
    `move_boxes`; see `Augmenter`.

    Parameters
    ----------
    kwargs : the arguments that `dumps` writes down
    """

    takes_boxes = True
    stage = GEOMETRY

    @property
    def described(self) -> bool:
        """Whether calling the augmenter does what its other methods describe."""
        return type(self).__call__ is DetAugmenter.__call__

    def __call__(self, src: NDArray, label: Boxes) -> tuple[NDArray, Boxes]:
        """Augment an image (height, width, channels) and its boxes, with random numbers of
        `current_rng`.

        Raises
        ------
        NotImplementedError : a subclass has neither `__call__` nor `apply`.
        """
        rng = current_rng()
        if self.parts is not None:
            return apply_det_augmenters(self.drawn_parts(rng), src, label, rng)
        if type(self).apply is DetAugmenter.apply:
            raise NotImplementedError(f"{type(self).__name__} has no __call__")
        params = self.draw(rng, size_of(src), label)
        return self.apply(src, params), self.move_boxes(label, params)

    def draw(self, rng: Rng, size: Size, boxes: Boxes) -> Params:
        """Draw the parameters for an image of a size, (width, height), and its boxes."""
        return None

    @undefined
    def apply(self, src: NDArray, params: Params) -> NDArray:
        """Apply the augmenter to an image (height, width, channels)."""
        raise NotImplementedError(f"{type(self).__name__} has no apply")

    @undefined
    def trace(self, tracer: ImageTracer, params: Params) -> None:
        """Apply the augmenter to an `ImageTracer`."""
        raise NotImplementedError(f"{type(self).__name__} has no trace")

    def move_boxes(self, boxes: Boxes, params: Params) -> Boxes:
        """The boxes of the augmented image."""
        return boxes


class DetBorrowAug(DetAugmenter):
    """Apply an augmenter of images, and leave the boxes as they are.

    Parameters
    ----------
    augmenter : one that moves nothing, such as a color jitter, or a resize of the whole image

    Raises
    ------
    TypeError : it is not an `Augmenter`.
    ArgumentError : it is `RandAugment` or `TrivialAugmentWide`, or holds one.
    """

    def __init__(self, augmenter: Augmenter) -> None:
        if not isinstance(augmenter, Augmenter):
            raise TypeError(f"DetBorrowAug takes an Augmenter, not {type(augmenter).__name__}")
        _check_moves_nothing(augmenter)
        super().__init__()
        self.augmenter = augmenter

    @property
    def parts(self) -> Sequence[Any]:
        """The augmenter."""
        return [self.augmenter]

    def dumps(self) -> list[Any]:
        """The class's name and the augmenter's dumps."""
        return [type(self).__name__.lower(), self.augmenter.dumps()]

    def normalization(self) -> tuple[Sequence[float], Sequence[float]] | None:
        """That of the augmenter."""
        return self.augmenter.normalization()

    def drawn_parts(self, rng: Rng) -> Sequence[Any]:
        """The augmenter."""
        return [self.augmenter]


def _check_moves_nothing(augmenter: Any) -> None:
    """Refuse RandAugment and its like. (What of MXNet's augmenters moves pixels, MXNet takes.)"""
    policy = getattr(augmenter, "policy", None)
    if isinstance(policy, Policy) and policy.moves_pixels:
        raise ArgumentError(
            f"DetBorrowAug cannot have {type(augmenter).__name__}: it moves pixels, and the boxes "
            "would stay where they are; use ColorJitter and RandomErasing, and detection "
            "augmenters such as DetHorizontalFlipAug and DetRandomCropAug"
        )
    for each in getattr(augmenter, "parts", None) or ():
        _check_moves_nothing(each)


class DetRandomSelectAug(DetAugmenter):
    """Apply one of several augmenters, or none.

    Parameters
    ----------
    aug_list : the augmenters, with equal probabilities, or a single one. If empty, nothing is done
    skip_prob : the probability that nothing is done

    Raises
    ------
    ValueError : one is not a `DetAugmenter`.
    """

    any_order = True

    def __init__(
        self, aug_list: DetAugmenter | Sequence[DetAugmenter], skip_prob: float = 0
    ) -> None:
        listed: list[Any] = list(aug_list) if isinstance(aug_list, (list, tuple)) else [aug_list]
        for each in listed:
            if not isinstance(each, DetAugmenter):
                raise ValueError(f"DetRandomSelectAug takes DetAugmenters, not {each!r}")
        super().__init__(skip_prob=skip_prob)
        self.aug_list: list[DetAugmenter] = listed
        self.skip_prob = skip_prob if listed else 1

    @property
    def parts(self) -> Sequence[DetAugmenter]:
        """The augmenters."""
        return self.aug_list

    def dumps(self) -> list[Any]:
        """The class's name and the dumps of each augmenter."""
        return [type(self).__name__.lower(), [each.dumps() for each in self.aug_list]]

    def drawn_parts(self, rng: Rng) -> Sequence[DetAugmenter]:
        """One of them, or none."""
        return [] if rng.random() < self.skip_prob else [rng.choice(self.aug_list)]


class DetHorizontalFlipAug(DetAugmenter):
    """Flip image and boxes left to right with a probability.

    Parameters
    ----------
    p : the probability
    """

    def __init__(self, p: float) -> None:
        super().__init__(p=p)
        self.p = p

    def draw(self, rng: Rng, size: Size, boxes: Boxes) -> Params:
        """Draw whether to flip."""
        return rng.random() < self.p

    def apply(self, src: NDArray, params: Params) -> NDArray:
        """The image, or its mirror image, a view."""
        return nd.wrap(src[:, ::-1]) if params else src

    def trace(self, tracer: ImageTracer, params: Params) -> None:
        """Flip an `ImageTracer`."""
        if params:
            tracer.flip()

    def move_boxes(self, boxes: Boxes, params: Params) -> Boxes:
        """Flip the boxes."""
        return flip_boxes(boxes) if params else boxes


class DetRandomCropAug(DetAugmenter):
    """Crop a random rectangle that keeps enough of the objects (SSD: Liu et al., 2016).

    An aspect ratio is drawn uniformly, then a height among those that the areas allow, then a
    position. Boxes are clipped to the crop; those of which too little is left are dropped. A crop
    that does not satisfy the conditions is drawn again; after all attempts the image stays as it
    is.

    Parameters
    ----------
    min_object_covered : of each object that the crop touches, more than this fraction must lie
        inside
    aspect_ratio_range : least and most of width / height; or the one aspect ratio
    area_range : least and most of the image's area, as fractions; or the least alone
    min_eject_coverage : boxes of which no more than this fraction is left are dropped
    max_attempts : number of attempts

    Raises
    ------
    ArgumentError : a range is not 0 < least <= most.
    """

    def __init__(
        self,
        min_object_covered: float = 0.1,
        aspect_ratio_range: float | Sequence[float] = (0.75, 1.33),
        area_range: float | Sequence[float] = (0.05, 1.0),
        min_eject_coverage: float = 0.3,
        max_attempts: int = 50,
    ) -> None:
        aspects, fractions = _aspects(aspect_ratio_range), _pair(area_range, 1.0)
        if not (0 <= fractions[0] <= fractions[1] and fractions[1] > 0):
            raise ArgumentError(f"area_range must be 0 <= least <= most, not {area_range}")
        super().__init__(
            min_object_covered=min_object_covered,
            aspect_ratio_range=aspects,
            area_range=fractions,
            min_eject_coverage=min_eject_coverage,
            max_attempts=max_attempts,
        )
        self.min_object_covered = min_object_covered
        self.aspect_ratio_range, self.area_range = aspects, fractions
        self.min_eject_coverage = min_eject_coverage
        self.max_attempts = max_attempts

    def draw(self, rng: Rng, size: Size, boxes: Boxes) -> Params:
        """Draw a crop: its rectangle and the boxes in it; None: no attempt satisfies the
        conditions.
        """
        width, height = size
        for _ in range(self.max_attempts):
            crop = self._draw_size(rng, width, height)
            if crop is None:
                continue
            x = rng.randint(0, width - crop[0])
            y = rng.randint(0, height - crop[1])
            window = np.array([x / width, y / height, crop[0] / width, crop[1] / height])
            if not self._keeps_enough(boxes, window, width, height):
                continue
            left = self._boxes_in(boxes, window)
            if len(left):
                return (x, y, *crop), left
        return None

    def apply(self, src: NDArray, params: Params) -> NDArray:
        """Crop an image."""
        return src if params is None else fixed_crop(src, *params[0])

    def trace(self, tracer: ImageTracer, params: Params) -> None:
        """Crop an `ImageTracer`."""
        if params is not None:
            tracer.crop(*params[0])

    def move_boxes(self, boxes: Boxes, params: Params) -> Boxes:
        """The boxes in the crop."""
        return boxes if params is None else params[1]

    def _draw_size(self, rng: Rng, width: int, height: int) -> tuple[int, int] | None:
        """A random width and height in pixels; None: the aspect ratio drawn has none."""
        aspect = rng.uniform(*self.aspect_ratio_range)
        least, most = (fraction * width * height for fraction in self.area_range)
        highest = min(round((most / aspect) ** 0.5), height)
        if round(highest * aspect) > width:
            highest = int((width + 0.5) / aspect)
        lowest = min(round((least / aspect) ** 0.5), highest)
        drawn = rng.randint(lowest, highest)
        for tall in (drawn, drawn + 1, drawn - 1):  # after rounding, the area may be just outside
            wide = round(tall * aspect)
            if least <= wide * tall <= most and 1 <= wide <= width and 1 <= tall <= height:
                return wide, tall
        return None

    def _keeps_enough(self, boxes: Boxes, window: Window, width: int, height: int) -> bool:
        if window[2] * width * window[3] * height < MIN_AREA:
            return False
        corners = boxes[:, CORNERS]
        whole = areas(corners)
        large = whole * width * height > MIN_AREA
        x, y, w, h = window
        inside = corners[large].clip([x, y, x, y], [x + w, y + h, x + w, y + h])
        covered = areas(inside) / whole[large]
        covered = covered[covered > 0]
        return bool(len(covered) and covered.min() > self.min_object_covered)

    def _boxes_in(self, boxes: Boxes, window: Window) -> Boxes:
        """The boxes in the coordinates of the crop, without those of which too little is left."""
        seen = boxes_in_window(boxes, window)
        kept = seen.copy()
        kept[:, CORNERS] = seen[:, CORNERS].clip(0, 1)
        before, after = areas(seen[:, CORNERS]), areas(kept[:, CORNERS])
        return kept[after > max(self.min_eject_coverage, SLIVER) * before]


class DetRandomPadAug(DetAugmenter):
    """Place the image somewhere in a larger, padded one (SSD: Liu et al., 2016).

    An aspect ratio is drawn uniformly, then a height among those that the areas allow and that
    hold the image, then a position. A padded image that is hardly larger is drawn again; after all
    attempts the image stays as it is.

    Parameters
    ----------
    aspect_ratio_range : least and most of the padded width / height; or the one aspect ratio
    area_range : least and most of the padded area, as multiples of the image's; or the most alone
    max_attempts : number of attempts
    pad_val : pixel value of the padding, for each channel

    Raises
    ------
    ArgumentError : a range is not 0 < least <= most, or the padded image could not be larger than
        the image.
    """

    adds_border = True

    def __init__(
        self,
        aspect_ratio_range: float | Sequence[float] = (0.75, 1.33),
        area_range: float | Sequence[float] = (1.0, 3.0),
        max_attempts: int = 50,
        pad_val: float | Sequence[float] = (128, 128, 128),
    ) -> None:
        aspects = _aspects(aspect_ratio_range)
        multiples = (1.0, float(area_range)) if isinstance(area_range, (int, float)) else area_range
        multiples = _pair(multiples, 1.0)
        if not (0 < multiples[0] <= multiples[1] and multiples[1] > 1):
            raise ArgumentError(
                f"area_range must be 0 < least <= most with most above 1, not {area_range}"
            )
        values = (pad_val,) if isinstance(pad_val, (int, float)) else tuple(pad_val)
        super().__init__(
            aspect_ratio_range=aspects,
            area_range=multiples,
            max_attempts=max_attempts,
            pad_val=values,
        )
        self.aspect_ratio_range, self.area_range = aspects, multiples
        self.max_attempts, self.pad_val = max_attempts, values

    def draw(self, rng: Rng, size: Size, boxes: Boxes) -> Params:
        """Draw the margins left, top, right and bottom, and the padded image as a window of the
        image; None: no attempt is larger than the image.
        """
        width, height = size
        for _ in range(self.max_attempts):
            aspect = rng.uniform(*self.aspect_ratio_range)
            least, most = (multiple * width * height for multiple in self.area_range)
            highest = round((most / aspect) ** 0.5)
            lowest = round((least / aspect) ** 0.5)
            if round(lowest * aspect) < width:
                lowest = int((width + 0.5) / aspect)
            tall = rng.randint(min(max(lowest, height), highest), highest)
            wide = round(tall * aspect)
            if tall - height < MIN_MARGIN or wide - width < MIN_MARGIN:
                continue
            x = rng.randint(0, wide - width)
            y = rng.randint(0, tall - height)
            window = np.array([-x / width, -y / height, wide / width, tall / height])
            return (x, y, wide - x - width, tall - y - height), window
        return None

    def apply(self, src: NDArray, params: Params) -> NDArray:
        """Pad an image."""
        if params is None:
            return src
        left, top, right, bottom = params[0]
        fill = self._fill(src.shape[2])
        return copyMakeBorder(src, top, bottom, left, right, values=fill)

    def trace(self, tracer: ImageTracer, params: Params) -> None:
        """Pad an `ImageTracer`."""
        if params is not None:
            left, top, right, bottom = params[0]
            tracer.pad(left, top, right, bottom, self._fill(3))

    def move_boxes(self, boxes: Boxes, params: Params) -> Boxes:
        """The boxes in the padded image."""
        return boxes if params is None else boxes_in_window(boxes, params[1])

    def _fill(self, channels: int) -> Sequence[float]:
        """The pixel value of the padding, for each channel."""
        given = self.pad_val * channels if len(self.pad_val) == 1 else self.pad_val
        return (tuple(given) + (0,) * channels)[:channels]


def apply_det_augmenters(
    augmenters: Iterable[Any], src: NDArray, boxes: Boxes, rng: Rng
) -> tuple[NDArray, Boxes]:
    """Apply detection augmenters, augmenters of images, and other callables of an image and boxes,
    one after another.
    """
    for each in augmenters:
        if isinstance(each, Augmenter):
            src = apply_augmenters([each], src, rng)
        elif not is_described(each):
            src, boxes = each(src, boxes)
        elif each.parts is not None:
            src, boxes = apply_det_augmenters(each.drawn_parts(rng), src, boxes, rng)
        else:
            params = each.draw(rng, size_of(src), boxes)
            src, boxes = each.apply(src, params), each.move_boxes(boxes, params)
    return src, boxes


def _pair(values: float | Sequence[float], most: float) -> tuple[float, float]:
    if isinstance(values, (int, float)):
        return float(values), most
    try:
        low, high = map(float, values)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"area_range must be two numbers, not {values!r}") from error
    return low, high


def _aspects(values: float | Sequence[float]) -> tuple[float, float]:
    pair = (values, values) if isinstance(values, (int, float)) else values
    try:
        low, high = map(float, pair)
        valid = 0 < low <= high < math.inf
    except (TypeError, ValueError, OverflowError):
        valid = False
    if not valid:
        raise ArgumentError(f"aspect_ratio_range must be 0 < least <= most, not {values!r}")
    return low, high
