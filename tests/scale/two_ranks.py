"""What two ranks that run `programs/labels.py` have to find."""

from collections.abc import Sequence
from pathlib import Path

import gpuio as mx
from tests.scale.processes import found_by
from tests.scale.programs.labels import BATCH_SIZE, EPOCHS


def check_two_ranks(folder: Path, files: Sequence[str]) -> None:
    """Check that both know of each other, and that one process with batches of both has the same
    rows in the same order.

    Parameters
    ----------
    folder : where they have written what they found
    files : the record file and its index
    """
    found = found_by(folder, 2)
    assert [each["size"] for each in found] == [2, 2]
    with mx.io.ImageRecordIter(
        path_imgrec=files[0], path_imgidx=files[1], data_shape=(3, 8, 8), batch_size=2 * BATCH_SIZE,
        shuffle=True, seed=3, verbose=False,
    ) as alone:  # fmt: skip
        for epoch in range(EPOCHS):
            expected = [batch.label[0].astype(int).tolist() for batch in alone]
            ranks = [each["epochs"][epoch] for each in found]
            assert [first + second for first, second in zip(*ranks, strict=True)] == expected
            alone.reset()
