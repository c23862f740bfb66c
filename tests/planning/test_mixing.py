"""How batches are mixed: torchvision's distributions, and labels."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gpuio.errors import ArgumentError
from gpuio.planning.mixing import BatchMix, CutMix, Mixer, MixUp
from tests.distributions import distance, largest_distance
from tests.torchvision_oracle import GOLDEN

COUNT = 20_000
EPOCH, RECORD = np.zeros(COUNT, np.int64), np.arange(COUNT)
SIZE = 224, 160


def draw(*kinds: MixUp | CutMix) -> BatchMix:
    return Mixer(kinds, 7).draw(EPOCH, RECORD, SIZE)


def assert_same_distribution(ours: np.ndarray, key: str) -> None:
    """Theirs are quantiles in steps of 1 %, of as many numbers."""
    most = largest_distance(COUNT, COUNT, 1e-6) + 0.01
    assert distance(np.sort(ours), np.sort(GOLDEN[f"stats/{key}"])) < most


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_mixup_draws_torchvisions_shares(alpha: float) -> None:
    mix = draw(MixUp(alpha))
    assert_same_distribution(mix.share, f"MixUp{alpha:g}/lam")
    np.testing.assert_array_equal(mix.weight, mix.share)
    assert (mix.box == (0, 0, *SIZE)).all()


def test_cutmix_draws_torchvisions_rectangles() -> None:
    mix = draw(CutMix())
    for name, values in zip(("x1", "y1", "x2", "y2"), mix.box.T, strict=True):
        assert_same_distribution(values, f"CutMix/{name}")
    assert_same_distribution(mix.share, "CutMix/lam")
    assert not mix.weight.any()
    area = (mix.box[:, 2:] - mix.box[:, :2]).prod(1)
    np.testing.assert_allclose(mix.share, 1 - area / (224 * 160), rtol=1e-6)


def test_each_image_gets_one_of_several() -> None:
    mix = draw(MixUp(), CutMix())
    whole = (mix.box == (0, 0, *SIZE)).all(1)
    assert abs(whole.mean() - 0.5) < 6 * np.sqrt(0.25 / COUNT)


def test_extreme_shares() -> None:
    for alpha in (1e-3, 1e6):
        share = draw(MixUp(alpha)).share
        assert np.isfinite(share).all() and share.min() >= 0 and share.max() <= 1
    assert abs(draw(MixUp(1e6)).share - 0.5).max() < 0.01


@pytest.mark.parametrize("count", [1, 2, 3, 64])
def test_partners_are_others_of_the_batch(count: int) -> None:
    mix = Mixer((MixUp(),), 0).draw(EPOCH[:count], RECORD[:count], SIZE)
    assert sorted(mix.cycle) == sorted(mix.partner) == list(range(count))
    assert count == 1 or (mix.partner != np.arange(count)).all()
    for place, row in enumerate(mix.cycle):
        assert mix.partner[row] == mix.cycle[(place + 1) % count]


def test_partners_are_drawn_anew_in_each_epoch() -> None:
    mixer = Mixer((MixUp(),), 0)
    drawn = [mixer.draw(EPOCH[:64] + epoch, RECORD[:64], SIZE) for epoch in range(2)]
    assert (drawn[0].partner == drawn[1].partner).mean() < 0.2
    assert (drawn[0].share != drawn[1].share).all()


def test_all_but_the_partner_depends_on_seed_epoch_and_record_alone() -> None:
    mixer = Mixer((MixUp(), CutMix()), 3)
    whole = mixer.draw(EPOCH[:64], RECORD[:64], SIZE)
    part = mixer.draw(EPOCH[10:20], RECORD[10:20], SIZE)
    for name in ("box", "weight", "share"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[10:20])


MIX = BatchMix(
    np.array([1, 2, 0]),
    np.zeros((3, 4), np.int64),
    np.zeros(3, np.float32),
    np.array([0.25, 1, 0.75], np.float32),
)


def test_labels_and_those_of_the_partner() -> None:
    labels = np.array([10.5, 20, 30], np.float32)
    mixed = Mixer((MixUp(),), 0).mix_labels(labels, MIX)
    assert mixed.tolist() == [[10.5, 20, 0.25], [20, 30, 1], [30, 10.5, 0.75]]
    assert mixed.dtype == np.float32


def test_shares_of_each_class() -> None:
    mixer = Mixer((MixUp(num_classes=4),), 0)
    assert mixer.label_shape == (4,) and mixer.classes == 4
    mixed = mixer.mix_labels(np.array([[3], [1], [1]], np.float32), MIX)
    assert mixed.tolist() == [[0, 0.75, 0, 0.25], [0, 1, 0, 0], [0, 0.75, 0, 0.25]]
    same = mixer.mix_labels(np.full((3, 1), 2, np.float32), MIX)
    np.testing.assert_allclose(same[:, 2], 1)


def test_labels_of_several_numbers_are_mixed_like_images() -> None:
    mixer = Mixer((MixUp(num_classes=2),), 0, 2)
    assert mixer.label_shape == (2,) and mixer.classes is None
    mixed = mixer.mix_labels(np.array([(1, 0), (0, 1), (0.5, 0.5)], np.float32), MIX)
    assert mixed.tolist() == [[0.25, 0.75], [0, 1], [0.625, 0.375]]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: MixUp(0), "MixUp: alpha must be a number from 0.001"),
        (lambda: MixUp(float("nan")), "alpha must be a number"),
        (lambda: CutMix("1"), "CutMix: alpha must be a number .* not '1'"),  # type: ignore[arg-type]
        (lambda: CutMix(num_classes=0), "num_classes must be an integer from 1"),
        (lambda: CutMix(num_classes=2.0), "num_classes must be an integer"),  # type: ignore[arg-type]
        (lambda: CutMix(num_classes=True), "num_classes must be an integer"),
        (lambda: Mixer((MixUp(), CutMix(num_classes=3)), 0), "must have the same num_classes"),
        (lambda: Mixer((MixUp(num_classes=3),), 0, 2), "num_classes is 3, and labels have 2"),
    ],
)
def test_bad_arguments_are_refused(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        make()
