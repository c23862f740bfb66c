"""Samples made by the native module, and without it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gpuio import native
from gpuio.errors import Error
from gpuio.execution.host import PlanRenderer
from gpuio.execution.native_samples import NativeRenderer
from gpuio.execution.output import OutputSpec
from gpuio.loading.reader import BatchReader
from gpuio.planning.plan import Plan
from gpuio.planning.planner import PlannedBatch, Planner, Samples, convert_labels
from tests.loading.fakes import MemorySource, indices


class Given(Planner):
    """Plans that are given, for images of a size."""

    borders = True

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def plan(self, samples: Samples) -> PlannedBatch:
        labels, errors = convert_labels(samples.labels, lambda label: label)
        return PlannedBatch(self._plan, labels, errors)


class Made(NamedTuple):
    """What becomes of a batch.

    Attributes
    ----------
    data : the rows of samples that can be used
    errors : row -> why it cannot be used
    native : the rows that the native module made
    """

    data: np.ndarray
    errors: dict[int, str]
    native: list[int]


def make(
    payloads: list[bytes], planner: Planner, output: OutputSpec, use_native: bool, **options: Any
) -> Made:
    """Make a batch of images on the calling thread."""
    antialias, dct_scaling = (options.pop(name, False) for name in ("antialias", "dct_scaling"))
    reader = BatchReader(MemorySource(list(payloads)), planner, (), **options)
    batch = reader.read(indices(len(payloads), len(payloads)))
    renderer = PlanRenderer(output, antialias)
    data = renderer.prepare(batch)
    data.view(np.uint8)[...] = 0xAA
    left = [row for row in range(len(batch)) if row not in batch.errors]
    made: list[int] = []
    if use_native and (module := native.library()) is not None:
        kernel = NativeRenderer(module, renderer.assembler, antialias, dct_scaling)
        samples = kernel.samples(batch, data)
        failed = kernel.render(samples, slice(0, len(samples.array)))
        made = [row for row in samples.array["row"].tolist() if row not in failed]
        left = [row for row in left if row not in made]
    for row in left:
        try:
            renderer.write(batch, row, data)
        except Error as error:
            batch.errors[row] = error
    good = [row for row in range(len(batch)) if row not in batch.errors]
    return Made(data[good], {row: repr(error) for row, error in batch.errors.items()}, made)


def check(payloads: list[bytes], planner: Any, output: OutputSpec, **options: Any) -> list[int]:
    """Make a batch with and without the module; returns the rows that it made."""
    made = make(payloads, planner, output, True, **options)
    expected = make(payloads, planner, output, False, **options)
    assert made.errors == expected.errors
    assert made.data.tobytes() == expected.data.tobytes()
    return made.native
