"""MXNet's ``mx.random``: random arrays, and the seed of functions without one of their own."""

from __future__ import annotations

import operator

from gpuio import generators
from gpuio.context import Context, as_context
from gpuio.errors import ArgumentError
from gpuio.nd.random import (
    exponential,
    gamma,
    multinomial,
    normal,
    poisson,
    randint,
    randn,
    shuffle,
    uniform,
)

__all__ = [
    "exponential",
    "gamma",
    "multinomial",
    "normal",
    "poisson",
    "randint",
    "randn",
    "seed",
    "shuffle",
    "uniform",
]


def seed(seed_state: int, ctx: Context | str = "all") -> None:
    """Seed everything that has no seed argument of its own: the functions of this module and
    of ``mx.nd.random``, the random functions and augmenters of ``mx.image`` outside of iterators,
    and the order of NDArrayIter and BucketSentenceIter without ``seed=``.

    Until it is called, they draw from Python's and NumPy's global generators, so ``random.seed``
    and ``np.random.seed`` decide as in MXNet; afterwards they draw from generators of gpuio's own,
    and leave the global ones as they are.

    Parameters
    ----------
    seed_state : any integer
    ctx : MXNet's, a Context or "all"; all draws are made on the host, so it has no effect

    Raises
    ------
    ArgumentError : the seed is not an integer, or ctx names no device.
    """
    try:
        value = operator.index(seed_state)
    except TypeError:
        raise ArgumentError(f"a seed is an integer, not {seed_state!r}") from None
    if ctx != "all":
        as_context(ctx)
    generators.seed(value)
