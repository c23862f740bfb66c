"""CropPlanner: what becomes of labels, and its plans."""

from dataclasses import replace

import numpy as np
import pytest

from gpuio.planning.crop import CropPlanner
from gpuio.planning.crop_geometry import plan_crops
from gpuio.planning.crop_options import CropOptions
from gpuio.planning.planner import Samples

INCEPTION = CropOptions(32, 32, resized_crop=True, area=(0.08, 1.0), ratio=(3 / 4, 4 / 3))


def test_a_planner_plans_crops_and_keeps_labels() -> None:
    options = replace(INCEPTION, rand_mirror=True)
    sizes = np.array([(200, 160), (90, 300), (33, 41)])
    epoch, record = np.array([0, 1, 1]), np.array([5, 5, 9])
    label = np.float32([1, 2])
    planned = CropPlanner(options, 7, 2).plan(Samples(epoch, record, sizes, [label, None, label]))
    expected, *_ = plan_crops(options, sizes, 7, epoch, record)
    np.testing.assert_array_equal(planned.plan.window, expected.window)
    np.testing.assert_array_equal(planned.plan.flip, expected.flip)
    assert planned.labels[0] is label and planned.labels[1] is None and not planned.errors


@pytest.mark.parametrize(
    ("label", "width"), [(1.0, 2), (np.float32([1, 2, 3]), 2), (np.float32([1, 2]), 1)]
)
def test_labels_of_another_width_are_bad_records(label: object, width: int) -> None:
    numbers = 1 if isinstance(label, float) else len(label)  # type: ignore[arg-type]
    samples = Samples(np.zeros(1, int), np.zeros(1, int), np.full((1, 2), 50), [label])
    planned = CropPlanner(CropOptions(32, 32), 0, width).plan(samples)
    said = (
        f"label holds {numbers} numbers, label_width asks for {width}; pass label_width={numbers}"
    )
    assert said in str(planned.errors[0]) and planned.labels == [None]


@pytest.mark.parametrize(("width", "expected"), [(1, 7.0), (2, None), (3, np.float32([7, 8, 9]))])
def test_labels_of_faces_can_be_the_identity_alone(width: int, expected: object) -> None:
    samples = Samples(
        np.zeros(1, int), np.zeros(1, int), np.full((1, 2), 50), [np.float32([7, 8, 9])]
    )
    planned = CropPlanner(CropOptions(32, 32), 0, width, faces=True).plan(samples)
    np.testing.assert_equal(planned.labels, [expected])
    assert bool(planned.errors) == (expected is None)


def test_a_number_is_a_label_of_width_1() -> None:
    for label in (3.0, np.float32([3])):
        samples = Samples(np.zeros(1, int), np.zeros(1, int), np.full((1, 2), 50), [label])
        assert not CropPlanner(CropOptions(32, 32), 0, 1).plan(samples).errors
