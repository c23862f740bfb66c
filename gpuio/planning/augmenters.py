"""Lists of gpuio's own augmenters become plans, which executors run at full speed.

A plan resamples each picture once, and evaluates all changes of colour as one matrix. So a list can
be translated where all that moves pixels stands before what changes colours, in one interpolation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError
from gpuio.image.augment_colour import CastAug, ColorNormalizeAug
from gpuio.image.augment_geometry import ResizeAug
from gpuio.image.augmenter import COLOUR, GEOMETRY, RandomOrderAug, SequentialAug
from gpuio.image.detection import (
    DetAugmenter,
    DetBorrowAug,
    DetRandomPadAug,
    DetRandomSelectAug,
)
from gpuio.loading.batch import Draft
from gpuio.planning.plan import METHODS, Plan
from gpuio.planning.tracer import ImageTracer, plan_of, trace_batch

# The methods that a subclass may replace, and that a plan does not call.
HOOKS = (
    "imdecode",
    "check_valid_image",
    "augmentation_transform",
    "postprocess_data",
    "next_sample",
    "render",
    "write_sample",
    "auglist",
)


def own_hook(kind: type) -> str | None:
    """Why a subclass's samples cannot become a plan; None: they can."""
    for name in HOOKS:
        giver = next(each for each in kind.__mro__ if name in vars(each))
        if not giver.__module__.startswith("gpuio."):
            return f"{giver.__name__} has a method {name} of its own"
    return None


def unplannable_reason(augmenters: Iterable[Any]) -> str | None:
    """Why a list cannot become a plan; None: it can."""
    found = list(_leaves(augmenters))
    for each in found:
        if isinstance(each, ColorNormalizeAug):
            for numbers in (each.mean, each.std):
                if numbers is not None and numbers.size not in (1, 3):
                    raise ArgumentError(
                        f"mean and std have 1 or 3 numbers for RGB, not {numbers.size}"
                    )
            if each.std is not None and not each.std.all():
                return "ColorNormalizeAug divides by 0"
        if _giver(each, "sketch") is not _giver(each, "__call__"):
            return f"{type(each).__name__} is not one of gpuio's own"
        if isinstance(each, CastAug) and np.dtype(each.typ) not in (np.float32, np.float64):
            return f"CastAug to {np.dtype(each.typ)} rounds"
    methods = {each.interp for each in found if hasattr(each, "interp")}
    if len(methods) > 1:
        return f"there are several interpolations, {sorted(methods)}"
    for method in methods - set(METHODS):
        raise ArgumentError(f"Unknown interp method {method}: 0 to 4, 9 or 10")
    if _stages(augmenters, []) is None:
        return "what moves pixels does not stand before what changes colours"
    least = math.inf
    for each in found:
        side = each.size if isinstance(each, ResizeAug) else min(getattr(each, "size", (least,)))
        if side > least:
            return "pictures are made small, and then large again"
        least = min(least, side)
    return None


def _leaves(augmenters: Iterable[Any]) -> Iterator[Any]:
    """The augmenters, and those within them; containers of gpuio's own are not given."""
    for each in augmenters:
        if (inner := _within(each)) is None:
            yield each
        else:
            yield from _leaves(inner)


def _within(augmenter: Any) -> list[Any] | None:
    """What a container of gpuio's own holds; None: it is none."""
    if isinstance(augmenter, SequentialAug):
        inner = augmenter.ts
    elif isinstance(augmenter, DetRandomSelectAug):
        inner = augmenter.aug_list  # type: ignore[assignment]
    elif isinstance(augmenter, DetBorrowAug):
        inner = [augmenter.augmenter]
    else:
        return None
    own = _giver(augmenter, "sketch") is _giver(augmenter, "__call__")
    return list(inner) if own else None


def _stages(augmenters: Iterable[Any], before: list[str]) -> list[str] | None:
    """The stages, in their order; None where geometry can come behind colour."""
    for each in augmenters:
        inner = _within(each)
        if inner is None:
            stage = GEOMETRY if isinstance(each, DetAugmenter) else each.stage
            if stage == GEOMETRY and COLOUR in before:
                return None
            before += [stage] * (stage is not None)
        elif isinstance(each, (RandomOrderAug, DetRandomSelectAug)):
            # In any order: behind one another's stages, too.
            for _ in range(2):
                if _stages(inner, before) is None:
                    return None
        elif _stages(inner, before) is None:
            return None
    return before


def _giver(thing: Any, name: str) -> type | None:
    """The class that a thing has a method from."""
    return next((kind for kind in type(thing).__mro__ if name in vars(kind)), None)


class AugmenterPlanner:
    """A list of gpuio's own augmenters, as what plans a batch.

    Parameters
    ----------
    augmenters : without an `unplannable_reason`
    size : width and height of the batch's pictures, in pixels
    seed : of which, with a sample's epoch and number, its draws are made

    Attributes
    ----------
    mean, std : what the last augmenter normalises by, a number for each channel, which is left to
        the assembler
    canvases : whether plans may have some
    """

    def __init__(self, augmenters: Sequence[Any], size: tuple[int, int], seed: int) -> None:
        self._augmenters = list(augmenters)
        self.canvases = any(isinstance(each, DetRandomPadAug) for each in _leaves(augmenters))
        self._size = size
        self._seed = seed
        self.mean: tuple[float, ...] = (0.0,) * 3
        self.std: tuple[float, ...] = (1.0,) * 3
        last = self._augmenters[-1] if self._augmenters else None
        if isinstance(last, DetBorrowAug):
            last = last.augmenter
        if type(last) is ColorNormalizeAug:
            self.mean = self.mean if last.mean is None else _three(last.mean)
            self.std = self.std if last.std is None else _three(last.std)
            del self._augmenters[-1]

    def __call__(self, draft: Draft) -> Plan:
        """The plan of a batch; labels move along."""

        def make(picture: ImageTracer, row: int) -> Any:
            label = self._apply(picture, draft.labels[row])
            check_shape((3, picture.height, picture.width), (3, *self._size[::-1]))
            return label

        return plan_of(trace_batch(draft, self._seed, make), *self._size)

    def _apply(self, picture: ImageTracer, label: Any) -> Any:
        for each in self._augmenters:
            each.sketch(picture)
        return label


class DetAugmenterPlanner(AugmenterPlanner):
    """A list of gpuio's own detection augmenters, as what plans a batch and moves its boxes.

    Parameters
    ----------
    augmenters, size, seed : as `AugmenterPlanner` has them
    row : makes a row of the batch's labels out of boxes
    """

    def __init__(
        self,
        augmenters: Sequence[Any],
        size: tuple[int, int],
        seed: int,
        row: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    ) -> None:
        super().__init__(augmenters, size, seed)
        self._row = row

    def _apply(self, picture: ImageTracer, label: NDArray[np.float32]) -> NDArray[np.float32]:
        for each in self._augmenters:
            label = each.sketch(picture, label)
        return self._row(label)


def check_shape(made: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """Refuse a picture that does not come out in the batch's shape.

    Raises
    ------
    ArgumentError : it does not.
    """
    if made != wanted:
        raise ArgumentError(
            f"the picture comes out as {made}, data_shape is {wanted}; "
            "aug_list must end with that size"
        )


def _three(numbers: NDArray[Any]) -> tuple[float, ...]:
    return tuple(np.broadcast_to(numbers.reshape(-1), 3).tolist())
