"""Shape arguments, and MXNet's codes for reshape."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from gpuio.errors import ArgumentError
from gpuio.memory import gigabytes, physical_memory
from gpuio.nd.types import Option

# The largest dimension of an array, and the most bytes in one.
MAX_LENGTH = 2**63 - 1


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
    size, memory = math.prod(shape) * itemsize, physical_memory() or MAX_LENGTH
    if size > memory or max(shape, default=0) > MAX_LENGTH:
        raise ArgumentError(
            f"{what} of shape {tuple(shape)} takes {gigabytes(size)}, and this machine has "
            f"{gigabytes(memory)} of memory"
        )


@contextmanager
def allocating(what: str, shape: Sequence[int], itemsize: int) -> Iterator[None]:
    """Where an array is made: see `check_memory`; that memory is in use is an ArgumentError too."""
    check_memory(what, shape, itemsize)
    try:
        yield
    except (MemoryError, ValueError) as error:  # ValueError: of too many dimensions
        raise ArgumentError(f"{what} of shape {tuple(shape)}: {error}") from error


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
