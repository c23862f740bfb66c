"""NDArrayIter and CSVIter beside what people use instead, on the same data in the same run.

Run it with ``make bench``; see `measure` for how. NDArrayIter, 100,000 x 128 float32 in batches of
256, stands beside PyTorch's DataLoader over a TensorDataset with a BatchSampler (its fastest way),
where PyTorch is installed, and beside bare NumPy. CSVIter reads files of about 100 MB, 100 columns
of normally distributed numbers to float32, beside `numpy.loadtxt` and beside Polars, on which it
stands, reading the same file by itself (into columns, all of it in memory). How dear a number is
depends on its digits, so there are three files: as `numpy.savetxt` writes them, with 19 digits,
with 6 decimals, and integers.
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

# Batches per CPU-second, as a multiple of PyTorch's.
BARS = {"in order": 5.0, "shuffled": 2.5}

FORMATS = {"19 digits": "%.18e", "6 decimals": "%.6f", "integers": "%.0f"}
LOADTXT_BAR, LIBRARY_BAR = 3.0, 1.3


def ndarray_round(data: np.ndarray, label: np.ndarray, shuffle: bool, epochs: int) -> Round:
    """NDArrayIter."""
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
    """A loop by hand, with no iterator around it."""

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
    """DataLoader over a TensorDataset, a batch at a time."""
    import torch
    from torch.utils.data import (
        BatchSampler,
        DataLoader,
        RandomSampler,
        SequentialSampler,
        TensorDataset,
    )

    # Threads that wait for work spin; one thread is what serves PyTorch best here.
    torch.set_num_threads(1)
    dataset = TensorDataset(torch.from_numpy(data), torch.from_numpy(label))
    sampler = RandomSampler(dataset) if shuffle else SequentialSampler(dataset)
    loader = DataLoader(dataset, batch_size=None, sampler=BatchSampler(sampler, BATCH, False))
    return lambda: sum(1 for _ in range(epochs) for _ in loader)


def arrays(rounds: int, epochs: int) -> dict[str, Any]:
    """Measure NDArrayIter."""
    data = np.random.default_rng(0).random((ROWS, COLUMNS), np.float32)
    label = np.arange(ROWS, dtype=np.float32)
    figures: dict[str, Any] = {}
    for order, bar in BARS.items():
        shape = (data, label, order == "shuffled", epochs)
        contestants = {"gpuio": ndarray_round(*shape), "NumPy by hand": numpy_round(*shape)}
        try:
            contestants["torch DataLoader"] = torch_round(*shape)
        except ImportError:
            print("PyTorch is not installed, so it is not measured")
        found = measure(contestants, rounds)
        print(f"\n{ROWS:,} x {COLUMNS} {order:12}batches per CPU-second")
        for name, row in found.items():
            print(f"  {name:22}{1 / row.cpu:10,.0f} [{1 / row.most:,.0f}-{1 / row.least:,.0f}]")
        figures[order] = as_dicts(found)
        if "torch DataLoader" in found:
            ratio = found["torch DataLoader"].cpu / found["gpuio"].cpu
            figures[order] |= {"ratio": ratio, "bar": bar}
            print(f"  gpuio gives {ratio:.1f} times PyTorch's (bar: {bar})")
    return figures


def csv_round(path: Path, columns: int, ahead: int) -> Round:
    """CSVIter; counts megabytes."""

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
    """`numpy.loadtxt`."""

    def run() -> float:
        np.loadtxt(path, np.float32, delimiter=",")
        return path.stat().st_size / 1e6

    return run


def polars_round(path: Path, columns: int) -> Round:
    """Polars by itself."""
    import polars as pl

    schema = {str(number): pl.Float32 for number in range(columns)}

    def run() -> float:
        pl.read_csv(path, has_header=False, schema=schema)
        return path.stat().st_size / 1e6

    return run


def text(rounds: int, megabytes: int) -> dict[str, Any]:
    """Measure CSVIter."""
    columns = 100
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, spelling in FORMATS.items():
            path = Path(folder) / "x.csv"
            random = np.random.default_rng(0)
            with open(path, "w") as file:
                while file.tell() < megabytes * 1e6:
                    np.savetxt(file, random.normal(size=(500, columns)), spelling, delimiter=",")
            found = measure(
                {
                    "gpuio": csv_round(path, columns, 4),
                    "gpuio, no thread": csv_round(path, columns, 0),
                    "numpy.loadtxt": loadtxt_round(path),
                    "Polars by itself": polars_round(path, columns),
                },
                rounds,
            )
            print(f"\nCSV, {path.stat().st_size / 1e6:.0f} MB, {name:13}MB per CPU-second")
            for who, row in found.items():
                print(f"  {who:22}{1 / row.cpu:10.0f} [{1 / row.most:.0f}-{1 / row.least:.0f}]")
            ratio = found["numpy.loadtxt"].cpu / found["gpuio"].cpu
            cost = found["gpuio"].cpu / found["Polars by itself"].cpu
            print(f"  gpuio gives {ratio:.2f} times loadtxt's (bar: {LOADTXT_BAR})")
            print(f"  and takes {cost:.2f} times the time of Polars (bar: {LIBRARY_BAR})")
            figures[name] = {**as_dicts(found), "ratio": ratio, "cost": cost}
    return figures


def as_dicts(found: dict[str, Figures]) -> dict[str, Any]:
    return {name: asdict(row) for name, row in found.items()}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure, print tables, and give the figures back."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--epochs", type=int, default=3, help="epochs in a round")
    parser.add_argument("--megabytes", type=int, default=100, help="size of a CSV file")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args(arguments)
    figures = {
        "arrays": arrays(options.rounds, options.epochs),
        "csv": text(options.rounds, options.megabytes),
    }
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return figures


if __name__ == "__main__":
    main()
