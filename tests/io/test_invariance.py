"""Samples follow from seed, epoch and record, not from how an iterator is run: for all iterators
over images.
"""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpuio.errors import ArgumentError
from tests.close import GPU_DECODER, Tolerance, assert_images_close
from tests.io.image_iterators import (
    KINDS,
    Samples,
    assert_equal_samples,
    open_kind,
    open_random,
    runs,
    samples_of,
    write_images,
)
from tests.io.records import (
    TRAIN,
    assert_same_samples,
    open_iter,
    samples,
)

PLANNED = [name for name, kind in KINDS.items() if kind.planned]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve images."""
    folder = tmp_path_factory.mktemp("images")
    write_images(folder, 12)
    return folder


@pytest.fixture(scope="module")
def expected(folder: Path) -> Any:
    """Two epochs of a kind of iterator, as it usually runs."""
    found: dict[tuple[str, str], Samples] = {}

    def of(name: str, run: str) -> Samples:
        if (name, run) not in found:
            with open_random(name, run, folder) as iterator:
                found[name, run] = samples_of(iterator, 2)
            assert len(found[name, run]) == 2 * 12
        return found[name, run]

    return of


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
@pytest.mark.parametrize(("name", "run"), runs())
def test_samples_do_not_depend_on_threads_prefetch_or_batch_size(
    name: str, run: str, changes: dict[str, int], folder: Path, expected: Any
) -> None:
    with open_random(name, run, folder, **changes) as iterator:
        assert_equal_samples(samples_of(iterator, 2), expected(name, run))


@pytest.mark.parametrize("handle", ["discard", "roll_over"])
@pytest.mark.parametrize(("name", "run"), runs())
def test_samples_do_not_depend_on_the_last_batch(
    name: str, run: str, handle: str, folder: Path, expected: Any
) -> None:
    options = {"last_batch_handle": handle, "batch_size": 4}  # no batch is incomplete
    with open_random(name, run, folder, **options) as iterator:
        assert_equal_samples(samples_of(iterator, 2), expected(name, run))


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize(("name", "run"), runs())
def test_ranks_share_the_batches_of_one(
    name: str, run: str, world: int, folder: Path, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_random(name, run, folder, batch_size=6) as iterator:
        whole = []
        for _ in range(2):
            whole += [batch.index for batch in iterator]
            iterator.reset()
    ranks, union = [], {}
    monkeypatch.setenv("WORLD_SIZE", str(world))
    for rank in range(world):
        monkeypatch.setenv("RANK", str(rank))
        options = {"num_parts": "auto", "batch_size": 6 // world}
        with open_random(name, run, folder, **options) as iterator:
            keys = []
            for _ in range(2):
                keys += [batch.index for batch in iterator]
                iterator.reset()
            ranks.append(keys)
        with open_random(name, run, folder, **options) as iterator:
            found = samples_of(iterator, 2)
        assert not union.keys() & found.keys()
        union.update(found)
    for batch, *slices in zip(whole, *ranks, strict=True):
        np.testing.assert_array_equal(batch, np.concatenate(slices))
    assert_equal_samples(union, expected(name, run))


@pytest.mark.parametrize("parts", [2, 3])
@pytest.mark.parametrize(("name", "run"), runs())
def test_contiguous_parts_make_up_the_whole(
    name: str, run: str, parts: int, folder: Path, expected: Any
) -> None:
    union: Samples = {}
    for part in range(parts):
        options = {"num_parts": parts, "part_index": part, "batch_size": 2}
        with open_random(name, run, folder, **options) as iterator:
            found = samples_of(iterator, 2)
        assert {key for _, key in found} == set(
            range(120 // parts * part, 120 // parts * (part + 1), 10)
        )
        union.update(found)
    assert_equal_samples(union, expected(name, run))


@pytest.mark.parametrize(("name", "run"), runs())
def test_samples_are_the_same_after_a_resume(
    name: str, run: str, folder: Path, expected: Any
) -> None:
    """Also with other threads, prefetching and batch size than those of the saved state."""
    options = {"batch_size": 4, "preprocess_threads": 3, "prefetch_buffer": 2}
    with open_random(name, run, folder, **options) as iterator:
        seen = {key for _ in range(2) for key in iterator.next().index.tolist()}
        state = iterator.state_dict()
    others = {"batch_size": 2, "preprocess_threads": 1, "prefetch_buffer": 5}
    with open_random(name, run, folder, **others) as iterator:
        iterator.load_state_dict(state)
        rest = samples_of(iterator, 2)
    whole = expected(name, run)
    remaining = {at: sample for at, sample in whole.items() if at[0] or at[1] not in seen}
    assert len(remaining) == 4 + 12
    assert_equal_samples(rest, remaining)


@pytest.mark.parametrize("run", ["dali", pytest.param("gpu", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("name", PLANNED)
def test_executors_agree_on_order_labels_and_pixels(name: str, run: str, expected: Any) -> None:
    host, other = expected(name, "host"), expected(name, run)
    assert host.keys() == other.keys()
    # One pixel value, where OpenCV's bilinear weights are coarser; changes of color multiply it.
    colored = KINDS[name].random is not KINDS["ImageRecordIter"].random
    tolerance = Tolerance(2, 0.3)
    if name == "ImageDetRecordIter":  # the hue of a nearly gray pixel is arbitrary
        tolerance = Tolerance(80, 1.0)
    elif colored:  # and are normalized, by 57
        tolerance = tolerance.scaled(8 / 57)
    if run == "gpu":
        tolerance = tolerance.widened(GPU_DECODER.scaled(8 / 57 if colored else 1))
    for at, (pixels, label) in host.items():
        np.testing.assert_array_equal(other[at][1], label)
        found, wanted = other[at][0].astype(np.float32), pixels.astype(np.float32)
        assert_images_close(found, wanted, tolerance)


@pytest.mark.parametrize(("name", "run"), runs())
def test_augmenting_leaves_the_global_generators_alone(
    name: str, run: str, folder: Path, expected: Any
) -> None:
    wanted = expected(name, run)
    random.seed(1)
    np.random.seed(2)
    before = random.getstate(), repr(np.random.get_state())
    with open_random(name, run, folder) as iterator:
        found = samples_of(iterator, 2)
    assert (random.getstate(), repr(np.random.get_state())) == before
    assert_equal_samples(found, wanted)


@pytest.mark.parametrize("name", KINDS)
def test_each_epoch_and_each_seed_is_different(name: str, folder: Path, expected: Any) -> None:
    samples_found = expected(name, "host")
    differ = [
        not np.array_equal(samples_found[0, key][0], samples_found[1, key][0])
        for epoch, key in samples_found
        if epoch == 0
    ]
    assert sum(differ) > 3
    with open_random(name, "host", folder, seed=6) as iterator:
        other = samples_of(iterator)
    assert any(not np.array_equal(other[at][0], samples_found[at][0]) for at in other)


@pytest.mark.parametrize("name", KINDS)
def test_the_launchers_variables_determine_the_rank(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("SLURM_NTASKS", "9")
    with open_kind(name, "host", folder, num_parts="auto", batch_size=2) as iterator:
        assert iterator.next().index.tolist() == [20, 30]  # rows 2 and 3 of the first 6
    monkeypatch.setenv("RANK", "three")
    with pytest.raises(ArgumentError, match="torchrun"):
        open_kind(name, "host", folder, num_parts="auto")


# ---------------------------------------------------------------- ImageRecordIter


@pytest.fixture(scope="module")
def reference() -> dict[tuple[int, int], np.ndarray]:
    with open_iter(**TRAIN, round_batch=False) as iterator:
        return samples(iterator, epochs=2)


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
