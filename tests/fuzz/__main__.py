"""Fuzzes gpuio: damaged files, images, labels, saved states and arguments, in processes of their
own, under limits of memory and time.

    python -m tests.fuzz --count 200000 --seed 7
    python -m tests.fuzz --seconds 600 --targets records.alone tables.csv
    python -m tests.fuzz --replay FILE …

An input must be read or refused by one of gpuio's own errors. A process that dies or does not
return, another exception, a wrong result, more than 2 GiB of memory or 10 s of CPU time is a
finding. It is made as small as possible and, with ``--keep``, written to a file that ``--replay``
runs again.
"""

from __future__ import annotations

import argparse
import json
import re
import secrets
import sys
import time
from pathlib import Path

from tests.fuzz.runner import Finding, Outcome, Run, Worker, run_input
from tests.fuzz.target import encode_parts, read_input
from tests.fuzz.targets import all_targets


def keep(finding: Finding, folder: Path) -> Path:
    """Write a finding to a file of a folder."""
    name = re.sub(r"\W+", "-", f"{finding.target} {finding.kind} {finding.where}").strip("-")
    path = folder / f"{name}.json"
    content = {
        "target": finding.target,
        "found": f"{finding.kind} {finding.where}".strip(),
        "text": finding.text.splitlines()[-1:],
        "origin": finding.origin,
        "parts": encode_parts(finding.parts),
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def describe(finding: Finding, path: Path | None) -> str:
    """A finding for a person."""
    sizes = " + ".join(str(len(part)) for part in finding.parts)
    lines = [
        f"\n{finding.target}: {finding.kind} {finding.where} ({finding.origin}; {sizes} bytes)",
        *finding.text.rstrip().splitlines()[-12:],
    ]
    if path is not None:
        lines.append(f"again with: python -m tests.fuzz --replay {path}")
    elif sum(map(len, finding.parts)) < 1000:
        lines.append(f"parts: {finding.parts!r}")
    return "\n    ".join(lines)


def table(outcomes: dict[str, Outcome]) -> str:
    """What came of each target, as a table."""
    lines = [
        f"\n{'target':28}{'inputs':>9}{'refused':>9}{'findings':>9}{'a second':>10}{'peak':>9}"
    ]
    for name, outcome in outcomes.items():
        rate = outcome.inputs / max(outcome.seconds, 1e-9)
        lines.append(
            f"{name:28}{outcome.inputs:9}{outcome.refused:9}{outcome.counts.total():9}"
            f"{rate:10.0f}{outcome.peak:5} MiB"
        )
        lines += [f"    {n} x {kind} {where}" for (_, kind, where), n in outcome.counts.items()]
        if outcome.accumulated:
            lines.append(f"    {outcome.accumulated} x too much memory, but not in a new process")
    total = sum(outcome.inputs for outcome in outcomes.values())
    findings = sum(outcome.counts.total() for outcome in outcomes.values())
    lines.append(f"{total} inputs, {findings} findings")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    known = all_targets()
    usual = [name for name, target in known.items() if target.default]
    add("--targets", nargs="+", metavar="TARGET", choices=known, default=usual,
        help=f"of {', '.join(usual)}; default: all")  # fmt: skip
    add("--count", type=int, help="number of inputs; default: no limit")
    add("--seconds", type=float, help="time after which no input begins; default: no limit")
    add("--seed", type=int, help="determines the inputs; default: drawn, and printed")
    add("--jobs", type=int, default=2, help="processes; default: 2")
    add("--keep", type=Path, metavar="DIR", help="folder for the inputs of findings")
    add("--no-minimize", action="store_true", help="leave these inputs as they are")
    add("--replay", type=Path, nargs="+", metavar="FILE", help="run such inputs again instead")
    options = parser.parse_args(arguments)
    for name in ("count", "seconds", "jobs"):
        value = getattr(options, name)
        if value is not None and value <= 0:
            parser.error(f"--{name} must be above 0, not {value}")
    if options.replay:
        return replay(options.replay)
    seed = secrets.randbelow(10**9) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)

    def report(finding: Finding) -> None:
        path = keep(finding, options.keep) if options.keep else None
        print(describe(finding, path), flush=True)

    run = Run([known[name] for name in options.targets], seed, report, not options.no_minimize)
    began = time.monotonic()
    try:
        run.run(options.count, options.seconds, options.jobs)
    except KeyboardInterrupt:
        print("interrupted")
    print(table(run.outcomes), f"in {time.monotonic() - began:.0f} s")
    return 1 if any(outcome.counts for outcome in run.outcomes.values()) else 0


def replay(paths: list[Path]) -> int:
    """Run kept inputs again; 1 if there are still findings."""
    status = 0
    with Worker() as worker:
        for path in paths:
            finding = run_input(worker, *read_input(path))
            print(f"{path}: nothing found" if finding is None else describe(finding, path))
            status |= finding is not None
    return status


if __name__ == "__main__":
    sys.exit(main())
