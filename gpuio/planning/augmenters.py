"""Planning of lists of augmenters.

Augmenters that describe themselves (`gpuio.image.augmenter.AugmenterBase` says how) can be traced,
so that a list of them becomes a plan. A plan resamples each image once, applies operations to the
output, and evaluates all changes of color as one matrix; so whatever moves pixels must come first,
in one interpolation, then operations, and then whatever changes colors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from gpuio.errors import ArgumentError
from gpuio.planning.plan import METHODS
from gpuio.planning.planner import Label, PlannedBatch, Planner, Samples
from gpuio.planning.tracer import ImageTracer, trace_batch
from gpuio.sampling.sample_rng import Rng, SampleRng

Size: TypeAlias = Sequence[int]  # (width, height) in pixels

# What an augmenter drew: each knows its own.
Params: TypeAlias = Any

# What an augmenter changes: where pixels lie; anything, by operations of a plan; or their values.
GEOMETRY, OPERATIONS, COLOR = "geometry", "operations", "color"
STAGES = (GEOMETRY, OPERATIONS, COLOR)


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
    ArgumentError : an augmenter's interpolation does not exist, operations come after a
        normalization, or an augmenter does not go with color images.
    """
    found = list(_leaves(augmenters))
    _check_normalization(found)
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
    before: set[str] = set()
    if not _stages_in_order(augmenters, before):
        if OPERATIONS in before:
            return "operations do not come after what moves pixels and before what changes colors"
        return "what moves pixels does not come before what changes colors"
    least: float = math.inf
    for each in found:
        side = least if each.output_side is None else each.output_side
        if side > least:
            return "images are made small, and then large again"
        least = min(least, side)
    return None


def _check_normalization(augmenters: Sequence[Any]) -> None:
    """Raise ArgumentError if one takes pixel values of 0 to 255 where there are others."""
    normalizer = None
    for each in augmenters:
        if normalizer is not None and getattr(each, "stage", None) == OPERATIONS:
            raise ArgumentError(
                f"{type(each).__name__} works on pixel values of 0 to 255; put it before "
                f"{normalizer} in the list of augmenters"
            )
        plannable = is_described(each) and each.unplannable_reason() is None
        if plannable and each.normalization() is not None:
            normalizer = type(each).__name__


def _leaves(augmenters: Iterable[Any]) -> Iterator[Any]:
    """All augmenters that may be applied, without their containers."""
    for each in augmenters:
        if is_described(each) and each.parts is not None:
            yield from _leaves(each.parts)
        else:
            yield each


def _stages_in_order(augmenters: Iterable[Any], before: set[str]) -> bool:
    """Whether no stage can come after a later one; adds the stages to those that came `before`."""
    for each in augmenters:
        if each.parts is None:
            later = STAGES[STAGES.index(each.stage) + 1 :] if each.stage else ()
            in_order = before.isdisjoint(later)
            before |= {each.stage} - {None}
            if not in_order:
                return False
        else:
            # In any order: after one another's stages, too.
            for _ in range(2 if each.any_order else 1):
                if not _stages_in_order(each.parts, before):
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

    def plan(self, samples: Samples) -> PlannedBatch:
        """Plan a batch."""
        return trace_batch(self._seed, samples, self._trace, self._size)

    def _trace(self, image: ImageTracer, rng: SampleRng, label: Label) -> Label:
        label = self._parse_label(label)
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
