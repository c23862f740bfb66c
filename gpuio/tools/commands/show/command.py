"""The function show, and its arguments."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.context import Context
from gpuio.decoding.limits import resolve_max_pixels
from gpuio.errors import ArgumentError
from gpuio.progress import progress
from gpuio.recordio import RecordSet
from gpuio.storage.local import Path
from gpuio.storage.remote.opening import location
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.replacing import write_file
from gpuio.storage.remote.url import shown
from gpuio.terminal import counted, echo, printable
from gpuio.tools.commands.common import (
    add_max_pixels,
    add_parser,
    add_record_file,
    add_selection,
    remote_options,
)
from gpuio.tools.commands.show.images import (
    LabelledImage,
    of_bad_records,
    of_batches,
    of_records,
)
from gpuio.tools.commands.show.page import render_page
from gpuio.tools.commands.verify import verify
from gpuio.tools.files import check_outputs, find_index
from gpuio.tools.layouts import layout_of
from gpuio.tools.sheet import BACKGROUND, contact_sheet, image_format, save_image
from gpuio.tools.tasks import add_options, options_of

if TYPE_CHECKING:
    from PIL.Image import Image

COUNT, SIZE = 32, 224

PAGE_EXTENSIONS = (".html", ".htm")

# Placeholder color of an image that cannot be shown.
PLACEHOLDER = (226, 224, 218)


class Shown(NamedTuple):
    """Result of `show`.

    Attributes
    ----------
    path : the sheet or page
    pictures : number of images on it
    bad : number of those with a problem
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
    max_pixels: int | None = None,
    remote: RemoteOptions | None = None,
) -> Shown:
    """Draw records, or batches made from them, with labels and keys.

    Parameters
    ----------
    rec : the record file
    out : a contact sheet (.png, or another extension that Pillow knows) or a self-contained HTML
        page (.html); None: FILE-sheet.png in the current directory
    idx : the index; None: FILE.idx if it exists
    count : maximum number of images
    size : maximum length of an image's longer side, in pixels; smaller images are not scaled
    keys : only these records
    labels : only records whose first label is one of these
    bad : only records that cannot be decoded, or only in part; checks the whole file
    seed : draw records at random; None: evenly spread over the file, or with `labels` the first
    options : show the batches of an ImageRecordIter, or for files with boxes ImageDetRecordIter,
        with these options, in its order, instead of the stored images
    ctx : the device of that iterator
    max_pixels : the most pixels of an image; None: what the environment variable GPUIO_MAX_PIXELS
        says, else 2**28
    remote : how remote files are reached and cached; None: by the default options

    Raises
    ------
    RecordFileNotFoundError, RecordError : the files are missing or damaged.
    RemoteError : a remote file cannot be read or written.
    ArgumentError : there is nothing to show, the extension is unknown, options are combined with a
        choice of records, or the iterator does not accept the options.
    """
    path = shown(location(rec))
    stem = os.path.splitext(os.path.basename(path))[0]
    target = f"{stem}-sheet.png" if out is None else location(out)
    check_outputs([target], [rec])
    extension = os.path.splitext(target)[1].lower()
    if extension not in PAGE_EXTENSIONS:
        image_format(target)
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
    index, limit = find_index(rec, idx, remote), resolve_max_pixels(max_pixels)
    with RecordSet([location(rec)], None if index is None else [index], remote) as records:
        if options is not None:
            limited = {"max_pixels": limit, **options}
            layout = layout_of(records)
            where = location(rec)
            found = of_batches(where, index, count, size, limited, ctx, layout, remote)
        elif bad:
            checked = verify(rec, index, "deep", max_pixels=limit, remote=remote)
            found = of_bad_records(records, checked, count, size, limit)
        else:
            wanted = None if keys is None else list(dict.fromkeys(keys))
            most = count if wanted is None else max(count, len(wanted))
            found = of_records(
                records,
                most,
                size,
                keys=wanted,
                labels=labels,
                seed=seed,
                max_pixels=limit,
            )
        images = []
        with progress(f"drawing {os.path.basename(path)}", "images") as bar:
            for image in found:
                images.append(image)
                bar.update()
    if not images:
        kind = "no bad records" if bad else "no such images" if labels is not None else "no images"
        raise ArgumentError(f"there are {kind} in {path}")
    title = os.path.basename(path)
    made = ", ".join(f"{name}={_short(value)}" for name, value in (options or {}).items())
    if extension in PAGE_EXTENSIONS:
        page = printable(render_page(images, f"{title}: {made}" if made else title, size))
        write_file(target, page.encode(), remote)
    else:
        title += " (key: label)"
        save_image(_sheet(images, f"{title}: {made}" if made else title), target, remote)
    return Shown(shown(target), len(images), sum(bool(image.problem) for image in images))


def _short(value: Any) -> str:
    """An option's value, of a fraction three digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _sheet(images: list[LabelledImage], title: str) -> Image:
    """Draw a contact sheet."""
    shapes = np.array([image.pixels.shape[:2] for image in images if image.pixels is not None])
    height, width = shapes.max(0) if len(shapes) else (SIZE * 3 // 4, SIZE)
    height, width = max(height, 48), max(width, 96)
    cells = np.full((len(images), height, width, 3), BACKGROUND, np.uint8)
    captions = []
    for cell, image in zip(cells, images, strict=True):
        _draw(cell, image.pixels)
        caption = f"{image.key}: {image.label}"
        captions.append(f"{caption}  {image.problem}" if image.problem else caption)
    return contact_sheet(cells, captions, title=title)


def _draw(cell: NDArray[np.uint8], pixels: NDArray[np.uint8] | None) -> None:
    """Draw an image into its cell, at the lower left."""
    if pixels is None:
        cell[:] = PLACEHOLDER
        return
    height, width = pixels.shape[:2]
    cell[cell.shape[0] - height :, :width] = pixels


def add_command(commands: Any) -> None:
    """Add ``show`` to the command line."""
    parser = add_parser(
        commands,
        "show",
        _run,
        summary="show records or augmented batches, with labels and keys",
        description="Draw images of FILE.rec, with labels and keys, on a contact sheet or an HTML "
        "page: the stored images or, with --task or --with, the batches of an ImageRecordIter, or "
        "for files with boxes of an ImageDetRecordIter.",
        example="train.rec --out train.html --label 3 --count 100",
    )
    add_record_file(parser)
    add = parser.add_argument
    add("--out", metavar="FILE", help="a .png or .html file, or a URL; default: ./FILE-sheet.png")
    add("--count", type=int, default=COUNT, metavar="N", help=f"images; default: {COUNT}")
    add(
        "--size",
        type=int,
        default=SIZE,
        metavar="N",
        help=f"longer side; default: {SIZE} pixels",
    )
    add_selection(parser)
    add("--bad", action="store_true", help="only images that cannot be fully decoded")
    add("--seed", type=int, metavar="N", help="draw records at random; default: evenly spread")
    add_options(parser, None)
    add("--ctx", metavar="DEVICE", help="device of the batches: cpu or gpu:0; default: cpu")
    add_max_pixels(parser)


def _run(args: argparse.Namespace) -> int:
    batches = args.task is not None or bool(args.options)
    remote = remote_options(args)
    drawn = show(
        args.rec,
        args.out,
        args.idx,
        count=args.count,
        size=args.size,
        keys=args.key,
        labels=args.label,
        bad=args.bad,
        seed=args.seed,
        options=options_of(args.task, args.options, args.rec, args.idx, remote)
        if batches
        else None,
        max_pixels=args.max_pixels,
        ctx=args.ctx,
        remote=remote,
    )
    problems = f", {drawn.bad} of them with problems" if drawn.bad else ""
    echo(f"{drawn.path}: {counted(drawn.pictures, 'image')}{problems}")
    return 0
