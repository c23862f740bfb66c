"""Train the same network as train_mlp.py in PyTorch, from the same iterators.

python notebooks/train_mlp_torch.py --data custom
python notebooks/train_mlp_torch.py --data ndarray --ctx gpu:0
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from train_mlp import CLASSES, FEATURES, HIDDEN, iterator, parse_options

import gpuio.torch


def main(arguments: Sequence[str] | None = None) -> list[float]:
    """Train, print the mean loss of each epoch, and return the losses."""
    options = parse_options(arguments, __doc__.splitlines()[0])
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Linear(FEATURES, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, CLASSES)
    ).to(options.ctx.replace("gpu", "cuda"))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
    losses = []
    with (
        tempfile.TemporaryDirectory() as folder,
        iterator(options.data, Path(folder), options.ctx) as train,
    ):
        batches = gpuio.torch.loader(train, drop_pad=True)
        for epoch in range(options.epochs):
            steps = []
            for data, label in batches:  # tensors on ctx; each loop is an epoch
                loss = torch.nn.functional.cross_entropy(network(data), label.long())
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                steps.append(loss.item())
            losses.append(sum(steps) / len(steps))
            print(f"epoch {epoch}: loss {losses[-1]:.4f} after {len(steps)} batches")
    return losses


if __name__ == "__main__":
    main()
