"""Transforms that apply other transforms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from gpuio.errors import ArgumentError
from gpuio.gluon.block import Block
from gpuio.iterators.arguments import as_float
from gpuio.sampling.sample_rng import current_rng

Function = Callable[[Any], Any]


class Compose(Block):
    """Apply several transforms, one after another.

    Parameters
    ----------
    transforms : the transforms, or other functions of an image

    Raises
    ------
    ArgumentError : one is not callable.

    Examples
    --------
    >>> augment = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])
    """

    def __init__(self, transforms: Iterable[Function]) -> None:
        super().__init__()
        self.transforms: list[Function] = []
        for each in transforms:
            self.add(each)

    def add(self, *transforms: Function) -> None:
        """Append transforms."""
        for each in transforms:
            if not callable(each):
                raise ArgumentError(
                    f"a transform is a function of an image, not {type(each).__name__} {each!r}"
                )
            self.transforms.append(each)

    def __len__(self) -> int:
        return len(self.transforms)

    def __getitem__(self, index: Any) -> Any:
        return self.transforms[index]

    def __iter__(self) -> Iterator[Function]:
        return iter(self.transforms)

    def forward(self, x: Any) -> Any:
        """Apply all."""
        for each in self.transforms:
            x = each(x)
        return x


class HybridCompose(Compose):
    """The same as `Compose`: nothing is compiled."""


class RandomApply(Block):
    """Apply a transform with a probability.

    Parameters
    ----------
    transforms : a transform, or a list of them, of which all are applied, or none
    p : the probability

    Raises
    ------
    ArgumentError : the probability is not from 0 to 1.

    Examples
    --------
    >>> sometimes = transforms.RandomApply(transforms.RandomHue(0.1), p=0.3)
    """

    def __init__(self, transforms: Function | Iterable[Function], p: float = 0.5) -> None:
        super().__init__()
        if not callable(transforms):
            transforms = Compose(transforms)
        self.transforms = transforms
        self.p = as_probability("p", p)

    def forward(self, x: Any) -> Any:
        """Apply it, or return the image."""
        return self.transforms(x) if current_rng().random() < self.p else x


class HybridRandomApply(RandomApply):
    """The same as `RandomApply`: nothing is compiled."""


def as_probability(name: str, value: Any) -> float:
    """Check a number from 0 to 1."""
    if not 0 <= as_float(name, value) <= 1:
        raise ArgumentError(f"{name} must be a probability, from 0 to 1, not {value!r}")
    return float(value)
