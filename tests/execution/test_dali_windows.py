"""What the DALI graph decodes and resamples: within the images, and no more than is needed."""

import numpy as np
import pytest

from gpuio.execution.dali_windows import SUPPORT, affine_arrays, window_arrays
from gpuio.planning.affine import AffineOptions
from gpuio.planning.plan import NEAREST
from gpuio.planning.planner import Samples
from tests.execution.test_dali_graph import SIZE, planned
from tests.fuzz.targets.graph import AnyPlan
from tests.io.records import jpeg


@pytest.mark.parametrize("scale", [(1e-6, 1e-6), (0.02, 0.02), (0.3, 3.0)])
def test_nearest_neighbor_stays_inside_the_image(scale: tuple[float, float]) -> None:
    # Elsewhere DALI corrupts memory. The canvas's pixels are larger than those of the image.
    sizes = [(1, 1), (1, 90), (90, 1), (60, 50), (2, 3)]
    batch = planned(
        [jpeg(number, *size) for number, size in enumerate(sizes * 8)],
        affine=AffineOptions(scale=scale, ratio=(0.5, 2.0)),
        pad=3,
        crop_size=(1, 2),
        rand_crop=True,
        method=NEAREST,
    )
    assert batch.plan is not None
    found = window_arrays(batch.plan, SIZE, True, [])
    step = (found["end"] - found["start"]) / found["visible"]
    first, last = found["start"] + step / 2, found["end"] - step / 2
    assert (step > 0).all() and (first > 0).all() and (last < found["shape"]).all()


def test_only_what_an_affine_map_shows_is_decoded() -> None:
    plan = planned([jpeg(0, 600, 500)], affine=AffineOptions(rotation=45)).plan
    assert plan is not None and plan.affine is not None
    found = affine_arrays(plan, plan.affine.matrix, SIZE, [])
    assert (found["shape"] <= 28 * 1.42 + 8).all(), "a square of the diagonal, and a margin"


def test_only_what_the_window_needs_is_decoded() -> None:
    plan = planned([jpeg(0, 600, 500)]).plan
    assert plan is not None
    found = window_arrays(plan, SIZE, False, [])
    assert "visible" not in found
    margin = max(SUPPORT) + 2
    assert (found["shape"] <= np.array([24, 28]) + 2 * margin).all()
    assert (found["anchor"] >= np.array([238, 286]) - margin).all()


@pytest.mark.parametrize("maps", [False, True], ids=["windows", "maps"])
def test_regions_lie_within_the_images_whatever_the_plan(maps: bool) -> None:
    """DALI reads outside its memory where a region or a window does not."""
    count = 2000
    sizes = np.random.default_rng(0).integers(1, 400, (count, 2))
    numbers, bad = np.arange(count), [3, 7]
    plan = AnyPlan(maps).plan(Samples(numbers, numbers, sizes, [0.0] * count)).plan
    if plan.affine is not None:
        found = affine_arrays(plan, plan.affine.matrix, SIZE, bad)
    else:
        found = window_arrays(plan, SIZE, True, bad)
        assert (found["start"] < found["end"]).all()
        assert (found["start"] < found["shape"]).all() and (found["end"] > 0).all()
    assert (found["anchor"] >= 0).all() and (found["shape"] > 0).all()
    assert (found["anchor"] + found["shape"] <= sizes[:, ::-1]).all()
    assert not found["anchor"][bad].any() and (found["shape"][bad] == 1).all()
