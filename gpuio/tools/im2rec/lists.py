"""im2rec's list files: a line for each image, its number, label or labels, and path."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from gpuio.errors import ArgumentError, RecordFileNotFoundError
from gpuio.tools.files import replacing

Path = str | os.PathLike[str]

EXTENSIONS = (".jpeg", ".jpg", ".png")

# What MXNet's tool shuffles with; the order is part of the format.
SHUFFLE_SEED = 100


class ListItem(NamedTuple):
    """A line of a list.

    Attributes
    ----------
    key : the image's number, which becomes its record's key and id
    labels : one or several numbers
    path : the image file, relative to the list's root
    """

    key: int
    labels: tuple[float, ...]
    path: str


class BadImage(NamedTuple):
    """An image, or a line of a list, that could not be used.

    Attributes
    ----------
    path : the image file; or the list file and the number of the line
    reason : what was wrong with it
    """

    path: str
    reason: str


def list_image(
    root: Path, recursive: bool = False, exts: Sequence[str] = EXTENSIONS
) -> Iterator[ListItem]:
    """The images of a folder.

    Parameters
    ----------
    root : the folder
    recursive : enter folders in it, each in the order of the names, and give every folder that
        itself has images a label of its own, counted from 0. Otherwise only `root` is looked at,
        and every label is 0
    exts : endings of the files' names, in any case

    Raises
    ------
    RecordFileNotFoundError : there is no such folder.
    ArgumentError : an ending has no dot, or a file has a name that lists cannot hold.
    """
    root = os.fspath(root)
    endings = {ending.lower() for ending in ([exts] if isinstance(exts, str) else exts)}
    for ending in endings:
        if not ending.startswith("."):
            raise ArgumentError(f"exts are endings with their dot, such as '.jpg', not {ending!r}")
    if not os.path.isdir(root):
        raise RecordFileNotFoundError(f"{root} is not a folder; name the one that has the images")
    key, label = 0, 0
    for folder, names in _folders(root, recursive):
        first = key
        for name in names:
            path = os.path.join(folder, name)
            if os.path.splitext(name)[1].lower() in endings and os.path.isfile(path):
                yield ListItem(key, (float(label),), _writable(os.path.relpath(path, root)))
                key += 1
        label += key > first


def class_names(items: Iterable[ListItem]) -> dict[int, str]:
    """Label to folder, for the images that `list_image` found; "." is the root itself."""
    return {int(item.labels[0]): os.path.dirname(item.path) or "." for item in items}


def make_list(
    prefix: Path,
    root: Path,
    *,
    recursive: bool = False,
    exts: Sequence[str] = EXTENSIONS,
    shuffle: bool = True,
    train_ratio: float = 1.0,
    test_ratio: float = 0.0,
    chunks: int = 1,
) -> tuple[list[str], dict[int, str]]:
    """List the images of a folder, byte for byte as MXNet's im2rec does.

    The names of the lists are `prefix`, ``_0``, ``_1``, … where there are several chunks,
    ``_train``, ``_val``, ``_test`` where the ratios divide them, and ``.lst``.

    Parameters
    ----------
    prefix : beginning of the lists' paths
    root, recursive, exts : which images, as `list_image` has it
    shuffle : shuffle the lines, always in the same way
    train_ratio, test_ratio : shares of the images for training and testing; what is left is for
        validation
    chunks : cut the images into so many equal parts

    Returns
    -------
    lists : the files written
    names : label to folder

    Raises
    ------
    RecordFileNotFoundError : there is no such folder.
    ArgumentError : a ratio is not from 0 to 1, or together they exceed 1; chunks is less than 1.
    """
    for name, ratio in (("train_ratio", train_ratio), ("test_ratio", test_ratio)):
        if not 0 <= ratio <= 1:
            raise ArgumentError(f"{name} must be from 0 to 1, not {ratio!r}")
    if train_ratio + test_ratio > 1 + 1e-9:
        raise ArgumentError(
            f"train_ratio {train_ratio} and test_ratio {test_ratio} together exceed 1; lower "
            f"train_ratio, for example to {1 - test_ratio:g}"
        )
    if chunks < 1:
        raise ArgumentError(f"chunks must be at least 1, not {chunks!r}")
    items = list(list_image(root, recursive, exts))
    names = class_names(items)
    if shuffle:
        random.Random(SHUFFLE_SEED).shuffle(items)
    size = -(-len(items) // chunks)
    lists = []
    for chunk in range(chunks):
        part = items[chunk * size : (chunk + 1) * size]
        stem = os.fspath(prefix) + (f"_{chunk}" if chunks > 1 else "")
        for ending, share in _split(part, size, train_ratio, test_ratio).items():
            lists.append(f"{stem}{ending}.lst")
            write_list(lists[-1], share)
    return lists, names


def write_list(path: Path, items: Iterable[ListItem]) -> None:
    """Write a list file.

    Raises
    ------
    RecordFileNotFoundError : its folder does not exist.
    """
    # What a file's name has that is not UTF-8 passes through unchanged.
    try:
        with (
            replacing(path) as name,
            open(name, "w", encoding="utf-8", errors="surrogateescape", newline="\n") as file,
        ):
            for key, labels, image in items:
                file.write("\t".join([str(key), *map(_number, labels), image]))
                file.write("\n")
    except FileNotFoundError as error:
        raise RecordFileNotFoundError(
            f"{os.fspath(path)}: its folder does not exist; create it first"
        ) from error


def _number(label: float) -> str:
    """A label as MXNet writes it, or with more digits where these are too few for float32."""
    text = f"{label:f}"
    if label != label or np.float32(text) == np.float32(label):
        return text
    return str(np.float32(label))


def read_list(path: Path) -> Iterator[ListItem | BadImage]:
    """Read a list file.

    Returns
    -------
    ListItem, line by line; or BadImage, for a line that is not a number, at least one label and a
    path, with tabs between

    Raises
    ------
    RecordFileNotFoundError : there is no such file.
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise RecordFileNotFoundError(
            f"the list {path} does not exist; 'gpuio im2rec --list' makes one"
        )
    return _lines(path)


def _lines(path: str) -> Iterator[ListItem | BadImage]:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        for number, line in enumerate(file, 1):
            yield _parse(line.strip()) or BadImage(
                f"{path} line {number}",
                f"expected a number, a label and a path, with tabs between, not {line.strip()!r}",
            )


def _parse(line: str) -> ListItem | None:
    try:
        key, *labels, path = (field.strip() for field in line.split("\t"))
        return ListItem(int(key), tuple(map(float, labels)), path) if labels else None
    except ValueError:
        return None


def _folders(root: str, recursive: bool) -> Iterator[tuple[str, list[str]]]:
    """Folders and the names in them, in MXNet's order: a folder comes before those in it."""
    if not recursive:
        yield root, sorted(os.listdir(root))
        return
    for folder, below, names in os.walk(root, onerror=_raise, followlinks=True):
        below.sort()
        yield folder, sorted(names)


def _raise(error: OSError) -> None:
    raise error


def _writable(path: str) -> str:
    if set(path) & {"\t", "\n", "\r"} or path != path.strip():
        raise ArgumentError(
            f"{path!r}: a name with tabs, line breaks or blanks at its ends does not fit into a "
            "list; rename it"
        )
    return path


def _split(
    part: list[ListItem], size: int, train_ratio: float, test_ratio: float
) -> dict[str, list[ListItem]]:
    """Ending of the list's name to its lines. Shares are taken of `size`, that of a full chunk, for
    the last, shorter one too, as MXNet does.
    """
    if train_ratio == 1.0:
        return {"": part}
    test, train = int(size * test_ratio), int(size * train_ratio)
    shares = {}
    if test_ratio:
        shares["_test"] = part[:test]
    if train_ratio + test_ratio < 1.0:
        shares["_val"] = part[test + train :]
    shares["_train"] = part[test : test + train]
    return shares
