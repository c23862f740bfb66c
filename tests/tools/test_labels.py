"""Labels: as strings, by value, and with boxes."""

import numpy as np
import pytest

from gpuio.tools.labels import is_detection, label_string, label_strings, starts_with_label


@pytest.mark.parametrize(
    ("label", "expected"),
    [(3, "3"), (-0.0, "0"), (0.1, "0.1"), (1234560, "1234560"), (float("nan"), "nan"),
     (float("inf"), "inf"), (1e20, "1e+20")],
)  # fmt: skip
def test_strings(label: float, expected: str) -> None:
    assert label_string(label) == label_string(np.float32(label)) == expected


def test_labels_are_compared_as_float32() -> None:
    wanted = label_strings([0.1, float("nan"), 7])
    assert starts_with_label(np.float32(0.1), wanted)
    assert starts_with_label(np.float32([np.nan, 1]), wanted)
    assert starts_with_label(7.0, wanted)
    assert not starts_with_label(np.float32([1, 7]), wanted)
    assert not starts_with_label([], wanted)


def test_detection_labels() -> None:
    assert is_detection(np.float32([2, 5, 1, 0.1, 0.1, 0.5, 0.5]))
    assert is_detection(np.float32([2, 5]))
    assert not is_detection(np.float32([2.5, 5, 1, 0.1, 0.1, 0.5, 0.5]))
    assert not is_detection(np.float32([2, 5, 1]))
    assert not is_detection(np.float32([3]))
