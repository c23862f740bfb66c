"""Trains by torchrun with a number of processes that changes: FOLDER RECORDS INDEX.

After each global batch the first process saves a checkpoint with the loader's state, the labels of
all batches so far in their order, and how many processes each batch had. There are first two
processes, of which one kills itself and its agent; then one; then three.
"""

import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed

import gpuio as mx
import gpuio.torch

GLOBAL_BATCH = 12
EPOCHS = 2

# Global batches with two processes, then with one.
OF_TWO, OF_ONE = 3, 1

# In the environment of the agent that is to be lost.
LOST = "GPUIO_TEST_LOST"

# A file that says that one process is left.
ALONE = "alone"


def change(folder: Path, sizes: list[int], size: int) -> None:
    """Lose a process, or wait for others, where it is time for that."""
    if 2 not in sizes:
        waits = size == 1
    elif 1 not in sizes:
        waits = False
        if size == 2 and len(sizes) == OF_TWO and LOST in os.environ:
            os.kill(os.getppid(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
    else:
        waits = size < 3 and len(sizes) >= OF_TWO + OF_ONE
    if waits:
        if sizes:
            (folder / ALONE).touch()
        signal.pause()  # the agent ends this process when others arrive


def main() -> None:
    folder, path_imgrec, path_imgidx = Path(sys.argv[1]), *sys.argv[2:]
    # An agent that is late, on a busy machine, is taken for lost: then all begin once more.
    distributed.init_process_group("gloo", timeout=timedelta(seconds=30))
    rank, size = mx.io.rank_and_size()
    train = mx.io.ImageRecordIter(
        path_imgrec=path_imgrec,
        path_imgidx=path_imgidx,
        data_shape=(3, 8, 8),
        batch_size=GLOBAL_BATCH // size,
        shuffle=True,
        seed=3,
        last_batch_handle="discard",
        num_parts="auto",
        preprocess_threads=1,
        verbose=False,
    )
    loader = gpuio.torch.loader(train)
    checkpoint = folder / "checkpoint.pt"
    labels: list[int] = []
    sizes: list[int] = []
    if checkpoint.exists():
        saved = torch.load(checkpoint)
        loader.load_state_dict(saved["loader"])
        labels, sizes = saved["labels"], saved["sizes"]
    distributed.barrier()
    change(folder, sizes, size)
    for epoch in range(train.epoch, EPOCHS):
        loader.set_epoch(epoch)
        for _, label in loader:
            parts = [torch.empty_like(label) for _ in range(size)]
            distributed.all_gather(parts, label)
            labels += torch.cat(parts).int().tolist()
            sizes.append(size)
            if rank == 0:
                saved = {"loader": loader.state_dict(), "labels": labels, "sizes": sizes}
                torch.save(saved, folder / "checkpoint.part")
                (folder / "checkpoint.part").rename(checkpoint)
            distributed.barrier()
            change(folder, sizes, size)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
