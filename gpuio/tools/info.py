"""What a record file holds, and how to load it."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from gpuio.decoding.header import probe
from gpuio.errors import ArgumentError, DecodeError, RecordError
from gpuio.progress import progress
from gpuio.recordio import RecordSet
from gpuio.storage.local import Path, local_path
from gpuio.tools.command import add_json, add_parser, add_record_file, print_json
from gpuio.tools.files import find_index, open_records
from gpuio.tools.labels import is_detection, label_text

# Records that are looked into unless the caller says otherwise, spread over the file.
SAMPLE = 1000

# Labels that are listed, the most frequent first.
MOST_LABELS = 10


class Info(NamedTuple):
    """What a record file holds.

    Attributes
    ----------
    rec, idx : the file, and its index; None: there is none
    bytes, records, images : size of the file, its records, and those of them that hold images
    layout : "plain" (one label), "multi-label", "detection" or "face identity"
    label_width : numbers in a label; for detection the most that was seen
    looked_at : records that what follows was found in
    labels : number of occurrences by label, the most frequent first; of the first number where
        there are several
    formats : number of images by format, such as "jpeg"
    channels : number of images by channels
    width, height : least, median and most, in pixels of the upright pictures; None without images
    mean_bytes : of an encoded image
    unreadable : records whose image or header could not be read
    call : a call of ImageRecordIter, or for detection data of ImageDetRecordIter, that loads it;
        empty without images
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
    formats: dict[str, int]
    channels: dict[str, int]
    width: tuple[int, int, int] | None
    height: tuple[int, int, int] | None
    mean_bytes: int
    unreadable: int
    call: str


def info(rec: Path, idx: Path | None = None, sample: int = SAMPLE) -> Info:
    """Look into a record file.

    Parameters
    ----------
    rec : the record file
    idx : its index; None: that beside the file, if there is one; else the file is walked through
    sample : records to look into, spread over the file; 0: all

    Raises
    ------
    RecordFileNotFoundError : a file does not exist.
    RecordError : the file is damaged, or the index is not its own.
    ArgumentError : sample is negative.
    """
    if sample < 0:
        raise ArgumentError(f"sample must be at least 0, not {sample}")
    path, index = local_path(rec), find_index(rec, idx)
    with open_records(path, idx) as records:
        images = np.asarray(records.image_ordinals(), np.int64)
        count = len(images) if not sample else min(sample, len(images))
        chosen = images[np.linspace(0, len(images) - 1, count).astype(np.int64)].tolist()
        seen = _Seen()
        with progress(f"looking into {os.path.basename(path)}", "records", count) as bar:
            for ordinal in chosen:
                seen.look(records, ordinal)
                bar.update()
        face = len(images) < len(records)
        return seen.told(path, index, records, len(images), face)


class _Seen:
    """What the records that were looked at have shown."""

    def __init__(self) -> None:
        self.labels: Counter[str] = Counter()
        self.widths: Counter[int] = Counter()
        self.detections = 0
        self.formats: Counter[str] = Counter()
        self.channels: Counter[int] = Counter()
        self.sizes: list[tuple[int, int]] = []
        self.nbytes: list[int] = []
        self.unreadable = 0

    def look(self, records: RecordSet, ordinal: int) -> None:
        """Look into one record."""
        try:
            header, image = records.record(ordinal)
            label = np.atleast_1d(np.asarray(header.label, np.float32))
            self.labels[label_text(label[0])] += 1
            self.widths[len(label) if header.flag else 1] += 1
            self.detections += is_detection(label)
            found = probe(image)
        except (RecordError, DecodeError):
            self.unreadable += 1
            return
        self.formats[found.format] += 1
        self.channels[found.channels] += 1
        self.sizes.append((found.width, found.height))
        self.nbytes.append(len(image))

    def told(
        self, path: str, index: str | None, records: RecordSet, images: int, face: bool
    ) -> Info:
        """Everything together."""
        readable = len(self.sizes)
        layout = "face identity" if face else "plain"
        # Two numbers may be a picture without boxes; where there are no more, they are two labels.
        if self.detections == sum(self.widths.values()) and max(self.widths, default=0) > 2:
            layout = "detection"
        elif max(self.widths, default=1) > 1:
            layout = layout if face else "multi-label"
        width = max(self.widths, default=1)
        sides = np.array(self.sizes or [(0, 0)])
        spans = [
            (int(side.min()), int(np.median(side)), int(side.max())) if readable else None
            for side in sides.T
        ]
        return Info(
            path,
            index,
            records.nbytes,
            len(records),
            images,
            layout,
            width,
            readable + self.unreadable,
            dict(self.labels.most_common(MOST_LABELS)),
            dict(self.formats.most_common()),
            {str(channels): count for channels, count in self.channels.most_common()},
            spans[0],
            spans[1],
            int(np.mean(self.nbytes)) if readable else 0,
            self.unreadable,
            _call(path, index, layout, width, sides) if readable else "",
        )


def _call(path: str, index: str | None, layout: str, width: int, sides: Any) -> str:
    """A call that loads the file."""
    side = int(min(np.median(sides, axis=0)))
    small, boxes = side < 256, layout == "detection"
    arguments = [f"path_imgrec={path!r}"]
    if index is not None:
        arguments.append(f"path_imgidx={index!r}")
    crop = max(8, side // 8 * 8) if small else 224
    arguments.append(f"data_shape=(3, {crop}, {crop})")
    if not small and not boxes:  # pictures with boxes are not cropped
        arguments.append("resize=256")
    if layout == "multi-label" or (layout == "face identity" and width > 1):
        arguments.append(f"label_width={width}")
    arguments += ["batch_size=64", "shuffle=True"]
    kind = "ImageDetRecordIter" if boxes else "ImageRecordIter"
    return f"gpuio.io.{kind}({', '.join(arguments)})"


def add_command(commands: Any) -> None:
    """Add ``info`` to the commands of `gpuio.tools.cli`."""
    parser = add_parser(
        commands,
        "info",
        _command,
        text="say what a record file holds, and how to load it",
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
        help=f"records to look into; 0: all; default: {SAMPLE}",
    )
    add_json(parser)


def _idx(idx: str | None) -> str:
    return "" if idx is None else f" --idx {idx}"


def _command(args: argparse.Namespace) -> int:
    found = info(args.rec, args.idx, args.sample)
    if args.json:
        print_json(found)
        return 0
    spread = "" if found.looked_at == found.images else f" (of {found.looked_at:,} looked at)"
    lines = {
        "file": f"{found.rec}, {found.bytes:,} bytes",
        "index": found.idx or "none",
        "records": f"{found.records:,}, {found.images:,} of them images",
        "layout": f"{found.layout}, label width {found.label_width}",
        f"labels{spread}": ", ".join(f"{label}: {n:,}" for label, n in found.labels.items()),
        "formats": ", ".join(f"{name}: {n:,}" for name, n in found.formats.items()),
        "channels": ", ".join(f"{name}: {n:,}" for name, n in found.channels.items()),
    }
    for side, span in (("width", found.width), ("height", found.height)):
        if span:
            lines[side] = f"{span[0]} to {span[2]} pixels, median {span[1]}"
    if found.width:
        lines["image"] = f"{found.mean_bytes:,} bytes on average"
    if found.unreadable:
        lines["unreadable"] = (
            f"{found.unreadable:,}; look with: gpuio verify {found.rec}{_idx(args.idx)}"
        )
    if found.call:
        lines["load it"] = found.call
    for name, text in lines.items():
        print(f"{name}: {text}")
    return 0
