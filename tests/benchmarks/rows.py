"""Compare NDArrayIter and CSVIter with the usual alternatives, on the same data in the same run.

Run it with ``make bench-parts``; `measure` describes the method. NDArrayIter, over 100,000 x 128
float32 in batches of 256, is compared with PyTorch's DataLoader over a TensorDataset with a
BatchSampler (its fastest way), if PyTorch is installed, and with plain NumPy. CSVIter reads files
of about 100 MB, 100 columns of normally distributed numbers, to float32; it is compared with
`numpy.loadtxt` and with Polars, on which it is based, reading the same file alone (into columns,
all in memory). The cost of a number depends on its digits, so there are three files: with 19
digits, as `numpy.savetxt` writes them, with 6 decimals, and with integers.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from gpuio.io import CSVIter, NDArrayIter
from gpuio.tools.commands.bench.measure import Figures, Round, measure

ROWS, COLUMNS, BATCH = 100_000, 128, 256

# Target batches per CPU-second, as a multiple of PyTorch's.
TARGETS = {"in order": 5.0, "shuffled": 2.5}

FORMATS = {"19 digits": "%.18e", "6 decimals": "%.6f", "integers": "%.0f"}

# Targets: megabytes per CPU-second, as a multiple of loadtxt's; time, as a multiple of Polars'.
LOADTXT_TARGET, POLARS_TARGET = 3.0, 1.3


def ndarray_round(data: np.ndarray, label: np.ndarray, shuffle: bool, epochs: int) -> Round:
    """A round of NDArrayIter; counts batches."""
    iterator = NDArrayIter(data, label, BATCH, shuffle=shuffle, seed=0)

    def run() -> int:
        count = 0
        for _ in range(epochs):
            for batch in iterator:
                count += len(batch.data)
            iterator.reset()
        return count

    return run


def numpy_round(data: np.ndarray, label: np.ndarray, shuffle: bool, epochs: int) -> Round:
    """A round of a hand-written loop, without an iterator; counts batches."""

    def run() -> int:
        count = 0
        for _ in range(epochs):
            order = np.random.permutation(ROWS) if shuffle else None
            for first in range(0, ROWS, BATCH):
                rows: Any = slice(first, first + BATCH)
                if order is not None:
                    rows = order[rows]
                data[rows], label[rows]
                count += 1
        return count

    return run


def torch_round(data: np.ndarray, label: np.ndarray, shuffle: bool, epochs: int) -> Round:
    """A round of DataLoader over a TensorDataset, a batch at a time; counts batches."""
    import torch
    from torch.utils.data import (
        BatchSampler,
        DataLoader,
        RandomSampler,
        SequentialSampler,
        TensorDataset,
    )

    # PyTorch's threads spin while they wait for work; it is fastest here with one thread.
    torch.set_num_threads(1)
    dataset = TensorDataset(torch.from_numpy(data), torch.from_numpy(label))
    sampler = RandomSampler(dataset) if shuffle else SequentialSampler(dataset)
    loader = DataLoader(dataset, batch_size=None, sampler=BatchSampler(sampler, BATCH, False))
    return lambda: sum(1 for _ in range(epochs) for _ in loader)


def compare_arrays(rounds: int, epochs: int) -> dict[str, Any]:
    """Compare NDArrayIter with PyTorch and NumPy."""
    data = np.random.default_rng(0).random((ROWS, COLUMNS), np.float32)
    label = np.arange(ROWS, dtype=np.float32)
    figures: dict[str, Any] = {}
    for order, target in TARGETS.items():
        arguments = (data, label, order == "shuffled", epochs)
        contestants = {"gpuio": ndarray_round(*arguments), "NumPy loop": numpy_round(*arguments)}
        try:
            contestants["torch DataLoader"] = torch_round(*arguments)
        except ImportError:
            print("PyTorch is not installed, so it is not measured")
        results = measure(contestants, rounds)
        print(f"\n{ROWS:,} x {COLUMNS} {order:12}batches per CPU-second")
        for name, row in results.items():
            print(f"  {name:22}{1 / row.cpu:10,.0f} [{1 / row.most:,.0f}-{1 / row.least:,.0f}]")
        figures[order] = as_dicts(results)
        if "torch DataLoader" in results:
            ratio = results["torch DataLoader"].cpu / results["gpuio"].cpu
            figures[order] |= {"ratio": ratio, "target": target}
            print(f"  gpuio gives {ratio:.1f} times PyTorch's (target: {target})")
    return figures


def csv_round(path: Path, columns: int, ahead: int) -> Round:
    """A round of CSVIter; counts megabytes."""

    def run() -> float:
        with CSVIter(
            data_csv=path,
            data_shape=(columns,),
            batch_size=BATCH,
            round_batch=False,
            prefetch_buffer=ahead,
        ) as iterator:
            for _ in iterator:
                pass
        return path.stat().st_size / 1e6

    return run


def loadtxt_round(path: Path) -> Round:
    """A round of `numpy.loadtxt`; counts megabytes."""

    def run() -> float:
        np.loadtxt(path, np.float32, delimiter=",")
        return path.stat().st_size / 1e6

    return run


def polars_round(path: Path, columns: int) -> Round:
    """A round of Polars alone; counts megabytes."""
    import polars as pl

    schema = {str(number): pl.Float32 for number in range(columns)}

    def run() -> float:
        pl.read_csv(path, has_header=False, schema=schema)
        return path.stat().st_size / 1e6

    return run


def compare_csv(rounds: int, megabytes: int) -> dict[str, Any]:
    """Compare CSVIter with NumPy and Polars."""
    columns = 100
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, fmt in FORMATS.items():
            path = Path(folder) / "x.csv"
            random = np.random.default_rng(0)
            with open(path, "w") as file:
                while file.tell() < megabytes * 1e6:
                    np.savetxt(file, random.normal(size=(500, columns)), fmt, delimiter=",")
            results = measure(
                {
                    "gpuio": csv_round(path, columns, 4),
                    "gpuio, no thread": csv_round(path, columns, 0),
                    "numpy.loadtxt": loadtxt_round(path),
                    "Polars alone": polars_round(path, columns),
                },
                rounds,
            )
            print(f"\nCSV, {path.stat().st_size / 1e6:.0f} MB, {name:13}MB per CPU-second")
            for contestant, row in results.items():
                print(
                    f"  {contestant:22}{1 / row.cpu:10.0f} [{1 / row.most:.0f}-{1 / row.least:.0f}]"
                )
            ratio = results["numpy.loadtxt"].cpu / results["gpuio"].cpu
            cost = results["gpuio"].cpu / results["Polars alone"].cpu
            print(f"  gpuio gives {ratio:.2f} times loadtxt's (target: {LOADTXT_TARGET})")
            print(
                f"  and takes {cost:.2f} times the time of Polars (target: at most {POLARS_TARGET})"
            )
            figures[name] = {**as_dicts(results), "ratio": ratio, "cost": cost}
    return figures


def as_dicts(results: dict[str, Figures]) -> dict[str, Any]:
    return {name: asdict(row) for name, row in results.items()}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure, print tables, and return the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--epochs", type=int, default=3, help="epochs per round")
    parser.add_argument("--megabytes", type=int, default=100, help="size of a CSV file")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args(arguments)
    figures = {
        "arrays": compare_arrays(options.rounds, options.epochs),
        "csv": compare_csv(options.rounds, options.megabytes),
    }
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return figures


if __name__ == "__main__":
    main()
