"""Sizes in bytes that users write with a unit, such as "8MB"."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from gpuio.errors import ArgumentError

# Bytes of the units: those of SI, and those of IEC.
UNITS = {
    "B": 1,
    **{f"{prefix}B": 1000**power for power, prefix in enumerate("kMGT", 1)},
    **{f"{prefix}iB": 1024**power for power, prefix in enumerate("KMGT", 1)},
}

# More is no size of anything, and offsets in files are int64.
LARGEST = 2**62

_SIZE = re.compile(r"(\d{1,30}(?:\.\d{1,30})?)\s*([A-Za-z]*)", re.ASCII)
_UNITS = {name.lower(): size for name, size in UNITS.items()}


def as_bytes(name: str, value: Any, least: int = 1) -> int:
    """Check a size in bytes.

    Parameters
    ----------
    name : the argument's
    value : an integer, or a string of a number and a unit: "8MB" is 8,000,000, "8MiB" is
        8,388,608, "1.5 GB" is 1,500,000,000. The case of the letters does not matter
    least : the least size

    Raises
    ------
    ArgumentError : it is neither, or less than `least`, or more than 2**62.
    """
    whole = isinstance(value, (float, np.floating)) and float(value).is_integer()
    if whole or (isinstance(value, (int, np.integer)) and not isinstance(value, bool)):
        size = int(value)
    elif isinstance(value, str) and (found := _SIZE.fullmatch(value.strip())):
        number, unit = found.groups()
        if (unit or "B").lower() not in _UNITS:
            raise ArgumentError(
                f"{name}={value!r}: there is no unit {unit!r}; use one of {', '.join(UNITS)}"
            )
        factor = _UNITS[(unit or "B").lower()]
        size = round(float(number) * factor) if "." in number else int(number) * factor
    else:
        raise ArgumentError(
            f"{name} must be a number of bytes, or one with a unit, such as '8MB' or '8MiB', "
            f"not {value!r}"
        )
    if size > LARGEST:  # perhaps with more digits than a string may have
        raise ArgumentError(f"{name} must be at most {LARGEST} bytes")
    if size < least:
        raise ArgumentError(f"{name} must be at least {least} bytes, not {size}")
    return size
