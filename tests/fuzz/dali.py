"""Damaged images in batches through DALI's graph of CPU operators, in processes of their own.

    python -m tests.fuzz.dali --count 20000

Each batch has images of `tests.fuzz.images` and a random plan, and takes the way of all batches:
`BatchReader`, `make_feed`, the graph. DALI may refuse images in its decoder; these are left out,
and the batch is repeated, so that the others take the whole way. There are two kinds of failures: a
process that dies, and a header that DALI cannot read, since it may die of that. A process that has
died is replaced, and its last batch repeated with one damaged image at a time, to name the one that
killed it.

Of linear interpolation, the pixels are also compared with the host's; differences are printed.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gpuio.decoding.structure import Structure
from gpuio.errors import DecodeError
from gpuio.execution.dali_graph import build_graph, host_rows, interpolation_types, make_feed
from gpuio.execution.output import OutputSpec
from gpuio.execution.resample import render_sample
from gpuio.loading.batch import ImageBatch
from gpuio.loading.reader import BatchReader
from gpuio.planning.affine import AffineOptions
from gpuio.planning.crop import CropOptions, CropPlanner
from gpuio.planning.plan import LINEAR, Affine, Border, Plan
from gpuio.planning.planner import AffineFill, PlannedBatch, Planner, Samples
from tests.fuzz.images import good_images, mutated
from tests.loading.fakes import MemorySource, indices

ROOT = Path(__file__).parents[2]

# DALI reads headers in several threads if there are more than four images for each, and one more.
BATCH, THREADS = 64, 2
WIDTH, HEIGHT = 28, 24

# Mean difference to the host's pixels from which it is printed: that of other images, or of images
# that are turned otherwise.
DIFFERENT = 10

# The first word of each line that a process prints; behind it follow the number of the batch, and
# what is said here.
STARTED = "started"
DONE = "done"  # number of images that did not go into the graph
REFUSED = "refused"  # row of an image that DALI's decoder refused
UNREADABLE = "unreadable"  # DALI's error
DIFFERS = "differs"  # row of an image with other pixels than the host's, and how much they differ
WORDS = (STARTED, DONE, REFUSED, UNREADABLE, DIFFERS)


class Setting(NamedTuple):
    """A planner, and the channels of the graph's output."""

    planner: Planner
    channels: int


def settings() -> list[Setting]:
    """Planners of all kinds: windows, borders and affine maps."""

    def crop(channels: int, **options: Any) -> Setting:
        options.setdefault("fill", (90,) * channels)
        return Setting(CropPlanner(CropOptions(HEIGHT, WIDTH, **options), 7, 1), channels)

    turned = AffineOptions(max_rotation=180, max_shear=0.3, scale=(0.3, 2.0), canvas=(10, 90))
    scaled = AffineOptions(scale=(0.02, 3.0), ratio=(0.5, 2.0))
    return [
        crop(3, resized_crop=True, area=(0.05, 1.0), ratio=(0.3, 3.0)),
        crop(3, resize=40, rand_crop=True, rand_mirror=True),
        crop(1, rand_crop=True, method=10),
        crop(4, resized_crop=True, area=(0.05, 1.0), ratio=(0.3, 3.0)),
        crop(3, crop_size=(1, 60), rand_crop=True, pad=40, method=10),
        crop(3, affine=scaled, pad=5, rand_crop=True, method=10),
        crop(3, affine=turned),
        crop(3, affine=turned, fill=(200, 10, 30), method=0),
        Setting(AnyPlan(maps=False), 3),
        Setting(AnyPlan(maps=True), 3),
    ]


class AnyPlan(Planner):
    """Plans anything that a plan may say: windows and maps of any size, anywhere, and borders of
    which nothing or everything shows the image.

    Parameters
    ----------
    maps : plan affine maps, not windows
    """

    def __init__(self, maps: bool) -> None:
        self.borders = not maps
        self.affine = AffineFill((90, 90, 90), False) if maps else None

    def plan(self, samples: Samples) -> PlannedBatch:
        """Plan a batch."""
        rng = np.random.default_rng(samples.record)
        count, size = len(samples.record), samples.sizes
        first = (rng.random((count, 2)) * size).astype(np.int64)
        end = first + 1 + (rng.random((count, 2)) * (size - first - 1)).astype(np.int64)
        corner = (rng.random((count, 2)) * 4 - 2) * size * 10.0 ** rng.integers(-2, 3, (count, 1))
        extent = size * 10.0 ** rng.uniform(-6, 2, (count, 2))
        method = np.full(count, LINEAR) if self.affine else rng.integers(5, size=count)
        plan = Plan(
            np.concatenate([corner, extent], axis=1), np.concatenate([first, end], axis=1),
            method, rng.random(count) < 0.5, resample_flipped=rng.random(count) < 0.5,
        )  # fmt: skip
        if self.affine:
            matrix = rng.normal(size=(count, 2, 3)) * 10.0 ** rng.uniform(-6, 2, (count, 1, 1))
            matrix[:, :, 2] += corner
            whole = np.concatenate([np.zeros_like(size), size], axis=1)
            affine = Affine(matrix, self.affine.fill)
            plan = replace(plan, bounds=whole, resample_flipped=None, affine=affine)
        else:
            inside = np.sort(rng.integers(-9, 40, (count, 2, 2)), axis=1).reshape(count, 4)
            plan = replace(plan, borders=(Border(inside, np.full((count, 3), 90, np.uint8)),))
        return PlannedBatch(plan, [0.0] * count, {})


class Graph:
    """A graph, and what it is fed next."""

    def __init__(self, setting: Setting) -> None:
        planner, channels = setting
        self._setting = setting
        self._types = interpolation_types()
        self._feeds: list[Any] = []
        output = OutputSpec(channels, HEIGHT, WIDTH, "uint8", "NHWC")
        self._pipe = build_graph(
            lambda: [np.zeros(BATCH, np.int64), *self._feeds.pop().arrays()],
            output, BATCH, device_id=None, threads=THREADS, depth=1, antialias=False,
            hw_decoder_load=0.5, apply_orientation=True, borders=planner.borders,
            affine=planner.affine,
        )  # fmt: skip

    def run(self, batch: ImageBatch) -> np.ndarray:
        """The samples of a batch.

        Raises
        ------
        RuntimeError : DALI fails.
        """
        planner, channels = self._setting
        self._feeds = [make_feed(batch, (WIDTH, HEIGHT), channels, self._types, planner.borders)]
        samples, _ = self._pipe.run()
        return np.asarray(samples.as_tensor())


def read_batch(number: int, payloads: Sequence[bytes], checked: bool) -> ImageBatch:
    """Read and plan a batch; unless it is checked, everything goes into the graph."""
    planner = settings()[number % len(settings())].planner
    reader = BatchReader(MemorySource(list(payloads)), planner, ())
    batch = reader.read(indices(len(payloads), len(payloads), seed=number), strict=True)
    if not checked:
        batch.structures = np.full(len(batch), Structure.COMPLETE, np.uint8)
    return batch


def run_batch(graph: Graph, number: int, batch: ImageBatch) -> None:
    """Run a batch until DALI refuses none of its images, and report on it."""
    channels = settings()[number % len(settings())].channels
    left_out = len(batch.errors) + len(host_rows(batch, channels))
    while True:
        report(STARTED, number)
        try:
            found = graph.run(batch)
            break
        except RuntimeError as error:
            refused = re.search("Failed to decode sample #([0-9]+)", str(error))
            if refused is None:
                report(UNREADABLE, number, " ".join(str(error).split())[-600:])
                return
            row = int(refused[1])
        report(REFUSED, number, row)
        batch.errors[row] = DecodeError("refused")
    report(DONE, number, left_out)
    assert batch.plan is not None
    visible = batch.plan.visible((WIDTH, HEIGHT)).tolist()
    for row, (x0, y0, x1, y1) in enumerate(visible):
        shown = x0 < x1 and y0 < y1 and batch.plan.method[row] == LINEAR
        if not shown or row in batch.errors or row in host_rows(batch, channels):
            continue
        try:
            expected = render_sample(batch, row, (WIDTH, HEIGHT), channels, False)
        except DecodeError as error:
            report(DIFFERS, number, row, f"the host says: {error}")
            continue
        difference = np.abs(found[row].astype(int) - expected)[y0:y1, x0:x1].mean()
        if difference > DIFFERENT:
            report(DIFFERS, number, row, f"by {difference:.0f} levels on average")


def report(word: str, number: int, *said: object) -> None:
    """Print a line for `observe`."""
    print(word, number, *said, flush=True)


def work(seed: int, numbers: Sequence[int], only: int | None, checked: bool) -> None:
    """Run batches; with `only`, all of their images are good ones but this."""
    faulthandler.enable()
    good = next(iter(good_images().values()))
    graphs: dict[int, Graph] = {}
    for number in numbers:
        payloads = [
            mutated(seed, number * BATCH + row)[1] if only in (None, row) else good
            for row in range(BATCH)
        ]
        which = number % len(settings())
        if which not in graphs:
            graphs[which] = Graph(settings()[which])
        run_batch(graphs[which], number, read_batch(number, payloads, checked))


@dataclass
class Outcome:
    """What became of batches in a process.

    Attributes
    ----------
    counts : of lines by their first word, and of images "left out" of the graph
    failures : descriptions of what must not happen
    differences : descriptions of images that the host decodes to other pixels
    last : the batch it was working on
    code : the process's return code
    errors : the end of what it wrote to its standard error
    """

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    last: int = 0
    code: int = 0
    errors: str = ""


def observe(seed: int, numbers: range, only: int | None = None, checked: bool = True) -> Outcome:
    """Run batches in a process of its own."""
    outcome = Outcome(last=numbers[0])
    command = [sys.executable, "-m", "tests.fuzz.dali", "--seed", str(seed), "--work",
               f"{numbers.start}:{numbers.stop}"]  # fmt: skip
    command += [] if only is None else ["--only", str(only)]
    command += [] if checked else ["--unchecked"]
    # Memory that is freed is overwritten, so that its use is seen.
    environment = {**os.environ, "MALLOC_PERTURB_": "165"}
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT, env=environment
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            word, _, rest = line.rstrip("\n").partition(" ")
            if word in WORDS:
                _note(outcome, seed, word, *rest.partition(" ")[::2])
        outcome.code = process.wait()
        errors.seek(0)
        outcome.errors = errors.read().decode(errors="replace")[-2000:]
    return outcome


def _note(outcome: Outcome, seed: int, word: str, batch: str, said: str) -> None:
    """Add a line that a process has printed."""
    outcome.counts[word] += 1
    outcome.last = int(batch)
    if word == DONE:
        outcome.counts["left out"] += int(said)
    elif word == UNREADABLE:
        outcome.failures.append(f"batch {batch}: DALI cannot read a header: {said}")
    elif word == DIFFERS:
        row, _, how = said.partition(" ")
        image = outcome.last * BATCH + int(row)
        outcome.differences.append(f"image {image} differs {how}: {mutated(seed, image)[0]}")


def killers(seed: int, number: int, checked: bool) -> Iterator[str]:
    """The images of a batch that kill a process when all others are good."""
    for row in range(BATCH):
        if observe(seed, range(number, number + 1), row, checked).code:
            image = number * BATCH + row
            yield f"image {image} kills: {mutated(seed, image)[0]}"


def fuzz(seed: int, batches: range, checked: bool = True, minimize: bool = True) -> Outcome:
    """Run batches, in a new process after each that dies, and print what is found.

    Parameters
    ----------
    checked : False: feed images whatever their structure is like
    minimize : find the images that kill processes
    """
    total = Outcome()
    while batches:
        outcome = observe(seed, batches, checked=checked)
        total.counts += outcome.counts
        total.failures += outcome.failures
        total.differences += outcome.differences
        print(*outcome.failures, *outcome.differences, sep="\n", flush=True)
        if not outcome.code:
            break
        total.failures.append(f"batch {outcome.last}: a process died with {outcome.code}")
        print(total.failures[-1], outcome.errors, sep="\n", flush=True)
        for found in killers(seed, outcome.last, checked) if minimize else ():
            total.failures.append(found)
            print(found, flush=True)
        batches = range(outcome.last + 1, batches.stop)
    return total


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=20000, help="number of images")
    parser.add_argument("--first", type=int, default=0, help="number of the first image")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--unchecked", action="store_true", help="feed images whatever their structure is like"
    )
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        numbers = range(*map(int, options.work.split(":")))
        work(options.seed, numbers, options.only, not options.unchecked)
        return 0
    if options.count < 1:
        parser.error(f"--count must be at least 1, not {options.count}")
    batches = range(options.first // BATCH, -(-(options.first + options.count) // BATCH))
    total = fuzz(options.seed, batches, not options.unchecked)
    print(
        f"{len(batches) * BATCH} images in {len(batches)} batches: {total.counts['left out']} left "
        f"out of the graph, {total.counts[REFUSED]} refused by DALI's decoder, "
        f"{len(total.differences)} with other pixels; {len(total.failures)} failures"
    )
    return 1 if total.failures else 0


if __name__ == "__main__":
    sys.exit(main())
