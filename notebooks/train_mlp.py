"""Train the MXNet tutorial's network, 100 → 64 (relu) → 10 (softmax), from three iterators.

    python notebooks/train_mlp.py --data ndarray
    python notebooks/train_mlp.py --data csv --ctx gpu:0

The network runs in NumPy on the CPU and in CuPy on a GPU, on the batches' device. The task is to
learn which of ten points in 100 dimensions a noisy sample came from.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import gpuio as mx

FEATURES, HIDDEN, CLASSES = 100, 64, 10
SAMPLES, BATCH = 4000, 100


def samples(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy samples, float32 (count, 100), and their classes, float32 (count,)."""
    centers = np.random.default_rng(0).normal(size=(CLASSES, FEATURES))
    random = np.random.default_rng(seed)
    label = random.integers(0, CLASSES, count)
    data = centers[label] + random.normal(scale=2.0, size=(count, FEATURES))
    return data.astype(np.float32), label.astype(np.float32)


class SimpleIter(mx.io.DataIter):
    """The tutorial's own iterator, which creates each batch when it is asked for.

    `next`, `reset`, `provide_data` and `provide_label` are all that an iterator needs.
    """

    def __init__(self, num_batches: int, ctx: mx.Context | str) -> None:
        super().__init__(BATCH)
        self.num_batches = num_batches
        self.ctx = ctx
        self.cur_batch = 0

    @property
    def provide_data(self) -> Any:
        return [("data", (BATCH, FEATURES))]

    @property
    def provide_label(self) -> Any:
        return [("softmax_label", (BATCH,))]

    def reset(self) -> None:
        self.cur_batch = 0

    def next(self) -> mx.io.DataBatch:
        if self.cur_batch == self.num_batches:
            raise StopIteration
        self.cur_batch += 1
        data, label = samples(BATCH, seed=self.cur_batch)
        return mx.io.DataBatch([mx.nd.array(data, self.ctx)], [mx.nd.array(label, self.ctx)], pad=0)


def iterator(kind: str, folder: Path, ctx: mx.Context | str) -> mx.io.DataIter:
    """Create the iterator over the training data: "custom", "ndarray" or "csv"."""
    if kind == "custom":
        return SimpleIter(SAMPLES // BATCH, ctx)
    data, label = samples(SAMPLES, seed=1)
    if kind == "ndarray":
        return mx.io.NDArrayIter(data, label, BATCH, shuffle=True, ctx=ctx, seed=0)
    np.savetxt(folder / "data.csv", data, delimiter=",", fmt="%.7g")
    np.savetxt(folder / "label.csv", label, fmt="%d")
    return mx.io.CSVIter(
        data_csv=folder / "data.csv",
        data_shape=(FEATURES,),
        label_csv=folder / "label.csv",
        batch_size=BATCH,
        ctx=ctx,
    )


def array_module(ctx: mx.Context | str) -> ModuleType:
    """NumPy or CuPy."""
    if mx.context.as_context(ctx).device_type == "cpu":
        return np
    import cupy

    return cupy


class Network:
    """The weights, and a step of stochastic gradient descent."""

    def __init__(self, xp: ModuleType) -> None:
        random = np.random.default_rng(0)
        self.xp = xp
        self.w1 = xp.asarray(random.normal(size=(FEATURES, HIDDEN)) * (2 / FEATURES) ** 0.5, "f4")
        self.w2 = xp.asarray(random.normal(size=(HIDDEN, CLASSES)) * (1 / HIDDEN) ** 0.5, "f4")
        self.b1 = xp.zeros(HIDDEN, "f4")
        self.b2 = xp.zeros(CLASSES, "f4")

    def step(self, data: Any, label: Any, rate: float) -> float:
        """Train on a batch; return its mean cross-entropy before the step."""
        xp, rows, target = self.xp, self.xp.arange(len(data)), label.astype("i4")
        hidden = xp.maximum(data @ self.w1 + self.b1, 0)
        score = hidden @ self.w2 + self.b2
        score = score - score.max(1, keepdims=True)
        prob = xp.exp(score) / xp.exp(score).sum(1, keepdims=True)
        loss = -xp.log(prob[rows, target]).mean()
        grad = prob / len(data)
        grad[rows, target] -= 1 / len(data)
        grad_hidden = (grad @ self.w2.T) * (hidden > 0)
        self.w2 -= rate * (hidden.T @ grad)
        self.b2 -= rate * grad.sum(0)
        self.w1 -= rate * (data.T @ grad_hidden)
        self.b1 -= rate * grad_hidden.sum(0)
        return float(loss)


def parse_options(arguments: Sequence[str] | None, description: str) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", choices=("custom", "ndarray", "csv"), default="ndarray")
    parser.add_argument("--ctx", default="cpu", help="the device, such as gpu:0")
    parser.add_argument("--epochs", type=int, default=5)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> list[float]:
    """Train, print the mean loss of each epoch, and return the losses."""
    options = parse_options(arguments, __doc__.splitlines()[0])
    losses = []
    with tempfile.TemporaryDirectory() as folder:
        network = Network(array_module(options.ctx))
        with iterator(options.data, Path(folder), options.ctx) as train:
            for epoch in range(options.epochs):
                steps = []
                for batch in train:
                    valid = train.batch_size - batch.pad
                    data, label = batch.data[0][:valid], batch.label[0][:valid]
                    steps.append(network.step(data, label, rate=0.05))
                train.reset()
                losses.append(sum(steps) / len(steps))
                print(f"epoch {epoch}: loss {losses[-1]:.4f} after {len(steps)} batches")
    return losses


if __name__ == "__main__":
    main()
