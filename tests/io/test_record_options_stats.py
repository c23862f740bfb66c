"""ImageRecordIter's random options are distributed as MXNet 1.9.1's (tests/golden, made by
make_record_stats.py)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from tests.distributions import distance, largest_distance, moment_errors
from tests.golden import make_record_stats as stats
from tests.io.records import EXECUTORS, RUNS

MEASURED = json.loads((Path(stats.__file__).parent / "record_stats.json").read_text())["cases"]

# One of 10,000 equal distributions fails, of which 370 columns are tested. With these seeds none
# does. Keeping every eighth value of MXNet's sample can add the second term.
COUNT = 1500
DISTANCE = largest_distance(COUNT, stats.COUNT, 1e-4) + stats.EVERY / stats.COUNT
# What mean and standard deviation may differ by, and correlations, in standard errors.
ERRORS = 4.0
CORRELATION = ERRORS * (1 / COUNT + 1 / stats.COUNT) ** 0.5

# By which measured values may differ without their distributions being different. The maps are
# fitted to pixels of 8 bits, and MXNet's own have 1/32 of a pixel.
AFFINE_SLACK = {
    "mirrored": 0,
    "angle": 0,
    "shear": 0.01,
    "scale": 0.01,
    "aspect ratio": 0.025,
    "column": 0.15,
    "row": 0.15,
}
# MXNet rounds gray, and after each step of the jitter.
COLOR_SLACK = {"saturation": 1.0, "jitter": 1.0, "colors": 2.0}


def samples(case: str, folder: Path, count: int, **options: Any) -> np.ndarray:
    """(count, 3, height, width)."""
    with mx.io.ImageRecordIter(
        path_imgrec=stats.write(str(folder), case, mx.recordio, count),
        data_shape=stats.shape(case),
        batch_size=100,
        last_batch_handle="pad",
        verbose=False,
        **stats.CASES[case],
        **options,
    ) as iterator:
        made = [batch.data[0].asnumpy()[: 100 - batch.pad] for batch in iterator]
    return np.concatenate(made)


@pytest.mark.parametrize("case", stats.CASES)
def test_draws_are_distributed_as_mxnets(case: str, tmp_path: Path) -> None:
    rows = [stats.measure(case, pixels) for pixels in samples(case, tmp_path, COUNT, seed=1)]
    columns = np.sort(np.array(rows), axis=0).T
    theirs = np.array(MEASURED[case]["columns"])
    slacks = AFFINE_SLACK
    if case not in stats.AFFINE_CASES:
        slacks = dict.fromkeys(map(str, range(len(theirs))), COLOR_SLACK.get(case, 0.01))
    # Noise of the measurement is not drawn.
    drawn = np.ptp(theirs, axis=1) > 0.1
    for name, slack, changes, *pair in zip(
        slacks, slacks.values(), drawn, columns, theirs, strict=True
    ):
        assert distance(*pair, slack) < DISTANCE, name
        if changes:
            errors = moment_errors(*pair, COUNT, stats.COUNT, slack)
            assert max(errors) < ERRORS, name

    # What is drawn independently, and what is not.
    both = np.outer(drawn, drawn)
    correlations = np.array(MEASURED[case]["correlations"])
    np.testing.assert_allclose(stats.correlations(rows)[both], correlations[both], atol=CORRELATION)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    "case", ["affine, cropped at random", "resized crop, affine", "resized crop, pad", "colors"]
)
def test_executors_draw_the_same(case: str, executor: str, tmp_path: Path) -> None:
    host, other = (samples(case, tmp_path, 40, seed=3, **RUNS[name]) for name in ("host", executor))
    difference = np.abs(host - other)
    # Borders are blended in other shares. Hue is an integer: rounding changes it by 2 degrees.
    allowed = 4 if case == "colors" else 2
    assert (difference > allowed).mean() < 0.01
    assert difference.mean() < 1


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
