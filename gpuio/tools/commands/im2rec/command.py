"""The function im2rec, and its arguments."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from gpuio.errors import ArgumentError, RecordFileNotFoundError
from gpuio.storage.local import Path
from gpuio.tools.commands.common import add_parser
from gpuio.tools.commands.im2rec.lists import EXTENSIONS, count_items, list_image, make_list
from gpuio.tools.commands.im2rec.packing import Packed, write_records


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
    resume: bool = True,
) -> list[Packed]:
    """Pack the images of a folder: list them, and write the records of each list.

    The parameters are those of `make_list` and `write_records`.

    Returns
    -------
    one Packed per list

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
            resume=resume,
        )
        for path in lists
    ]


def add_command(commands: Any) -> None:
    """Add ``im2rec`` to the command line."""
    parser = add_parser(
        commands,
        "im2rec",
        _run,
        summary="pack a folder of images into record files",
        description="Pack the images of ROOT into PREFIX.rec and PREFIX.idx, in the order of "
        "PREFIX*.lst. If there is no such list, it is made first. An interrupted run resumes where "
        "it stopped. The exit status is 1 if images had to be left out.",
        example="photos ~/photos --recursive --pass-through",
    )
    add = parser.add_argument
    add("prefix", metavar="PREFIX", help="common prefix of the paths of lists and record files")
    add("root", metavar="ROOT", help="folder of the images")
    add = parser.add_argument_group("lists").add_argument
    add("--list", action="store_true", help="only make the list, replacing an existing one")
    add(
        "--recursive",
        action="store_true",
        help="also list subfolders, with one label per folder; default: only the images directly "
        "in ROOT, with label 0",
    )
    add(
        "--exts",
        nargs="+",
        default=list(EXTENSIONS),
        metavar="EXT",
        help=f"file name extensions; default: {' '.join(EXTENSIONS)}",
    )
    add("--no-shuffle", dest="shuffle", action="store_false", help="keep the order of names")
    add("--train-ratio", type=float, default=1.0, metavar="RATIO", help="of PREFIX_train.lst")
    add("--test-ratio", type=float, default=0.0, metavar="RATIO", help="of PREFIX_test.lst")
    add("--chunks", type=int, default=1, metavar="N", help="split into N lists")
    add = parser.add_argument_group("records").add_argument
    add("--pass-through", action="store_true", help="store the files unchanged")
    add("--resize", type=int, default=0, metavar="N", help="scale the shorter side to N pixels")
    add("--center-crop", action="store_true", help="first crop images to squares")
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
        help="1: color (default), 0: grayscale, -1: as in the file",
    )
    add("--pack-label", action="store_true", help="store all labels of a line, not only the first")
    add("--num-thread", type=int, metavar="N", help="threads; default: one per CPU")
    add(
        "--no-resume",
        dest="resume",
        action="store_false",
        help="start over instead of resuming",
    )


def _run(args: argparse.Namespace) -> int:
    lists = [] if args.list else _find_lists(args.prefix)
    if lists:
        print(f"using {', '.join(lists)} (--list makes new lists)")
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
            resume=args.resume,
        )
        for place, reason in packed.bad:
            print(f"left out: {place}: {reason}", file=sys.stderr)
        for place, reason in packed.doubtful:
            print(f"stored, but not an image: {place}: {reason}", file=sys.stderr)
        if packed.kept:
            print(f"resumed after {packed.kept:,} records of an interrupted run")
        bad += len(packed.bad)
        size = os.path.getsize(packed.rec) / 1e6
        print(f"{packed.rec}: {packed.records:,} records, {size:.1f} MB")
    return 1 if bad else 0


def _make_lists(args: argparse.Namespace) -> list[str]:
    if next(list_image(args.root, args.recursive, args.exts), None) is None:
        hint = "" if args.recursive else "; add --recursive to list its subfolders"
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
        print(f"{path}: {count_items(path):,} images")
    return lists


def _find_lists(prefix: str) -> list[str]:
    """Find ``PREFIX*.lst``; if there are none, and the prefix is a folder, all lists in it."""
    folder, start = os.path.split(prefix)
    if not os.path.isdir(folder or "."):
        raise RecordFileNotFoundError(f"the folder {folder} does not exist; create it first")
    if not start:
        raise ArgumentError(f"PREFIX must end with part of a file name, such as {prefix}photos")
    found = _lists_in(folder, start)
    return found if found or not os.path.isdir(prefix) else _lists_in(prefix, "")


def _lists_in(folder: str, start: str) -> list[str]:
    return [
        os.path.join(folder, name)
        for name in sorted(os.listdir(folder or "."))
        if name.startswith(start) and name.endswith(".lst")
    ]
