"""Planning of lists of augmenters.

Augmenters that describe themselves (`DescribedAugmenter`) can be traced, so that a list of them
becomes a plan. A plan resamples each image once and evaluates all changes of color as one
matrix; so whatever moves pixels must come before whatever changes colors, in one interpolation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError
from gpuio.planning.plan import METHODS
from gpuio.planning.planner import Label, PlannedBatch, Planner, convert_labels
from gpuio.planning.tracer import ImageTracer, trace_batch
from gpuio.sampling.sample_rng import Rng, SampleRng

Size: TypeAlias = Sequence[int]  # (width, height) in pixels

# What an augmenter drew: each knows its own.
Params: TypeAlias = Any

# What an augmenter changes: where pixels lie, or their values.
GEOMETRY, COLOR = "geometry", "color"


class DescribedAugmenter(Protocol):
    """An augmenter of images, or of images with boxes, that describes what it does.

    Beside these it has `draw(rng, size)` or `draw(rng, size, boxes)`, which draws its parameters,
    `trace(tracer, params)`, which applies them to an `ImageTracer`, and, with boxes,
    `move_boxes(boxes, params)`.

    Attributes
    ----------
    described : whether calling it does what its methods describe
    takes_boxes : whether it takes boxes
    stage : GEOMETRY or COLOR; None: it may come before and after either
    parts : the augmenters that it applies; None: it is not a container
    any_order : of a container: whether its parts come in any order, or only some of them
    interpolation : with which it resamples; None: it does not
    output_side : the shorter side of the images that it makes, in pixels; None: no fixed one
    adds_border : whether it adds a border
    """

    described: bool
    takes_boxes: bool
    stage: str | None
    parts: Sequence[Any] | None
    any_order: bool
    interpolation: int | None
    output_side: int | None
    adds_border: bool

    def unplannable_reason(self) -> str | None:
        """Why it cannot be traced, as a clause; None: it can."""

    def normalization(self) -> tuple[Sequence[float], Sequence[float]] | None:
        """Mean and std for each of 3 channels, if normalizing by them is all that it does."""

    def drawn_parts(self, rng: Rng) -> Sequence[Any]:
        """Of a container: the parts to apply, in their order."""


def is_described(augmenter: object) -> bool:
    """Whether an augmenter describes itself; another callable can only be called."""
    return getattr(augmenter, "described", False) is True


def augmenter_steps(augmenters: Iterable[Any], rng: Rng) -> Iterator[Any]:
    """The augmenters to apply one after another: containers give the parts that they draw."""
    for each in augmenters:
        if is_described(each) and each.parts is not None:
            yield from augmenter_steps(each.drawn_parts(rng), rng)
        else:
            yield each


def unplannable_reason(augmenters: Sequence[Any]) -> str | None:
    """Why a list cannot become a plan, as a clause; None: it can.

    Raises
    ------
    ArgumentError : an augmenter's interpolation does not exist.
    """
    found = list(_leaves(augmenters))
    for each in found:
        if not hasattr(each, "unplannable_reason"):
            return f"{type(each).__name__} is not an Augmenter"
        if (reason := each.unplannable_reason()) is not None:
            return str(reason)
    methods = {each.interpolation for each in found if each.interpolation is not None}
    if len(methods) > 1:
        return f"there are several interpolations, {sorted(methods)}"
    for method in methods - set(METHODS):
        raise ArgumentError(f"Unknown interp method {method}: 0 to 4, 9 or 10")
    if not _geometry_comes_first(augmenters, set()):
        return "what moves pixels does not come before what changes colors"
    least: float = math.inf
    for each in found:
        side = least if each.output_side is None else each.output_side
        if side > least:
            return "images are made small, and then large again"
        least = min(least, side)
    return None


def _leaves(augmenters: Iterable[Any]) -> Iterator[Any]:
    """All augmenters that may be applied, without their containers."""
    for each in augmenters:
        if is_described(each) and each.parts is not None:
            yield from _leaves(each.parts)
        else:
            yield each


def _geometry_comes_first(augmenters: Iterable[Any], before: set[str]) -> bool:
    """Whether no geometry can come after color; adds the stages to those that came `before`."""
    for each in augmenters:
        if each.parts is None:
            if each.stage == GEOMETRY and COLOR in before:
                return False
            before |= {each.stage} - {None}
        else:
            # In any order: after one another's stages, too.
            for _ in range(2 if each.any_order else 1):
                if not _geometry_comes_first(each.parts, before):
                    return False
    return True


class AugmenterPlanner(Planner):
    """Plans batches with a list of augmenters.

    Parameters
    ----------
    augmenters : without an `unplannable_reason`
    size : width and height of the output, in pixels
    seed : the augmentation's seed
    parse_label : converts a record's label to what the augmenters take: boxes, if they take boxes
    finish_label : converts a label after the augmenters to a row of the batch's labels

    Attributes
    ----------
    mean, std : of the last augmenter, if that normalizes: a number for each channel, applied during
        assembly instead
    """

    def __init__(
        self,
        augmenters: Sequence[Any],
        size: tuple[int, int],
        seed: int,
        parse_label: Callable[[Label], Label],
        finish_label: Callable[[Label], Label],
    ) -> None:
        self._augmenters: list[Any] = list(augmenters)
        self.borders = any(each.adds_border for each in _leaves(augmenters))
        self._size = size
        self._seed = seed
        self._parse_label = parse_label
        self._finish_label = finish_label
        self.mean: tuple[float, ...] = (0.0,) * 3
        self.std: tuple[float, ...] = (1.0,) * 3
        last = self._augmenters[-1].normalization() if self._augmenters else None
        if last is not None:
            self.mean, self.std = tuple(last[0]), tuple(last[1])
            del self._augmenters[-1]

    def plan(
        self,
        epoch: NDArray[np.int64],
        record: NDArray[np.int64],
        sizes: NDArray[np.int64],
        labels: Sequence[Label | None],
    ) -> PlannedBatch:
        """Plan N samples."""
        parsed, errors = convert_labels(labels, self._parse_label)
        planned = trace_batch(self._seed, epoch, record, sizes, parsed, self._trace, self._size)
        return planned._replace(errors={**errors, **planned.errors})

    def _trace(self, image: ImageTracer, rng: SampleRng, label: Label) -> Label:
        for each in augmenter_steps(self._augmenters, rng):
            size = image.width, image.height
            if each.takes_boxes:
                params = each.draw(rng, size, label)
                label = each.move_boxes(label, params)
            else:
                params = each.draw(rng, size)
            each.trace(image, params)
        check_shape((3, image.height, image.width), (3, *self._size[::-1]))
        return self._finish_label(label)


def check_shape(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """Check that an augmented image has the shape of the batch's images.

    Raises
    ------
    ArgumentError : it has not.
    """
    if shape != expected:
        raise ArgumentError(
            f"the augmented image has the shape {shape}, data_shape is {expected}; "
            "aug_list must end with that size"
        )
