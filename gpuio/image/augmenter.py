"""The base of augmenters, and the containers of others."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np

from gpuio.errors import ArgumentError
from gpuio.image.arrays import host
from gpuio.nd import NDArray
from gpuio.planning.augmenters import Params, Size, augmenter_steps, is_described
from gpuio.planning.tracer import ImageTracer
from gpuio.sampling.sample_rng import Rng, current_rng

F = TypeVar("F", bound=Callable[..., Any])


def undefined(method: F) -> F:
    """Mark a method of a base class that subclasses may define."""
    method.undefined = True  # type: ignore[attr-defined]
    return method


class AugmenterBase:
    """What augmenters of images and of images with boxes have in common: how they describe
    themselves to `gpuio.planning.augmenters`.

    Attributes
    ----------
    takes_boxes : whether it takes boxes, and has `move_boxes`
    stage : what it changes, GEOMETRY, OPERATIONS or COLOR; None: it may come before and after any
    any_order : of a container: whether its parts come in any order, or only some of them
    adds_border : whether it adds a border
    """

    takes_boxes: ClassVar[bool] = False
    stage: ClassVar[str | None] = None
    any_order: ClassVar[bool] = False
    adds_border: ClassVar[bool] = False

    def __init__(self, **kwargs: Any) -> None:
        self._kwargs = {name: _jsonable(value) for name, value in kwargs.items()}

    def __repr__(self) -> str:
        if self.parts is not None:
            return f"{type(self).__name__}({list(self.parts)!r})"
        named = getattr(self, "_kwargs", {}).items()  # a subclass may not call __init__
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in named)})"

    @property
    def described(self) -> bool:
        """Whether calling the augmenter does what its other methods describe: False if a subclass
        defines ``__call__`` itself.
        """
        raise NotImplementedError

    @property
    def parts(self) -> Sequence[Any] | None:
        """The augmenters that a container applies; None: it is not a container."""
        return None

    @property
    def interpolation(self) -> int | None:
        """MXNet's number of the interpolation; None: the augmenter does not resample."""
        return None

    @property
    def output_side(self) -> int | None:
        """The shorter side of the augmented image, in pixels; None: not a fixed one."""
        return None

    def dumps(self) -> Any:
        """The augmenter as JSON: its class's name in lower case, and its arguments."""
        return json.dumps([type(self).__name__.lower(), self._kwargs])

    def unplannable_reason(self) -> str | None:
        """Why the augmenter cannot be part of a plan, as a clause; None: it can."""
        if not self.described:
            return f"{type(self).__name__} defines __call__ itself"
        return None if self._is_traceable() else f"{type(self).__name__} has no trace method"

    def _is_traceable(self) -> bool:
        """Whether `trace` does what `apply` does: the class that defines the one also defines the
        other, or a class that derives from it does.
        """
        for kind in type(self).__mro__:
            own = vars(kind)
            if "trace" in own or "drawn_parts" in own:
                return not getattr(own.get("trace"), "undefined", False)
            if "apply" in own:
                return False
        return False

    def normalization(self) -> tuple[Sequence[float], Sequence[float]] | None:
        """Mean and std for each of 3 channels, if normalizing by them is all that it does."""
        return None

    def drawn_parts(self, rng: Rng) -> Sequence[Any]:
        """The parts that a container applies to the next image, in their order."""
        raise NotImplementedError(f"{type(self).__name__} is not a container")


class Augmenter(AugmenterBase):
    """Base of the augmenters: `__call__` takes an image and returns one.

    Subclass it for one of your own, in one of two ways. With `__call__` alone it runs sample by
    sample. With `draw`, `apply` and `trace` it describes what it does, and becomes part of plans,
    as gpuio's own augmenters do: `draw` draws the parameters for an image, and `apply` and `trace`
    apply them to pixels and to an `ImageTracer`.

    Parameters
    ----------
    kwargs : the arguments that `dumps` writes down
    """

    @property
    def described(self) -> bool:
        """Whether calling the augmenter does what its other methods describe."""
        return type(self).__call__ is Augmenter.__call__

    def __call__(self, src: NDArray) -> NDArray:
        """Augment an image (height, width, channels), with random numbers of `current_rng`.

        Raises
        ------
        NotImplementedError : a subclass has neither `__call__` nor `apply`.
        """
        rng = current_rng()
        if self.parts is not None:
            return apply_augmenters(self.drawn_parts(rng), src, rng)
        if type(self).apply is Augmenter.apply:
            raise NotImplementedError(f"{type(self).__name__} has no __call__")
        return self.apply(src, self.draw(rng, size_of(src)))

    def draw(self, rng: Rng, size: Size) -> Params:
        """Draw the parameters for an image of a size, (width, height); None if it needs none."""
        return None

    @undefined
    def apply(self, src: NDArray, params: Params) -> NDArray:
        """Apply the augmenter to an image (height, width, channels)."""
        raise NotImplementedError(f"{type(self).__name__} has no apply")

    @undefined
    def trace(self, tracer: ImageTracer, params: Params) -> None:
        """Apply the augmenter to an `ImageTracer`."""
        raise NotImplementedError(f"{type(self).__name__} has no trace")


class SequentialAug(Augmenter):
    """Apply several augmenters, one after another.

    Parameters
    ----------
    ts : the augmenters
    """

    def __init__(self, ts: Sequence[Augmenter]) -> None:
        super().__init__()
        self.ts = list(ts)

    @property
    def parts(self) -> Sequence[Any]:
        """The augmenters."""
        return self.ts

    def dumps(self) -> list[Any]:
        """The class's name and the dumps of each augmenter."""
        return [type(self).__name__.lower(), [each.dumps() for each in self.ts]]

    def drawn_parts(self, rng: Rng) -> Sequence[Any]:
        """All, in their order."""
        return self.ts


class RandomOrderAug(SequentialAug):
    """Apply several augmenters, in an order drawn for each image.

    Parameters
    ----------
    ts : the augmenters
    """

    any_order = True

    def drawn_parts(self, rng: Rng) -> Sequence[Any]:
        """All, in random order."""
        return rng.shuffled(self.ts)


def apply_augmenters(augmenters: Iterable[Any], src: NDArray, rng: Rng) -> NDArray:
    """Apply augmenters, or other callables of an image, one after another.

    Raises
    ------
    ArgumentError : one of them does not give an image.
    """
    for each in augmenter_steps(augmenters, rng):
        if is_described(each):
            src = each.apply(src, each.draw(rng, size_of(src)))
            continue
        src = each(src)
        if not hasattr(src, "shape"):
            name = getattr(each, "__name__", type(each).__name__)
            raise ArgumentError(
                f"the augmenter {name} gave {type(src).__name__}, not an image; it must return the "
                "array (height, width, channels) that it makes"
            )
    return src


def size_of(image: NDArray) -> tuple[int, int]:
    """Width and height of an image (height, width, channels)."""
    return image.shape[1], image.shape[0]


def _jsonable(value: Any) -> Any:
    if isinstance(value, (np.ndarray, NDArray)):
        return host(value).tolist()
    if isinstance(value, np.generic):
        return value.item()
    return [_jsonable(each) for each in value] if isinstance(value, (tuple, list)) else value
