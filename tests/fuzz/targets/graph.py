"""Damaged images in batches through DALI's graph of CPU operators.

Each batch has images of `tests.fuzz.images` and a random plan, and takes the way of all batches:
`BatchReader`, `make_feed`, the graph. DALI may refuse images in its decoder; these are left out,
and the batch is repeated, so that the others take the whole way. There are three kinds of findings:
a process that dies, a header that DALI cannot read, since it may die of that, and, of linear
interpolation, pixels that are not the host's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
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
from gpuio.planning.crop import CropPlanner
from gpuio.planning.crop_options import CropOptions
from gpuio.planning.plan import LINEAR, Affine, Border, Plan
from gpuio.planning.planner import AffineFill, PlannedBatch, Planner, Samples
from tests.fuzz.images import mutated
from tests.fuzz.mutators import Rng
from tests.fuzz.target import Parts, Refused, Target
from tests.fuzz.targets.images import DIFFERENT
from tests.loading.fakes import MemorySource, indices

# DALI reads headers in several threads if there are more than four images for each, and one more.
BATCH, THREADS = 64, 2
WIDTH, HEIGHT = 28, 24


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


def read_batch(which: int, payloads: Sequence[bytes], checked: bool) -> ImageBatch:
    """Read and plan a batch; unless it is checked, everything goes into the graph."""
    reader = BatchReader(MemorySource(list(payloads)), settings()[which].planner, ())
    at = indices(len(payloads), len(payloads), seed=which)
    batch = reader.plan(at, reader.read_whole(at), strict=True)
    if not checked:
        batch.structures = np.full(len(batch), Structure.COMPLETE, np.uint8)
    return batch


def run_without_refused(graph: Graph, batch: ImageBatch) -> np.ndarray:
    """Run a batch until DALI refuses none of its images; the samples. What it refuses becomes an
    error of the batch.
    """
    while True:
        try:
            return graph.run(batch)
        except RuntimeError as error:
            refused = re.search("Failed to decode sample #([0-9]+)", str(error))
            if refused is None:
                raise AssertionError("DALI cannot read a header") from error
            batch.errors[int(refused[1])] = DecodeError("refused")


def compare_with_host(batch: ImageBatch, found: np.ndarray, channels: int) -> None:
    """Raise `AssertionError` if an image's pixels are not those of the host."""
    assert batch.plan is not None
    visible = batch.plan.visible((WIDTH, HEIGHT)).tolist()
    on_host = host_rows(batch, channels)
    for row, (x0, y0, x1, y1) in enumerate(visible):
        shown = x0 < x1 and y0 < y1 and batch.plan.method[row] == LINEAR
        if not shown or row in batch.errors or row in on_host:
            continue
        try:
            expected = render_sample(batch, row, (WIDTH, HEIGHT), channels, False)
        except DecodeError as error:
            # As for `host_may_refuse` of the images' batches.
            assert batch.structures is not None
            terminated = batch.structures[row] != Structure.UNTERMINATED
            assert not terminated, f"image {row} is bad on the host: {error}"
            continue
        difference = np.abs(found[row].astype(int) - expected)[y0:y1, x0:x1].mean()
        assert difference <= DIFFERENT, f"image {row} differs by {difference:.0f} levels"


def make(rng: Rng) -> Parts:
    """The number of a setting, and damaged images."""
    which = bytes([int(rng.integers(len(settings())))])
    return (which, *(mutated(int(rng.integers(2**31)), 0)[1] for _ in range(BATCH)))


def check(checked: bool, parts: Parts, folder: Path) -> None:
    """Run a batch of images, of those that are checked those that may be given to DALI."""
    which = (parts[0][0] if parts[0] else 0) % len(settings())
    channels = settings()[which].channels
    batch = read_batch(which, [part or b"none" for part in parts[1:]], checked)
    if len(batch.errors) + len(host_rows(batch, channels)) == len(batch):
        raise Refused
    compare_with_host(batch, run_without_refused(Graph(settings()[which]), batch), channels)


UNCHECKED = "graph.unchecked"

TARGETS = [
    Target("graph.checked", make, partial(check, True), BATCH, cost=BATCH),
    # What happens without the checks.
    Target(UNCHECKED, make, partial(check, False), BATCH, cost=BATCH, default=False),
]
