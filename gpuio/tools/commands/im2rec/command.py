"""The function im2rec, and its arguments."""

from __future__ import annotations

import argparse
import itertools
import os
import sys
from collections.abc import Sequence
from typing import Any

from gpuio.decoding.limits import resolve_max_pixels
from gpuio.errors import ArgumentError, RecordFileNotFoundError
from gpuio.storage.local import Path, local_path
from gpuio.storage.remote.opening import exists, location, open_each
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.url import is_remote, shown
from gpuio.terminal import counted, echo
from gpuio.tools.commands.common import (
    add_max_pixels,
    add_on,
    add_parser,
    add_remote,
    cluster_option,
    remote_options,
)
from gpuio.tools.commands.im2rec.lists import (
    EXTENSIONS,
    SUFFIXES,
    check_split,
    class_names,
    count_items,
    list_image,
    make_list,
    unfinished_lists,
    write_lists,
)
from gpuio.tools.commands.im2rec.packer import READERS, ImagePacker
from gpuio.tools.commands.im2rec.packing import Packed
from gpuio.tools.commands.im2rec.runs import pack_lists
from gpuio.tools.ray_cluster import RayCluster


def im2rec(
    prefix: Path,
    root: Path,
    *,
    recursive: bool = False,
    exts: Sequence[str] = EXTENSIONS,
    shuffle: bool = True,
    train_ratio: float | None = None,
    test_ratio: float = 0.0,
    chunks: int = 1,
    pass_through: bool = False,
    resize: int = 0,
    center_crop: bool = False,
    quality: int = 95,
    encoding: str = ".jpg",
    color: int = 1,
    pack_label: bool = False,
    max_pixels: int | None = None,
    num_thread: int | None = None,
    resume: bool = True,
    remote: RemoteOptions | None = None,
    on: RayCluster | str | None = None,
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
        remote=remote,
    )
    packer = ImagePacker(
        pass_through,
        resize,
        center_crop,
        quality,
        encoding,
        color,
        pack_label,
        resolve_max_pixels(max_pixels),
    )
    return list(
        pack_lists(
            lists,
            location(root),
            packer,
            num_thread=num_thread,
            resume=resume,
            allow_outside=True,  # the lists have just been made from the root
            remote=remote,
            on=on,
        )
    )


def add_command(commands: Any) -> None:
    """Add ``im2rec`` to the command line."""
    parser = add_parser(
        commands,
        "im2rec",
        _run,
        summary="pack a folder of images into record files",
        description="Pack the images of ROOT into PREFIX.rec and PREFIX.idx, in the order of "
        "PREFIX.lst; if there are several lists PREFIX*.lst, such as PREFIX_train.lst and "
        "PREFIX_test.lst, each into a record file of its name. If there is no such list, it is "
        "made first. An interrupted run resumes where it stopped, unless ROOT or PREFIX is a URL, "
        "or on Ray: then each run starts anew, and an interrupted one leaves nothing. The exit "
        "status is 1 if images had to be left out. Options without a value may have one, as in "
        "MXNet: 1, 0, true, false, yes or no.",
        example="photos ~/photos --recursive --pass-through",
    )
    add = parser.add_argument
    add("prefix", metavar="PREFIX", help="common prefix of the paths of lists and record files")
    add("root", metavar="ROOT", help="folder of the images: a path or a URL")
    lists = parser.add_argument_group("lists")
    add = lists.add_argument
    parser.add_flag(lists, "--list", help="only make the lists, replacing existing ones")
    parser.add_flag(
        lists,
        "--recursive",
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
    order = lists.add_mutually_exclusive_group()
    parser.add_flag(order, "--shuffle", help="shuffle the lines, always in the same way; default")
    parser.add_flag(
        order, "--no-shuffle", dest="shuffle", meaning=False, help="keep the order of names"
    )
    add(
        "--train-ratio",
        type=float,
        metavar="RATIO",
        help="fraction for PREFIX_train.lst; the rest is for PREFIX_val.lst; default: all that is "
        "not for testing",
    )
    add(
        "--test-ratio",
        type=float,
        default=0.0,
        metavar="RATIO",
        help="fraction for PREFIX_test.lst; default: 0",
    )
    add("--chunks", type=int, default=1, metavar="N", help="split into N lists; default: 1")
    records = parser.add_argument_group("records")
    add = records.add_argument
    parser.add_flag(records, "--pass-through", help="store the files unchanged")
    add("--resize", type=int, default=0, metavar="N", help="scale the shorter side to N pixels")
    parser.add_flag(records, "--center-crop", help="first crop images to squares")
    add(
        "--quality",
        type=int,
        default=95,
        metavar="N",
        help="of a JPEG, 1 to 100; or compression of a PNG, 0 to 9; default: 95",
    )
    add(
        "--encoding",
        choices=[".jpg", ".png"],
        default=".jpg",
        help="format of the images; default: .jpg",
    )
    add(
        "--color",
        type=int,
        choices=[-1, 0, 1],
        default=1,
        help="1: color (default), 0: grayscale, -1: as in the file",
    )
    parser.add_flag(records, "--pack-label", help="store all labels of a line, not only the first")
    add_max_pixels(records)
    add(
        "--num-thread",
        type=int,
        metavar="N",
        help=f"threads; default: one per CPU, and {READERS} more if ROOT is a URL",
    )
    parser.add_flag(
        records,
        "--no-resume",
        dest="resume",
        meaning=False,
        help="start over instead of resuming",
    )
    parser.add_flag(
        records,
        "--allow-outside",
        help="pack files outside ROOT, too, where a list has absolute paths or ..",
    )
    add_remote(parser)
    add_on(parser)


def _run(args: argparse.Namespace) -> int:
    # As in MXNet, where "photos/" is the same as "photos".
    args.prefix = args.prefix.rstrip(os.sep) or os.sep
    _check_places(args.prefix, args.root)
    remote, on = remote_options(args), cluster_option(args)
    lists, others = _find_lists(args.prefix, remote)
    if (args.list or not lists) and os.path.basename(args.prefix) in ("", ".", ".."):
        raise ArgumentError(
            f"PREFIX must end with part of a file name, such as {args.prefix}/photos"
        )
    if args.list:
        made = _make_lists(args, remote)
        if older := sorted(set(lists) - set(made)):
            echo(f"{', '.join(older)}: also packed by this prefix; remove what you do not need")
        return 0
    if lists and (missing := unfinished_lists(args.prefix)):
        if args.chunks == 1 and args.train_ratio is None and not args.test_ratio:
            raise ArgumentError(
                f"{', '.join(missing)}: a run that made lists was interrupted before it finished "
                f"these; make all of them again with --list, or remove {missing[0]}.*.part"
            )
        echo(f"making the lists again: {', '.join(missing)} missing since a run was interrupted")
        lists = _make_lists(args, remote)
    elif lists:
        echo(f"using {', '.join(map(shown, lists))} (--list makes new lists)")
        if others:
            echo(f"not using {', '.join(others)}: of another prefix")
    elif others:
        raise ArgumentError(
            f"there is no list {args.prefix}.lst, but {', '.join(others)}: give its whole name, or "
            "--list to make new lists"
        )
    else:
        lists = _make_lists(args, remote)
    packer = ImagePacker(
        bool(args.pass_through),
        args.resize,
        bool(args.center_crop),
        args.quality,
        args.encoding,
        args.color,
        bool(args.pack_label),
        resolve_max_pixels(args.max_pixels),
    )
    bad = 0
    for packed in pack_lists(
        lists,
        args.root,
        packer,
        num_thread=args.num_thread,
        resume=args.resume is not False,
        allow_outside=bool(args.allow_outside),
        remote=remote,
        on=on,
    ):
        for place, reason in packed.bad:
            echo(f"left out: {place}: {reason}", file=sys.stderr)
        for place, reason in packed.doubtful:
            echo(f"stored, but not an image: {place}: {reason}", file=sys.stderr)
        if packed.kept:
            echo(f"resumed after {counted(packed.kept, 'record')} of an interrupted run")
        bad += len(packed.bad)
        size = "" if is_remote(packed.rec) else f", {os.path.getsize(packed.rec) / 1e6:.1f} MB"
        echo(f"{packed.rec}: {counted(packed.records, 'record')}{size}")
    return 1 if bad else 0


def _make_lists(args: argparse.Namespace, remote: RemoteOptions) -> list[str]:
    recursive = bool(args.recursive)
    check_split(args.train_ratio, args.test_ratio, args.chunks)
    items = list(list_image(args.root, recursive, args.exts, remote))
    if not items:
        hint = "" if recursive else "; add --recursive to list its subfolders"
        raise ArgumentError(f"no images ({' '.join(args.exts)}) in {shown(args.root)}{hint}")
    lists = write_lists(
        args.prefix,
        items,
        shuffle=args.shuffle is not False,
        train_ratio=args.train_ratio,
        test_ratio=args.test_ratio,
        chunks=args.chunks,
        remote=remote,
    )
    if recursive:
        for label, name in class_names(items).items():
            echo(f"{name} {label}")
    listed = 0
    for path in lists:
        count = count_items(path, remote)
        echo(f"{shown(path)}: {counted(count, 'image')}")
        listed += count
    # Where no list takes the rest, MXNet leaves out what is lost by rounding.
    whole = args.train_ratio is not None and args.train_ratio + args.test_ratio >= 1
    if whole and (left := len(items) - listed):
        echo(f"in none of the lists, since both ratios are rounded down: {left}")
    return lists


def _check_places(prefix: str, root: str) -> None:
    """Raise if a record file is given in place of PREFIX, or PREFIX and ROOT are swapped."""
    stem, extension = os.path.splitext(prefix)
    if extension in (".rec", ".idx"):
        raise ArgumentError(
            f"PREFIX is {shown(prefix)}, to which the names' endings are added: give {shown(stem)}"
        )
    local = not (is_remote(root) or is_remote(prefix))
    if local and os.path.isdir(prefix) and not os.path.isdir(root):
        raise ArgumentError(
            f"{root} is not a folder, but {prefix} is one: PREFIX comes first, then ROOT"
        )


def _find_lists(prefix: str, remote: RemoteOptions) -> tuple[list[str], list[str]]:
    """Find ``PREFIX*.lst``; if there are none, and the prefix is a folder, all lists in it. At a
    URL, whose folder may have millions of files, only the names that `make_list` gives are looked
    for.

    Returns
    -------
    lists : those that belong to the prefix
    others : those in which a word of the prefix goes on, such as ``photos2.lst`` for "photos".
        MXNet packs them as well, although they probably are of another folder
    """
    if is_remote(prefix):
        return _remote_lists(prefix, remote), []
    folder, start = os.path.split(local_path(prefix))
    if not os.path.isdir(folder or "."):
        raise RecordFileNotFoundError(f"the folder {folder} does not exist; create it first")
    found = _lists_in(folder, start)
    if not found and os.path.isdir(prefix):
        return _lists_in(prefix, ""), []
    others = [path for path in found if _goes_on(os.path.basename(path), start)]
    return [path for path in found if path not in others], others


def _remote_lists(prefix: str, remote: RemoteOptions) -> list[str]:
    """The lists that `make_list` may have written, sorted."""
    found: list[str] = []
    for chunk in itertools.count():
        stems = [prefix, f"{prefix}_0"] if chunk == 0 else [f"{prefix}_{chunk}"]
        paths = [f"{stem}{suffix}.lst" for stem in stems for suffix in SUFFIXES]
        present = open_each(lambda path: exists(path, remote), paths, several=True)
        more = [path for path, is_there in zip(paths, present, strict=True) if is_there]
        found += more
        if not any(path.startswith(f"{prefix}_{chunk}") for path in more):
            return sorted(found)
    raise AssertionError  # an endless loop


def _goes_on(name: str, start: str) -> bool:
    """Whether the word or number at the end of `start` continues in `name`."""
    around = name[len(start) - 1 : len(start) + 1]
    return len(around) == 2 and around.isalnum()


def _lists_in(folder: str, start: str) -> list[str]:
    paths = [
        os.path.join(folder, name)
        for name in sorted(os.listdir(folder or "."))
        if name.startswith(start) and name.endswith(".lst")
    ]
    return [path for path in paths if os.path.isfile(path)]
