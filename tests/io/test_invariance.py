"""Randomness follows from seed, epoch and record: not from how the iterator is run."""

import numpy as np
import pytest

from gpuio.errors import (
    ArgumentError,
)
from tests.io.records import (
    TRAIN,
    assert_same_samples,
    open_iter,
    samples,
)


@pytest.fixture(scope="module")
def reference() -> dict[tuple[int, int], np.ndarray]:
    with open_iter(**TRAIN, round_batch=False) as iterator:
        return samples(iterator, epochs=2)


@pytest.mark.parametrize(
    "changes",
    [
        {"preprocess_threads": 1},
        {"preprocess_threads": 4},
        {"prefetch_buffer": 1},
        {"prefetch_buffer": 9},
        {"batch_size": 1},
        {"batch_size": 12},
        {"batch_size": 30},
    ],
    ids=str,
)
def test_pixels_do_not_depend_on_threads_prefetch_or_batch_size(
    changes: dict[str, int], reference: dict[tuple[int, int], np.ndarray]
) -> None:
    with open_iter(**{**TRAIN, "round_batch": False, **changes}) as iterator:
        assert_same_samples(samples(iterator, epochs=2), reference)


@pytest.mark.parametrize("parts", [2, 3])
@pytest.mark.parametrize("partition", ["contiguous", "global"])
def test_the_union_of_parts_is_the_whole(
    parts: int, partition: str, reference: dict[tuple[int, int], np.ndarray]
) -> None:
    union: dict[tuple[int, int], np.ndarray] = {}
    for part in range(parts):
        with open_iter(
            **TRAIN,
            round_batch=False,
            num_parts=parts,
            part_index=part,
            partition=partition,
            batch_size=2,
        ) as iterator:
            found = samples(iterator, epochs=2)
        assert not union.keys() & found.keys()
        union |= found
    assert_same_samples(union, reference)


def test_global_parts_make_up_the_batches_of_one_part() -> None:
    def keys(parts: int, part: int) -> list[np.ndarray]:
        with open_iter(
            **TRAIN, num_parts=parts, part_index=part, partition="global", batch_size=6 // parts
        ) as iterator:
            found = []
            for _ in range(3):
                found += [batch.index for batch in iterator]
                iterator.reset()
            return found

    whole, halves = keys(1, 0), [keys(2, part) for part in range(2)]
    for one, left, right in zip(whole, *halves, strict=True):
        np.testing.assert_array_equal(one, np.concatenate([left, right]))


def test_parts_come_from_the_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("SLURM_NTASKS", "9")
    with open_iter(num_parts="auto", batch_size=2) as iterator:
        assert iterator.next().index.tolist() == [20, 30]  # rows 2 and 3 of the first 6
    monkeypatch.setenv("RANK", "three")
    with pytest.raises(ArgumentError, match="torchrun"):
        open_iter(num_parts="auto")


def test_each_epoch_shuffles_and_augments_anew(
    reference: dict[tuple[int, int], np.ndarray],
) -> None:
    with open_iter(**TRAIN, round_batch=False) as iterator:
        first = [key for batch in iterator for key in batch.index.tolist()]
        iterator.reset()
        second = [key for batch in iterator for key in batch.index.tolist()]
    assert first != second and set(first) == set(second)
    assert any((reference[0, key] != reference[1, key]).any() for key in set(first))


def test_seeds() -> None:
    def run(**seeds: int | None) -> tuple[list[int], np.ndarray]:
        with open_iter(**{**TRAIN, **seeds}, batch_size=12) as iterator:
            batch = iterator.next()
            order = np.argsort(batch.index)
            return batch.index.tolist(), batch.data[0].asnumpy()[order]

    order, pixels = run(seed=1)
    assert run(seed=1)[0] == order and (run(seed=1)[1] == pixels).all()
    assert run(seed=2)[0] != order and (run(seed=2)[1] != pixels).any()
    assert run(seed=1, seed_aug=9)[0] == order and (run(seed=1, seed_aug=9)[1] != pixels).any()
    assert (run(seed=7, seed_aug=9)[1] == run(seed=1, seed_aug=9)[1]).all()
