"""Compare im2rec with MXNet's im2rec.py, and verify and index with reading the file.

Run it with ``make bench-parts``; with ``--mxnet PYTHON``, a Python interpreter that has MXNet
1.9.1, the tool in its package is measured too. Each im2rec runs in its own process and is charged
its CPU time, of all threads and child processes, including start-up. Medians over interleaved
rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from gpuio.tools import index, list_image, make_samples, verify, write_records
from gpuio.tools.commands.bench.measure import measure
from tests.benchmarks.photographs import PHOTOS

TASKS = {"pass-through": ["--pass-through"], "resize 256": ["--resize", "256"]}

# Target images per CPU-second, as a multiple of im2rec.py's.
TARGETS = {"pass-through": 5.0, "resize 256": 1.7}


def photographs(folder: Path, images: int) -> tuple[Path, Path]:
    """A folder of photographs, and a list that names them repeatedly."""
    root = PHOTOS
    if not root.is_dir():
        make_samples(folder / "samples")
        root = folder / "samples"
    paths = [item.path for item in list_image(root, recursive=True, exts=[".jpeg", ".jpg"])]
    lst = folder / "x.lst"
    lst.write_text(
        "".join(f"{number}\t0.000000\t{paths[number % len(paths)]}\n" for number in range(images))
    )
    return root, lst


def pack(command: list[str], lst: Path, root: Path, options: list[str], images: int) -> float:
    """CPU milliseconds per image."""
    with tempfile.TemporaryDirectory(dir=lst.parent) as folder:
        shutil.copy(lst, folder)
        arguments = [*command, f"{folder}/x", str(root), "--num-thread", "1", *options]
        # With a cache of compiled modules, as users have.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(lst.parent / "pycache")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(arguments, check=True, capture_output=True, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if not os.path.getsize(f"{folder}/x.rec"):
            raise RuntimeError(f"{arguments} wrote no records")
    used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return used / images * 1e3


def compare_im2rec(
    mxnet: str | None, lst: Path, root: Path, images: int, rounds: int
) -> dict[str, Any]:
    """Run the two tools in turns."""
    contestants = {"gpuio im2rec": [sys.executable, "-m", "gpuio.tools.im2rec"]}
    if mxnet:
        code = "import mxnet, os; print(os.path.dirname(mxnet.__file__))"
        done = subprocess.run([mxnet, "-c", code], check=True, capture_output=True, text=True)
        contestants["MXNet's im2rec.py"] = [mxnet, f"{done.stdout.strip()}/tools/im2rec.py"]
    figures: dict[str, Any] = {}
    for task, options in TASKS.items():
        results: dict[str, list[float]] = {name: [] for name in contestants}
        for turn in range(rounds + 1):
            for name, command in contestants.items():
                used = pack(command, lst, root, options, images)
                if turn:  # the first only warms up caches
                    results[name].append(used)
        print(f"\nim2rec, {task}, {images:,} photographs        CPU-ms per image")
        for name, each in results.items():
            spread = f"[{min(each):.2f}-{max(each):.2f}]"
            print(f"  {name:20}{statistics.median(each):8.2f} {spread}")
        figures[task] = results
        if mxnet:
            ours, theirs = (statistics.median(results[name]) for name in contestants)
            ratio = f"{theirs / ours:.1f} times MXNet's images per CPU-second"
            print(f"  {ratio} (target: {TARGETS[task]})")
            figures[f"{task}, ratio"] = theirs / ours
    return figures


def compare_readers(rec: str, rounds: int) -> dict[str, Any]:
    """Compare commands that read all of a file with plain reading."""
    size = os.path.getsize(rec)

    def read() -> float:
        with open(rec, "rb", buffering=0) as file:
            buffer = bytearray(1 << 20)
            while file.readinto(buffer):
                pass
        return size / 1e6

    def verified(level: str) -> float:
        assert not verify(rec, level=level).findings
        return size / 1e6

    def indexed() -> float:
        index(rec, f"{rec}.idx")
        return size / 1e6

    results = measure(
        {
            "reading": read,
            "gpuio index": indexed,
            "gpuio verify --framing": lambda: verified("framing"),
            "gpuio verify": lambda: verified("headers"),
        },
        rounds,
    )
    print(f"\na record file of {size / 1e6:,.0f} MB, cached        MB per CPU-second")
    for name, row in results.items():
        print(f"  {name:26}{1 / row.cpu:10,.0f} [{1 / row.most:,.0f}-{1 / row.least:,.0f}]")
    return {name: 1 / row.cpu for name, row in results.items()}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure, print tables, and return the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mxnet", metavar="PYTHON", help="a Python with MXNet 1.9.1")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        root, lst = photographs(Path(folder), options.images)
        figures = compare_im2rec(options.mxnet, lst, root, options.images, options.rounds)
        rec = write_records(lst, root, pass_through=True).rec
        figures["files"] = compare_readers(rec, options.rounds)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return figures


if __name__ == "__main__":
    main()
