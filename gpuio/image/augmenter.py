"""What augmenters have in common, and those that are made of others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gpuio.image.arrays import host
from gpuio.nd import NDArray
from gpuio.sampling import sample_rng as draws

if TYPE_CHECKING:
    from gpuio.planning.tracer import ImageTracer

# What an augmenter changes: where pixels lie, or their levels. Where all of a list's are gpuio's
# own, those that move pixels must come first for the list to become a plan.
GEOMETRY, COLOUR = "geometry", "colour"


class Augmenter:
    """Base of the augmenters: `__call__` takes a picture and gives one.

    Subclass it for one of your own, and mix it with the others. Named arguments given to
    ``super().__init__`` are what `dumps` writes down.

    gpuio's own also have `sketch`, which does to an `ImageTracer` what `__call__` does to a
    picture, with the same draws.

    Attributes
    ----------
    stage : what it changes, GEOMETRY or COLOUR; None: either goes before and behind it
    """

    stage: ClassVar[str | None] = None

    def __init__(self, **kwargs: Any) -> None:
        self._kwargs = {name: plain(value) for name, value in kwargs.items()}

    def dumps(self) -> str:
        """The augmenter as JSON: its class's name in lower case, and its arguments."""
        return json.dumps([type(self).__name__.lower(), self._kwargs])

    def __call__(self, src: NDArray) -> NDArray:
        """The picture that becomes of `src`, (height, width, channels).

        Raises
        ------
        NotImplementedError : in this base.
        """
        raise NotImplementedError(f"{type(self).__name__} has no __call__")


class SequentialAug(Augmenter):
    """Several augmenters, one after another.

    Parameters
    ----------
    ts : the augmenters
    """

    def __init__(self, ts: Sequence[Augmenter]) -> None:
        super().__init__()
        self.ts = list(ts)

    def dumps(self) -> list[Any]:  # type: ignore[override]  # as in MXNet
        """The class's name and what each augmenter gives."""
        return [type(self).__name__.lower(), [each.dumps() for each in self.ts]]

    def __call__(self, src: NDArray) -> NDArray:
        """Apply all, in their order."""
        for each in self.ts:
            src = each(src)
        return src

    def sketch(self, picture: ImageTracer) -> None:
        """The same to a sketch."""
        for each in self.ts:
            each.sketch(picture)  # type: ignore[attr-defined]  # has been looked at


class RandomOrderAug(SequentialAug):
    """Several augmenters, in an order drawn anew for each picture.

    Parameters
    ----------
    ts : the augmenters
    """

    def __call__(self, src: NDArray) -> NDArray:
        """Apply all, in a random order."""
        for each in draws.shuffled(self.ts):
            src = each(src)
        return src

    def sketch(self, picture: ImageTracer) -> None:
        """The same to a sketch."""
        for each in draws.shuffled(self.ts):
            each.sketch(picture)  # type: ignore[attr-defined]


def plain(value: Any) -> Any:
    """An argument as JSON has it."""
    if isinstance(value, (np.ndarray, NDArray)):
        return host(value).tolist()
    return list(value) if isinstance(value, tuple) else value
