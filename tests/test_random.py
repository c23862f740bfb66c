"""mx.random.seed decides what has no seed of its own."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio import generators
from gpuio.errors import ArgumentError


@pytest.fixture(autouse=True)
def unseeded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The generators as they were before, and after."""
    monkeypatch.setattr(generators, "_python", random)
    monkeypatch.setattr(generators, "_numpy", np.random)
    yield


def order() -> list[float]:
    it = mx.io.NDArrayIter(np.arange(50), batch_size=50, shuffle=True)
    return it.next().data[0].asnumpy().tolist()  # type: ignore[no-any-return]


def sentences() -> list[Any]:
    it = mx.rnn.BucketSentenceIter([[i + 1, i + 2] for i in range(40)], 8, buckets=[4])
    return [batch.data[0].asnumpy().tolist() for batch in it]


def crops() -> list[Any]:
    image = mx.nd.array(np.arange(40 * 40).reshape(40, 40, 1), dtype="uint16")
    augmenter = mx.image.SequentialAug([mx.image.HorizontalFlipAug(0.5)])
    return [
        mx.image.random_crop(image, (5, 5))[1],
        mx.image.random_size_crop(image, (5, 5), 0.1, (0.5, 2))[1],
        mx.nd.image.random_flip_left_right(image).asnumpy()[:2].tolist(),
        augmenter(image).asnumpy()[:2].tolist(),
        mx.image.LightingAug(1, (1, 1, 1), np.eye(3))(np.zeros((1, 1, 3))).asnumpy().tolist(),
    ]


def arrays() -> list[Any]:
    made = mx.nd.random.shuffle(mx.nd.arange(20)).asnumpy().tolist()
    return [
        mx.random.uniform(shape=3).asnumpy().tolist(),
        mx.nd.random.randn(2).asnumpy().tolist(),
        made,
    ]


EVERYTHING = [order, sentences, crops, arrays]


@pytest.mark.parametrize("draw", EVERYTHING)
@pytest.mark.parametrize("ctx", ["all", mx.cpu(), "gpu:3"])
def test_the_seed_decides(draw: Callable[[], list[Any]], ctx: Any) -> None:
    drawn = []
    for seed in (7, 7, 8):
        mx.random.seed(seed, ctx=ctx)
        drawn.append([draw() for _ in range(2)])
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0][0] != drawn[0][1]


@pytest.mark.parametrize("draw", EVERYTHING)
def test_until_it_is_called_the_global_seeds_decide(draw: Callable[[], list[Any]]) -> None:
    drawn = []
    for seed in (7, 7, 8):
        random.seed(seed)
        np.random.seed(seed)
        drawn.append(draw())
    assert drawn[0] == drawn[1] != drawn[2]


def test_iterators_with_a_seed_of_their_own_are_not_affected() -> None:
    drawn = []
    for seed in (7, 8):
        mx.random.seed(seed)
        it = mx.io.NDArrayIter(np.arange(50), batch_size=50, shuffle=True, seed=1)
        drawn.append(it.next().data[0].asnumpy().tolist())
    assert drawn[0] == drawn[1]


def test_mistakes() -> None:
    for seed in ("7", 1.5, None):
        with pytest.raises(ArgumentError, match="a seed is an integer, not"):
            mx.random.seed(seed)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="ctx must be"):
        mx.random.seed(1, ctx="tpu")
    mx.random.seed(np.int64(3))


def test_mxnets_short_name() -> None:
    assert mx.rnd is mx.random
