"""Where a sample's label comes from: its record's header, or a list file beside the records."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError, RecordError
from gpuio.planning.boxes import Boxes, split_label
from gpuio.recordio import IRHeader

# Given a record's header: its label, a number where label_width is 1, float32 (label_width,) else.
# Raises RecordError where it has none that fits.
LabelSource = Callable[[IRHeader], "float | NDArray[np.float32]"]


class HeaderLabels:
    """Labels as the records carry them.

    Parameters
    ----------
    width : numbers in a label; a record whose label has another length is an error
    """

    def __init__(self, width: int) -> None:
        self._width = width

    def __call__(self, header: IRHeader) -> float | NDArray[np.float32]:
        """The label in a record's header: a number, or float32 (width,)."""
        if not header.flag and self._width == 1:
            return float(header.label)
        label = np.atleast_1d(np.asarray(header.label, np.float32))
        if len(label) != self._width:
            raise RecordError(
                f"the record's label holds {len(label)} numbers, label_width asks for "
                f"{self._width}; pass label_width={len(label)}, or a path_imglist with the labels"
            )
        return label


class DetLabels:
    """Detection labels: header and boxes, of a record, or of the list's line with its id.

    Parameters
    ----------
    width : numbers that every label has; -1: any
    path : the list file, whose lines are ``id label … path``; None: labels are the records'

    Attributes
    ----------
    most : the most numbers that a line of the list has; 0 without one

    Raises
    ------
    ArgumentError : the list does not exist, or a line of it is not of that form.
    """

    def __init__(self, width: int, path: str | os.PathLike[str] | None = None) -> None:
        self._width = width
        self._path = "" if path is None else os.fspath(path)
        self._listed: dict[int, NDArray[np.float32]] = {}
        for number, line in _lines(self._path) if self._path else ():
            # As im2rec writes them, paths may have blanks; with a width, they may in any case.
            fields = line.strip().split("\t" if "\t" in line.strip() else None)
            try:
                numbers = fields[1 : width + 1] if width > 0 else fields[1:-1]
                label = np.array([float(field) for field in numbers], np.float32)
                self._listed[int(fields[0])] = label
            except (ValueError, IndexError) as error:
                raise ArgumentError(f"{self._path}, line {number}: {error}") from error
        self.most = max(map(len, self._listed.values()), default=0)

    def __call__(self, header: IRHeader) -> tuple[NDArray[np.float32], Boxes]:
        """Header and boxes."""
        raw = np.atleast_1d(np.asarray(header.label, np.float32))
        if self._path:
            if header.id not in self._listed:
                raise RecordError(f"{self._path} has no line for the record's id {header.id}")
            raw = self._listed[header.id]
        if self._width > 0 and len(raw) != self._width:
            raise RecordError(
                f"the label holds {len(raw)} numbers, label_width asks for {self._width}"
            )
        return split_label(raw)


class ListLabels:
    """Labels from an im2rec list, in the place of the records' own; found by a record's id.

    A line is ``id label … path``, separated by white space.

    Parameters
    ----------
    path : the list file
    width : numbers in a label

    Raises
    ------
    ArgumentError : the file does not exist, or a line of it is not of that form.
    """

    def __init__(self, path: str | os.PathLike[str], width: int) -> None:
        self._path = os.fspath(path)
        ids, labels = [], []
        for number, line in _lines(self._path):
            fields = line.split(maxsplit=width + 1)
            try:
                ids.append(int(fields[0]))
                labels.append([float(field) for field in fields[1 : width + 1]])
            except ValueError as error:
                raise ArgumentError(f"{self._path}, line {number}: {error}") from error
            if len(fields) < width + 2:
                raise ArgumentError(
                    f"{self._path}, line {number}: expected an id, {width} label(s) and a path, "
                    f"found {len(fields)} fields; label_width must be the number of labels in a "
                    "line"
                )
        order = np.argsort(np.asarray(ids, np.uint64), kind="stable")
        self._ids = np.asarray(ids, np.uint64)[order]
        self._labels = np.asarray(labels, np.float32).reshape(-1, width)[order]

    def __call__(self, header: IRHeader) -> NDArray[np.float32]:
        """The label of the record's id: float32 (width,)."""
        # The last of several lines with the same id counts.
        at = int(np.searchsorted(self._ids, np.uint64(header.id), side="right")) - 1
        if at < 0 or self._ids[at] != header.id:
            raise RecordError(f"{self._path} has no line for the record's id {header.id}")
        label: NDArray[np.float32] = self._labels[at]
        return label


def _lines(path: str) -> Iterator[tuple[int, str]]:
    """A list's lines that are not blank, and their numbers.

    Raises
    ------
    ArgumentError : it cannot be read.
    """
    try:
        with open(path, encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, line
    except OSError as error:
        raise ArgumentError(f"path_imglist {path} cannot be read: {error.strerror}") from error
