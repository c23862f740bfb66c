"""Philox against the vectors its authors publish, and the properties that everything random here
relies on."""

import numpy as np
import pytest

from gpuio import native
from gpuio.sampling import philox

# Random123 1.14, examples/kat_vectors, "philox4x32 10": counter, key, result.
VECTORS = [
    (
        "00000000 00000000 00000000 00000000",
        "00000000 00000000",
        "6627e8d5 e169c58d bc57ac4c 9b00dbd8",
    ),
    (
        "ffffffff ffffffff ffffffff ffffffff",
        "ffffffff ffffffff",
        "408f276d 41c83b0e a20bc7c6 6d5451fd",
    ),
    (
        "243f6a88 85a308d3 13198a2e 03707344",
        "a4093822 299f31d0",
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]


def numbers(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "result"), VECTORS)
def test_philox_gives_the_published_vectors(counter: str, key: str, result: str) -> None:
    words = tuple(np.array([number], np.uint64) for number in numbers(counter))
    low, high = numbers(key)
    drawn = philox.philox(words, (low, high))  # type: ignore[arg-type]
    assert [int(word[0]) for word in drawn] == numbers(result)


def test_a_draw_depends_on_its_own_row_only() -> None:
    epoch, record = np.array([0, 3, 3, 9]), np.array([7, 7, 2**33 + 1, 0])
    together = philox.uniform(5, epoch, record, philox.CROP, 7)
    for row in range(4):
        alone = philox.uniform(5, epoch[row : row + 1], record[row : row + 1], philox.CROP, 7)
        np.testing.assert_array_equal(alone[0], together[row])


def test_more_draws_begin_with_the_same_ones() -> None:
    at = np.array([1]), np.array([2])
    few = philox.words(0, *at, philox.MIRROR, 3)
    np.testing.assert_array_equal(few, philox.words(0, *at, philox.MIRROR, 50)[:, :3])


def test_seed_epoch_record_and_purpose_all_matter() -> None:
    one = np.array([1])
    draws = {
        tuple(philox.words(seed, epoch * one, record * one, purpose, 2)[0].tolist())
        for seed in (0, 1, 2**32, -1)
        for epoch in (0, 1)
        for record in (0, 1, 2**32)
        for purpose in (philox.MIRROR, philox.CROP)
    }
    assert len(draws) == 4 * 2 * 3 * 2


def test_uniform_is_uniform() -> None:
    drawn = philox.uniform(11, np.zeros(20000, np.int64), np.arange(20000), philox.CROP, 4)
    assert drawn.shape == (20000, 4) and drawn.min() >= 0 and drawn.max() < 1
    counts = np.stack([np.histogram(column, 50, (0, 1))[0] for column in drawn.T])
    chi_square = ((counts - 400) ** 2 / 400).sum(axis=1)
    assert (chi_square < 94).all()  # 49 degrees of freedom, p = 0.0001
    correlation = np.corrcoef(drawn.T) - np.eye(4)
    assert np.abs(correlation).max() < 0.03


def test_normal_numbers_are_normal() -> None:
    records = np.arange(4000)
    drawn = philox.normal(3, np.zeros(4000, np.int64), records, philox.PCA, 3)
    assert drawn.shape == (4000, 3) and np.isfinite(drawn).all()
    assert np.abs(drawn.mean(0)).max() < 0.06 and np.abs(drawn.std(0) - 1).max() < 0.05
    assert np.abs(np.corrcoef(drawn.T) - np.eye(3)).max() < 0.06
    for limit, share in ((1, 0.6827), (2, 0.9545)):
        assert abs((np.abs(drawn) < limit).mean() - share) < 0.02
    np.testing.assert_array_equal(
        philox.normal(3, np.zeros(1, np.int64), records[7:8], philox.PCA, 3), drawn[7:8]
    )


def test_between_scales_units() -> None:
    assert philox.between(np.array([0.0, 0.5]), (-1.0, 3.0)).tolist() == [-1, 1]


@pytest.mark.skipif(not native.state()[0], reason="the native module is not in use")
@pytest.mark.parametrize("seed", [0, -1, 2**64 - 1, 2**80 + 5])
def test_the_native_module_draws_the_same_words(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    epoch = np.array([0, 1, 2**33, 7])
    record = np.array([2**40 + 3, 0, 5, 2**62])
    arguments = (seed, epoch, record, philox.AUGMENT, 11, 4)
    drawn = philox.words(*arguments)
    monkeypatch.setenv("GPUIO_NATIVE", "0")
    np.testing.assert_array_equal(drawn, philox.words(*arguments))
    assert drawn.dtype == np.uint64 and drawn.shape == (4, 11)
