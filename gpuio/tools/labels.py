"""Labels: as text, by choice, and whether they are boxes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from gpuio.errors import RecordError
from gpuio.planning.boxes import split_label


def label_text(label: float) -> str:
    """A label of float32 in as few digits as tell it from others: "3", "0.1", "1234560", "nan"."""
    number = np.float32(label)
    if np.isfinite(number) and number == np.rint(number) and abs(number) < 1e15:
        return str(int(number))
    return str(number)


class LabelChoice:
    """Some labels: those of records, float32, are compared with them as such; NaN is one, too.

    Parameters
    ----------
    labels : the first numbers of the labels that are wanted
    """

    def __init__(self, labels: Iterable[float]) -> None:
        self._wanted = {label_text(label) for label in labels}

    def __contains__(self, label: Any) -> bool:
        """Whether a record's label, a number or several, is among them."""
        numbers = np.ravel(label)
        return len(numbers) > 0 and label_text(numbers[0]) in self._wanted


def is_detection(label: Any) -> bool:
    """Whether a label looks like boxes, or like none: header width, object width, more of a header,
    whole objects.
    """
    try:
        split_label(label)
    except RecordError:
        return False
    return not any(label[:2] % 1)
