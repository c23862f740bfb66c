"""Crops of the native module, which equal those of Python's arithmetic bit for bit."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuio import native
from gpuio.planning.affine import AffineOptions
from gpuio.planning.crop_geometry import plan_crops
from gpuio.planning.crop_options import CropOptions
from gpuio.planning.native_crops import MOST_LENGTH, crop_of, native_crops

pytestmark = pytest.mark.skipif(native.library() is None, reason="the native module is not in use")

# Some divide each other, so that rounding errors decide.
LENGTHS = st.one_of(st.integers(1, 40), st.sampled_from([8, 16, 24, 28, 48, 65535, MOST_LENGTH]))
SIDES = st.one_of(st.integers(1, 60), st.sampled_from([32, 56, 64, 375, 65535, MOST_LENGTH]))
COPIES = 30  # of each size, with other random numbers


def ranges(least: float, most: float) -> st.SearchStrategy[tuple[float, float]]:
    numbers = st.floats(least, most)
    return st.tuples(numbers, numbers).map(lambda pair: (min(pair), max(pair)))


@st.composite
def options(draw: Callable[..., Any]) -> CropOptions:
    """Options that the native module plans."""
    more: dict[str, Any] = {}
    kind = draw(st.sampled_from(["plain", "anywhere", "size", "resized"]))
    if kind == "resized":
        more["resized_crop"] = True
        more["area"] = draw(st.one_of(st.just((1.0, 1.0)), ranges(0.1, 1), ranges(1e-300, 1)))
        more["ratio"] = draw(st.one_of(st.just((1.0, 1.0)), ranges(0.5, 2), ranges(1e-6, 1e6)))
    elif kind == "size":
        more["crop_size"] = tuple(sorted((draw(LENGTHS), draw(LENGTHS))))
        more["rand_crop"] = draw(st.booleans())
    else:
        more["rand_crop"] = kind == "anywhere"
    return CropOptions(
        draw(LENGTHS),
        draw(LENGTHS),
        resize=draw(st.one_of(st.none(), LENGTHS)),
        pad=draw(st.one_of(st.just(0), st.integers(1, 9), st.just(MOST_LENGTH))),
        fill=(1, 2, 3),
        mirror=draw(st.booleans()),
        rand_mirror=draw(st.booleans()),
        method=draw(st.sampled_from([0, 1, 2, 3, 4, 9, 10])),
        **more,
    )


def planned(*arguments: Any) -> list[tuple[object, ...]]:
    """All arrays of the plan, and of what `plan_crops` returns beside it, as bytes."""
    plan, padded, largest = plan_crops(*arguments)
    assert plan.affine is None and len(plan.borders) <= 1
    arrays = [plan.window, plan.bounds, plan.method, plan.flip, padded, largest]
    arrays += [each for border in plan.borders for each in border]
    return [(each.shape, each.dtype, each.tobytes()) for each in arrays]


@given(
    options=options(),
    sizes=st.lists(st.tuples(SIDES, SIDES), max_size=20),
    seed=st.integers(-(2**70), 2**70),
    epoch=st.integers(0, 2**40),
    record=st.integers(0, 2**50),
)
def test_crops_are_those_of_python(
    options: CropOptions, sizes: list[tuple[int, int]], seed: int, epoch: int, record: int
) -> None:
    at = np.array(sizes * COPIES, np.int64).reshape(-1, 2)
    given = seed, np.full(len(at), epoch), record + np.arange(len(at))
    found = planned(options, at, *given)
    module = native_crops()
    assert module is not None and module.plan(options, at, *given) is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(native.VARIABLE, "0")
        assert native_crops() is None
        assert planned(options, at, *given) == found


@pytest.mark.parametrize(
    "chosen",
    [
        CropOptions(33, 47, method=9),
        CropOptions(48, 56, resize=64, rand_crop=True, method=9),
        CropOptions(8, 12, crop_size=(4, 24), rand_crop=True, pad=3, fill=(9,), method=9),
        CropOptions(7, 14, resize=21, pad=2, crop_size=(7, 28), fill=(9,)),
        CropOptions(10, 10, resize=98, crop_size=(40, 98), rand_crop=True),
        CropOptions(1, 3, crop_size=(2, 120), pad=60, rand_crop=True, fill=(9,)),
        CropOptions(24, 24, resized_crop=True, area=(0.08, 1), ratio=(3 / 4, 4 / 3), method=9),
    ],
)
def test_small_sizes(chosen: CropOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them: here rounding errors decide whether pixels are within a crop."""
    sides = np.arange(1, 130)
    sizes = np.stack(np.meshgrid(sides, sides), axis=-1).reshape(-1, 2)
    rows = np.arange(len(sizes))
    found = planned(chosen, sizes, 3, rows // 7, rows)
    monkeypatch.setenv(native.VARIABLE, "0")
    assert planned(chosen, sizes, 3, rows // 7, rows) == found


def test_arrays_that_are_not_contiguous() -> None:
    chosen = CropOptions(8, 8, rand_crop=True, rand_mirror=True)
    sizes = np.array([(20, 30, 0), (40, 9, 0), (7, 50, 0)])
    numbers = np.arange(6).reshape(3, 2)
    apart = planned(chosen, sizes[:, :2], 5, numbers[:, 0], numbers[:, 1])
    parts = [np.ascontiguousarray(each) for each in (sizes[:, :2], numbers[:, 0], numbers[:, 1])]
    assert planned(chosen, parts[0], 5, *parts[1:]) == apart


@pytest.mark.parametrize("side", [-1, 0, MOST_LENGTH + 1, 2**62])
def test_sizes_that_no_image_has_are_not_planned(side: int) -> None:
    """Its arithmetic would overflow."""
    module = native_crops()
    assert module is not None
    zeros = np.zeros(2, np.int64)
    for size in ((side, 5), (5, side)):
        assert module.plan(CropOptions(8, 8), np.array([(9, 9), size]), 0, zeros, zeros) is None


@pytest.mark.parametrize(
    "chosen",
    [
        CropOptions(8, 8, affine=AffineOptions(max_rotation=3)),
        CropOptions(8, 8, resize=MOST_LENGTH + 1),
        CropOptions(8, 8, pad=MOST_LENGTH + 1),
        CropOptions(8, 8, crop_size=(1, MOST_LENGTH + 1)),
        CropOptions(MOST_LENGTH + 1, 8),
        CropOptions(8, MOST_LENGTH + 1),
    ],
)
def test_options_that_are_not_planned(chosen: CropOptions) -> None:
    assert crop_of(chosen) is None


def test_an_epoch_and_a_record_for_each_size() -> None:
    module = native_crops()
    assert module is not None
    one, two = np.zeros(1, np.int64), np.zeros(2, np.int64)
    for epoch, record in ((one, two), (two, one)):
        with pytest.raises(AssertionError, match="for each size"):
            module.plan(CropOptions(8, 8), np.full((2, 2), 9), 0, epoch, record)
