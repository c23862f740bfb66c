"""Random number generators for everything that has no seed argument of its own.

They are Python's and NumPy's global generators, as in MXNet, so ``random.seed`` and
``np.random.seed`` decide, until `seed` gives gpuio generators of its own.
"""

from __future__ import annotations

import random
from typing import Any, TypeAlias

import numpy as np

# A random.Random or the module random; an np.random.RandomState or the module np.random. A module
# has the methods of its global generator.
Generator: TypeAlias = Any

_python: Generator = random
_numpy: Generator = np.random


def seed(value: int) -> None:
    """From now on draw from generators with this seed, whatever else is drawn from Python's and
    NumPy's.
    """
    global _python, _numpy  # noqa: PLW0603  # the state of the process, as in MXNet
    _python = random.Random(value)
    _numpy = np.random.RandomState(value % 2**32)


def python_generator() -> Generator:
    """Python's global generator, or a random.Random after `seed`."""
    return _python


def numpy_generator() -> Generator:
    """NumPy's global generator, or an np.random.RandomState after `seed`."""
    return _numpy
