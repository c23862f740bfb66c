"""JAX: global arrays over several devices, in one process and in two."""

import sys
from pathlib import Path

import numpy as np
import pytest

import gpuio as mx
from tests.scale.processes import finish, found_by, free_port, images, start
from tests.scale.programs.sharded import GLOBAL_BATCH

IMAGES = 20
DEVICES = 4


@pytest.mark.parametrize("processes", [1, 2])
def test_a_global_array_is_a_global_batch(processes: int, tmp_path: Path) -> None:
    files = images(tmp_path, IMAGES)
    flags = f"--xla_force_host_platform_device_count={DEVICES // processes}"
    program = [sys.executable, "-m", "tests.scale.programs.sharded", tmp_path, *files]
    address = f"127.0.0.1:{free_port()}"
    each = [[*program, address, str(rank), str(processes)] for rank in range(processes)]
    finish(*(start(command, XLA_FLAGS=flags) for command in each))
    found = found_by(tmp_path, processes)
    with mx.io.ImageRecordIter(
        path_imgrec=files[0], path_imgidx=files[1], data_shape=(3, 8, 8), batch_size=GLOBAL_BATCH,
        shuffle=True, seed=3, round_batch=False, verbose=False,
    ) as alone:  # fmt: skip
        batches = list(alone)
    assert len(batches) == 3
    for number, batch in enumerate(batches):
        label = batch.label[0].asnumpy()
        # Each device has its rows of the one order.
        shards = [shard for ranks in found for shard in ranks["labels"][number]]
        assert shards == label.astype(int).reshape(DEVICES, -1).tolist()
        expected = [batch.data[0].asnumpy().sum(), (label * np.arange(1, GLOBAL_BATCH + 1)).sum()]
        for ranks in found:
            np.testing.assert_allclose(ranks["sums"][number], expected, rtol=1e-5)
    assert sum(ranks["pads"][-1] for ranks in found) == batches[-1].padding == 4
