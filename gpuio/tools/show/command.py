"""The function show, and its command."""

from __future__ import annotations

import argparse
import io
import os
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.context import Context
from gpuio.errors import ArgumentError
from gpuio.progress import progress
from gpuio.storage.local import Path, local_path
from gpuio.tools.command import add_parser, add_record_file
from gpuio.tools.files import check_outputs, find_index, open_records, write_file
from gpuio.tools.sheet import PAPER, contact_sheet
from gpuio.tools.show.page import page
from gpuio.tools.show.pictures import Picture, of_bad_records, of_batches, of_records
from gpuio.tools.tasks import add_options, options_of

COUNT, SIZE = 32, 224

PAGE_ENDINGS = (".html", ".htm")

# Stands for a picture that cannot be shown.
NOTHING = (226, 224, 218)


class Shown(NamedTuple):
    """What was drawn.

    Attributes
    ----------
    path : the sheet or page
    pictures : how many are on it
    bad : of these, records with something wrong
    """

    path: str
    pictures: int
    bad: int


def show(
    rec: Path,
    out: Path | None = None,
    idx: Path | None = None,
    *,
    count: int = COUNT,
    size: int = SIZE,
    keys: Iterable[int] | None = None,
    labels: Iterable[float] | None = None,
    bad: bool = False,
    seed: int | None = None,
    options: dict[str, Any] | None = None,
    ctx: Context | str | None = None,
) -> Shown:
    """Draw records, or the batches made of them, with their labels and keys.

    Parameters
    ----------
    rec : the record file
    out : what to write: a sheet (.png, or another ending that Pillow knows), or, with the ending
        .html, a page that holds everything, for a browser; None: FILE-sheet.png
    idx : the index; None: that beside the file, if there is one
    count : pictures, at most
    size : pixels of a picture's longer side; smaller ones stay as they are
    keys : these records
    labels : only records whose first label is one of these
    bad : only records whose images cannot be read, or only in part; the whole file is looked
        through for them
    seed : draw records at random; None: spread evenly over the file, or with `labels` the first
    options : draw what an ImageRecordIter with these options gives, in its order, instead of the
        records as they are
    ctx : the device of that iterator

    Raises
    ------
    RecordFileNotFoundError, RecordError : the files are missing or damaged.
    ArgumentError : there is nothing to show, the ending is unknown, options and choices of records
        are given together, or no iterator takes the options.
    """
    path = local_path(rec)
    stem = os.path.splitext(os.path.basename(path))[0]
    target = f"{stem}-sheet.png" if out is None else local_path(out)
    check_outputs([target], [path])
    ending = os.path.splitext(target)[1].lower()
    if ending not in PAGE_ENDINGS:
        _picture_format(ending)
    for name, value in (("count", count), ("size", size)):
        if value < 1:
            raise ArgumentError(f"{name} must be at least 1, not {value!r}")
    choices = {"keys": keys is not None, "labels": labels is not None, "bad": bad,
               "seed": seed is not None}  # fmt: skip
    if options is not None and any(choices.values()):
        given = ", ".join(name for name, is_given in choices.items() if is_given)
        raise ArgumentError(
            f"{given}: these choose records, but an iterator's batches come in its own order; "
            "leave out one or the other"
        )
    if bad and (keys is not None or labels is not None or seed is not None):
        raise ArgumentError(
            "bad records are shown in the file's order; leave out the other choices"
        )
    index = find_index(path, idx)
    with open_records(path, idx) as records:
        if options is not None:
            found = of_batches(path, index, count, size, options, ctx)
        elif bad:
            found = of_bad_records(records, index, count, size)
        else:
            wanted = None if keys is None else list(dict.fromkeys(keys))
            most = count if wanted is None else max(count, len(wanted))
            found = of_records(records, most, size, keys=wanted, labels=labels, seed=seed)
        pictures = []
        with progress(f"drawing {os.path.basename(path)}", "pictures") as bar:
            for picture in found:
                pictures.append(picture)
                bar.update()
    if not pictures:
        kind = "no bad records" if bad else "no such images" if labels is not None else "no images"
        raise ArgumentError(f"there are {kind} in {path}")
    title = os.path.basename(path)
    if options is not None:
        title += ": " + ", ".join(f"{name}={value}" for name, value in options.items())
    if ending in PAGE_ENDINGS:
        write_file(target, page(pictures, title, size).encode())
    else:
        write_file(target, _sheet(pictures, title, ending))
    return Shown(target, len(pictures), sum(bool(picture.trouble) for picture in pictures))


def _sheet(pictures: list[Picture], title: str, ending: str) -> bytes:
    """A contact sheet, encoded."""
    sides = np.array([each.pixels.shape[:2] for each in pictures if each.pixels is not None])
    height, width = sides.max(0) if len(sides) else (SIZE * 3 // 4, SIZE)
    height, width = max(height, 48), max(width, 96)
    cells = np.full((len(pictures), height, width, 3), PAPER, np.uint8)
    texts = []
    for cell, picture in zip(cells, pictures, strict=True):
        _place(cell, picture.pixels)
        label = f"{picture.key}: {picture.label}"
        texts.append(f"{label}  {picture.trouble}" if picture.trouble else label)
    buffer = io.BytesIO()
    contact_sheet(cells, texts, title=f"{title}   (key: label)").save(
        buffer, _picture_format(ending)
    )
    return buffer.getvalue()


def _place(cell: NDArray[np.uint8], pixels: NDArray[np.uint8] | None) -> None:
    """Put a picture on its cell's lower edge, at the left."""
    if pixels is None:
        cell[:] = NOTHING
        return
    height, width = pixels.shape[:2]
    cell[cell.shape[0] - height :, :width] = pixels


def _picture_format(ending: str) -> str:
    """Pillow's name for what an ending means."""
    from PIL import Image

    try:
        return Image.registered_extensions()[ending]
    except KeyError:
        raise ArgumentError(
            f"the ending {ending!r} is none of a picture; write to a name such as sheet.png, or "
            "page.html"
        ) from None


def add_command(commands: Any) -> None:
    """Add ``show`` to the commands of `gpuio.tools.cli`."""
    parser = add_parser(
        commands,
        "show",
        _command,
        text="draw records, or augmented batches, with labels and keys",
        description="Draw images of FILE.rec, with labels and keys, on a contact sheet or on a "
        "page for a browser: records as they are, or, with --task or --with, the batches of an "
        "ImageRecordIter.",
        example="train.rec --out train.html --label 3 --count 100",
    )
    add_record_file(parser)
    add = parser.add_argument
    add("--out", metavar="FILE", help="a .png or .html file; default: FILE-sheet.png, here")
    add("--count", type=int, default=COUNT, metavar="N", help=f"pictures; default: {COUNT}")
    add("--size", type=int, default=SIZE, metavar="N", help=f"pixels of a picture; default: {SIZE}")
    add("--key", type=int, action="append", metavar="K", help="this record")
    add("--label", type=float, action="append", metavar="L", help="only records with this label")
    add("--bad", action="store_true", help="only records whose images cannot be read as a whole")
    add("--seed", type=int, metavar="N", help="draw records at random; default: evenly spread")
    add_options(parser, None)
    add("--ctx", metavar="DEVICE", help="of the batches: cpu or gpu:0; default: cpu")


def _command(args: argparse.Namespace) -> int:
    batches = args.task is not None or bool(args.options)
    shown = show(
        args.rec,
        args.out,
        args.idx,
        count=args.count,
        size=args.size,
        keys=args.key,
        labels=args.label,
        bad=args.bad,
        seed=args.seed,
        options=options_of(args.task, args.options) if batches else None,
        ctx=args.ctx,
    )
    trouble = f", {shown.bad} of them with something wrong" if shown.bad else ""
    print(f"{shown.path}: {shown.pictures} pictures{trouble}")
    return 0
