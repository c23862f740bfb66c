"""Random arrays, as in MXNet's ``mx.nd.random``.

They are drawn on the host and copied to the device, so a seed gives the same values everywhere;
they are not MXNet's values. `gpuio.random.seed` decides, or until it is called NumPy's global
generator.

`shape` is an integer or several, () or None a single value of shape (1,). Parameters that are
NDArrays give a distribution for each of their values: the result has their shape, followed by
`shape`. `ctx` is the device, by default that of an NDArray given, or the current context.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import DTypeLike

from gpuio.context import Context, as_context
from gpuio.errors import ArgumentError
from gpuio.generators import numpy_generator
from gpuio.nd.conversion import as_dtype
from gpuio.nd.ndarray import NDArray, place
from gpuio.nd.operator import write
from gpuio.nd.placement import host_array
from gpuio.nd.shapes import allocating, as_shape, check_memory
from gpuio.nd.types import HostArray, Option, Values

# A number, or an NDArray of them.
Parameter = float | NDArray


def _draw(
    draw: Callable[..., Values],
    parameters: tuple[Parameter, ...],
    shape: Option,
    dtype: DTypeLike | None,
    ctx: Context | str | None,
    out: NDArray | None,
) -> NDArray:
    if out is not None and not isinstance(out, NDArray):
        raise ArgumentError(f"out must be an NDArray, not {type(out).__name__}")
    arrays = [each for each in parameters if isinstance(each, NDArray)]
    if len({each.shape for each in arrays}) > 1:
        raise ArgumentError(f"parameters must have one shape, not {[x.shape for x in arrays]}")
    if out is not None:
        place_on, shape, dtype = out.context, out.shape, out.dtype
    elif arrays and ctx is None:
        place_on = arrays[0].context
    else:
        place_on = as_context(ctx)
    lengths = () if shape is None else as_shape(shape)
    check_memory("an array", lengths, 8)
    if arrays:
        numbers = [np.asarray(host_array(each)) for each in parameters]
        numbers = [x.reshape(x.shape + (1,) * len(lengths)) if x.ndim else x for x in numbers]
        size = arrays[0].shape + lengths
    else:
        numbers, size = list(parameters), lengths or (1,)  # type: ignore[arg-type]
    try:
        values = np.asarray(draw(*numbers, size=size))
    except (TypeError, ValueError, OverflowError, MemoryError) as error:  # NumPy checks them
        raise ArgumentError(f"random numbers of parameters {parameters}: {error}") from error
    made = place(values.astype(as_dtype("float32" if dtype in (None, "None") else dtype)), place_on)
    return made if out is None else write(out, made)


def uniform(
    low: Parameter = 0,
    high: Parameter = 1,
    shape: Option = None,
    dtype: DTypeLike | None = None,
    ctx: Context | str | None = None,
    out: NDArray | None = None,
) -> NDArray:
    """Uniformly distributed in [low, high)."""
    return _draw(numpy_generator().uniform, (low, high), shape, dtype, ctx, out)


def normal(
    loc: Parameter = 0,
    scale: Parameter = 1,
    shape: Option = None,
    dtype: DTypeLike | None = None,
    ctx: Context | str | None = None,
    out: NDArray | None = None,
) -> NDArray:
    """Normally distributed, with mean `loc` and standard deviation `scale`."""
    return _draw(numpy_generator().normal, (loc, scale), shape, dtype, ctx, out)


def randn(
    *shape: int,
    loc: Parameter = 0,
    scale: Parameter = 1,
    dtype: DTypeLike | None = None,
    ctx: Context | str | None = None,
    out: NDArray | None = None,
) -> NDArray:
    """Normally distributed, with the dimensions as arguments."""
    return normal(loc, scale, shape, dtype, ctx, out)


def randint(
    low: int,
    high: int,
    shape: Option = None,
    dtype: DTypeLike | None = None,
    ctx: Context | str | None = None,
    out: NDArray | None = None,
) -> NDArray:
    """Integers in [low, high), int32 by default."""

    def draw(low: int, high: int, size: tuple[int, ...]) -> HostArray:
        return numpy_generator().randint(low, high, size, np.int64)  # type: ignore[no-any-return]

    return _draw(draw, (low, high), shape, "int32" if dtype is None else dtype, ctx, out)


def exponential(
    scale: Parameter = 1,
    shape: Option = None,
    dtype: DTypeLike | None = None,
    ctx: Context | str | None = None,
    out: NDArray | None = None,
) -> NDArray:
    """Exponentially distributed, with mean `scale`."""
    return _draw(numpy_generator().exponential, (scale,), shape, dtype, ctx, out)


def gamma(
    alpha: Parameter = 1,
    beta: Parameter = 1,
    shape: Option = None,
    dtype: DTypeLike | None = None,
    ctx: Context | str | None = None,
    out: NDArray | None = None,
) -> NDArray:
    """Gamma distributed, with shape `alpha` and scale `beta`."""
    return _draw(numpy_generator().gamma, (alpha, beta), shape, dtype, ctx, out)


def poisson(
    lam: Parameter = 1,
    shape: Option = None,
    dtype: DTypeLike | None = None,
    ctx: Context | str | None = None,
    out: NDArray | None = None,
) -> NDArray:
    """Poisson distributed, with mean `lam`."""
    return _draw(numpy_generator().poisson, (lam,), shape, dtype, ctx, out)


def multinomial(
    data: NDArray,
    shape: Option = None,
    get_prob: bool = False,
    out: NDArray | None = None,
    dtype: DTypeLike = "int32",
) -> NDArray:
    """Draw indices with given probabilities.

    Parameters
    ----------
    data : (N,) or (M, N) probabilities, the rows of which sum to 1
    shape : of the draws for each row; None: one draw
    get_prob : not supported
    """
    if get_prob:
        raise ArgumentError("multinomial: get_prob=True is for training, which gpuio does not do")
    if not isinstance(data, NDArray) or not data.ndim or not data.size:
        raise ArgumentError("multinomial takes an NDArray of probabilities, (N,) or (M, N)")
    chances = np.asarray(host_array(data), np.float64)
    lengths = () if shape is None else as_shape(shape)
    if any(length < 0 for length in lengths):
        raise ArgumentError(f"a shape has no negative dimensions: {shape!r}")
    count, size = math.prod(lengths), chances.shape[:-1] + lengths or (1,)
    steps = chances.reshape(-1, chances.shape[-1]).cumsum(1)
    with allocating("an array", size, 8):
        drawn = numpy_generator().random_sample((len(steps), count)) * steps[:, -1:]
        rows = [np.searchsorted(step, row, "right") for step, row in zip(steps, drawn, strict=True)]
        values = np.array(rows, as_dtype(dtype)).reshape(size)
    made = place(values, data.context)
    return made if out is None else write(out, made)


def shuffle(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The rows in random order, as a new array."""
    order = numpy_generator().permutation(len(data))
    made = data[order]
    return made if out is None else write(out, made)
