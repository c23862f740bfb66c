"""The list files of im2rec: one line per image, with its key, its label and its path."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from gpuio.errors import ArgumentError, RecordFileNotFoundError
from gpuio.storage.local import Path


class ListItem(NamedTuple):
    """One line of a list.

    Attributes
    ----------
    key : the image's number, which becomes its record's key and id
    labels : one or more numbers
    path : the image file, relative to the list's root
    """

    key: int
    labels: tuple[float, ...]
    path: str


def parse_line(line: str, label_width: int | None = None, whitespace: bool = False) -> ListItem:
    """Parse one line: key, labels and path, separated by tabs.

    Parameters
    ----------
    line : without or with its line end; bytes that are not UTF-8 as surrogates
    label_width : number of labels; None: all fields between key and path
    whitespace : a line without tabs may be separated by other white space, as MXNet's C++
        iterators read lists

    Raises
    ------
    ValueError : a field is missing, or a key or label is not a number.
    """
    line = line.strip()
    if "\t" in line or not whitespace:
        fields = [field.strip() for field in line.split("\t")]
    elif label_width is None:
        fields = line.split()
    else:
        fields = line.split(maxsplit=label_width + 1)  # the path may have blanks
    count = max(len(fields) - 2, 1) if label_width is None else label_width
    if len(fields) < count + 2:
        labels = "at least one label" if label_width is None else f"{label_width} label(s)"
        raise ValueError(f"expected a key, {labels} and a path, found {len(fields)} fields")
    key = float(fields[0]) if not fields[0].lstrip("+-").isdigit() else int(fields[0])
    if key != int(key):
        raise ValueError(f"the key {fields[0]!r} is not an integer")
    return ListItem(int(key), tuple(map(float, fields[1 : count + 1])), fields[-1])


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a list that are not blank, each with its number from 1.

    Bytes that are not UTF-8, as in old file names, pass through as surrogates.

    Raises
    ------
    RecordFileNotFoundError : the file does not exist.
    OSError : it cannot be read.
    """
    try:
        file = open(path, encoding="utf-8", errors="surrogateescape")  # noqa: SIM115  # below
    except FileNotFoundError as error:
        raise RecordFileNotFoundError(
            f"the list {os.fspath(path)} does not exist; 'gpuio im2rec --list' makes one"
        ) from error
    with file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, line


def read_list(
    path: Path, label_width: int | None = None, whitespace: bool = False
) -> Iterator[ListItem]:
    """Read a list file; blank lines are skipped.

    Parameters
    ----------
    path : the file
    label_width, whitespace : see `parse_line`

    Raises
    ------
    ArgumentError : the file does not exist or cannot be read, or a line is malformed; the message
        has file and line number.
    """
    name = os.fspath(path)
    try:
        for number, line in numbered_lines(name):
            try:
                yield parse_line(line, label_width, whitespace)
            except (ValueError, OverflowError) as error:
                raise ArgumentError(f"{name}, line {number}: {error}: {line.strip()!r}") from error
    except OSError as error:
        raise ArgumentError(f"the list {name} cannot be read: {error.strerror or error}") from error


def items_of(imglist: Iterable[Sequence[Any]]) -> Iterator[ListItem]:
    """The items of MXNet's ``imglist`` argument, with the keys 1, 2, 3, …

    Parameters
    ----------
    imglist : items ``[label, path]``, ``[[label, …], path]`` or ``[label, …, path]``

    Raises
    ------
    ArgumentError : an item has none of these forms.
    """
    for key, item in enumerate(imglist, 1):
        try:
            *labels, path = item
            numbers = labels[0] if len(labels) == 1 else labels
            flat = tuple(map(float, numbers if hasattr(numbers, "__iter__") else (numbers,)))
            if not flat:
                raise ValueError("there is no label")
            yield ListItem(key, flat, os.fspath(path))
        except (TypeError, ValueError) as error:
            raise ArgumentError(
                f"imglist's items are [label, path], [[label, …], path] or [label, …, path], item "
                f"{key} is {item!r}"
            ) from error
