"""The command ``bench``: arguments, table and plot."""

from __future__ import annotations

import argparse
import io
import os
from dataclasses import asdict
from typing import Any

from gpuio.errors import ArgumentError, ContextError
from gpuio.iterators.stats import describe_remote
from gpuio.storage.local import Path
from gpuio.storage.remote.opening import location
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.replacing import write_file
from gpuio.terminal import echo, printable
from gpuio.tools.commands.bench.benchmark import READING, ROUNDS, Bench, bench
from gpuio.tools.commands.common import (
    add_json,
    add_parser,
    add_record_file,
    print_json,
    remote_options,
)
from gpuio.tools.files import check_outputs
from gpuio.tools.tasks import add_options, options_of

# Colors of the iterator, the other contestants, and the speed that training needs.
FIRST, OTHER, NEEDED = "#1f6f8b", "#b9b4a7", "#b3261e"


def table(found: Bench) -> list[str]:
    """Format the results, one line per contestant."""
    lines = [f"{'':22}{'images/s':>12}{'per CPU-second':>17}{'CPU-ms per image':>19}"]
    for stage in found.stages:
        per_cpu = 1e3 / max(stage.cpu_ms, 1e-6)
        spread = (
            "" if stage.name == READING else f"  [{stage.least_cpu_ms:.2f}-{stage.most_cpu_ms:.2f}]"
        )
        lines.append(
            f"{stage.name:22}{stage.images_per_second:12,.0f}{per_cpu:17,.0f}"
            f"{stage.cpu_ms:19.2f}{spread}"
        )
    return lines


def exposition(found: Bench) -> str:
    """The results and the iterator's statistics in Prometheus' text format."""
    metrics = (
        ("images_per_second", "Speed by wall time.", "images_per_second", 1.0),
        ("cpu_seconds_per_image", "CPU time of all threads.", "cpu_ms", 1e-3),
    )
    lines = []
    for name, text, field, factor in metrics:
        metric = f"gpuio_bench_{name}"
        lines += [f"# HELP {metric} {text}", f"# TYPE {metric} gauge"]
        for stage in found.stages:
            value = getattr(stage, field) * factor
            lines.append(f'{metric}{{contestant="{stage.name}"}} {value}')
    ours = "" if found.stats is None else found.stats.prometheus()
    return "".join(f"{line}\n" for line in lines) + ours


def plot(found: Bench, path: Path, remote: RemoteOptions | None = None) -> None:
    """Plot the contestants' speed, and what training needs, to an image file, at a path or a URL.

    Raises
    ------
    ContextError : matplotlib is not installed.
    ArgumentError : matplotlib does not know the extension.
    RecordError, RemoteError : the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ContextError("a plot needs matplotlib: pip install 'gpuio[plot]'") from error

    # Reading is many times faster than the rest and would squash their bars.
    stages = [stage for stage in found.stages if stage.name != READING][::-1]
    figure = Figure(figsize=(9, 1.4 + 0.55 * len(stages)), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    panels = (
        ("images per second", [stage.images_per_second for stage in stages]),
        ("images per CPU-second", [1e3 / max(stage.cpu_ms, 1e-6) for stage in stages]),
    )
    for axis, (name, values) in zip(axes, panels, strict=True):
        colors = [FIRST if stage is found.stages[0] else OTHER for stage in stages]
        bars = axis.barh([stage.name for stage in stages], values, color=colors, height=0.62)
        numbers = [f"{value:,.0f}" for value in values]
        annotations = axis.bar_label(bars, numbers, label_type="center")
        for annotation, color in zip(annotations, colors, strict=True):
            annotation.set(fontsize=9, color="white" if color == FIRST else "black")
        axis.set_title(name, loc="left", fontsize=10)
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.tick_params(left=False, labelsize=9)
        axis.xaxis.set_major_formatter("{x:,.0f}")
    if found.needed is not None:
        axes[0].axvline(found.needed, color=NEEDED, linewidth=1.5, linestyle="--")
        needs = f"- - training needs {found.needed:,.0f}"
        axes[0].set_title(needs, loc="right", fontsize=9, color=NEEDED)
    figure.suptitle(
        f"{printable(os.path.basename(found.rec))} on {found.device}, "
        f"batches of {found.batch_size}, {found.threads} of {found.cpus} CPUs",
        x=0.01,
        ha="left",
        fontsize=11,
        parse_math=False,
    )
    target, encoded = location(path), io.BytesIO()
    try:
        figure.savefig(encoded, dpi=130, format=os.path.splitext(target)[1][1:] or "png")
    except ValueError as error:
        raise ArgumentError(f"{target}: {error}") from error
    write_file(target, encoded.getvalue(), remote)


def add_command(commands: Any) -> None:
    """Add ``bench`` to the command line."""
    parser = add_parser(
        commands,
        "bench",
        _run,
        summary="measure how fast a record file loads here, and find the bottleneck",
        description="Measure ImageRecordIter, or for files with boxes ImageDetRecordIter, on "
        "FILE.rec, in images per second and per CPU-second, compared with reading alone, decoding "
        "alone and, if installed, DALI's own reader; report the bottleneck, and whether training "
        "with a given step time would have to wait.",
        example="train.rec --task train --batch-size 256 --step 0.28 --plot bench.png",
    )
    add_record_file(parser)
    add = parser.add_argument
    add("--ctx", metavar="DEVICE", help="cpu or gpu:0; default: cpu")
    add("--batch-size", type=int, default=64, metavar="N", help="images in a batch; default: 64")
    add("--threads", type=int, metavar="N", help="decoding threads; default: one per CPU")
    add("--step", type=float, metavar="S", help="duration of a training step, in seconds")
    add(
        "--rounds",
        type=int,
        default=ROUNDS,
        metavar="N",
        help=f"measurements of each contestant; default: {ROUNDS}",
    )
    add_options(parser, "eval")
    add(
        "--stats",
        action="store_true",
        help="print the results and the iterator's statistics for Prometheus, in its text format",
    )
    add("--plot", metavar="FILE", help="plot the results to a .png, .svg or .pdf file")
    add_json(parser)


def _run(args: argparse.Namespace) -> int:
    if args.plot:
        check_outputs([args.plot], [args.rec])
    remote = remote_options(args)
    found = bench(
        args.rec,
        args.idx,
        ctx=args.ctx,
        batch_size=args.batch_size,
        threads=args.threads,
        step=args.step,
        rounds=args.rounds,
        options=options_of(args.task, args.options, args.rec, args.idx, remote),
        remote=remote,
        with_stats=args.stats,
    )
    if args.plot:
        plot(found, args.plot, remote)
    if args.json:
        stats = None if found.stats is None else asdict(found.stats)
        print_json({**found._asdict(), "stats": stats, "verdict": found.verdict})
        return 0
    if args.stats:
        echo(exposition(found).rstrip("\n"))
        return 0
    echo(
        f"{found.rec}: {found.images:,} images, batches of {found.batch_size} on {found.device}, "
        f"{found.threads} threads, {found.cpus} CPUs"
    )
    echo()
    echo("\n".join(table(found)))
    echo()
    for name, reason in found.left_out.items():
        echo(f"{name} was not measured: {reason}")
    if found.cached:
        echo(f"{READING}: the file was in the page cache; the disk may be slower")
    if found.remote is not None:
        echo(describe_remote(found.remote))
    echo(f"limited by {found.limit}")
    if found.verdict:
        echo(found.verdict)
    if args.plot:
        echo(f"{args.plot}: plot of the results")
    return 0
