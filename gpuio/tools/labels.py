"""Labels of records: as strings, by value, and whether they hold boxes."""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Any

import numpy as np

from gpuio.errors import RecordError
from gpuio.planning.boxes import split_label


def label_string(label: float) -> str:
    """Shortest string that identifies a label as float32: "3", "0.1", "1234560", "nan"."""
    number = np.float32(label)
    if np.isfinite(number) and number == np.rint(number) and abs(number) < 1e15:
        return str(int(number))
    return str(number)


def label_strings(labels: Iterable[float]) -> frozenset[str]:
    """Labels to look for with `starts_with_label`."""
    return frozenset(map(label_string, labels))


def starts_with_label(label: Any, wanted: Set[str]) -> bool:
    """Whether the first number of a record's label is one of `label_strings`.

    Comparing strings makes float32 0.1 equal to a user's 0.1, and NaN equal to NaN.
    """
    numbers = np.ravel(label)
    return len(numbers) > 0 and label_string(numbers[0]) in wanted


def is_detection(label: Any) -> bool:
    """Whether a label has the layout of a detection label: header width, object width, the rest of
    the header, complete objects.
    """
    try:
        split_label(label)
    except RecordError:
        return False
    return True
