"""From images to record files, as MXNet's im2rec does it: first a list, then the records."""

from __future__ import annotations

import argparse
import itertools
import os
import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from gpuio.errors import ArgumentError, Error
from gpuio.recordio import IRHeader, MXIndexedRecordIO, pack, pack_img
from gpuio.tools.progress import progress

EXTENSIONS = (".jpeg", ".jpg", ".png")

# MXNet's seed for shuffling a list.
SHUFFLE_SEED = 100

# Encoded images that may wait for their turn to be written, for each thread.
AHEAD = 16


class Entry(NamedTuple):
    """A line of a list: key, labels, and the image's path below the root."""

    key: int
    label: tuple[float, ...]
    path: str


@dataclass
class Report:
    """What came of writing records.

    Attributes
    ----------
    rec, idx : the files
    records : how many were written
    bad : path and reason of each image, or line of the list, that was left out
    """

    rec: Path
    idx: Path
    records: int = 0
    bad: list[tuple[str, str]] = field(default_factory=list)


def find_images(root: Path, recursive: bool, exts: Sequence[str]) -> Iterator[Entry]:
    """The images below a folder, in the order of their names.

    Recursively, each folder that holds images itself is a class, numbered in the order in which
    they come; otherwise only the folder's own images are found, with the label 0.
    """
    endings = {ending.lower() for ending in exts}
    key = label = 0
    for folder, folders, files in os.walk(root, followlinks=True):
        folders.sort()
        found = sorted(name for name in files if os.path.splitext(name)[1].lower() in endings)
        for name in found:
            yield Entry(key, (float(label),), os.path.relpath(os.path.join(folder, name), root))
            key += 1
        label += bool(found)
        if not recursive:
            return


def make_lists(
    prefix: str | os.PathLike[str],
    root: str | os.PathLike[str],
    *,
    recursive: bool = False,
    exts: Sequence[str] = EXTENSIONS,
    shuffle: bool = True,
    train_ratio: float = 1.0,
    test_ratio: float = 0.0,
    chunks: int = 1,
) -> list[Path]:
    """Write the list, or lists, of the images below a folder: MXNet's ``im2rec.py --list``.

    Parameters
    ----------
    prefix : the lists are ``prefix.lst``, or ``prefix_train.lst``, ``prefix_0.lst`` and so on
    root : the folder; paths in the list are relative to it
    recursive : look into its folders too; each that holds images is a class
    exts : file endings of images, in any case
    shuffle : into a fixed random order
    train_ratio, test_ratio : shares of the images that go into ``_train.lst`` and ``_test.lst``;
        what is left goes into ``_val.lst``
    chunks : cut the list into so many pieces

    Returns
    -------
    the lists' paths

    Raises
    ------
    ArgumentError : the folder does not exist or holds no images, or the shares make no sense.
    """
    root = Path(root)
    if not root.is_dir():
        raise ArgumentError(f"{root} is not a folder")
    if not (0 <= train_ratio <= 1 and 0 <= test_ratio <= 1 and train_ratio + test_ratio <= 1):
        raise ArgumentError(
            f"train_ratio and test_ratio are shares of one whole, not {train_ratio} and "
            f"{test_ratio}"
        )
    if chunks < 1:
        raise ArgumentError(f"chunks must be at least 1, not {chunks}")
    entries = list(find_images(root, recursive, exts))
    if not entries:
        hint = "" if recursive else "; do you mean recursive=True (--recursive)?"
        raise ArgumentError(f"{root} holds no images ({', '.join(exts)}){hint}")
    if shuffle:
        random.Random(SHUFFLE_SEED).shuffle(entries)
    size = -(-len(entries) // chunks)
    paths = []
    for chunk in range(chunks):
        part = entries[chunk * size : (chunk + 1) * size]
        name = f"{os.fspath(prefix)}_{chunk}" if chunks > 1 else os.fspath(prefix)
        # MXNet takes the shares of a whole chunk, also of the last, which may be smaller.
        test, train = int(size * test_ratio), int(size * train_ratio)
        splits = {"": part}
        if train_ratio < 1:
            splits = {"_train": part[test : test + train]}
            if test_ratio:
                splits["_test"] = part[:test]
            if train_ratio + test_ratio < 1:
                splits["_val"] = part[test + train :]
        for suffix, chosen in splits.items():
            paths.append(Path(f"{name}{suffix}.lst"))
            _write_list(paths[-1], chosen)
    return paths


def _write_list(path: Path, entries: Iterable[Entry]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for key, label, image in entries:
            file.write("\t".join([str(key), *(f"{number:f}" for number in label), image]) + "\n")


def read_list(path: Path) -> tuple[list[Entry], list[tuple[str, str]]]:
    """The entries of a list, and what is wrong with the lines that are none."""
    entries, bad = [], []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            key, *label, image = line.rstrip("\r\n").split("\t") if "\t" in line else ("", line)
            try:
                if not label:
                    raise ValueError("expected a key, labels and a path with tabs between them")
                entries.append(Entry(int(key), tuple(map(float, label)), image))
            except ValueError as error:
                bad.append((f"{path}, line {number}", str(error)))
    return entries, bad


@dataclass(frozen=True)
class Encoding:
    """How an image becomes the payload of a record. The attributes are those of `write_records`."""

    pass_through: bool = False
    resize: int = 0
    center_crop: bool = False
    quality: int = 95
    encoding: str = ".jpg"
    color: int = 1
    pack_label: bool = False

    def __post_init__(self) -> None:
        if self.resize < 0:
            raise ArgumentError(f"resize must be at least 1, or 0 for none, not {self.resize}")
        if self.encoding not in (".jpg", ".png"):
            raise ArgumentError(f"encoding must be '.jpg' or '.png', not {self.encoding!r}")
        if self.color not in (-1, 0, 1):
            raise ArgumentError(
                f"color must be 1 (colour), 0 (gray) or -1 (as it is), not {self.color}"
            )
        best = 100 if self.encoding == ".jpg" else 9
        if not 0 <= self.quality <= best and not (best == 9 and self.quality == 95):
            raise ArgumentError(
                f"quality of {self.encoding} must be 0 to {best}, not {self.quality}"
            )

    def record(self, entry: Entry, root: Path) -> bytes:
        """The record of one image.

        Raises
        ------
        Error, OSError : it cannot be read or is not an image.
        """
        label = entry.label if self.pack_label and len(entry.label) > 1 else entry.label[0]
        header = IRHeader(0, label, entry.key, 0)
        content = (root / entry.path).read_bytes()
        if self.pass_through:
            return pack(header, content)
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), self.color) if content else None
        if pixels is None:
            raise Error("not an image" if content else "the file is empty")
        height, width = pixels.shape[:2]
        if self.center_crop:
            side = min(height, width)
            top, left = (height - side) // 2, (width - side) // 2
            pixels = pixels[top : top + side, left : left + side]
            height = width = side
        if self.resize:
            size = (
                (self.resize, height * self.resize // width)
                if height > width
                else (width * self.resize // height, self.resize)
            )
            pixels = cv2.resize(pixels, size)
        return pack_img(header, pixels, self.quality, self.encoding)


def write_records(
    lst: str | os.PathLike[str],
    root: str | os.PathLike[str],
    *,
    pass_through: bool = False,
    resize: int = 0,
    center_crop: bool = False,
    quality: int = 95,
    encoding: str = ".jpg",
    color: int = 1,
    pack_label: bool = False,
    num_thread: int = 1,
    quiet: bool = True,
) -> Report:
    """Write the records that a list names: ``x.rec`` and ``x.idx`` beside ``x.lst``.

    The records stand in the list's order whatever the number of threads, and the files appear under
    their names when they are complete. An image that cannot be used is left out and reported.

    Parameters
    ----------
    lst : the list
    root : the folder that its paths are relative to
    pass_through : store the files as they are; nothing is decoded
    resize : scale the shorter side to so many pixels; 0: leave it
    center_crop : cut the centre square out first
    quality : of JPEG, 1 to 100, or compression of PNG, 0 to 9
    encoding : ".jpg" or ".png"
    color : 1: colour, 0: gray, -1: as the file has it
    pack_label : store all labels of a line, not only the first
    num_thread : images that are worked on at the same time
    quiet : show no progress

    Raises
    ------
    ArgumentError : the list or the folder does not exist, or an option is out of range.
    """
    lst, root = Path(lst), Path(root)
    how = Encoding(pass_through, resize, center_crop, quality, encoding, color, pack_label)
    if num_thread < 1:
        raise ArgumentError(f"num_thread must be at least 1, not {num_thread}")
    if not lst.is_file():
        raise ArgumentError(
            f"{lst} does not exist; make it with make_lists ('gpuio im2rec --list')"
        )
    if not root.is_dir():
        raise ArgumentError(f"{root} is not a folder")
    entries, bad = read_list(lst)
    report = Report(lst.with_suffix(".rec"), lst.with_suffix(".idx"), bad=bad)
    partial = [path.with_name(f"{path.name}.partial") for path in (report.idx, report.rec)]
    try:
        with (
            MXIndexedRecordIO(*partial, "w") as writer,
            ThreadPoolExecutor(num_thread, "gpuio-im2rec") as pool,
            progress(len(entries), "packing", quiet) as bar,
        ):
            for entry, record in _in_order(pool, how, entries, root, num_thread * AHEAD):
                try:
                    writer.write_idx(entry.key, record.result())
                    report.records += 1
                except (Error, OSError) as error:
                    reason = error.strerror if isinstance(error, OSError) else None
                    report.bad.append((entry.path, reason or str(error)))
                bar.update()
        for path, final in zip(partial, (report.idx, report.rec), strict=True):
            path.replace(final)
    finally:
        for path in partial:
            path.unlink(missing_ok=True)
    return report


def _in_order(
    pool: ThreadPoolExecutor, how: Encoding, entries: Sequence[Entry], root: Path, ahead: int
) -> Iterator[tuple[Entry, Future[bytes]]]:
    """The entries with their records, as they come; no more than `ahead` are worked on."""
    following = iter(entries)
    waiting = [(e, pool.submit(how.record, e, root)) for e in itertools.islice(following, ahead)]
    waiting.reverse()  # the next is the last, where taking it is cheap
    while waiting:
        yield waiting.pop()
        for entry in itertools.islice(following, 1):
            waiting.insert(0, (entry, pool.submit(how.record, entry, root)))


def im2rec(
    prefix: str | os.PathLike[str],
    root: str | os.PathLike[str],
    *,
    recursive: bool = True,
    shuffle: bool = True,
    pass_through: bool = True,
    resize: int = 0,
    num_thread: int = 1,
    quiet: bool = True,
) -> Report:
    """A folder of images to ``prefix.lst``, ``prefix.rec`` and ``prefix.idx``, in one go.

    With one folder for each class, their order is that of the labels. For other lists and encodings
    use `make_lists` and `write_records`, whose options these are.
    """
    (lst,) = make_lists(prefix, root, recursive=recursive, shuffle=shuffle)
    return write_records(
        lst,
        root,
        pass_through=pass_through and not resize,
        resize=resize,
        num_thread=num_thread,
        quiet=quiet,
    )


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``gpuio im2rec`` to the command line."""
    parser = commands.add_parser(
        "im2rec",
        help="make record files from a folder of images",
        description="Make record files from a folder of images, as MXNet's im2rec does: with --list the list PREFIX.lst, "
        "without it the records of every PREFIX*.lst there is. Where there is none, the list is "
        "made first.",
        epilog="example: gpuio im2rec photos ~/photos --recursive --pass-through",
    )
    parser.add_argument("prefix", help="beginning of the names of the .lst, .rec and .idx files")
    parser.add_argument("root", help="the folder with the images")
    lists = parser.add_argument_group("the list")
    lists.add_argument("--list", action="store_true", help="make the list, not the records")
    lists.add_argument("--recursive", action="store_true", help="a folder is a class")
    lists.add_argument(
        "--exts", nargs="+", default=list(EXTENSIONS), metavar="EXT", help="file endings of images"
    )
    lists.add_argument(
        "--no-shuffle", dest="shuffle", action="store_false", help="keep the order of names"
    )
    lists.add_argument(
        "--train-ratio", type=float, default=1.0, metavar="SHARE", help="for PREFIX_train.lst"
    )
    lists.add_argument(
        "--test-ratio", type=float, default=0.0, metavar="SHARE", help="for PREFIX_test.lst"
    )
    lists.add_argument("--chunks", type=int, default=1, metavar="N", help="cut the list into N")
    records = parser.add_argument_group("the records")
    records.add_argument("--pass-through", action="store_true", help="store the files as they are")
    records.add_argument(
        "--resize", type=int, default=0, metavar="PIXELS", help="length of the shorter side"
    )
    records.add_argument("--center-crop", action="store_true", help="cut out the centre square")
    records.add_argument("--quality", type=int, default=95, help="JPEG: 1-100, PNG: 0-9")
    records.add_argument("--encoding", default=".jpg", choices=[".jpg", ".png"])
    records.add_argument(
        "--color", type=int, default=1, choices=[-1, 0, 1], help="1 colour, 0 gray, -1 as it is"
    )
    records.add_argument("--pack-label", action="store_true", help="store all labels of a line")
    records.add_argument("--num-thread", type=int, default=1, metavar="N")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    prefix = Path(options.prefix)
    lists = [] if options.list else sorted(prefix.parent.glob(f"{prefix.name}*.lst"))
    if not lists:
        lists = make_lists(
            prefix,
            options.root,
            recursive=options.recursive,
            exts=options.exts,
            shuffle=options.shuffle,
            train_ratio=options.train_ratio,
            test_ratio=options.test_ratio,
            chunks=options.chunks,
        )
        for path in lists:
            print(f"wrote {path}")
    failed = False
    for path in [] if options.list else lists:
        report = write_records(
            path,
            options.root,
            pass_through=options.pass_through,
            resize=options.resize,
            center_crop=options.center_crop,
            quality=options.quality,
            encoding=options.encoding,
            color=options.color,
            pack_label=options.pack_label,
            num_thread=options.num_thread,
            quiet=False,
        )
        print(f"wrote {report.rec} and {report.idx}: {report.records} records")
        for place, reason in report.bad:
            print(f"left out: {place}: {reason}", file=sys.stderr)
        failed = failed or bool(report.bad)
    return 1 if failed else 0
