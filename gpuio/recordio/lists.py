"""im2rec's list files (.lst): one line per image, with its key, its labels and its path."""

from __future__ import annotations

import codecs
import io
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from gpuio.errors import ArgumentError, RecordError, RecordFileNotFoundError
from gpuio.storage.local import Path, bounded_lines
from gpuio.storage.remote.opening import location, open_stream
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.url import shown

# As in C's isspace; str.split() would also split paths at non-ASCII blanks.
BLANKS = " \t\n\v\f\r"
_BLANK_RUN = re.compile(f"[{BLANKS}]+")


# The longest excerpt of a line in a message, in characters.
EXCERPT = 200


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
    line : with or without its line ending; file names are decoded as by `os.fsdecode`
    label_width : number of labels to read, further ones are ignored; None: all fields between key
        and path
    whitespace : allow other white space as separator, as MXNet's C++ iterators do; without
        label_width only in lines without tabs

    Raises
    ------
    ValueError : a field is missing, or a key or label is not a number.
    """
    line = line.strip(BLANKS)
    if whitespace and label_width is not None:
        fields = _BLANK_RUN.split(line, label_width + 1)
        fields[-1] = fields[-1].rpartition("\t")[2]  # behind further labels
    elif whitespace and "\t" not in line:
        fields = _BLANK_RUN.split(line)
    else:
        fields = [field.strip(BLANKS) for field in line.split("\t")]
    count = max(len(fields) - 2, 1) if label_width is None else label_width
    if len(fields) < count + 2:
        labels = "at least one label" if label_width is None else f"{label_width} label(s)"
        raise ValueError(f"expected a key, {labels} and a path, found {len(fields)} field(s)")
    numbers = tuple(map(float, fields[1 : count + 1]))
    return ListItem(_key(fields[0]), numbers, fields[-1])


def _key(field: str) -> int:
    """Parse a key, also one written as a float such as "3.0", as MXNet's own lists have it."""
    try:
        key = int(field)
    except ValueError:
        number = float(field)
        if not number.is_integer():  # nor are inf and nan
            raise ValueError(f"the key {field!r} is not an integer") from None
        key = int(number)
    if not -(2**63) <= key < 2**64:
        raise ValueError(f"the key {field!r} does not fit into 64 bits")
    return key


def numbered_lines(path: Path, remote: RemoteOptions | None = None) -> Iterator[tuple[int, str]]:
    """The lines of a list that are not blank, each with its number from 1.

    Lines are decoded as file names are, so that each names its file, in whatever encoding that
    name is. A byte order mark is skipped. The file is opened when the first line is asked for.

    Parameters
    ----------
    path : the file, or its URL
    remote : how a remote file is reached and cached; None: by the default options

    Raises
    ------
    RecordFileNotFoundError : the file does not exist.
    RecordError : a line is too long.
    OSError : the file cannot be read.
    RemoteError, FileChangedError : a remote file cannot be read, or has changed meanwhile.
    """
    where = location(path)
    name, mark = shown(where), os.fsdecode(codecs.BOM_UTF8)
    encoding, errors = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
    try:
        with (
            open_stream(where, remote) as content,
            io.TextIOWrapper(content, encoding, errors) as file,
        ):
            for number, line in enumerate(bounded_lines(file, name), 1):
                if line.strip(BLANKS):
                    yield number, line.removeprefix(mark) if number == 1 else line
    except FileNotFoundError as error:
        raise RecordFileNotFoundError(
            f"the list {name} does not exist; 'gpuio im2rec --list' makes one"
        ) from error


def read_list(
    path: Path,
    label_width: int | None = None,
    whitespace: bool = False,
    remote: RemoteOptions | None = None,
) -> Iterator[ListItem]:
    """Read a list file, line by line; blank lines are skipped.

    Parameters
    ----------
    path : the file, or its URL
    label_width, whitespace : see `parse_line`
    remote : how a remote file is reached and cached; None: by the default options

    Raises
    ------
    ArgumentError : the file does not exist or cannot be read, or a line is malformed; the message
        names the file and the line.
    RemoteError, FileChangedError : a remote file cannot be read, or has changed meanwhile.
    """
    where = location(path, "the path of a list")
    name = shown(where)
    try:
        for number, line in numbered_lines(where, remote):
            try:
                yield parse_line(line, label_width, whitespace)
            except ValueError as error:
                raise ArgumentError(
                    f"{name}, line {number}: {error}: {line.strip(BLANKS)[:EXCERPT]!r}"
                ) from error
    except FileNotFoundError as error:
        raise ArgumentError(
            f"the list {name} cannot be read: it does not exist; 'gpuio im2rec --list' makes one"
        ) from error
    except RecordError as error:
        raise ArgumentError(f"the list {error}") from error
    except OSError as error:
        raise ArgumentError(f"the list {name} cannot be read: {error.strerror}") from error


def items_of(imglist: Iterable[Sequence[Any]]) -> Iterator[ListItem]:
    """Parse MXNet's ``imglist`` argument; the keys are 1, 2, 3, …

    Parameters
    ----------
    imglist : items ``[label, path]``, ``[[label, …], path]`` or ``[label, …, path]``; a label may
        be an array, which is flattened

    Raises
    ------
    ArgumentError : an item has none of these forms.
    """
    for key, item in enumerate(imglist, 1):
        try:
            *labels, path = item
            numbers = tuple(map(float, np.ravel(labels[0] if len(labels) == 1 else labels)))
            if not numbers:
                raise ValueError("there is no label")
            name = os.fspath(path)
            if not isinstance(name, str):
                raise TypeError(f"a path must be str or os.PathLike[str], not {name!r}")
        except (TypeError, ValueError) as error:
            raise ArgumentError(
                "imglist's items are [label, path], [[label, …], path] or [label, …, path], item "
                f"{key} is {item!r}"
            ) from error
        yield ListItem(key, numbers, name)
