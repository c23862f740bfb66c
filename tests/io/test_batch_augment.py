"""ImageRecordIter's batch_augment: MixUp and CutMix on either executor, with their labels."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpuio.errors import ArgumentError, RecordError
from gpuio.execution.mixing import mix_batch
from gpuio.execution.output import OutputSpec
from gpuio.image import CutMix, MixUp, RandAugment
from gpuio.planning.mixing import Mixer
from tests.io.records import EXECUTORS, RUNS, TRAIN, jpeg, open_iter, write_records

BOTH = (MixUp(0.8), CutMix())


def batches(count: int = 3, **changes: Any) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Pixels, labels and keys of some batches."""
    with open_iter(**{**TRAIN, **changes}) as iterator:
        found = []
        for _ in range(count):
            batch = iterator.next()
            found.append((batch.data[0].asnumpy(), batch.label[0].asnumpy(), batch.index.copy()))
        return found


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_batches_are_plain_ones_mixed(executor: str, layout: str) -> None:
    options = {**RUNS[executor], "layout": layout, "mean_r": 123.68, "std_r": 58.0}
    output = OutputSpec(3, 24, 28, "float32", layout)  # type: ignore[arg-type]
    mixer = Mixer(BOTH, TRAIN["seed"])  # type: ignore[arg-type]
    mixed = batches(2, **options, batch_augment=BOTH)
    for (pixels, labels, keys), (made, weighted, found) in zip(
        batches(2, **options), mixed, strict=True
    ):
        np.testing.assert_array_equal(found, keys)
        mix = mixer.draw(np.zeros(5, np.int64), (keys // 10).astype(np.int64), (28, 24))
        mix_batch(pixels, mix, output)
        np.testing.assert_array_equal(made, pixels)
        expected = np.stack([labels, labels[mix.partner], mix.share], axis=1)
        np.testing.assert_array_equal(weighted, expected)


def test_labels_are_shares_of_classes() -> None:
    plain = batches(1)[0][1]
    ((_, labels, _),) = batches(1, batch_augment=CutMix(num_classes=12))
    assert labels.shape == (5, 12) and labels.dtype == np.float32
    np.testing.assert_allclose(labels.sum(1), 1, rtol=1e-6)
    triples = batches(1, batch_augment=CutMix())[0][1]
    for row, (own, partner, share) in zip(labels, triples, strict=True):
        assert own in plain and partner in plain and own != partner
        np.testing.assert_allclose(row[int(own)], share, rtol=1e-6)
        np.testing.assert_allclose(row[int(partner)], 1 - share, rtol=1e-5, atol=1e-7)


def test_what_is_provided_is_what_comes() -> None:
    for batch_augment, shape in ((MixUp(), (5, 3)), (MixUp(num_classes=40), (5, 40))):
        with open_iter(batch_augment=batch_augment) as iterator:
            assert iterator.provide_label[0].shape == shape
            assert iterator.next().label[0].shape == shape


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_resumed_iterator_goes_on_with_the_same_batches(executor: str) -> None:
    options = {**TRAIN, **RUNS[executor], "augmenters": [RandAugment()], "batch_augment": BOTH}
    with open_iter(**options) as iterator:
        iterator.next()
        state, copy = iterator.state_dict(), pickle.dumps(iterator)
        expected = iterator.next()
    resumed = open_iter(**options)
    resumed.load_state_dict(state)
    for again in (resumed, pickle.loads(copy)):
        with again:
            batch = again.next()
            np.testing.assert_array_equal(batch.data[0].asnumpy(), expected.data[0].asnumpy())
            np.testing.assert_array_equal(batch.label[0].asnumpy(), expected.label[0].asnumpy())


@pytest.mark.parametrize("on_error", ["skip", "substitute"])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_bad_records_are_mixed_into_nothing(tmp_path: Path, executor: str, on_error: str) -> None:
    """A label that is no class makes a record bad, as a damaged image does."""
    payloads = [jpeg(number) for number in range(6)]
    payloads[2] = payloads[2][:300]
    files = write_records(tmp_path / "few", payloads, [0.0, 1.0, 2.0, 3.0, 9.0, 5.0])
    options = {**files, **RUNS[executor], "batch_size": 6, "on_error": on_error}
    with open_iter(**options, batch_augment=MixUp(num_classes=6)) as iterator:
        batch = iterator.next()
        bad = {each.key: each.reason for each in iterator.bad_records}
    assert sorted(bad) == [20, 40]
    assert bad[40] == (
        "the record's label is 9; with num_classes=6 labels are integers from 0 to 5"
    )
    labels = batch.label[0].asnumpy()
    assert batch.pad == (2 if on_error == "skip" else 0)
    assert not labels[:, [2, 4]].any()
    np.testing.assert_allclose(labels.sum(1), 1, rtol=1e-6)


def test_a_label_that_is_no_class_is_an_error() -> None:
    with (
        open_iter(batch_augment=MixUp(num_classes=3)) as iterator,
        pytest.raises(RecordError, match="label is 3; with num_classes=3 labels are integers"),
    ):
        iterator.next()


@pytest.mark.parametrize(
    ("batch_augment", "said"),
    [
        ("mixup", "batch_augment must be gpuio.image.MixUp.* not 'mixup'"),
        ([], r"or a list of both, not \[\]"),
        (MixUp, "must be gpuio.image.MixUp"),
        ([MixUp(), CutMix(num_classes=4)], "must have the same num_classes"),
    ],
)
def test_others_are_refused(batch_augment: Any, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        open_iter(batch_augment=batch_augment)
