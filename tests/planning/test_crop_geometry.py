"""The plan's arithmetic against MXNet's rules, and the properties every plan has."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuio.planning.affine import AffineOptions
from gpuio.planning.crop_geometry import plan_crops
from gpuio.planning.crop_options import CropOptions
from gpuio.planning.plan import Plan

INCEPTION = CropOptions(32, 32, resized_crop=True, area=(0.08, 1.0), ratio=(3 / 4, 4 / 3))


def make(augment: CropOptions, *sizes: tuple[int, int], seed: int = 0, epoch: int = 0) -> Plan:
    count = len(sizes)
    plan, *_ = plan_crops(
        augment, np.array(sizes, np.int64), seed, np.full(count, epoch), np.arange(count)
    )
    return plan


def test_a_large_image_is_cropped_without_scaling() -> None:
    made = make(CropOptions(40, 48), (160, 120))
    assert made.window.tolist() == [[56, 40, 48, 40]]
    assert made.bounds.tolist() == [[0, 0, 160, 120]]


def test_resize_scales_the_shorter_side_and_rounds_the_longer_down() -> None:
    # 113 x 87 to 83 x 64 (64 * 113 // 87 = 83), then the center 48 x 40: offsets 17 and 12.
    made = make(CropOptions(40, 48, resize=64), (113, 87), (97, 141))
    np.testing.assert_allclose(
        made.window[0], [17 * 113 / 83, 12 * 87 / 64, 48 * 113 / 83, 40 * 87 / 64]
    )
    # 97 x 141 is upright: 64 x 93 (64 * 141 // 97).
    np.testing.assert_allclose(
        made.window[1], [8 * 97 / 64, 26 * 141 / 93, 48 * 97 / 64, 40 * 141 / 93]
    )


def test_a_small_image_is_enlarged_first() -> None:
    # 41 x 31 in float32: to height 40 it is int(40 / 31 * 41) = 52 wide; center offset 2.
    made = make(CropOptions(40, 48), (41, 31))
    np.testing.assert_allclose(made.window[0], [2 * 41 / 52, 0, 48 * 41 / 52, 31])


@given(st.tuples(st.integers(1, 700), st.integers(1, 700)), st.booleans(), st.integers(0, 9))
def test_windows_lie_within_the_image(size: tuple[int, int], rand_crop: bool, seed: int) -> None:
    for augment in (
        CropOptions(33, 47, rand_crop=rand_crop),
        CropOptions(33, 47, resize=64, rand_crop=rand_crop),
        replace(INCEPTION, resize=50),
        INCEPTION,
    ):
        made = make(augment, size, seed=seed)
        x, y, w, h = made.window[0]
        assert x >= 0 and y >= 0 and w > 0 and h > 0
        assert x + w <= size[0] + 1e-6 and y + h <= size[1] + 1e-6
        x0, y0, x1, y1 = made.bounds[0]
        assert 0 <= x0 <= x + 1e-6 and 0 <= y0 <= y + 1e-6 and x1 <= size[0] and y1 <= size[1]
        assert x1 >= x + w - 1e-6 and y1 >= y + h - 1e-6


def test_random_crop_is_uniform_over_all_places() -> None:
    made = make(CropOptions(40, 48, rand_crop=True), *[(60, 50)] * 13000)
    for column, places in ((0, 13), (1, 11)):
        counts = np.bincount(made.window[:, column].astype(int), minlength=places)
        expected = 13000 / places
        assert len(counts) == places
        assert (
            (counts - expected) ** 2 / expected
        ).sum() < 40  # p < 0.0001 for 12 degrees of freedom
    assert abs(np.corrcoef(made.window[:, :2].T)[0, 1]) < 0.04


def test_resized_crop_has_whole_windows_and_is_cut_before_it_is_scaled() -> None:
    made = make(INCEPTION, *[(200, 160)] * 500)
    np.testing.assert_array_equal(made.window, np.rint(made.window))
    np.testing.assert_array_equal(made.bounds[:, :2], made.window[:, :2])
    np.testing.assert_array_equal(made.bounds[:, 2:], made.window[:, :2] + made.window[:, 2:])


def test_resized_crop_falls_back_to_the_center() -> None:
    never = replace(INCEPTION, area=(1.0, 1.0), ratio=(20.0, 20.0))
    made = make(never, (100, 100))
    assert made.window.tolist() == [[34, 34, 32, 32]]


def test_a_resized_crop_of_everything_is_the_center_crop() -> None:
    assert make(CropOptions(32, 32, resized_crop=True), (100, 90)).window.tolist() == [
        [34, 29, 32, 32]
    ]


def test_mirror() -> None:
    sizes = [(50, 50)] * 4000
    assert not make(CropOptions(32, 32), *sizes).flip.any()
    assert make(CropOptions(32, 32, mirror=True), *sizes).flip.all()
    assert 1850 < make(CropOptions(32, 32, rand_mirror=True), *sizes).flip.sum() < 2150
    assert make(CropOptions(32, 32, mirror=True, rand_mirror=True), *sizes).flip.all()


def test_a_samples_plan_does_not_depend_on_its_batch() -> None:
    sizes = np.array([(200, 160), (90, 300), (33, 41)])
    epoch, record = np.array([0, 1, 1]), np.array([5, 5, 9])
    augment = replace(INCEPTION, rand_mirror=True)
    together, *_ = plan_crops(augment, sizes, 7, epoch, record)
    for row in range(3):
        at = slice(row, row + 1)
        alone, *_ = plan_crops(augment, sizes[at], 7, epoch[at], record[at])
        np.testing.assert_array_equal(alone.window[0], together.window[row])
        assert alone.flip[0] == together.flip[row]


def test_another_option_leaves_the_other_draws_alone() -> None:
    sizes = [(200, 160)] * 50
    plain, more = (
        make(INCEPTION, *sizes),
        make(replace(INCEPTION, rand_mirror=True, method=10), *sizes),
    )
    np.testing.assert_array_equal(plain.window, more.window)


def test_method_9_depends_on_growth_and_10_is_uniform() -> None:
    method = make(CropOptions(70, 80, method=9), (41, 31), (300, 200), (35, 150)).method
    assert method.tolist() == [2, 3, 1]
    counts = np.bincount(make(CropOptions(8, 8, method=10), *[(9, 9)] * 5000).method)
    assert len(counts) == 5 and ((counts - 1000) ** 2 / 1000).sum() < 24  # p < 0.0001


EXTREME_SIZES = ((1, 1), (65535, 1), (1, 65535), (500, 375), (65535, 65535), (2**31 - 1, 1))


@given(
    affine=st.builds(
        AffineOptions,
        max_rotation=st.sampled_from([0, 180, 2**31 - 1]),
        max_shear=st.sampled_from([0.0, 0.1, 100.0]),
        scale=st.sampled_from([(1.0, 1.0), (1e-6, 1e-6), (1e6, 1e6), (0.5, 2.0)]),
        ratio=st.sampled_from([(1.0, 1.0), (1e-3, 1e-3), (1e3, 1e3)]),
        canvas=st.sampled_from([(0.0, 1e10), (1e9, 1e300), (0.0, 1.0), (1e300, 1e300)]),
    ),
    resize=st.sampled_from([None, 1, 10**6, 2**31 - 1]),
    pad=st.sampled_from([0, 1, 2**31 - 1]),
    length=st.sampled_from([1, 224, 10000]),
    resized_crop=st.booleans(),
    seed=st.integers(0, 9),
)
def test_extreme_arguments_give_finite_plans(
    affine: AffineOptions, resize: int | None, pad: int, length: int, resized_crop: bool, seed: int
) -> None:
    extreme = {"area": (1e-300, 1.0), "ratio": (1e-6, 1e6)}
    options = CropOptions(
        length,
        7,
        resize=resize,
        affine=replace(affine, scale=(1.0, 1.0)) if resized_crop else affine,
        pad=pad,
        rand_crop=not resized_crop,
        resized_crop=resized_crop,
        **(extreme if resized_crop else {}),  # type: ignore[arg-type]
    )
    plan = make(options, *EXTREME_SIZES, seed=seed)  # a warning is an error
    if plan.affine is not None:
        assert np.isfinite(plan.affine.matrix).all()
        return
    assert np.isfinite(plan.window).all() and (plan.window[:, 2:] > 0).all()
    low, high = plan.bounds[:, :2], plan.bounds[:, 2:]
    assert (low >= 0).all() and (low < high).all() and (high <= EXTREME_SIZES).all()


@pytest.mark.parametrize(
    ("options", "digest"),
    [
        (CropOptions(32, 32, pad=4, rand_crop=True, rand_mirror=True), "ae2fee71483953e9"),
        (CropOptions(40, 48, resize=64, rand_crop=True, method=9), "a1155aaaaa73af27"),
        (replace(INCEPTION, rand_mirror=True, method=10), "ebea134162b041b0"),
        (CropOptions(24, 28, crop_size=(8, 15), rand_crop=True), "09d8ac09886c44a2"),
    ],
    ids=["pad", "resize", "resized-crop", "crop-size"],
)
def test_seeds_mean_what_they_meant_before(options: CropOptions, digest: str) -> None:
    """Runs of earlier versions can be repeated, and resumed."""
    random = np.random.default_rng(3)
    sizes = random.integers(16, 90, (60, 2))
    epoch, record = random.integers(0, 3, 60), random.integers(0, 10**6, 60)
    plan, cropped, largest = plan_crops(options, sizes, 12345, epoch, record)
    found = hashlib.sha256()
    for array in (plan.window, plan.bounds, plan.method, plan.flip, cropped, largest):
        found.update(array.tobytes())
    for border in plan.borders:
        found.update(border.inside.tobytes() + border.fill.tobytes())
    assert found.hexdigest()[:16] == digest
