"""What kind of labels the records of a file have."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpuio.recordio import RecordSet
from gpuio.storage.local import Path
from gpuio.storage.remote.options import RemoteOptions
from gpuio.tools.files import open_records
from gpuio.tools.labels import is_detection

PLAIN, MULTI_LABEL, DETECTION, FACES = "plain", "multi-label", "detection", "face identity"

# Default number of records to examine, evenly spread over the file.
SAMPLE = 1000


class Layout(NamedTuple):
    """The labels of a record file.

    Attributes
    ----------
    name : "plain" (one label), "multi-label", "detection" or "face identity"
    label_width : numbers per label; for detection the largest found
    """

    name: str
    label_width: int

    def iterator_options(self, options: dict[str, Any]) -> dict[str, Any]:
        """Options of ImageRecordIter that these labels need, unless others are given."""
        if self.name == MULTI_LABEL and not {"label_width", "path_imglist"} & set(options):
            return {"label_width": self.label_width}
        return {}


class LabelTally:
    """Counts the kinds of labels over some records."""

    def __init__(self) -> None:
        self._widths: Counter[int] = Counter()
        self._detections = 0

    def add(self, label: ArrayLike) -> None:
        """Count one record with this label, a number or several."""
        label = np.atleast_1d(np.asarray(label, np.float32))
        self._widths[len(label)] += 1
        self._detections += is_detection(label)

    def layout(self, faces: bool) -> Layout:
        """The layout of a file with these labels.

        Parameters
        ----------
        faces : the file has the header of a face dataset
        """
        width = max(self._widths, default=1)
        # A label of two numbers may be an image without boxes; but if none is longer, these are
        # two labels.
        if self._detections == sum(self._widths.values()) and width > 2:
            return Layout(DETECTION, width)
        if faces:
            return Layout(FACES, width)
        return Layout(MULTI_LABEL if width > 1 else PLAIN, width)


def spread(ordinals: range | NDArray[np.int64], count: int) -> list[int]:
    """At most `count` of some records, evenly spread; 0: all."""
    images = np.asarray(ordinals, np.int64)
    number = len(images) if not count else min(count, len(images))
    chosen: list[int] = images[np.linspace(0, len(images) - 1, number).astype(np.int64)].tolist()
    return chosen


def layout_of(records: RecordSet, sample: int = SAMPLE) -> Layout:
    """Find the layout of record files from the headers of some records."""
    tally = LabelTally()
    chosen = np.array(spread(records.image_ordinals(), sample), np.int64)
    for _, labels in records.label_blocks(chosen, skip_damaged=True):
        for label in labels:
            tally.add(label)
    return tally.layout(records.has_faces)


def layout_of_file(
    rec: Path, idx: Path | None = None, remote: RemoteOptions | None = None
) -> Layout:
    """Find the layout of a record file.

    Raises
    ------
    RecordFileNotFoundError, RecordError : a file is missing or damaged.
    RemoteError : a remote file cannot be read.
    """
    with open_records(rec, idx, remote) as records:
        return layout_of(records)
