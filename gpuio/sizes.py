"""Sizes in bytes that users write with a unit, such as "8MB"."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from gpuio.errors import ArgumentError

# Files have no more bytes.
LARGEST = 2**63 - 1

_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([kmgtp]?)(i?)b?\s*", re.IGNORECASE)
_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


def as_bytes(name: str, value: Any, least: int = 0) -> int:
    """Check a size in bytes.

    Parameters
    ----------
    name : of the argument, for the message
    value : an integer; or a number and a unit, "B", "kB", "MB", "GB", "TB" or "PB", or "KiB", "MiB"
        and so on: "8MB" is 8,000,000, "8MiB" is 8,388,608. The "B", and the case of the letters,
        do not matter
    least : the least size

    Raises
    ------
    ArgumentError : it is neither, or not from `least` to `LARGEST`.
    """
    size: int | None = None
    whole = isinstance(value, (float, np.floating)) and float(value).is_integer()
    if whole or (isinstance(value, (int, np.integer)) and not isinstance(value, bool)):
        size = int(value)
    elif isinstance(value, str) and (found := _SIZE.fullmatch(value)):
        number, unit, binary = found.groups()
        factor = (1024 if binary else 1000) ** _UNITS[unit.lower()]
        if unit or not binary:
            is_exact = number.isdecimal() and len(number) < 20
            exact = int(number) * factor if is_exact else float(number) * factor
            size = int(exact) if exact <= LARGEST else LARGEST + 1
    if size is None:
        raise ArgumentError(
            f"{name} must be bytes, or a size such as '8MB' or '8MiB', not {value!r}"
        )
    if size > LARGEST:  # perhaps with more digits than a string may have
        raise ArgumentError(f"{name} must be at most {LARGEST} bytes")
    if size < least:
        raise ArgumentError(f"{name} must be at least {least} bytes, not {size}")
    return size
