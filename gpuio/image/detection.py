"""MXNet's augmenters for detection: callables that take a picture and its boxes and give both.

Boxes are rows of a label, float32 (objects, at least 5): class, left, top, right, bottom, and
whatever follows, with the sides as shares of the picture's width and height.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuio import nd
from gpuio.errors import ArgumentError
from gpuio.image.augment import channel_numbers, colour_augmenters
from gpuio.image.augment_colour import CastAug, ColorNormalizeAug, RandomGrayAug
from gpuio.image.augment_geometry import ForceResizeAug, ResizeAug
from gpuio.image.augmenter import Augmenter, plain
from gpuio.image.geometry import Rectangle, copyMakeBorder, fixed_crop
from gpuio.nd import NDArray
from gpuio.planning.boxes import SIDES, Boxes, areas, mirrored, moved
from gpuio.sampling import sample_rng as draws

if TYPE_CHECKING:
    from gpuio.planning.tracer import ImageTracer

# A crop, or an object in pixels, of less than this area is none; a canvas must be larger than the
# picture by this many pixels along each side.
LEAST_AREA, LEAST_MARGIN = 2, 2

# A share of a box that is left by rounding alone.
SLIVER = 1e-5


class DetAugmenter:
    """Base of the detection augmenters: `__call__` takes a picture and its boxes and gives both.

    Subclass it for one of your own; gpuio's own also have `sketch`, as those of pictures do. Named
    arguments given to ``super().__init__`` are what `dumps` writes down.
    """

    def __init__(self, **kwargs: Any) -> None:
        self._kwargs = {name: plain(value) for name, value in kwargs.items()}

    def dumps(self) -> Any:
        """The augmenter as JSON: its class's name in lower case, and its arguments."""
        return Augmenter.dumps(self)  # type: ignore[arg-type]

    def __call__(self, src: NDArray, label: Boxes) -> tuple[NDArray, Boxes]:
        """What becomes of a picture, (height, width, channels), and of its boxes.

        Raises
        ------
        NotImplementedError : in this base.
        """
        raise NotImplementedError(f"{type(self).__name__} has no __call__")


class DetBorrowAug(DetAugmenter):
    """An augmenter of pictures that leaves the boxes where they are.

    Parameters
    ----------
    augmenter : one that moves nothing, such as a colour jitter, or a resize of the whole picture

    Raises
    ------
    TypeError : it is no `Augmenter`.
    """

    def __init__(self, augmenter: Augmenter) -> None:
        if not isinstance(augmenter, Augmenter):
            raise TypeError(f"DetBorrowAug takes an Augmenter, not {type(augmenter).__name__}")
        super().__init__()
        self.augmenter = augmenter

    def dumps(self) -> list[Any]:
        """The class's name and what the augmenter gives."""
        return [type(self).__name__.lower(), self.augmenter.dumps()]

    def __call__(self, src: NDArray, label: Boxes) -> tuple[NDArray, Boxes]:
        """The picture changed, the boxes as they are."""
        return self.augmenter(src), label

    def sketch(self, picture: ImageTracer, label: Boxes) -> Boxes:
        """The same to a sketch; the boxes are given."""
        self.augmenter.sketch(picture)  # type: ignore[attr-defined]  # has been looked at
        return label


class DetRandomSelectAug(DetAugmenter):
    """One of several augmenters, or none.

    Parameters
    ----------
    aug_list : the augmenters, with even chances; a single one is taken, too. Without any, nothing
        happens
    skip_prob : the probability that nothing happens

    Raises
    ------
    ValueError : one is no `DetAugmenter`.
    """

    def __init__(
        self, aug_list: DetAugmenter | Sequence[DetAugmenter], skip_prob: float = 0
    ) -> None:
        listed = list(aug_list) if isinstance(aug_list, (list, tuple)) else [aug_list]
        for each in listed:
            if not isinstance(each, DetAugmenter):
                raise ValueError(f"DetRandomSelectAug takes DetAugmenters, not {each!r}")
        super().__init__(skip_prob=skip_prob)
        self.aug_list: list[DetAugmenter] = listed  # type: ignore[assignment]
        self.skip_prob = skip_prob if listed else 1

    def dumps(self) -> list[Any]:
        """The class's name and what each augmenter gives."""
        return [type(self).__name__.lower(), [each.dumps() for each in self.aug_list]]

    def __call__(self, src: NDArray, label: Boxes) -> tuple[NDArray, Boxes]:
        """What one of the augmenters makes of them, or both as they are."""
        if draws.below(self.skip_prob):
            return src, label
        return draws.choice(self.aug_list)(src, label)

    def sketch(self, picture: ImageTracer, label: Boxes) -> Boxes:
        """The same to a sketch; the boxes are given."""
        if draws.below(self.skip_prob):
            return label
        chosen: Any = draws.choice(self.aug_list)
        boxes: Boxes = chosen.sketch(picture, label)
        return boxes


class DetHorizontalFlipAug(DetAugmenter):
    """Flip picture and boxes left to right, with some probability.

    Parameters
    ----------
    p : the probability
    """

    def __init__(self, p: float) -> None:
        super().__init__(p=p)
        self.p = p

    def __call__(self, src: NDArray, label: Boxes) -> tuple[NDArray, Boxes]:
        """Both, or their mirror images."""
        if not draws.below(self.p):
            return src, label
        return nd.wrap(src[:, ::-1]), mirrored(label)

    def sketch(self, picture: ImageTracer, label: Boxes) -> Boxes:
        """The same to a sketch; the boxes are given."""
        if not draws.below(self.p):
            return label
        picture.flip()
        return mirrored(label)


class DetRandomCropAug(DetAugmenter):
    """Cut out a random rectangle that keeps enough of the objects (SSD: Liu et al., 2016).

    An aspect is drawn evenly, then a height between those that the areas allow, then a place. Boxes
    are cut at the crop's sides; those of which too little is left are dropped. What does not fulfil
    the conditions is drawn again; in the end the picture stays as it is.

    Parameters
    ----------
    min_object_covered : of each object that the crop touches, more than this share must lie in it
    aspect_ratio_range : least and most of width / height; or the one aspect
    area_range : least and most of the picture's area, as shares; or the least alone
    min_eject_coverage : boxes of which no more than this share is left are dropped
    max_attempts : how often to draw

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
        aspects, areas = _aspects(aspect_ratio_range), _pair(area_range, 1.0)
        if not (0 <= areas[0] <= areas[1] and areas[1] > 0):
            raise ArgumentError(f"area_range must be 0 <= least <= most, not {area_range}")
        super().__init__(
            min_object_covered=min_object_covered,
            aspect_ratio_range=aspects,
            area_range=areas,
            min_eject_coverage=min_eject_coverage,
            max_attempts=max_attempts,
        )
        self.min_object_covered = min_object_covered
        self.aspect_ratio_range, self.area_range = aspects, areas
        self.min_eject_coverage = min_eject_coverage
        self.max_attempts = max_attempts

    def __call__(self, src: NDArray, label: Boxes) -> tuple[NDArray, Boxes]:
        """The crop and its boxes, or both as they are."""
        chosen = self._chosen(src.shape[1], src.shape[0], label)
        return (src, label) if chosen is None else (fixed_crop(src, *chosen[0]), chosen[1])

    def sketch(self, picture: ImageTracer, label: Boxes) -> Boxes:
        """The same to a sketch; the boxes are given."""
        chosen = self._chosen(picture.width, picture.height, label)
        if chosen is None:
            return label
        picture.crop(*chosen[0])
        return chosen[1]

    def _chosen(self, width: int, height: int, label: Boxes) -> tuple[Rectangle, Boxes] | None:
        """A crop and its boxes; None: nothing that was drawn fulfils the conditions."""
        for _ in range(self.max_attempts):
            size = self._size(width, height)
            if size is None:
                continue
            x = draws.randint(0, width - size[0])
            y = draws.randint(0, height - size[1])
            window = np.array([x / width, y / height, size[0] / width, size[1] / height])
            if not self._keeps_enough(label, window, width, height):
                continue
            left = self._boxes_in(label, window)
            if len(left):
                return (x, y, *size), left
        return None

    def _size(self, width: int, height: int) -> tuple[int, int] | None:
        """A random size in pixels; None: there is none of the aspect that was drawn."""
        aspect = draws.uniform(*self.aspect_ratio_range)
        least, most = (share * width * height for share in self.area_range)
        highest = min(round((most / aspect) ** 0.5), height)
        if round(highest * aspect) > width:
            highest = int((width + 0.5) / aspect)
        lowest = min(round((least / aspect) ** 0.5), highest)
        drawn = draws.randint(lowest, highest)
        for tall in (drawn, drawn + 1, drawn - 1):  # as sides are whole, the area may be just off
            wide = round(tall * aspect)
            if least <= wide * tall <= most and 1 <= wide <= width and 1 <= tall <= height:
                return wide, tall
        return None

    def _keeps_enough(self, label: Boxes, window: Boxes, width: int, height: int) -> bool:
        if window[2] * width * window[3] * height < LEAST_AREA:
            return False
        boxes = label[:, SIDES]
        whole = areas(boxes)
        there = whole * width * height > LEAST_AREA
        x, y, w, h = window
        cut = boxes[there].clip([x, y, x, y], [x + w, y + h, x + w, y + h])
        covered = areas(cut) / whole[there]
        covered = covered[covered > 0]
        return bool(len(covered) and covered.min() > self.min_object_covered)

    def _boxes_in(self, label: Boxes, window: Boxes) -> Boxes:
        """The boxes as the crop has them, less those of which too little is left."""
        seen = moved(label, window)
        kept = seen.copy()
        kept[:, SIDES] = seen[:, SIDES].clip(0, 1)
        before, after = areas(seen[:, SIDES]), areas(kept[:, SIDES])
        good = after > max(self.min_eject_coverage, SLIVER) * before
        chosen: Boxes = kept[good]
        return chosen


class DetRandomPadAug(DetAugmenter):
    """Put the picture somewhere on a larger canvas (SSD: Liu et al., 2016).

    An aspect is drawn evenly, then a height between those that the areas allow and that hold the
    picture, then a place. A canvas that is hardly larger is drawn again; in the end the picture
    stays as it is.

    Parameters
    ----------
    aspect_ratio_range : least and most of the canvas's width / height; or the one aspect
    area_range : least and most of its area, as multiples of the picture's; or the most alone
    max_attempts : how often to draw
    pad_val : the canvas's level in each channel

    Raises
    ------
    ArgumentError : a range is not 0 < least <= most, or the canvas could not be larger than the
        picture.
    """

    def __init__(
        self,
        aspect_ratio_range: float | Sequence[float] = (0.75, 1.33),
        area_range: float | Sequence[float] = (1.0, 3.0),
        max_attempts: int = 50,
        pad_val: float | Sequence[float] = (128, 128, 128),
    ) -> None:
        aspects = _aspects(aspect_ratio_range)
        areas = (1.0, float(area_range)) if isinstance(area_range, (int, float)) else area_range
        areas = _pair(areas, 1.0)
        if not (0 < areas[0] <= areas[1] and areas[1] > 1):
            raise ArgumentError(
                f"area_range must be 0 < least <= most with most above 1, not {area_range}"
            )
        levels = (pad_val,) if isinstance(pad_val, (int, float)) else tuple(pad_val)
        super().__init__(
            aspect_ratio_range=aspects, area_range=areas, max_attempts=max_attempts, pad_val=levels
        )
        self.aspect_ratio_range, self.area_range = aspects, areas
        self.max_attempts, self.pad_val = max_attempts, levels

    def __call__(self, src: NDArray, label: Boxes) -> tuple[NDArray, Boxes]:
        """The canvas and its boxes, or both as they are."""
        chosen = self._chosen(src.shape[1], src.shape[0])
        if chosen is None:
            return src, label
        left, top, right, bottom = chosen[0]
        levels = self._levels(src.shape[2])
        canvas = copyMakeBorder(src, top, bottom, left, right, values=levels)
        return canvas, moved(label, chosen[1])

    def sketch(self, picture: ImageTracer, label: Boxes) -> Boxes:
        """The same to a sketch; the boxes are given."""
        chosen = self._chosen(picture.width, picture.height)
        if chosen is None:
            return label
        picture.pad(*chosen[0], self._levels(3))
        return moved(label, chosen[1])

    def _levels(self, channels: int) -> Sequence[float]:
        """Of the canvas, one for each channel."""
        given = self.pad_val * channels if len(self.pad_val) == 1 else self.pad_val
        return (tuple(given) + (0,) * channels)[:channels]

    def _chosen(self, width: int, height: int) -> tuple[Rectangle, Boxes] | None:
        """Borders left, top, right and bottom, and the canvas in the picture's shares; None: what
        was drawn is hardly larger than the picture.
        """
        for _ in range(self.max_attempts):
            aspect = draws.uniform(*self.aspect_ratio_range)
            least, most = (share * width * height for share in self.area_range)
            highest = round((most / aspect) ** 0.5)
            lowest = round((least / aspect) ** 0.5)
            if round(lowest * aspect) < width:
                lowest = int((width + 0.5) / aspect)
            tall = draws.randint(min(max(lowest, height), highest), highest)
            wide = round(tall * aspect)
            if tall - height < LEAST_MARGIN or wide - width < LEAST_MARGIN:
                continue
            x = draws.randint(0, wide - width)
            y = draws.randint(0, tall - height)
            window = np.array([-x / width, -y / height, wide / width, tall / height])
            return (x, y, wide - x - width, tall - y - height), window
        return None


def CreateMultiRandCropAugmenter(  # noqa: N802  # MXNet's name
    min_object_covered: Any = 0.1,
    aspect_ratio_range: Any = (0.75, 1.33),
    area_range: Any = (0.05, 1.0),
    min_eject_coverage: Any = 0.3,
    max_attempts: Any = 50,
    skip_prob: float = 0,
) -> DetRandomSelectAug:
    """One of several random crops, or none.

    Parameters
    ----------
    min_object_covered, aspect_ratio_range, area_range, min_eject_coverage, max_attempts : as
        `DetRandomCropAug` has them; or a list of such, one for each of the crops. Values that are
        given once count for all
    skip_prob : the probability that nothing happens

    Raises
    ------
    ArgumentError : the lists have different lengths, or a value is out of range.
    """
    given = {
        "min_object_covered": min_object_covered,
        "aspect_ratio_range": aspect_ratio_range,
        "area_range": area_range,
        "min_eject_coverage": min_eject_coverage,
        "max_attempts": max_attempts,
    }
    lists = {name: value for name, value in given.items() if isinstance(value, list)}
    counts = {len(value) for value in lists.values() if len(value) > 1}
    if len(counts) > 1:
        lengths = ", ".join(f"{len(value)} of {name}" for name, value in lists.items())
        raise ArgumentError(f"the lists must have the same length, not {lengths}")
    count = max(counts, default=1)
    columns = {
        name: value * count if len(value) == 1 else value
        for name, value in ((name, lists.get(name, [given[name]])) for name in given)
    }
    crops = [
        DetRandomCropAug(**{name: column[number] for name, column in columns.items()})
        for number in range(count)
    ]
    return DetRandomSelectAug(crops, skip_prob)


def CreateDetAugmenter(  # noqa: N802  # MXNet's name
    data_shape: Sequence[int],
    resize: int = 0,
    rand_crop: float = 0,
    rand_pad: float = 0,
    rand_gray: float = 0,
    rand_mirror: bool = False,
    mean: Any = None,
    std: Any = None,
    brightness: float = 0,
    contrast: float = 0,
    saturation: float = 0,
    pca_noise: float = 0,
    hue: float = 0,
    inter_method: int = 2,
    min_object_covered: float = 0.1,
    aspect_ratio_range: Sequence[float] = (0.75, 1.33),
    area_range: Sequence[float] = (0.05, 3.0),
    min_eject_coverage: float = 0.3,
    max_attempts: int = 50,
    pad_val: Sequence[float] = (127, 127, 127),
) -> list[DetAugmenter]:
    """The usual detection augmenters, in the order in which they work.

    Parameters
    ----------
    data_shape : (channels, height, width) of the output, to which the picture is resized in any
        case, whatever its aspect
    resize : scale the shorter side to so many pixels first; 0: leave the size
    rand_crop, rand_pad, rand_gray : probabilities of a random crop, of a canvas, of a gray picture
    rand_mirror : flip every second picture, at random
    mean, std : for each channel; True: those of ImageNet; None: none
    brightness, contrast, saturation, pca_noise, hue : as in `CreateAugmenter`
    inter_method : as `imresize` has it
    min_object_covered, min_eject_coverage, max_attempts : as `DetRandomCropAug` has them
    aspect_ratio_range : of crops and canvases
    area_range : the least of it is for crops, and the most for canvases
    pad_val : the canvas's level in each channel

    Raises
    ------
    ArgumentError : a value is out of its range.
    """
    made: list[DetAugmenter] = []
    if resize > 0:
        made.append(DetBorrowAug(ResizeAug(resize, inter_method)))
    if rand_crop > 0:
        crop = CreateMultiRandCropAugmenter(
            min_object_covered, tuple(aspect_ratio_range), tuple(area_range), min_eject_coverage,
            max_attempts, skip_prob=1 - rand_crop,
        )  # fmt: skip
        made.append(crop)
    if rand_mirror:
        made.append(DetHorizontalFlipAug(0.5))
    if rand_pad > 0:
        pad = DetRandomPadAug(aspect_ratio_range, (1.0, area_range[1]), max_attempts, pad_val)
        made.append(DetRandomSelectAug([pad], 1 - rand_pad))
    made += [
        DetBorrowAug(ForceResizeAug((data_shape[2], data_shape[1]), inter_method)),
        DetBorrowAug(CastAug()),
    ]
    made += map(DetBorrowAug, colour_augmenters(brightness, contrast, saturation, hue, pca_noise))
    if rand_gray > 0:
        made.append(DetBorrowAug(RandomGrayAug(rand_gray)))
    mean, std = channel_numbers("mean", mean), channel_numbers("std", std)
    if mean is not None or std is not None:
        made.append(DetBorrowAug(ColorNormalizeAug(mean, std)))
    return made


def _pair(values: float | Sequence[float], most: float) -> tuple[float, float]:
    if isinstance(values, (int, float)):
        return float(values), most
    low, high = values
    return float(low), float(high)


def _aspects(values: float | Sequence[float]) -> tuple[float, float]:
    low, high = (values, values) if isinstance(values, (int, float)) else values
    if not 0 < low <= high:
        raise ArgumentError(f"aspect_ratio_range must be 0 < least <= most, not {values}")
    return float(low), float(high)
