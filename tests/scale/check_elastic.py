"""Elastic training: processes are lost and added in the middle of an epoch."""

import signal
import threading
from pathlib import Path

import torch

import gpuio as mx
from tests.scale.processes import TORCHRUN, free_port, images, start
from tests.scale.programs.elastic import ALONE, EPOCHS, GLOBAL_BATCH, LOST, OF_ONE, OF_TWO

# Six global batches an epoch, and one image that is in none.
IMAGES = 6 * GLOBAL_BATCH + 1


def test_the_order_survives_losing_and_adding_processes(tmp_path: Path) -> None:
    """torchrun with two agents of one process each, of which one is killed; later two come."""
    files = images(tmp_path, IMAGES)
    address = f"127.0.0.1:{free_port()}"
    command = [
        *TORCHRUN, "--nnodes=1:3", "--nproc-per-node=1", "--max-restarts=9",
        "--monitor-interval=0.1", "--rdzv-backend=c10d", f"--rdzv-endpoint={address}",
        "--rdzv-id=test", "-m", "tests.scale.programs.elastic", str(tmp_path), *files,
    ]  # fmt: skip
    conf = "last_call_timeout=1,keep_alive_interval=1,keep_alive_max_attempt=8,is_host="
    host, guest = (
        [*command[:-5], f"--rdzv-conf={conf}{is_host}", *command[-5:]]
        for is_host in ("true", "false")
    )
    # Else the first agent, which was there before, never tells those that come its address.
    apart = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    agents = [start(host, **apart), start(guest, **apart, **{LOST: "1"})]
    try:
        pause = threading.Event()
        while not (tmp_path / ALONE).exists():
            assert agents[0].poll() is None, agents[0].communicate()[0]
            pause.wait(0.05)
        assert agents[1].wait(60) == -signal.SIGKILL
        agents += [start(guest, **apart) for _ in range(2)]
        output = agents[0].communicate(timeout=150)[0]
        assert agents[0].returncode == 0, output
    finally:
        for each in agents:  # those that came may fail after the work, as the first has ended
            each.terminate()
            each.communicate(timeout=60)
    saved = torch.load(tmp_path / "checkpoint.pt")
    rest = 6 * EPOCHS - OF_TWO - OF_ONE
    assert saved["sizes"] == [2] * OF_TWO + [1] * OF_ONE + [3] * rest
    with mx.io.ImageRecordIter(
        path_imgrec=files[0], path_imgidx=files[1], data_shape=(3, 8, 8), batch_size=GLOBAL_BATCH,
        shuffle=True, seed=3, last_batch_handle="discard", verbose=False,
    ) as alone:  # fmt: skip
        expected = []
        for _ in range(EPOCHS):
            expected += [int(label) for batch in alone for label in batch.label[0]]
            alone.reset()
    assert saved["labels"] == expected
    assert len(set(expected[: IMAGES - 1])) == IMAGES - 1
