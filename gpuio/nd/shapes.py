"""Shapes as people write them, and what MXNet's reshape makes of them."""

from __future__ import annotations

import operator
from typing import Any

from gpuio.errors import ArgumentError


def sides_of(sides: Any) -> tuple[int, ...]:
    """A shape, given as one whole number or as several.

    Raises
    ------
    TypeError : it is something else.
    """
    try:
        return (operator.index(sides),)
    except TypeError:
        return tuple(operator.index(side) for side in sides)


def reshaped(old: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that MXNet's reshape means; a side of -1 is left to NumPy.

    Raises
    ------
    ArgumentError : it means none for an array of this shape.
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
                raise ArgumentError(f"reshape: there is no {code}; see the text of NDArray.reshape")
            else:
                del left[:1]
                new.append(code)
    except IndexError as error:
        raise ArgumentError(f"reshape: {old} has too few sides for {wanted}") from error
    return tuple(new)


def _split(side: int, first: int, second: int) -> tuple[int, int]:
    if first == -1 and second > 0:
        first = side // second
    elif second == -1 and first > 0:
        second = side // first
    if first * second != side or first < 0:
        raise ArgumentError(f"reshape: a side of {side} does not split into {first} and {second}")
    return first, second
