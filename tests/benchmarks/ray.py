"""Compare commands on a Ray cluster of two nodes, one CPU each, with one process and one thread.

Run it with ``python -m tests.benchmarks.ray``, on a machine with two CPUs or more; it needs the
extra ``ray``. Both work on the same photographs and make the same new files, on the same disk.
Wall-clock time; medians over interleaved rounds, after one that warms up. The time to start Ray is
not in it, but stated.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpuio.tools import shuffle, verify, write_records
from tests.benchmarks.tools import photographs
from tests.scale.ray_nodes import two_nodes

# Speed on two nodes, as a multiple of that of one process.
TARGET = 1.6


def compare(folder: Path, images: int, rounds: int) -> dict[str, Any]:
    """Seconds of each command, of both kinds, in turns."""
    import cv2

    root, lst = photographs(folder, images)
    rec = f"{write_records(lst, root, pass_through=True).rec}"
    packed = folder / "packed.lst"
    packed.write_bytes(lst.read_bytes())
    commands: dict[str, Callable[[str | None], object]] = {
        "im2rec, resize 256": lambda on: write_records(
            packed, root, resize=256, num_thread=1, resume=False, on=on
        ),
        "verify, deep": lambda on: verify(rec, level="deep", threads=1, on=on),
        "shuffle": lambda on: shuffle(rec, folder / "shuffled.rec", on=on),
    }
    outputs = [folder / "packed.rec", folder / "shuffled.rec"]
    begin = time.perf_counter()
    with two_nodes():
        for command in commands.values():
            command("ray")  # workers start with their first tasks
        started = time.perf_counter() - begin
        cv2.setNumThreads(1)
        seconds: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in commands}
        for turn in range(rounds + 1):
            for name, command in commands.items():
                for on, results in zip((None, "ray"), seconds[name], strict=True):
                    for output in outputs:
                        output.unlink(missing_ok=True)
                    os.sync()  # the disk has nothing left to do
                    begin = time.perf_counter()
                    command(on)
                    if turn:
                        results.append(time.perf_counter() - begin)
    return {"start-up and first tasks": started, "seconds": seconds}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure, print a table, and return the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        figures = compare(Path(folder), options.images, options.rounds)
    print(f"Ray: {figures['start-up and first tasks']:.1f} s to start, with the first tasks")
    print(f"\n{options.images:,} photographs      one process   two nodes   times as fast")
    for name, (alone, tasks) in figures["seconds"].items():
        one, two = statistics.median(alone), statistics.median(tasks)
        spread = f"[{min(a / b for a, b in zip(alone, tasks, strict=True)):.2f}-" + (
            f"{max(a / b for a, b in zip(alone, tasks, strict=True)):.2f}]"
        )
        print(f"{name:24}{one:10.2f} s{two:10.2f} s{one / two:12.2f} {spread}")
    print(f"target: {TARGET}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return figures


if __name__ == "__main__":
    main()
