"""Shape arguments, and MXNet's codes for reshape."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Sequence
from functools import cache

from gpuio.errors import ArgumentError
from gpuio.nd.types import Option


def as_shape(shape: Option) -> tuple[int, ...]:
    """A shape given as one integer or as several.

    Raises
    ------
    ArgumentError : it is neither.
    """
    try:
        try:
            return (operator.index(shape),)
        except TypeError:
            return tuple(operator.index(length) for length in shape)
    except TypeError as error:
        raise ArgumentError(f"a shape consists of integers, not {shape!r}") from error


def check_memory(what: str, shape: Sequence[int], itemsize: int) -> None:
    """Check that this machine has the memory for an array, whether or not it is in use.

    Parameters
    ----------
    what : the array, for the message
    itemsize : of a value, in bytes

    Raises
    ------
    ArgumentError : it has not, or no array can be so large.
    """
    size = math.prod(shape) * itemsize
    if size > _memory() or max(shape, default=0) > _MAX_LENGTH:
        raise ArgumentError(
            f"{what} of shape {tuple(shape)} takes {size / 2**30:.3g} GiB, and this machine has "
            f"{_memory() / 2**30:.3g} GiB of memory"
        )


# The largest dimension of an array, and the most bytes in one.
_MAX_LENGTH = 2**63 - 1


@cache
def _memory() -> int:
    """Bytes of this machine's memory, if the system tells."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return _MAX_LENGTH


def infer_shape(old: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that MXNet's reshape means by `wanted`; -1 is left to NumPy.

    Raises
    ------
    ArgumentError : the codes do not fit an array of shape `old`.
    """
    left, given, new = list(old), list(wanted), []
    try:
        while given:
            code = given.pop(0)
            if code == -2:
                new += left
                left = []
            elif code == -3:
                new.append(left.pop(0) * left.pop(0))
            elif code == -4:
                new += _split(left.pop(0), given.pop(0), given.pop(0))
            elif code == 0:
                new.append(left.pop(0))
            elif code < -4:
                raise ArgumentError(f"reshape: {code} is not a code; see NDArray.reshape")
            else:
                del left[:1]
                new.append(code)
    except IndexError as error:
        raise ArgumentError(f"reshape: {old} has too few dimensions for {wanted}") from error
    return tuple(new)


def _split(length: int, first: int, second: int) -> tuple[int, int]:
    if first == -1 and second > 0:
        first = length // second
    elif second == -1 and first > 0:
        second = length // first
    if first * second != length or first < 0:
        raise ArgumentError(
            f"reshape: a dimension of {length} does not split into {first} and {second}"
        )
    return first, second
