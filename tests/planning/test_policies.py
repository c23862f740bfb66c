"""What policies draw: the published operations and magnitudes, in torchvision's distributions."""

from collections.abc import Callable

import numpy as np
import pytest

from gpuio.errors import ArgumentError
from gpuio.planning import operations as ops
from gpuio.planning.augmentation_spaces import CODES, NAMES
from gpuio.planning.policies import (
    ColorJitterPolicy,
    Policy,
    RandAugmentPolicy,
    RandomErasingPolicy,
    TrivialAugmentPolicy,
    plan_operations,
)
from tests.distributions import distance, largest_distance
from tests.torchvision_oracle import GOLDEN

COUNT = 20_000
EPOCH, RECORD = np.zeros(COUNT, np.int64), np.arange(COUNT)


def draw(policy: Policy, size: tuple[int, int] = (224, 160), channels: int = 3) -> np.ndarray:
    drawn = plan_operations([policy], size, channels, 7, EPOCH, RECORD)
    assert drawn is not None
    return drawn


def assert_uniform(values: np.ndarray, count: int) -> None:
    """Each of `count` values is as frequent, within six standard errors."""
    frequency = np.bincount(values.reshape(-1), minlength=count)
    expected = values.size / count
    assert len(frequency) == count
    assert np.abs(frequency - expected).max() < 6 * np.sqrt(expected)


def assert_same_distribution(ours: np.ndarray, theirs: np.ndarray, slack: float = 0.0) -> None:
    """Ours are drawn; theirs are quantiles in steps of 1 %, of as many numbers."""
    most = largest_distance(COUNT, COUNT, 1e-6) + 0.01
    assert distance(np.sort(ours), np.sort(theirs), slack) < most


def names_of(operations: np.ndarray) -> np.ndarray:
    """The number of each operation among `NAMES`, but for warps, which are all 1."""
    return np.argmax(operations["code"][..., None] == CODES, axis=-1)


def test_randaugment_draws_its_operations_uniformly_and_independently() -> None:
    drawn = draw(RandAugmentPolicy(2))
    assert drawn.shape == (COUNT, 2)
    for step in range(2):
        frequency = np.bincount(names_of(drawn[:, step]), minlength=len(NAMES)) / COUNT
        expected = np.full(len(NAMES), 1 / 14)
        expected[1:6] = 5 / 14, 0, 0, 0, 0
        assert np.abs(frequency - expected).max() < 6 * np.sqrt(0.25 / COUNT)
    first, second = names_of(drawn).T
    assert abs(np.corrcoef(first, second)[0, 1]) < 6 / np.sqrt(COUNT)


def test_half_of_the_signed_operations_go_the_other_way() -> None:
    drawn = draw(RandAugmentPolicy(1, 10))[:, 0]
    for code in (ops.BRIGHTNESS, ops.SATURATION, ops.CONTRAST, ops.SHARPNESS):
        factors = drawn["values"][drawn["code"] == code, 0]
        assert set(np.round(factors, 6)) == {0.7, 1.3}
        assert abs((factors < 1).mean() - 0.5) < 6 * np.sqrt(0.25 / len(factors))


def test_trivialaugment_draws_each_magnitude() -> None:
    drawn = draw(TrivialAugmentPolicy(5))[:, 0]
    thresholds = drawn["values"][drawn["code"] == ops.SOLARIZE, 0]
    assert_uniform(np.rint(4 - thresholds / 255 * 4).astype(int), 5)
    masks = drawn["values"][drawn["code"] == ops.POSTERIZE, 0]
    # 8, 6.5, 5, 3.5 and 2 bits, halves to even.
    assert set(masks.astype(int)) == {0xFF, 0xFC, 0xF8, 0xF0, 0xC0}


@pytest.mark.parametrize("quantity", ["brightness", "contrast", "saturation", "hue"])
def test_color_jitter_draws_torchvisions_factors_in_any_order(quantity: str) -> None:
    policy = ColorJitterPolicy((0.6, 1.4), (0.5, 2.0), (0.0, 2.5), (-0.1, 0.1))
    codes = {"brightness": ops.BRIGHTNESS, "contrast": ops.CONTRAST, "saturation": ops.SATURATION}
    code = codes.get(quantity, ops.HUE)
    drawn = draw(policy)
    rows, places = np.nonzero(drawn["code"] == code)
    assert len(rows) == COUNT
    assert_uniform(places, 4)
    values = drawn["values"][rows, places, 0]
    assert_same_distribution(values, GOLDEN[f"stats/ColorJitter/{quantity}"])


def test_gray_images_keep_their_colors() -> None:
    drawn = draw(ColorJitterPolicy((0, 1), None, (0, 1), (0, 0.5)), channels=1)
    assert set(drawn["code"].reshape(-1)) == {ops.IDENTITY, ops.BRIGHTNESS}
    assert ops.SATURATION not in draw(RandAugmentPolicy(1), channels=1)["code"]


def test_random_erasing_draws_torchvisions_rectangles() -> None:
    drawn = draw(RandomErasingPolicy(p=1.0))[:, 0]
    assert (drawn["code"] == ops.ERASE).all()
    x0, y0, x1, y1 = drawn["values"][:, :4].T
    for name, values in {"i": y0, "j": x0, "h": y1 - y0, "w": x1 - x0}.items():
        assert_same_distribution(values, GOLDEN[f"stats/RandomErasing/{name}"], 1)
    assert x0.min() >= 0 and y0.min() >= 0 and x1.max() <= 224 and y1.max() <= 160


def test_random_erasing_leaves_images_without_a_rectangle_that_fits() -> None:
    share = (draw(RandomErasingPolicy(p=0.3))["code"] == ops.ERASE).mean()
    assert abs(share - 0.3) < 6 * np.sqrt(0.25 / COUNT)
    whole = RandomErasingPolicy(1.0, scale=(1.0, 1.0), ratio=(1.0, 1.0))
    assert not draw(whole, (16, 16))["code"].any()


POLICIES = [
    RandAugmentPolicy(2, fill=(1, 2, 3)),
    TrivialAugmentPolicy(),
    ColorJitterPolicy((0, 2), (0, 2), (0, 2), (-0.5, 0.5)),
    RandomErasingPolicy(0.5),
]


def test_draws_depend_on_seed_epoch_and_record_alone() -> None:
    record = np.array([5, 9, 2**40, 0])
    epoch = np.array([0, 3, 1, 1])
    several = plan_operations(POLICIES, (30, 20), 3, 11, epoch, record)
    assert several is not None and several.shape == (4, 2 + 1 + 4 + 1)
    for row in range(4):
        at = epoch[row : row + 1], record[row : row + 1]
        alone = plan_operations(POLICIES, (30, 20), 3, 11, *at)
        assert alone is not None and alone.tobytes() == several[row : row + 1].tobytes()
    other = plan_operations(POLICIES, (30, 20), 3, 12, epoch, record)
    assert other is not None and other.tobytes() != several.tobytes()
    assert plan_operations([], (30, 20), 3, 11, epoch, record) is None


def test_policies_of_one_list_draw_independently() -> None:
    twice = plan_operations([RandomErasingPolicy(0.5)] * 2, (30, 20), 3, 0, EPOCH, RECORD)
    assert twice is not None
    first, second = (twice["code"] == ops.ERASE).T
    assert abs((first & second).mean() - 0.25) < 6 * np.sqrt(0.25 / COUNT)


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (lambda: POLICIES[0].check_channels(4), "RandAugment needs 1 or 3 channels, not 4"),
        (lambda: POLICIES[1].check_channels(4), "TrivialAugmentWide needs 1 or 3 channels"),
        (lambda: POLICIES[2].check_channels(4), "ColorJitter needs 1 or 3 channels"),
        (lambda: POLICIES[0].check_channels(1), r"fill must be a number, or one for each of 1"),
        (
            lambda: RandomErasingPolicy(value=(1, 2, 3)).check_channels(4),
            r"RandomErasing's value must be a number, or one for each of 4 channels",
        ),
    ],
)
def test_images_with_other_channels_are_refused(check: Callable[[], None], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        check()


def test_any_number_of_channels_can_be_erased() -> None:
    RandomErasingPolicy().check_channels(4)
    drawn = draw(RandomErasingPolicy(1.0, value=(5,)), channels=4)
    assert (drawn["fill"] == 5).all()
