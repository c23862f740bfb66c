"""Compare record files and their index with hand-written code.

Run it with ``make bench-parts``. Opening an index of 1.28 million lines (ImageNet's) is compared
with a Python dict, which is what MXNet keeps; reading with a loop with `struct` over a
memory-mapped file, which has no index, no checks and no split records. CPU time; medians over
interleaved rounds, each contestant in its own process, so that its memory can be measured.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

LINES = 1_281_167
RECORDS = {"110 kB": (110_000, 1_500), "200 B": (200, 200_000)}

OPEN = {
    "gpuio": """
from gpuio.recordio import Index
def work():
    return Index.load(path)
""",
    "a dict": """
def work():
    with open(path) as lines:
        return {int(key): int(offset) for key, offset in map(str.split, lines)}
""",
}

# Each contestant measures itself and prints CPU seconds and added megabytes.
FRAME = """
import resource, struct, sys, time
import gpuio.recordio, numpy
path = sys.argv[1]
{setup}
def memory():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 1e6
before, begun = memory(), time.process_time()
result = work()
print(time.process_time() - begun, memory() - before)
"""

READ = {
    "gpuio": """
from gpuio.recordio import MXRecordIO
def work():
    with MXRecordIO(path, "r") as reader:
        return sum(map(len, reader))
""",
    "struct over mmap": """
import mmap
def work():
    total = offset = 0
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        while offset < len(data):
            _, length = struct.unpack_from("<II", data, offset)
            total += len(data[offset + 8 : offset + 8 + length])
            offset += 8 + (length + 3) // 4 * 4
    return total
""",
}


def run(setup: str, path: Path) -> tuple[float, float]:
    """CPU seconds and megabytes of one contestant, in its own process."""
    command = [sys.executable, "-c", FRAME.format(setup=setup), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, megabytes = map(float, done.stdout.split())
    return seconds, megabytes


def compare(name: str, contestants: dict[str, str], path: Path, rounds: int) -> dict[str, object]:
    """Measure in turns, and print a line for each contestant."""
    results: dict[str, list[tuple[float, float]]] = {contestant: [] for contestant in contestants}
    for _ in range(rounds):
        for contestant, setup in contestants.items():
            results[contestant].append(run(setup, path))
    medians = {
        contestant: [statistics.median(column) for column in zip(*rows, strict=True)]
        for contestant, rows in results.items()
    }
    print(f"\n{name}")
    for contestant, (seconds, megabytes) in medians.items():
        print(f"  {contestant:20}{seconds * 1e3:9.0f} CPU-ms{megabytes:9.0f} MB")
    return medians


def main(arguments: list[str] | None = None) -> dict[str, object]:
    """Measure, print tables, and return the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lines", type=int, default=LINES)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args(arguments)
    from gpuio.recordio import MXRecordIO

    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.idx"
        path.write_text("".join(f"{key}\t{key * 110_032}\n" for key in range(options.lines)))
        figures["index"] = compare(
            f"open an index of {options.lines:,} lines", OPEN, path, options.rounds
        )
        for name, (size, count) in RECORDS.items():
            path = Path(folder) / f"{size}.rec"
            with MXRecordIO(path, "w") as writer:
                for _ in range(count):
                    writer.write(bytes(size))
            figures[name] = compare(f"read {count:,} records of {name}", READ, path, options.rounds)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return figures


if __name__ == "__main__":
    main()
