"""The interface of planners."""

import numpy as np
import pytest

from gpuio.errors import RecordError
from gpuio.planning.planner import PlannedBatch, Planner, Samples, convert_labels


def test_labels_are_converted_one_by_one() -> None:
    def convert(label: object) -> float:
        if label == 2.0:
            raise RecordError("two")
        return 10 * float(label)  # type: ignore[arg-type]

    labels, errors = convert_labels([1.0, None, 2.0, 3.0], convert)
    assert labels == [10.0, None, None, 30.0]
    assert list(errors) == [2] and str(errors[2]) == "two"


def test_other_exceptions_are_bugs_and_pass() -> None:
    with pytest.raises(ZeroDivisionError):
        convert_labels([1.0], lambda label: label / 0)


def test_a_planner_has_to_plan() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Planner()  # type: ignore[abstract]

    class Mine(Planner):
        def plan(self, samples: Samples) -> PlannedBatch:
            raise NotImplementedError

    assert Mine().borders is False
    with pytest.raises(NotImplementedError):
        Mine().plan(Samples(np.zeros(1), np.zeros(1), np.zeros((1, 2)), [None]))
