"""The figures as a Markdown page and as a plot."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks.images.bars import bars
from tests.benchmarks.images.contestants import GPUIO, ONE_THREAD
from tests.benchmarks.images.lock_share import LockShare
from tests.benchmarks.images.run import TASKS, Row
from tests.benchmarks.images.scaling import Scaling
from tests.benchmarks.images.workloads import WORKLOADS

# Colors of gpuio, of gpuio without its native module, and of the others.
OURS, PLAIN, OTHER = "#1f6f8b", "#7fb0c2", "#b9b4a7"


@dataclass
class Report:
    """All that was measured.

    Attributes
    ----------
    machine : facts by name
    settings : how it was measured, by name
    versions : of packages
    left_out : by workload and contestant, the reason
    rows, locks, scalings : the figures
    """

    machine: dict[str, str]
    settings: dict[str, Any]
    versions: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, dict[str, str]] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    locks: list[LockShare] = field(default_factory=list)
    scalings: list[Scaling] = field(default_factory=list)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Report:
        """Restore a report from ``dataclasses.asdict``."""
        rows = [Row(**row) for row in fields["rows"]]
        locks = [LockShare(**lock) for lock in fields["locks"]]
        scalings = [Scaling(**each) for each in fields.get("scalings", [])]
        return cls(**{**fields, "rows": rows, "locks": locks, "scalings": scalings})

    def of(self, workload: str, task: str) -> dict[str, Row]:
        """The rows of one task by contestant."""
        return {
            row.contestant: row for row in self.rows if (row.workload, row.task) == (workload, task)
        }


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float) -> str:
    """A positive number with three digits."""
    digits = 3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{digits}f}"


def spread(middle: float, least: float, most: float) -> str:
    """A median and its range."""
    return f"{number(middle)} [{number(least)}-{number(most)}]"


def workload_table(report: Report, workload: str) -> str:
    """The contestants of a workload, in all tasks."""
    head, by_task = [""], [report.of(workload, task) for task in TASKS]
    for task in TASKS:
        head += [f"{task}: CPU-ms per image", "images/s", f"{GPUIO}, as a multiple"]
    lines = []
    for name in dict.fromkeys(name for rows in by_task for name in rows):
        cells = [name]
        for rows in by_task:
            row, ours = rows.get(name), rows.get(GPUIO)
            if row is None:
                cells += ["-"] * 3
                continue
            ratio = f"{row.cpu_ms / ours.cpu_ms:.2f}" if ours else "-"
            cells += [
                spread(row.cpu_ms, row.least_cpu_ms, row.most_cpu_ms),
                spread(row.per_second, row.slowest, row.fastest),
                ratio,
            ]
        lines.append(cells)
    return table(head, lines)


def summary(report: Report) -> str:
    """The medians of all contestants in all tasks."""
    columns = [(name, task) for name in WORKLOADS for task in TASKS if report.of(name, task)]
    by_column = [report.of(*column) for column in columns]
    lines = []
    for name in dict.fromkeys(name for rows in by_column for name in rows if name != ONE_THREAD):
        cells = [number(rows[name].cpu_ms) if name in rows else "-" for rows in by_column]
        lines.append([name, *cells])
    return table(["CPU-ms per image", *(f"{name} {task}" for name, task in columns)], lines)


def markdown(report: Report, plot: str) -> str:
    """The page; `plot` is the name of the plot's file."""
    parts = [
        "# Image loaders on the CPU",
        summary(report),
        f"![images per CPU-second of each loader]({plot})",
        "\n".join(
            f"- {name}: {value}" for name, value in {**report.machine, **report.settings}.items()
        )
        + "\n- "
        + ", ".join(f"{name} {version}" for name, version in sorted(report.versions.items())),
        "Each loader makes the same batches, float32 NCHW of RGB, normalized by mean and std, in a "
        "process of its own; what it makes is checked before. They take turns in short rounds. "
        "CPU-milliseconds are user and system time of the process and its children; figures are "
        "medians over the rounds, with the range in brackets.",
    ]
    for name, workload in WORKLOADS.items():
        if any(report.of(name, task) for task in TASKS):
            parts += [
                f"## {name}: {workload.title}",
                workload.description,
                workload_table(report, name),
            ]
        reasons = report.left_out.get(name, {})
        if reasons:
            lines = (f"- {each}: {reason}" for each, reason in reasons.items())
            parts.append("Left out:\n\n" + "\n".join(lines))
    rows = [
        [bar.name, f"{'at most' if bar.most else 'at least'} {bar.least:g}", f"{bar.value:.2f}",
         "yes" if bar.reached else "**no**"]
        for bar in bars(report.rows, report.locks, report.scalings)
    ]  # fmt: skip
    if rows:
        parts += ["## Bars", table(["", "bar", "measured", "reached"], rows)]
    if report.scalings:
        parts += [
            "## One thread and two",
            "Rounds of one thread and of two take turns, with as many busy loops before and after "
            "each, which tell how much of two processors was there: as multiples of one thread's, "
            "and of one busy loop's. Rounds in which these were hardly faster, or more than twice "
            "as fast, do not count. On free processors: twice the ratio of both, with the range "
            "of the rounds.",
            table(
                ["", "1 thread: images/s", "CPU-ms", "2 threads: images/s", "CPU-ms", "ratio",
                 "busy loops", "on free processors", "rounds"],
                [
                    [f"{each.workload}, {each.task}", number(each.one), number(each.one_cpu_ms),
                     number(each.two), number(each.two_cpu_ms), f"{each.ratio:.2f}",
                     f"{each.control:.2f}",
                     spread(each.on_free_processors, 2 * each.least, 2 * each.most),
                     f"{each.rounds} of {each.tried}"]
                    for each in report.scalings
                ],
            ),
        ]  # fmt: skip
    if report.locks:
        parts += [
            "## The interpreter's lock",
            "CPU-microseconds for each image: of Python if the native module makes no samples, "
            "which is what is left however many threads there are; of all that may hold the lock "
            "while it does, an upper bound; and of what does not hold it. And a simulation of many "
            "threads, whose calls that make samples sleep as long as the work takes.",
            table(
                ["", "Python left, us", "with the lock, us", "without, us", "threads simulated",
                 "images/s", "busy"],
                [
                    [f"{each.workload}, {each.task}, batches of {each.batch_size}",
                     number(each.left_us), number(each.locked_us), number(each.unlocked_us),
                     str(each.simulated_threads), number(each.simulated_per_second),
                     f"{each.used:.0%}"]
                    for each in report.locks
                ],
            ),
        ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def draw(report: Report, path: Path) -> None:
    """Plot images per CPU-second: a row of panels for each workload, a column for each task.

    Raises
    ------
    ImportError : matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    names = [name for name in WORKLOADS if any(report.of(name, task) for task in TASKS)]
    shown = {
        name: [
            each
            for each in dict.fromkeys(c for task in TASKS for c in report.of(name, task))
            if each != ONE_THREAD
        ][::-1]
        for name in names
    }
    heights = [len(shown[name]) + 1.2 for name in names]
    figure = Figure(figsize=(11, 0.6 + 0.27 * sum(heights)), layout="constrained")
    grid = figure.subplots(
        len(names), len(TASKS), squeeze=False, sharey="row", height_ratios=heights
    )
    for name, line in zip(names, grid, strict=True):
        for task, axis in zip(TASKS, line, strict=True):
            rows = report.of(name, task)
            speeds = [1e3 / rows[each].cpu_ms if each in rows else 0 for each in shown[name]]
            colors = [
                OURS if each == GPUIO else PLAIN if each.startswith(GPUIO) else OTHER
                for each in shown[name]
            ]
            drawn = axis.barh(shown[name], speeds, color=colors, height=0.72)
            best = speeds[shown[name].index(GPUIO)] if GPUIO in shown[name] else 0
            labels = [
                f" {number(speed)}" + (f"  ({speed / best:.0%})" if best and each != GPUIO else "")
                if speed
                else " not measured"
                for each, speed in zip(shown[name], speeds, strict=True)
            ]
            axis.bar_label(drawn, labels, fontsize=8)
            axis.margins(x=0.3)
            axis.set_title(f"{WORKLOADS[name].title}: {task}", loc="left", fontsize=9.5)
            axis.spines[["top", "right", "left"]].set_visible(False)
            axis.tick_params(left=False, labelsize=8.5)
            axis.xaxis.set_major_formatter("{x:,.0f}")
    figure.suptitle("Images per CPU-second", x=0.01, ha="left", fontsize=12)
    figure.savefig(path, dpi=130)
