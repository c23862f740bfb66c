"""List files of im2rec: made from folders of images, written and read."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from gpuio.errors import ArgumentError
from gpuio.recordio.lists import ListItem, numbered_lines, parse_line
from gpuio.storage.local import Path, local_path
from gpuio.storage.remote.opening import location
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.replacing import replacing
from gpuio.storage.remote.url import is_remote, shown
from gpuio.storage.writing import PART
from gpuio.tools.commands.im2rec.folder import ImageFolder

EXTENSIONS = (".jpeg", ".jpg", ".png")

# What follows the prefix in the names of lists.
SUFFIXES = ("", "_test", "_train", "_val")

# The seed of MXNet's im2rec, whose order this reproduces.
SHUFFLE_SEED = 100


class BadImage(NamedTuple):
    """An image, or a line of a list, that cannot be used.

    Attributes
    ----------
    path : the image file; or the list file and the line number
    reason : what is wrong with it
    """

    path: str
    reason: str


def list_image(
    root: Path,
    recursive: bool = False,
    exts: Sequence[str] = EXTENSIONS,
    remote: RemoteOptions | None = None,
) -> Iterator[ListItem]:
    """List the images of a folder.

    Parameters
    ----------
    root : the folder: a path, or a URL, below which all files are listed once
    recursive : also list subfolders, sorted by name; each folder that directly contains images gets
        the next label, from 0. False: only `root` itself, with label 0
    exts : file name extensions, case-insensitive
    remote : how a remote folder is reached; None: by the default options

    Raises
    ------
    RecordFileNotFoundError : the folder does not exist.
    RemoteError, UnsupportedError : a remote one cannot be listed.
    ArgumentError : an extension has no dot, or a file name cannot be written to a list.
    """
    images = ImageFolder.at(root, remote)
    extensions = {ext.lower() for ext in ([exts] if isinstance(exts, str) else exts)}
    for ext in extensions:
        if not ext.startswith("."):
            raise ArgumentError(f"exts are extensions with a dot, such as '.jpg', not {ext!r}")
    images.check()
    key, label = 0, 0
    for folder, names in _files(images, recursive):
        first = key
        for name in names:
            if os.path.splitext(name)[1].lower() in extensions:
                yield ListItem(key, (float(label),), _check_name(os.path.join(folder, name)))
                key += 1
        label += key > first


def class_names(items: Iterable[ListItem]) -> dict[int, str]:
    """Map labels to folders, for the items of `list_image`; "." is the root itself."""
    return {int(item.labels[0]): os.path.dirname(item.path) or "." for item in items}


def make_list(
    prefix: Path,
    root: Path,
    *,
    recursive: bool = False,
    exts: Sequence[str] = EXTENSIONS,
    shuffle: bool = True,
    train_ratio: float | None = None,
    test_ratio: float = 0.0,
    chunks: int = 1,
    remote: RemoteOptions | None = None,
) -> tuple[list[str], dict[int, str]]:
    """List the images of a folder in list files, byte for byte like MXNet's im2rec.

    The names of the lists consist of `prefix`; ``_0``, ``_1``, … if there are several chunks;
    ``_train``, ``_val``, ``_test`` if they are split by ratio; and ``.lst``.

    Parameters
    ----------
    prefix : common prefix of the lists' paths or URLs
    root, recursive, exts, remote : see `list_image`
    shuffle : shuffle the lines, always in the same order
    train_ratio, test_ratio : fractions for training and testing; the rest is for validation.
        train_ratio None: all images that are not for testing are for training. (MXNet's im2rec
        ignores a test ratio alone)
    chunks : number of equal parts

    Returns
    -------
    lists : the files written
    names : folders by label

    Raises
    ------
    RecordFileNotFoundError : the folder does not exist.
    RemoteError : a remote file cannot be written, or a remote folder not be listed.
    ArgumentError : a ratio is not from 0 to 1, or together they exceed 1; or chunks is less than 1.
    """
    check_split(train_ratio, test_ratio, chunks)
    items = list(list_image(root, recursive, exts, remote))
    lists = write_lists(
        prefix,
        items,
        shuffle=shuffle,
        train_ratio=train_ratio,
        test_ratio=test_ratio,
        chunks=chunks,
        remote=remote,
    )
    return lists, class_names(items)


def check_split(train_ratio: float | None, test_ratio: float, chunks: int) -> None:
    """Check how `make_list` is to split lists.

    Raises
    ------
    ArgumentError : a ratio is not from 0 to 1, or together they exceed 1; or chunks is less than 1.
    """
    for name, ratio in (("train_ratio", train_ratio), ("test_ratio", test_ratio)):
        if ratio is not None and not 0 <= ratio <= 1:
            raise ArgumentError(f"{name} must be from 0 to 1, not {ratio!r}")
    if train_ratio is not None and train_ratio + test_ratio > 1 + 1e-9:
        raise ArgumentError(
            f"train_ratio {train_ratio} and test_ratio {test_ratio} together exceed 1; leave out "
            f"train_ratio, or lower it to {1 - test_ratio:g}"
        )
    if chunks < 1:
        raise ArgumentError(f"chunks must be at least 1, not {chunks!r}")


def write_lists(
    prefix: Path,
    items: Sequence[ListItem],
    *,
    shuffle: bool,
    train_ratio: float | None,
    test_ratio: float,
    chunks: int,
    remote: RemoteOptions | None,
) -> list[str]:
    """Write the lists of images, as `make_list` does; returns their paths or URLs."""
    items = list(items)
    if shuffle:
        random.Random(SHUFFLE_SEED).shuffle(items)
    size = -(-len(items) // chunks)
    lists = {}
    for chunk in range(chunks):
        part = items[chunk * size : (chunk + 1) * size]
        stem = location(prefix) + (f"_{chunk}" if chunks > 1 else "")
        for suffix, subset in _split(part, size, train_ratio, test_ratio).items():
            lists[f"{stem}{suffix}.lst"] = subset
    # The last one has a temporary name until all others are there: `unfinished_lists` finds it if
    # this is killed.
    *others, last = lists
    with replacing(last, "wb", remote) as file:
        file.writelines(list_lines(lists[last]))
        for path in others:
            write_list(path, lists[path], remote)
    return list(lists)


def unfinished_lists(prefix: Path) -> list[str]:
    """The lists beginning with `prefix` that are missing since `make_list` was killed; none of
    those at URLs, which leave no traces.
    """
    if is_remote(prefix):
        return []
    folder, start = os.path.split(local_path(prefix))
    pattern = re.compile(rf"({re.escape(start)}(_.*)?\.lst)\.[0-9a-f]+{re.escape(PART)}", re.DOTALL)
    left = filter(None, map(pattern.fullmatch, os.listdir(folder or ".")))
    paths = {os.path.join(folder, match[1]) for match in left}
    return sorted(path for path in paths if not os.path.exists(path))


def write_list(path: Path, items: Iterable[ListItem], remote: RemoteOptions | None = None) -> None:
    """Write a list file, at a path or a URL; an existing one is replaced when the new one is
    complete.

    Raises
    ------
    RecordFileNotFoundError : its folder does not exist.
    RecordError, RemoteError : it cannot be written.
    """
    with replacing(path, "wb", remote) as file:
        file.writelines(list_lines(items))


def list_lines(items: Iterable[ListItem]) -> Iterator[bytes]:
    """The lines of a list file."""
    for key, labels, image in items:
        line = "\t".join([str(key), *map(_format_label, labels), image])
        yield os.fsencode(f"{line}\n")  # the bytes of file names are written unchanged


def _format_label(label: float) -> str:
    """Format a label like MXNet, or with more digits if that would change its float32 value."""
    fixed = f"{label:f}"
    if label != label or np.float32(fixed) == np.float32(label):
        return fixed
    return str(np.float32(label))


def read_list(path: Path, remote: RemoteOptions | None = None) -> Iterator[ListItem | BadImage]:
    """Read a list file, at a path or a URL; blank lines are skipped.

    Returns
    -------
    one ListItem per line; a BadImage for a line that is not a key, at least one label and a path,
    separated by tabs

    Raises
    ------
    RecordFileNotFoundError : the file does not exist.
    """
    name = shown(location(path))
    for number, line in numbered_lines(path, remote):
        try:
            yield parse_line(line)
        except ValueError as error:
            yield BadImage(f"{name} line {number}", f"{error}: {line.strip()!r}")


def count_items(path: Path, remote: RemoteOptions | None = None) -> int:
    """Number of lines of a list file that are not blank.

    Raises
    ------
    RecordFileNotFoundError : the file does not exist.
    """
    return sum(1 for _ in numbered_lines(path, remote))


def check_inside(path: Path, images: ImageFolder) -> None:
    """Check that a list names no files outside its root, which for a remote one are those with
    absolute paths or "..".

    Symbolic links that the root contains may lead anywhere, as is usual with folders of links to
    images. Paths with ".." are judged by where they lead when all links are followed, and so are
    absolute paths that do not begin with the root's.

    Raises
    ------
    RecordFileNotFoundError : the list does not exist.
    ArgumentError : a line names a file outside.
    """
    name, root = shown(location(path)), images.root
    real_root = "" if images.is_remote else os.path.realpath(root)
    first, count = "", 0
    for number, line in numbered_lines(path, images.remote):
        try:
            item = parse_line(line)
        except ValueError:
            continue  # it is left out
        if images.is_remote:
            outside = item.path.startswith("/") or os.pardir in item.path.split("/")
        else:
            outside = _is_outside(item.path, root, real_root)
        if outside:
            first = first or f"line {number}: {item.path!r}"
            count += 1
    if count:
        raise ArgumentError(
            f"{name} names files outside {images.shown}, {count:,} in all, the first in {first}; "
            "to pack them all the same, give --allow-outside, or a folder above them as ROOT"
        )


def _is_outside(path: str, root: str, real_root: str) -> bool:
    """Whether a path of a list is outside the root, whose real path is given as well."""
    if os.pardir not in path.split(os.sep):
        by_name = os.path.abspath(root)
        if not os.path.isabs(path) or os.path.commonpath([path, by_name]) == by_name:
            return False
    try:
        real = os.path.realpath(os.path.join(root, path))
    except ValueError:  # a null character: it is no file
        return False
    return os.path.commonpath([real, real_root]) != real_root


def _files(images: ImageFolder, recursive: bool) -> Iterator[tuple[str, list[str]]]:
    """Folders, relative to the root, and the sorted names of the files in them, in MXNet's order:
    each folder before its subfolders.
    """
    if images.is_remote:
        for folder, names in images.listed():
            if recursive or not folder:
                yield folder, names
        return
    for folder, names in _folders(images.root, recursive):
        relative = os.path.relpath(folder, images.root)
        files = (name for name in names if os.path.isfile(os.path.join(folder, name)))
        yield "" if relative == os.curdir else relative, list(files)


def _folders(root: str, recursive: bool) -> Iterator[tuple[str, list[str]]]:
    """Folders and the sorted names of what is in them, in the same order."""
    if not recursive:
        yield root, sorted(os.listdir(root))
        return
    for folder, subfolders, names in os.walk(root, onerror=_raise, followlinks=True):
        subfolders[:] = sorted(name for name in subfolders if not _is_loop(root, folder, name))
        yield folder, sorted(names)


def _is_loop(root: str, folder: str, name: str) -> bool:
    """Whether an entry of a folder is a link to a folder that was entered on the way from the root,
    or is around one of them. MXNet lists the images of such folders again and again.
    """
    path = os.path.join(folder, name)
    if not os.path.islink(path):
        return False
    target = os.path.realpath(path)
    while True:
        entered = os.path.realpath(folder)
        if os.path.commonpath([target, entered]) == target:
            return True
        if len(folder) <= len(root):
            return False
        folder = os.path.dirname(folder)


def _raise(error: OSError) -> None:
    raise error


def _check_name(path: str) -> str:
    """Return the path, or raise if a line of a list cannot hold it."""
    if set(path) & {"\t", "\n", "\r"} or path != path.strip():
        raise ArgumentError(
            f"{path!r}: lists cannot hold names with tabs, line breaks or spaces at either end; "
            "rename it"
        )
    return path


def _split(
    part: list[ListItem], size: int, train_ratio: float | None, test_ratio: float
) -> dict[str, list[ListItem]]:
    """Split a chunk by ratio, as suffix of the list's name to items.

    Like in MXNet, ratios are relative to the size of a full chunk, also in the shorter last one.
    """
    test = int(size * test_ratio)
    if train_ratio is None and test_ratio:
        return {"_test": part[:test], "_train": part[test:]}
    if train_ratio is None or train_ratio == 1.0:
        return {"": part}
    train = int(size * train_ratio)
    subsets = {}
    if test_ratio:
        subsets["_test"] = part[:test]
    if train_ratio + test_ratio < 1.0:
        subsets["_val"] = part[test + train :]
    subsets["_train"] = part[test : test + train]
    return subsets
