"""Batches on their way."""

import numpy as np

from gpuio.loading.batch import BadRecord, LoadedBatch
from tests.loading.fakes import image_batch, indices


def test_the_length_of_a_batch_is_its_number_of_rows() -> None:
    assert len(image_batch(indices(10, 4))) == 4
    assert len(image_batch(indices(3, 8))) == 8


def test_a_finished_batch_is_complete_and_good_unless_said_otherwise() -> None:
    loaded = LoadedBatch([np.zeros(2)], [], 0)
    assert loaded.keys is None and loaded.bad == ()
    bad = BadRecord(3, "x.rec, key 3", "broken", "x.rec", 9)
    assert loaded._replace(bad=(bad,)).bad[0].reason == "broken"
