"""ImageRecordIter's random options are distributed as MXNet 1.9.1's (tests/golden, made by
make_record_stats.py)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from tests.distributions import distance, largest_distance
from tests.golden import make_record_stats as stats
from tests.io.records import EXECUTORS, RUNS

MEASURED = json.loads((Path(stats.__file__).parent / "record_stats.json").read_text())["cases"]

# One of 10,000 equal distributions fails, of which 370 columns are tested. With these seeds none
# does. Keeping every eighth value of MXNet's sample can add the second term.
COUNT = 1500
DISTANCE = largest_distance(COUNT, stats.COUNT, 1e-4) + stats.EVERY / stats.COUNT
# Four standard deviations of the difference of two correlations of independent columns.
CORRELATION = 4 * (1 / COUNT + 1 / stats.COUNT) ** 0.5

# By which measured values may differ without their distributions being different. The maps are
# fitted to pixels of 8 bits, and MXNet's own have 1/32 of a pixel.
AFFINE_SLACK = {
    "mirrored": 0,
    "angle": 0,
    "shear": 0.01,
    "scale": 0.01,
    "aspect ratio": 0.025,
    "column": 0.2,
    "row": 0.2,
}
# MXNet rounds after each step of the jitter, and truncates what PCA noise adds.
COLOR_SLACK = 1.0


def drawn(case: str, folder: Path, count: int, **options: Any) -> list[list[float]]:
    """What is measured of so many samples."""
    path = stats.write(str(folder), case, mx.recordio, count)
    with mx.io.ImageRecordIter(
        path_imgrec=path,
        data_shape=stats.shape(case),
        batch_size=100,
        round_batch=False,
        verbose=False,
        **stats.CASES[case],
        **options,
    ) as iterator:
        rows = [
            stats.measure(case, pixels)
            for batch in iterator
            for pixels in batch.data[0].asnumpy()[: iterator.batch_size - batch.pad]
        ]
    assert len(rows) == count
    return rows


@pytest.mark.parametrize("case", stats.CASES)
def test_draws_are_distributed_as_mxnets(case: str, tmp_path: Path) -> None:
    rows = drawn(case, tmp_path, COUNT, seed=1)
    columns = np.sort(np.array(rows), axis=0).T
    theirs = [np.array(each) for each in MEASURED[case]["columns"]]
    if case in stats.AFFINE_CASES:
        slacks = AFFINE_SLACK
    else:
        slacks = {f"value {place}": COLOR_SLACK for place in range(len(theirs))}
    found = {
        name: distance(*each, slack)
        for (name, slack), *each in zip(slacks.items(), columns, theirs, strict=True)
    }
    assert {name: each for name, each in found.items() if each > DISTANCE} == {}


@pytest.mark.parametrize("case", stats.CASES)
def test_draws_depend_on_each_other_as_mxnets_do(case: str, tmp_path: Path) -> None:
    rows = drawn(case, tmp_path, COUNT, seed=2)
    theirs = np.array(MEASURED[case]["correlations"])
    # Fitting noise is no draw.
    changing = np.ptp([each for each in MEASURED[case]["columns"]], axis=1) > 0.1
    both = np.outer(changing, changing)
    np.testing.assert_allclose(stats.correlations(rows)[both], theirs[both], atol=CORRELATION)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    "case", ["affine, cropped at random", "resized crop, affine", "resized crop, pad", "colors"]
)
def test_executors_draw_the_same(case: str, executor: str, tmp_path: Path) -> None:
    host = drawn(case, tmp_path, 40, seed=3, **RUNS["host"])
    found = drawn(case, tmp_path, 40, seed=3, **RUNS[executor])
    # Interpolation of 8 bits; a rounding before the shift of hues, which multiplies it.
    slack = [*AFFINE_SLACK.values()] if case in stats.AFFINE_CASES else [4.0] * len(host[0])
    assert (np.abs(np.array(found) - host) <= slack).all()


@pytest.mark.parametrize("case", ["affine, cropped at random", "colors"])
def test_draws_change_from_epoch_to_epoch(case: str, tmp_path: Path) -> None:
    path = stats.write(str(tmp_path), case, mx.recordio, 10)
    epochs = []
    with mx.io.ImageRecordIter(
        path_imgrec=path, data_shape=stats.shape(case), batch_size=10, **stats.CASES[case]
    ) as iterator:
        for _ in range(2):
            epochs.append(iterator.next().data[0].asnumpy())
            iterator.reset()
    samples = np.concatenate(epochs)
    assert len(np.unique(samples.reshape(len(samples), -1), axis=0)) == len(samples)
