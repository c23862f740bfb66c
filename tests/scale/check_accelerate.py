"""Accelerate: loaders pass through `prepare`, and their position is in the checkpoint."""

from pathlib import Path

import gpuio as mx
from tests.scale.processes import found_by, images, torchrun
from tests.scale.programs.accelerated import GLOBAL_BATCH


def test_a_loader_passes_through_and_resumes(tmp_path: Path) -> None:
    files = images(tmp_path, 20)
    torchrun(2, "tests.scale.programs.accelerated", tmp_path, *files)
    with mx.io.ImageRecordIter(
        path_imgrec=files[0], path_imgidx=files[1], data_shape=(3, 8, 8), batch_size=GLOBAL_BATCH,
        shuffle=True, seed=3, verbose=False,
    ) as alone:  # fmt: skip
        expected = []
        for _ in range(2):
            expected += [int(label) for batch in alone for label in batch.label[0]]
            alone.reset()
    for found in found_by(tmp_path, 2):
        assert found["labels"] == expected
        assert found["resumed"] == expected[GLOBAL_BATCH:]
        assert found["resumed weights"] == found["weights"]
