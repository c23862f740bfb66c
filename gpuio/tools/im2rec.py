"""im2rec: folders of images to lists, and lists to record files."""

from __future__ import annotations

import argparse
import os
import struct
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError, DecodeError, Error, RecordFileNotFoundError
from gpuio.progress import progress
from gpuio.recordio import IRHeader, MXIndexedRecordIO, pack, pack_img
from gpuio.tools.lists import EXTENSIONS, BadImage, ListItem, Path, list_image, make_list, read_list

__all__ = ["BadImage", "Packed", "im2rec", "make_list", "write_records"]

# Images taken up ahead of the one that is written next, for each thread.
AHEAD = 8

In = TypeVar("In")
Out = TypeVar("Out")


class Packed(NamedTuple):
    """What `write_records` made.

    Attributes
    ----------
    rec, idx : the files
    records : how many records are in them
    bad : the images, and the list's lines, that are not
    """

    rec: str
    idx: str
    records: int
    bad: list[BadImage]


@dataclass(frozen=True)
class Recipe:
    """What becomes of an image on its way into a record: the options of `write_records`."""

    pass_through: bool
    resize: int
    center_crop: bool
    quality: int
    encoding: str
    color: int
    pack_label: bool

    def __post_init__(self) -> None:
        if self.resize < 0:
            raise ArgumentError(f"resize must be 0 (leave the size) or more, not {self.resize!r}")
        if self.encoding not in (".jpg", ".png"):
            raise ArgumentError(f"encoding must be '.jpg' or '.png', not {self.encoding!r}")
        if self.color not in (-1, 0, 1):
            raise ArgumentError(
                f"color must be 1 (colour), 0 (gray) or -1 (as it is), not {self.color!r}"
            )
        least = 1 if self.encoding == ".jpg" else 0
        if not least <= self.quality <= 100:
            raise ArgumentError(f"quality must be from {least} to 100, not {self.quality!r}")

    def record(self, item: ListItem, root: str) -> bytes:
        """The record of an image.

        Raises
        ------
        OSError : its file cannot be read.
        DecodeError : it is not an image that OpenCV reads.
        ArgumentError : it cannot be encoded.
        struct.error : its number is negative.
        """
        labels = item.labels
        label = list(labels) if self.pack_label and len(labels) > 1 else labels[0]
        header = IRHeader(0, label, item.key, 0)
        with open(os.path.join(root, item.path), "rb") as file:
            encoded = file.read()
        if self.pass_through:
            return pack(header, encoded)
        image = _scale(self._crop(_decode(encoded, self.color)), self.resize)
        return pack_img(header, image, self.quality, self.encoding)

    def _crop(self, image: NDArray[Any]) -> NDArray[Any]:
        if not self.center_crop:
            return image
        height, width = image.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        return image[top : top + side, left : left + side]


def im2rec(
    prefix: Path,
    root: Path,
    *,
    recursive: bool = False,
    exts: Sequence[str] = EXTENSIONS,
    shuffle: bool = True,
    train_ratio: float = 1.0,
    test_ratio: float = 0.0,
    chunks: int = 1,
    pass_through: bool = False,
    resize: int = 0,
    center_crop: bool = False,
    quality: int = 95,
    encoding: str = ".jpg",
    color: int = 1,
    pack_label: bool = False,
    num_thread: int | None = None,
) -> list[Packed]:
    """Pack the images of a folder: list them, and write the records of each list.

    The parameters are those of `make_list` and `write_records`.

    Returns
    -------
    one Packed for each list

    Examples
    --------
    >>> (packed,) = im2rec("photos", "folder/of/photos", recursive=True, resize=256)
    >>> packed.records, packed.bad
    (120, [])
    """
    lists, _ = make_list(
        prefix,
        root,
        recursive=recursive,
        exts=exts,
        shuffle=shuffle,
        train_ratio=train_ratio,
        test_ratio=test_ratio,
        chunks=chunks,
    )
    return [
        write_records(
            path,
            root,
            pass_through=pass_through,
            resize=resize,
            center_crop=center_crop,
            quality=quality,
            encoding=encoding,
            color=color,
            pack_label=pack_label,
            num_thread=num_thread,
        )
        for path in lists
    ]


def write_records(
    lst: Path,
    root: Path,
    *,
    pass_through: bool = False,
    resize: int = 0,
    center_crop: bool = False,
    quality: int = 95,
    encoding: str = ".jpg",
    color: int = 1,
    pack_label: bool = False,
    num_thread: int | None = None,
) -> Packed:
    """Write the records of a list's images, in its order, to a .rec and an .idx file beside it.

    While they are being written the files have ``.part`` at the end of their names; older ones are
    replaced only when the new ones are complete.

    Parameters
    ----------
    lst : the list
    root : the folder that its paths start from
    pass_through : store the files' bytes as they are, images or not; the options from `resize` to
        `color` then mean nothing
    resize : scale the shorter side to so many pixels, bilinearly; 0: leave the size
    center_crop : first cut off both ends of the longer side, so that the image is square
    quality : of a JPEG, 1 to 100; or compression of a PNG, 0 to 9 (more counts as 9)
    encoding : ".jpg" or ".png"
    color : 1: colour, 0: gray, -1: as the file has it
    pack_label : store all labels of a line, not only the first
    num_thread : threads that read and encode; None: one for each CPU. The result is the same

    Raises
    ------
    ArgumentError : an option is out of its range.
    RecordFileNotFoundError : there is no such list or folder.
    """
    recipe = Recipe(pass_through, resize, center_crop, quality, encoding, color, pack_label)
    threads = cpu_count() if num_thread is None else num_thread
    if threads < 1:
        raise ArgumentError(f"num_thread must be at least 1, not {num_thread!r}")
    root, lst = os.fspath(root), os.fspath(lst)
    if not os.path.isdir(root):
        raise RecordFileNotFoundError(f"{root} is not a folder; name the one of the images")
    stem = os.path.splitext(lst)[0]
    rec, idx = f"{stem}.rec", f"{stem}.idx"
    items = read_list(lst)
    records, bad = 0, []

    def make(item: ListItem | BadImage) -> tuple[int, bytes] | BadImage:
        if isinstance(item, BadImage):
            return item
        try:
            return item.key, recipe.record(item, root)
        except (Error, OSError, struct.error) as error:
            reason = getattr(error, "strerror", None) or str(error)
            return BadImage(os.path.join(root, item.path), reason)

    with (
        progress(f"packing {os.path.basename(rec)}", "images", count_lines(lst)) as bar,
        MXIndexedRecordIO(f"{idx}.part", f"{rec}.part", "w") as writer,
    ):
        for made in _in_order(make, items, threads):
            if isinstance(made, BadImage):
                bad.append(made)
            else:
                writer.write_idx(*made)
                records += 1
            bar.update()
    # At no moment does an index lie beside records that are not its own.
    if os.path.exists(idx):
        os.remove(idx)
    os.replace(f"{rec}.part", rec)
    os.replace(f"{idx}.part", idx)
    return Packed(rec, idx, records, bad)


def cpu_count() -> int:
    """The CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def count_lines(path: str) -> int:
    """The lines of a file."""
    with open(path, "rb") as file:
        return sum(1 for _ in file)


def _decode(encoded: bytes, color: int) -> NDArray[Any]:
    """uint8 or uint16 (H, W), (H, W, 3) or (H, W, 4), as ``cv2.imread`` gives it."""
    import cv2

    if not encoded:
        raise DecodeError("the file is empty")
    try:
        image = cv2.imdecode(np.frombuffer(encoded, np.uint8), color)
    except cv2.error as error:
        raise DecodeError(f"OpenCV cannot read it: {error}") from error
    if image is None:
        raise DecodeError("not an image that OpenCV reads")
    return image


def _scale(image: NDArray[Any], short: int) -> NDArray[Any]:
    """The image with a shorter side of `short` pixels; with 0, as it is."""
    import cv2

    if not short:
        return image
    height, width = image.shape[:2]
    tall = height > width
    size = (short, height * short // width) if tall else (width * short // height, short)
    return cv2.resize(image, size)


def _in_order(function: Callable[[In], Out], items: Iterable[In], threads: int) -> Iterator[Out]:
    """The function's results, in the order of the items, computed in threads a little ahead."""
    with ThreadPoolExecutor(threads, "gpuio-im2rec") as pool:
        waiting: deque[Future[Out]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= AHEAD * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def add_command(commands: Any) -> None:
    """Add ``im2rec`` to the commands of `gpuio.tools.cli`."""
    parser = commands.add_parser(
        "im2rec",
        help="pack a folder of images into record files",
        description="Pack the images of ROOT into PREFIX.rec and PREFIX.idx, in the order of "
        "PREFIX*.lst. Where there is no such list it is made first. The exit status is 1 if "
        "images had to be left out.",
        epilog="example: gpuio im2rec photos ~/photos --recursive --pass-through",
    )
    parser.set_defaults(run=_run)
    add = parser.add_argument
    add("prefix", metavar="PREFIX", help="beginning of the paths of lists and record files")
    add("root", metavar="ROOT", help="folder of the images")
    add = parser.add_argument_group("lists").add_argument
    add("--list", action="store_true", help="only make the list, anew if there is one")
    add(
        "--recursive",
        action="store_true",
        help="enter folders, and give each that has images a label of its own; else only ROOT's "
        "own images are listed, with label 0",
    )
    add(
        "--exts",
        nargs="+",
        default=list(EXTENSIONS),
        metavar="EXT",
        help=f"endings of the files' names; default: {' '.join(EXTENSIONS)}",
    )
    add("--no-shuffle", dest="shuffle", action="store_false", help="leave the order of the names")
    add("--train-ratio", type=float, default=1.0, metavar="SHARE", help="put into PREFIX_train.lst")
    add("--test-ratio", type=float, default=0.0, metavar="SHARE", help="put into PREFIX_test.lst")
    add("--chunks", type=int, default=1, metavar="N", help="make N lists")
    add = parser.add_argument_group("records").add_argument
    add("--pass-through", action="store_true", help="store the files as they are")
    add("--resize", type=int, default=0, metavar="N", help="scale the shorter side to N pixels")
    add("--center-crop", action="store_true", help="cut images square first")
    add(
        "--quality",
        type=int,
        default=95,
        metavar="N",
        help="of a JPEG, 1 to 100; or compression of a PNG, 0 to 9; default: 95",
    )
    add("--encoding", choices=[".jpg", ".png"], default=".jpg", help="default: .jpg")
    add(
        "--color",
        type=int,
        choices=[-1, 0, 1],
        default=1,
        help="1: colour (default), 0: gray, -1: as the file has it",
    )
    add("--pack-label", action="store_true", help="store all labels of a line, not only the first")
    add("--num-thread", type=int, metavar="N", help="threads; default: one for each CPU")


def _run(args: argparse.Namespace) -> int:
    lists = [] if args.list else _find_lists(args.prefix)
    if lists:
        print(f"using {', '.join(lists)} (--list makes lists anew)")
    else:
        lists = _make_lists(args)
    if args.list:
        return 0
    bad = 0
    for path in lists:
        packed = write_records(
            path,
            args.root,
            pass_through=args.pass_through,
            resize=args.resize,
            center_crop=args.center_crop,
            quality=args.quality,
            encoding=args.encoding,
            color=args.color,
            pack_label=args.pack_label,
            num_thread=args.num_thread,
        )
        for place, reason in packed.bad:
            print(f"left out: {place}: {reason}", file=sys.stderr)
        bad += len(packed.bad)
        size = os.path.getsize(packed.rec) / 1e6
        print(f"{packed.rec}: {packed.records:,} records, {size:.1f} MB")
    return 1 if bad else 0


def _make_lists(args: argparse.Namespace) -> list[str]:
    if next(list_image(args.root, args.recursive, args.exts), None) is None:
        hint = "" if args.recursive else "; add --recursive to look into its folders"
        raise ArgumentError(f"no images ({' '.join(args.exts)}) in {args.root}{hint}")
    lists, names = make_list(
        args.prefix,
        args.root,
        recursive=args.recursive,
        exts=args.exts,
        shuffle=args.shuffle,
        train_ratio=args.train_ratio,
        test_ratio=args.test_ratio,
        chunks=args.chunks,
    )
    if args.recursive:
        for label, name in names.items():
            print(name, label)
    for path in lists:
        print(f"{path}: {count_lines(path):,} images")
    return lists


def _find_lists(prefix: str) -> list[str]:
    """The files ``PREFIX*.lst``; all lists in it, where the prefix is a folder."""
    folder, start = (prefix, "") if os.path.isdir(prefix) else os.path.split(prefix)
    if not os.path.isdir(folder or "."):
        raise RecordFileNotFoundError(f"the folder {folder} does not exist; create it first")
    return [
        os.path.join(folder, name)
        for name in sorted(os.listdir(folder or "."))
        if name.startswith(start) and name.endswith(".lst")
    ]
