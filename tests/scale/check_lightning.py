"""Lightning: one and two processes, and checkpoints wherever they are saved."""

import sys
from pathlib import Path

import pytest
import torch

import gpuio as mx
from tests.scale.processes import found_by, images, run
from tests.scale.programs.lit import EPOCHS, GLOBAL_BATCH, fit

IMAGES = 20

# Lightning's own, which have nothing to do with the loader.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.* is deprecated"),
    pytest.mark.filterwarnings("ignore:The `srun` command is available"),
]


def expected_labels(files: list[str]) -> list[list[int]]:
    """The labels of all epochs, batch by batch, without Lightning."""
    found = []
    with mx.io.ImageRecordIter(
        path_imgrec=files[0], path_imgidx=files[1], data_shape=(3, 8, 8), batch_size=GLOBAL_BATCH,
        shuffle=True, seed=3, last_batch_handle="discard", verbose=False,
    ) as alone:  # fmt: skip
        for _ in range(EPOCHS):
            found += [batch.label[0].astype(int).tolist() for batch in alone]
            alone.reset()
    return found


def test_a_checkpoint_anywhere_continues_exactly(tmp_path: Path) -> None:
    files = images(tmp_path, IMAGES)
    expected = expected_labels(files)
    whole = fit(tmp_path, files, 1)
    assert whole.labels == expected and len(expected) == 3 * EPOCHS
    # At the end of each epoch all images are validated, once; in the beginning some.
    assert sorted(whole.validated[-IMAGES:]) == list(range(IMAGES))
    checkpoints = sorted(tmp_path.glob("*.ckpt"))
    assert len(checkpoints) == len(expected) + EPOCHS
    for path in checkpoints:
        step = torch.load(path, weights_only=False)["global_step"]
        resumed = fit(tmp_path, files, 1, str(path))
        assert resumed.labels == expected[step:], path.name
        torch.testing.assert_close(resumed.layer.weight, whole.layer.weight, rtol=0, atol=0)


def test_two_processes(tmp_path: Path) -> None:
    files = images(tmp_path, IMAGES)
    run([sys.executable, "-m", "tests.scale.programs.lit", tmp_path, *files, "2"])
    found = found_by(tmp_path, 2)
    expected = expected_labels(files)
    assert [each["size"] for each in found] == [2, 2]
    both = zip(*(each["labels"] for each in found), strict=True)
    assert [first + second for first, second in both] == expected
    # One process takes the batches of both.
    resumed = fit(tmp_path, files, 1, str(tmp_path / "step2.ckpt"))
    assert resumed.labels == expected[2:]
