"""Trains a model with DistributedDataParallel, by torchrun: FOLDER RECORDS INDEX.

Each process writes the labels that it got, and the weights at the end.
"""

import json
import sys
from pathlib import Path

import torch
from torch import distributed, nn

import gpuio as mx
import gpuio.torch

GLOBAL_BATCH = 6
EPOCHS = 2


def train(path_imgrec: str, path_imgidx: str, size: int) -> tuple[list[int], list[float]]:
    """The labels in their order, and the weights that follow from them."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 1))
    model = nn.parallel.DistributedDataParallel(model) if size > 1 else model
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    labels = []
    with mx.io.ImageRecordIter(
        path_imgrec=path_imgrec,
        path_imgidx=path_imgidx,
        data_shape=(3, 8, 8),
        batch_size=GLOBAL_BATCH // size,
        scale=1 / 255,
        shuffle=True,
        seed=3,
        num_parts="auto",
        preprocess_threads=1,
        verbose=False,
    ) as images:
        loader = gpuio.torch.loader(images)
        for epoch in range(EPOCHS):
            loader.set_epoch(epoch)
            for data, label in loader:
                optimizer.zero_grad()
                nn.functional.mse_loss(model(data)[:, 0], label).backward()
                optimizer.step()
                labels += label.int().tolist()
    weights = torch.cat([each.detach().flatten() for each in model.parameters()])
    return labels, weights.tolist()


def main() -> None:
    folder, path_imgrec, path_imgidx = sys.argv[1:]
    distributed.init_process_group("gloo")
    rank, size = distributed.get_rank(), distributed.get_world_size()
    labels, weights = train(path_imgrec, path_imgidx, size)
    Path(folder, f"{rank}.json").write_text(json.dumps({"labels": labels, "weights": weights}))
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
