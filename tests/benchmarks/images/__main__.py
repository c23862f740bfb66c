"""Compare gpuio's ImageRecordIter with other image loaders, on the CPU.

Writes a page, ``cpu.md``, a plot, ``cpu.png``, and all figures, ``cpu.json``, and prints the page.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path

from gpuio.loading.cpus import cpu_count
from tests.benchmarks.images.bars import LOCKED, SCALING
from tests.benchmarks.images.contestants import CONTESTANTS
from tests.benchmarks.images.job import Job
from tests.benchmarks.images.lock_share import SECONDS, LockShare
from tests.benchmarks.images.process import ROOT, LeftOutError
from tests.benchmarks.images.report import Report, draw, markdown
from tests.benchmarks.images.run import DATA, TASKS, Settings, run_workload
from tests.benchmarks.images.scaling import THREADS, Scaling, scaling
from tests.benchmarks.images.workloads import WORKLOADS, Workload
from tests.benchmarks.photographs import photographs

# Images in a batch where the interpreter's lock is measured.
LOCK_BATCH = 256

LOCK, SCALES = "the interpreter's lock", "one thread and two"


def machine() -> dict[str, str]:
    """What the figures depend on."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return {
        "Machine": f"{model}, {cpu_count()} CPUs, {platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "Date": date.today().isoformat(),
        "Load before": load,
    }


def lock_share(workload: Workload, task: str, folder: Path, seconds: float = SECONDS) -> LockShare:
    """Measure the interpreter's lock in a process of its own.

    Raises
    ------
    RuntimeError : it failed, or there is no native module.
    """
    job: Job = replace(workload.job(folder / DATA, task, 2), batch_size=LOCK_BATCH)
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.images.lock_share",
         json.dumps([workload.name, task, asdict(job), seconds])],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return LockShare(**json.loads(done.stdout))


def scales(workload: Workload, task: str, folder: Path, settings: Settings) -> Scaling:
    """Compare one thread with two.

    Raises
    ------
    LeftOutError : there is no native module, it fails, or no second processor was free.
    """
    jobs = [workload.job(folder / DATA, task, threads) for threads in THREADS]
    return scaling(workload.name, task, jobs, settings.rounds, settings.seconds)


def run(options: argparse.Namespace) -> Iterator[Report]:
    """Measure everything that was asked for; the report so far after each workload."""
    settings = Settings(
        options.threads,
        options.rounds,
        options.seconds,
        options.limit,
        {"mxnet": options.mxnet} if options.mxnet else {},
    )
    contestants = [
        each
        for each in CONTESTANTS
        if not options.contestants or any(part in each.name for part in options.contestants)
    ]
    with tempfile.TemporaryDirectory() as samples:
        paths, data = photographs(Path(samples) / "samples")
        report = Report(
            machine(),
            {
                "Images": f"made of {data}",
                "Threads": f"{options.threads}, or processes",
                "Rounds": f"{options.rounds} of {options.seconds:g} to about {options.limit:g} s",
            },
        )
        for name in options.workloads:
            workload = WORKLOADS[name]
            if options.quick:
                workload = replace(workload, images=4, copies=workload.batch_size)
            with tempfile.TemporaryDirectory() as folder:
                found = run_workload(workload, contestants, paths, Path(folder), settings)
                report.rows += found.rows
                report.left_out[name] = found.left_out
                report.versions |= found.versions
                if name in LOCKED and not options.quick:
                    try:
                        report.locks += [lock_share(workload, task, Path(folder)) for task in TASKS]
                    except RuntimeError as error:
                        report.left_out[name][LOCK] = str(error)
                for task in TASKS if name in SCALING and not options.quick else ():
                    try:
                        report.scalings.append(scales(workload, task, Path(folder), settings))
                    except LeftOutError as error:
                        report.left_out[name][f"{SCALES}, {task}"] = str(error)
            yield report


def write(report: Report, folder: Path) -> str:
    """Write page, plot and figures; the page."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cpu.json").write_text(json.dumps(asdict(report), indent=1) + "\n")
    page = markdown(report, "cpu.png")
    (folder / "cpu.md").write_text(page)
    try:
        draw(report, folder / "cpu.png")
    except ImportError:
        print("the plot needs matplotlib: pip install 'gpuio[plot]'", file=sys.stderr)
    return page


def main(arguments: list[str] | None = None) -> Report:
    """Measure, or read earlier figures; write the files, and print the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--output", type=Path, default=Path("bench-results"), metavar="FOLDER")
    parser.add_argument("--mxnet", metavar="PYTHON", help="a Python with MXNet 1.9.1")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of a round, at least")
    parser.add_argument("--limit", type=float, default=2.0, help="seconds of a round, at most")
    parser.add_argument(
        "--workloads", nargs="+", choices=list(WORKLOADS), default=list(WORKLOADS), metavar="NAME"
    )
    parser.add_argument(
        "--contestants", nargs="+", default=[], metavar="NAME", help="those whose names have this"
    )
    parser.add_argument(
        "--quick", action="store_true", help="whether it runs: few images, one short round"
    )
    parser.add_argument("--from", dest="source", type=Path, help="draw these figures again (JSON)")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds = 1, 0.01
    if options.source:
        reports = iter([Report.from_json(json.loads(options.source.read_text()))])
    else:
        reports = run(options)
    for report in reports:
        page = write(report, options.output)
    print(page)
    return report


if __name__ == "__main__":
    main()
