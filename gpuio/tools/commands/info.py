"""Summarize a record file, and how to load it."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.decoding.header import read_header
from gpuio.decoding.limits import check_image, resolve_max_pixels
from gpuio.errors import ArgumentError, DecodeError, RecordError
from gpuio.progress import progress
from gpuio.recordio import RecordSet, unpack
from gpuio.storage.local import Path
from gpuio.storage.remote.opening import location
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.url import shown
from gpuio.terminal import echo
from gpuio.tools.commands.common import (
    add_json,
    add_max_pixels,
    add_parser,
    add_record_file,
    print_json,
    remote_options,
)
from gpuio.tools.files import find_index
from gpuio.tools.labels import label_string
from gpuio.tools.layouts import DETECTION, SAMPLE, LabelTally, Layout, spread
from gpuio.tools.payloads import read_payloads

# Maximum number of labels to list, most frequent first.
MAX_LABELS = 10


class Info(NamedTuple):
    """Summary of a record file.

    Attributes
    ----------
    rec, idx : the file and its index; None: it has none
    bytes, records, images : size of the file, number of records, number of those with images
    layout : "plain" (one label), "multi-label", "detection" or "face identity"
    label_width : numbers per label; for detection the largest found
    looked_at : number of records examined for what follows
    labels : occurrences by label, the ten most frequent ones first; by the first number of longer
        labels
    distinct_labels : number of different labels
    formats : number of images by format, such as "jpeg"
    channels : number of images by channel count
    width, height : minimum, median and maximum in pixels, after EXIF orientation; None: no images
    mean_bytes : mean size of an encoded image
    unreadable : records whose header or image cannot be read
    over_limit : images that are larger than `max_pixels` allows, or claim to be
    call : a call of ImageRecordIter, or for detection data of ImageDetRecordIter, that loads the
        file; empty if it has no images
    """

    rec: str
    idx: str | None
    bytes: int
    records: int
    images: int
    layout: str
    label_width: int
    looked_at: int
    labels: dict[str, int]
    distinct_labels: int
    formats: dict[str, int]
    channels: dict[str, int]
    width: tuple[int, int, int] | None
    height: tuple[int, int, int] | None
    mean_bytes: int
    unreadable: int
    over_limit: int
    call: str


def info(
    rec: Path,
    idx: Path | None = None,
    sample: int = SAMPLE,
    max_pixels: int | None = None,
    remote: RemoteOptions | None = None,
) -> Info:
    """Summarize a record file.

    Parameters
    ----------
    rec : the record file
    idx : its index; None: FILE.idx if it exists, else the whole file is scanned
    sample : number of records to examine, evenly spread over the file; 0: all
    max_pixels : the most pixels of an image; None: what the environment variable GPUIO_MAX_PIXELS
        says, else 2**28
    remote : how remote files are reached and cached; None: by the default options

    Raises
    ------
    RecordFileNotFoundError : a file does not exist.
    RecordError : the file is damaged, or the index belongs to another file.
    RemoteError : a remote file cannot be read.
    ArgumentError : sample is negative, or max_pixels is less than 1.
    """
    if sample < 0:
        raise ArgumentError(f"sample must be at least 0, not {sample}")
    index = find_index(rec, idx, remote)
    path = shown(location(rec))
    with RecordSet([location(rec)], None if index is None else [index], remote) as records:
        images = records.image_ordinals()
        chosen = spread(images, sample)
        tally = _Tally(resolve_max_pixels(max_pixels))
        with progress(f"examining {os.path.basename(path)}", "records", len(chosen)) as bar:
            for payload in read_payloads(records, chosen):
                tally.add(payload)
                bar.update()
        return tally.summary(path, index and shown(index), records, len(images))


class _Tally:
    """Counts over the examined records."""

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self.over_limit = 0
        self.labels: Counter[str] = Counter()
        self.kinds = LabelTally()
        self.formats: Counter[str] = Counter()
        self.channels: Counter[int] = Counter()
        self.sizes: list[tuple[int, int]] = []
        self.nbytes: list[int] = []
        self.unreadable = 0

    def add(self, payload: NDArray[np.uint8] | RecordError) -> None:
        """Examine one record."""
        try:
            if isinstance(payload, RecordError):
                raise payload
            header, image = unpack(payload)
            self.labels[label_string(np.ravel(header.label)[0])] += 1
            self.kinds.add(header.label)
            found = read_header(image)
        except (RecordError, DecodeError):
            self.unreadable += 1
            return
        self.formats[found.format] += 1
        self.channels[found.channels] += 1
        self.sizes.append((found.width, found.height))
        self.nbytes.append(len(image))
        try:
            check_image(found, image, self._max_pixels)
        except DecodeError:
            self.over_limit += 1

    def summary(self, path: str, index: str | None, records: RecordSet, images: int) -> Info:
        """Summarize the counts."""
        readable = len(self.sizes)
        layout = self.kinds.layout(records.has_faces)
        sizes = np.array(self.sizes or [(0, 0)])
        ranges = [
            (int(values.min()), int(np.median(values)), int(values.max())) if readable else None
            for values in sizes.T
        ]
        return Info(
            path,
            index,
            records.nbytes,
            len(records),
            images,
            layout.name,
            layout.label_width,
            readable + self.unreadable,
            dict(sorted(self.labels.items(), key=_frequency)[:MAX_LABELS]),
            len(self.labels),
            dict(self.formats.most_common()),
            {str(channels): count for channels, count in self.channels.most_common()},
            ranges[0],
            ranges[1],
            int(np.mean(self.nbytes)) if readable else 0,
            self.unreadable,
            self.over_limit,
            _call(path, index, layout, sizes) if readable else "",
        )


def _frequency(labelled: tuple[str, int]) -> tuple[int, float]:
    """Sorts labels by their count, equally frequent ones by number."""
    label, count = labelled
    return -count, float(label)


def _call(path: str, index: str | None, layout: Layout, sizes: Any) -> str:
    """A call that loads the file; sizes are (width, height) of each image."""
    shorter = int(min(np.median(sizes, axis=0)))
    small, boxes = shorter < 256, layout.name == DETECTION
    arguments = [f"path_imgrec={path!r}"]
    if index is not None:
        arguments.append(f"path_imgidx={index!r}")
    crop = max(8, shorter // 8 * 8) if small else 224
    arguments.append(f"data_shape=(3, {crop}, {crop})")
    if not small and not boxes:  # images with boxes are not cropped
        arguments.append("resize=256")
    for name, value in layout.iterator_options({}).items():
        arguments.append(f"{name}={value}")
    arguments += ["batch_size=64", "shuffle=True"]
    iterator = "ImageDetRecordIter" if boxes else "ImageRecordIter"
    return f"gpuio.io.{iterator}({', '.join(arguments)})"


def add_command(commands: Any) -> None:
    """Add ``info`` to the command line."""
    parser = add_parser(
        commands,
        "info",
        _run,
        summary="summarize a record file, and how to load it",
        description="Records, labels, image sizes and formats of FILE.rec, its layout, and a call "
        "that loads it.",
        example="train.rec --sample 0",
    )
    add_record_file(parser)
    parser.add_argument(
        "--sample",
        type=int,
        default=SAMPLE,
        metavar="N",
        help=f"number of records to examine; 0: all; default: {SAMPLE}",
    )
    add_max_pixels(parser)
    add_json(parser)


def _run(args: argparse.Namespace) -> int:
    found = info(args.rec, args.idx, args.sample, args.max_pixels, remote_options(args))
    if args.json:
        print_json(found)
        return 0
    sampled = "" if found.looked_at == found.images else f" (in {found.looked_at:,} records)"
    more = found.distinct_labels - len(found.labels)
    lines = {
        "file": f"{found.rec}, {found.bytes:,} bytes",
        "index": found.idx or "none",
        "records": f"{found.records:,}, {found.images:,} of them images",
        "layout": f"{found.layout}, label width {found.label_width}",
        f"labels{sampled}": ", ".join(f"{label}: {n:,}" for label, n in found.labels.items())
        + (f", and {more:,} more" if more else ""),
        "formats": ", ".join(f"{name}: {n:,}" for name, n in found.formats.items()),
        "channels": ", ".join(f"{name}: {n:,}" for name, n in found.channels.items()),
    }
    for dimension, values in (("width", found.width), ("height", found.height)):
        if values:
            lines[dimension] = f"{values[0]} to {values[2]} pixels, median {values[1]}"
    if found.width:
        lines["image"] = f"{found.mean_bytes:,} bytes on average"
    options = "" if args.idx is None else f" --idx {shown(args.idx)}"
    options += "" if args.max_pixels is None else f" --max-pixels {args.max_pixels}"
    for name, count in (("unreadable", found.unreadable), ("over the limit", found.over_limit)):
        if count:
            lines[name] = f"{count:,}; list them with: gpuio verify {found.rec}{options}"
    if found.call:
        lines["load with"] = found.call
    for name, value in lines.items():
        echo(f"{name}: {value}")
    return 0
