"""Functions that make a batch of samples: a DataLoader's `batchify_fn`.

`default_batchify_fn` is MXNet 1.9.1's, the classes are MXNet 2.0's.

>>> # Images of one size, and any number of boxes (n, 5) in each.
>>> batchify_fn = batchify.Group(batchify.Stack(), batchify.Pad(val=-1))
>>> loader = gluon.data.DataLoader(dataset, 32, batchify_fn=batchify_fn)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from gpuio import nd
from gpuio.context import device_of, get_array_module, on_device
from gpuio.errors import ArgumentError
from gpuio.nd import NDArray
from gpuio.nd.placement import host_array

BatchifyFn = Callable[[list[Any]], Any]

_ONE_SHAPE = (
    "the samples of a batch must have one shape: resize or crop them, or use batchify_fn="
    "gluon.data.batchify.Pad() or Append()"
)


def default_batchify_fn(data: Sequence[Any]) -> Any:
    """Stack samples.

    Parameters
    ----------
    data : the samples: arrays, numbers or lists of numbers, or tuples of these

    Returns
    -------
    NDArray (N, …), of the samples' dtype: NDArrays are stacked on their device, all else on the
    host. For tuples, a list with such an array for each part

    Raises
    ------
    ArgumentError : the samples differ in shape or number of parts, or are not numbers.
    """
    if isinstance(data[0], tuple):
        return [default_batchify_fn(part) for part in _parts(data)]
    return _stacked(data)


class Stack:
    """Stack samples of one shape, as `default_batchify_fn` does.

    Parameters
    ----------
    use_shared_mem : without effect: threads share all memory

    Examples
    --------
    >>> Stack()([[1, 2, 3], [4, 5, 6]]).shape
    (2, 3)
    """

    def __init__(self, use_shared_mem: bool = False) -> None:
        pass

    def __call__(self, data: Sequence[Any]) -> Any:
        """Make a batch."""
        return default_batchify_fn(data)


class Pad:
    """Pad samples at the end of each axis to the largest of the batch, and stack them.

    Parameters
    ----------
    val : the padding; None: 0
    dtype : of the batch; None: that of the first sample
    round_to : round each axis up to a multiple of this
    use_shared_mem : without effect

    Raises
    ------
    ArgumentError : the samples differ in their number of axes, or are tuples.

    Examples
    --------
    >>> Pad(val=-1)([[1, 2, 3], [4]]).asnumpy()
    array([[ 1,  2,  3],
           [ 4, -1, -1]])
    """

    def __init__(
        self,
        val: float | None = None,
        dtype: DTypeLike | None = None,
        round_to: int | None = None,
        use_shared_mem: bool = False,
    ) -> None:
        self._val = 0 if val is None else val
        self._dtype = dtype
        self._round_to = round_to or 1

    def __call__(self, data: Sequence[Any]) -> NDArray:
        """Make a batch, on the host."""
        if isinstance(data[0], tuple):
            raise ArgumentError("Pad takes one array for each sample; use Group(Pad(), Pad(), …)")
        arrays = [np.asarray(host_array(each)) for each in data]
        axes = {array.ndim for array in arrays}
        if len(axes) > 1:
            raise ArgumentError(f"Pad takes samples with one number of axes, not {sorted(axes)}")
        largest = np.array([array.shape for array in arrays]).max(0).astype(int)
        shape = [self._round_to * math.ceil(size / self._round_to) for size in largest]
        padded = np.full((len(arrays), *shape), self._val, self._dtype or arrays[0].dtype)
        for row, array in enumerate(arrays):
            inside: Any = (row, *map(slice, array.shape))
            padded[inside] = array
        return nd.wrap(padded)


class Append:
    """Keep the samples apart: a list of arrays, whose shapes may differ.

    Parameters
    ----------
    expand : give each a batch axis of length 1
    batch_axis : where
    use_shared_mem : without effect

    Examples
    --------
    >>> [each.shape for each in Append()([[1, 2, 3], [4]])]
    [(1, 3), (1, 1)]
    """

    def __init__(
        self, expand: bool = True, batch_axis: int = 0, use_shared_mem: bool = False
    ) -> None:
        self._axis = batch_axis if expand else None

    def __call__(self, data: Sequence[Any]) -> list[NDArray]:
        """Make a list of arrays."""
        arrays = [each if isinstance(each, NDArray) else _stacked([each])[0] for each in data]
        if self._axis is None:
            return arrays
        return [nd.wrap(get_array_module(each).expand_dims(each, self._axis)) for each in arrays]


class Group:
    """Apply a function to each part of the samples, which are tuples or lists.

    Parameters
    ----------
    fn, args : the functions, one for each part, separately or as one list

    Raises
    ------
    ArgumentError : one is not callable, or the samples do not have as many parts.

    Examples
    --------
    >>> boxes, labels = Group(Pad(), Stack())([([1, 2], 0), ([3], 1)])
    """

    def __init__(self, fn: Any, *args: BatchifyFn) -> None:
        if isinstance(fn, (list, tuple)) and args:
            raise ArgumentError("Group takes Group(A, B, C) or Group([A, B, C])")
        self._functions = tuple(fn) if isinstance(fn, (list, tuple)) else (fn, *args)
        for each in self._functions:
            if not callable(each):
                raise ArgumentError(f"Group takes functions, not {type(each).__name__}")

    def __call__(self, data: Sequence[Any]) -> tuple[Any, ...]:
        """Make a batch of each part."""
        parts = _parts(data)
        if len(parts) != len(self._functions):
            raise ArgumentError(
                f"Group has {len(self._functions)} functions, the samples {len(parts)} parts"
            )
        return tuple(fn(list(part)) for fn, part in zip(self._functions, parts, strict=True))


class AsList:
    """The samples themselves, as a list; for strings, for example."""

    def __call__(self, data: Sequence[Any]) -> list[Any]:
        """Make a list."""
        return list(data)


def _parts(data: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The parts of samples: of each, those of all samples."""
    try:
        return list(zip(*data, strict=True))
    except (TypeError, ValueError) as error:
        raise ArgumentError("the samples of a batch must have the same number of parts") from error


def _stacked(data: Sequence[Any]) -> NDArray:
    ctx = device_of(data[0])
    if isinstance(data[0], NDArray) or ctx.device_type == "gpu":
        try:
            with on_device(ctx):
                return nd.stack(*map(nd.wrap, data))
        except ArgumentError as error:
            raise ArgumentError(f"{error}; {_ONE_SHAPE}") from error
    try:
        values = np.asarray(data)
    except ValueError as error:
        raise ArgumentError(f"{error}; {_ONE_SHAPE}") from error
    if values.dtype.kind not in "biuf":
        raise ArgumentError(
            f"a batch has numbers, not {type(data[0]).__name__} ({values.dtype}); give a "
            "batchify_fn that makes a batch of a list of samples"
        )
    return nd.wrap(values)
