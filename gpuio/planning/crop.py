"""Planning of ImageRecordIter's images: geometry, colors, operations and labels, for a whole batch
at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gpuio.decoding.limits import over_limit
from gpuio.errors import DecodeError, Error, RecordError
from gpuio.planning.crop_geometry import plan_crops
from gpuio.planning.crop_options import CropOptions
from gpuio.planning.jitter import NO_JITTER, JitterOptions, plan_colors
from gpuio.planning.mixing import check_class
from gpuio.planning.plan import NEAREST
from gpuio.planning.planner import (
    AffineFill,
    Label,
    Labels,
    PlannedBatch,
    Planner,
    Samples,
    convert_labels,
    listed,
)
from gpuio.planning.policies import Policy, plan_operations


class CropPlanner(Planner):
    """Plans ImageRecordIter's images; labels stay as they are.

    Parameters
    ----------
    options : the geometry
    seed : the augmentation's seed
    label_width : numbers in each label; a record with another number is bad
    faces : the records are those of a face dataset: with a label_width of 1, a longer label gives
        its first number, the identity
    jitter : the changes of color
    policies : draw the operations, in their order, of outputs with so many `channels`
    classes : a record whose label is no integer from 0 to before this is bad; None: none is
    """

    def __init__(
        self,
        options: CropOptions,
        seed: int,
        label_width: int,
        faces: bool = False,
        jitter: JitterOptions = NO_JITTER,
        policies: Sequence[Policy] = (),
        channels: int = 3,
        classes: int | None = None,
    ) -> None:
        self._options = options
        self._seed = seed
        self._label_width = label_width
        self._identity_only = faces and label_width == 1
        self._jitter = jitter
        self._policies, self._channels = policies, channels
        self._classes = classes
        self.borders = options.bordered
        if options.affine.turns:
            self.affine = AffineFill(options.fill, options.method == NEAREST)

    def plan(self, samples: Samples) -> PlannedBatch:
        """Plan a batch."""
        labels, errors = self._labels(samples.labels)
        draws = self._seed, samples.epoch, samples.record
        plan, crop, largest = plan_crops(self._options, samples.sizes, *draws)
        for row in np.flatnonzero(largest[:, 0] * largest[:, 1] > samples.max_pixels).tolist():
            width, height = largest[row].tolist()
            errors[row] = DecodeError(
                over_limit(width, height, samples.max_pixels, "the resized or padded image")
            )
        if self._options.crop_size is not None:
            least = self._options.crop_size[1]
            for row in np.flatnonzero((crop < least).any(1)).tolist():
                width, height = crop[row].tolist()
                errors.setdefault(
                    row,
                    RecordError(
                        f"the image, {width} x {height} pixels where it is cropped, is smaller "
                        f"than max_crop_size, {least}"
                    ),
                )
        if errors:
            labels = [None if row in errors else label for row, label in enumerate(listed(labels))]
        size = self._options.width, self._options.height
        operations = plan_operations(self._policies, size, self._channels, *draws)
        plan = replace(plan_colors(self._jitter, plan, *draws), operations=operations)
        return PlannedBatch(plan, labels, errors)

    def _labels(self, labels: Labels) -> tuple[Labels, dict[int, Error]]:
        """The labels of a batch, and errors by row."""
        single = isinstance(labels, np.ndarray) or set(map(type, labels)) <= {float, type(None)}
        if single and self._label_width == 1 and self._classes is None:
            return labels, {}
        return convert_labels(labels, self._check_label)

    def _check_label(self, label: Label) -> Label:
        label = self._check_width(label)
        check_class(float(np.ravel(label)[0]), self._classes)
        return label

    def _check_width(self, label: Label) -> Label:
        width = 1 if isinstance(label, float) else len(label)
        if width != self._label_width:
            if self._identity_only:
                return float(np.ravel(label)[0])
            raise RecordError(
                f"the record's label holds {width} numbers, label_width asks for "
                f"{self._label_width}; pass label_width={width}, or a path_imglist with the labels"
            )
        return label
