"""ImageRecordIter for records whose labels do not matter."""

from __future__ import annotations

from typing import Any

from gpuio.execution.output import OutputSpec
from gpuio.execution.per_sample import PerSampleRenderer
from gpuio.io import ImageRecordIter
from gpuio.planning.planner import PlannedBatch, Planner, Samples


class UnlabelledImageIter(ImageRecordIter):
    """ImageRecordIter that does not look at labels, so that they may have any length; those of its
    batches are 0. The parameters are those of ImageRecordIter.
    """

    def _load(
        self,
        planner_or_renderer: Planner | PerSampleRenderer,
        output: OutputSpec,
        label_shape: tuple[int, ...],
        *args: Any,
        **options: Any,
    ) -> None:
        assert isinstance(planner_or_renderer, Planner)
        planner = _WithoutLabels(planner_or_renderer)
        super()._load(planner, output, label_shape, *args, **options)


class _WithoutLabels(Planner):
    """Plans images as another planner does, without labels."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self.borders, self.affine = planner.borders, planner.affine

    def plan(self, samples: Samples) -> PlannedBatch:
        return self._planner.plan(samples._replace(labels=[None] * len(samples.labels)))
