"""What the page on shuffling says of shuffle="blocks", for a file of a tenth of the size."""

import numpy as np
import pytest

from gpuio.sampling.blocks import BlockOptions
from tests.benchmarks import mixing

RECORDS, CLASSES, BATCH = 100_000, 80, 256


@pytest.mark.parametrize("is_sorted", [True, False])
def test_blocks_save_requests_and_mix_what_was_shuffled_once(is_sorted: bool) -> None:
    offsets = mixing.file_of(RECORDS)
    labels = np.arange(RECORDS) * CLASSES // RECORDS
    if not is_sorted:
        labels = np.random.default_rng(1).permutation(labels)
    permuted = mixing.mixing(offsets, labels, BATCH, True)
    in_blocks = mixing.mixing(offsets, labels, BATCH, BlockOptions())
    in_order = mixing.mixing(offsets, labels, BATCH, False)
    assert permuted.requests > 0.9 * RECORDS
    assert permuted.requests >= 50 * in_blocks.requests
    assert in_order.requests <= in_blocks.requests < 1.2 * in_order.requests
    assert permuted.neighbours < 10 < in_blocks.neighbours < 100 < in_order.neighbours
    assert permuted.noise == pytest.approx(1, abs=0.1)
    if is_sorted:
        assert 2 < in_blocks.noise < in_order.noise
    else:
        assert in_blocks.noise == pytest.approx(1, abs=0.1)
        assert in_blocks.classes == pytest.approx(permuted.classes, rel=0.02)


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    mixing.main(["--records", "3000", "--classes", "10", "--batch-size", "50"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 2 * len(mixing.ORDERS)
    assert all(line.count("|") == 8 for line in lines)
