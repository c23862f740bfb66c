"""Transforms of transforms."""

import pickle
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError
from gpuio.gluon.data.vision import transforms as T  # noqa: N812
from gpuio.sampling.sample_rng import SampleRng, call_with_rng


def double(x: Any) -> Any:
    return 2 * x


@pytest.mark.parametrize("kind", [T.Compose, T.HybridCompose])
def test_compose_applies_in_order(kind: type[T.Compose]) -> None:
    given = [T.Cast("int32"), double, lambda x: x + 1]
    composed = kind(given)
    assert composed(mx.nd.ones((2,))).tolist() == [3, 3]
    assert len(given) == 3  # MXNet appends None to the caller's list
    assert len(composed) == 3 and composed[1] is double and list(composed) == given
    composed.add(double, double)
    assert composed(mx.nd.ones((1,))).tolist() == [12]
    composed.hybridize()


def test_of_nothing() -> None:
    image = mx.nd.ones((2, 2, 3))
    assert T.Compose([])(image) is image


def test_a_part_that_is_no_function() -> None:
    with pytest.raises(ArgumentError, match=r"a function of an image, not list \[1\]"):
        T.Compose([T.Cast(), [1]])


@pytest.mark.parametrize("kind", [T.RandomApply, T.HybridRandomApply])
@pytest.mark.parametrize("given", [double, [double], T.Compose([double])])
def test_random_apply(kind: type[T.RandomApply], given: Any) -> None:
    def mean_of(transform: Any, draws: int = 2000) -> float:
        found = []
        for draw in range(draws):
            found.append(call_with_rng(SampleRng(3, 0, draw), transform, 1))
        return float(np.mean(found))

    assert mean_of(kind(given, 0.3)) == pytest.approx(1.3, abs=0.05)
    assert mean_of(kind(given)) == pytest.approx(1.5, abs=0.06)
    assert mean_of(kind(given, 0), 50) == 1 and mean_of(kind(given, 1), 50) == 2


@pytest.mark.parametrize("p", [-0.1, 1.1, "x", None])
def test_no_probability(p: Any) -> None:
    with pytest.raises(ArgumentError, match="p must be a"):
        T.RandomApply(double, p)


def test_transforms_are_picklable() -> None:
    composed = T.Compose(
        [T.Resize(4), T.RandomApply(T.RandomHue(0.1)), T.RandomLighting(0.1), T.ToTensor()]
    )
    copied = pickle.loads(pickle.dumps(composed))
    assert repr(copied) == repr(composed)
    assert repr(copied[0]) == "Resize(size=4, keep_ratio=False, interpolation=1)"
