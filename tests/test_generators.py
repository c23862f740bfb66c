"""The generators of what has no seed of its own."""

import random
from collections.abc import Iterator

import numpy as np
import pytest

from gpuio import generators


@pytest.fixture(autouse=True)
def unseeded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The generators as they were before, and after."""
    monkeypatch.setattr(generators, "_python", random)
    monkeypatch.setattr(generators, "_numpy", np.random)
    yield


def test_unseeded_they_are_the_global_ones() -> None:
    random.seed(1)
    np.random.seed(1)
    drawn = generators.python_generator().random(), generators.numpy_generator().uniform()
    random.seed(1)
    np.random.seed(1)
    assert drawn == (random.random(), np.random.uniform())


@pytest.mark.parametrize("seed", [0, 7, -1, 2**40])
def test_seeded_they_are_independent_of_the_global_ones(seed: int) -> None:
    drawn = []
    for _ in range(2):
        generators.seed(seed)
        random.seed(5)
        state = random.getstate(), np.random.get_state()[1].tolist()
        drawn.append(
            (generators.python_generator().random(), generators.numpy_generator().uniform())
        )
        assert state == (random.getstate(), np.random.get_state()[1].tolist())
    assert drawn[0] == drawn[1]
    generators.seed(seed + 1)
    assert generators.python_generator().random() != drawn[0][0]
