"""What is shown: pictures of records, or of batches, with what is known of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.context import Context
from gpuio.decoding.header import probe
from gpuio.errors import ArgumentError, DecodeError, RecordError
from gpuio.recordio import RecordSet
from gpuio.sampling.order import permute
from gpuio.tools.files import iterator_files
from gpuio.tools.labels import LabelChoice, is_detection, label_text
from gpuio.tools.sheet import denormalise
from gpuio.tools.tasks import SHAPE
from gpuio.tools.verify import verify

# Numbers of a label that are written out.
MOST_NUMBERS = 6

MEANS, DEVIATIONS = (tuple(f"{kind}_{name}" for name in "rgba") for kind in ("mean", "std"))


class Picture(NamedTuple):
    """A picture to be shown.

    Attributes
    ----------
    key : of its record
    label : as it is written under the picture
    about : the record's image, such as "500 x 375 jpeg, 110 kB"; empty in batches
    trouble : what is wrong with it; empty: nothing
    pixels : uint8 (height, width, 3), RGB, no side longer than asked; None: cannot be shown
    """

    key: int
    label: str
    about: str
    trouble: str
    pixels: NDArray[np.uint8] | None


def of_records(
    records: RecordSet,
    count: int,
    size: int,
    *,
    keys: Iterable[int] | None = None,
    labels: Iterable[float] | None = None,
    seed: int | None = None,
) -> Iterator[Picture]:
    """Pictures of records.

    Parameters
    ----------
    records : the file
    count : how many, at most
    size : pixels of the longer side
    keys : these records, in this order
    labels : only records whose first label is one of these
    seed : records drawn at random; None: spread evenly over the file, or with `labels` the first

    Raises
    ------
    ArgumentError : there is no record with one of the keys.
    """
    images = np.asarray(records.image_ordinals(), np.int64)
    if keys is not None:
        known = {int(records.keys[ordinal]): int(ordinal) for ordinal in images}
        missing = [key for key in keys if key not in known]
        if missing:
            raise ArgumentError(f"there is no image with key {missing[0]} in {records.paths[0]}")
        chosen = np.array([known[key] for key in keys], np.int64)
    elif seed is not None and len(images):
        places = len(images) if labels is not None else min(count, len(images))
        chosen = images[permute(np.arange(places), len(images), seed, 0)]
    elif labels is None and len(images):
        chosen = images[np.unique(np.linspace(0, len(images) - 1, count).round().astype(int))]
    else:
        chosen = images
    if labels is not None:
        wanted = LabelChoice(labels)
        found: Iterable[int] = (
            int(ordinal) for ordinal in chosen if _label(records, int(ordinal)) in wanted
        )
    else:
        found = chosen.tolist()
    for ordinal in islice(found, count):
        yield _of_record(records, ordinal, size)


def of_bad_records(records: RecordSet, idx: str | None, count: int, size: int) -> Iterator[Picture]:
    """Pictures of records whose images cannot be read, or only in part."""
    path = records.paths[0]
    reasons = {
        finding.offset: finding.reason
        for finding in verify(path, idx, "deep").findings
        if finding.kind in ("header", "image", "partial")
    }
    ordinals = (n for n in range(len(records)) if reasons and records.place(n)[1] in reasons)
    for ordinal in islice(ordinals, count):
        picture = _of_record(records, ordinal, size)
        yield picture._replace(trouble=reasons[records.place(ordinal)[1]])


def of_batches(
    rec: str,
    idx: str | None,
    count: int,
    size: int,
    options: dict[str, Any],
    ctx: Context | str | None,
) -> Iterator[Picture]:
    """Pictures of the batches that an ImageRecordIter with some options gives.

    Raises
    ------
    ArgumentError, UnsupportedError : the iterator does not take the options.
    """
    from gpuio.io import ImageRecordIter

    arguments: dict[str, Any] = {
        "data_shape": SHAPE,
        "on_error": "skip",
        "verbose": False,
        **options,
    }
    arguments.setdefault("batch_size", min(count, 64))
    try:
        iterator = ImageRecordIter(**iterator_files(rec, idx), ctx=ctx, **arguments)
    except TypeError as error:  # no such option
        raise ArgumentError(str(error)) from error
    with iterator:
        description = iterator.provide_data[0]
        normal = description.dtype not in (np.uint8, np.int8)
        mean = [float(arguments.get(name, 0)) for name in MEANS]
        if description.dtype == np.int8:
            mean = [float(round(value)) for value in mean]
        std = [float(arguments.get(name, 1)) for name in DEVIATIONS] if normal else [1.0] * 4
        scale = float(arguments.get("scale", 1)) if normal else 1.0
        if description.dtype == np.uint8:
            mean = [0.0] * 4
        left = count
        for batch in iterator:
            rows = min(len(batch.data[0]) - (batch.pad or 0), left)
            pixels = denormalise(batch.data[0][:rows], mean, std, scale, str(description.layout))
            labels = batch.label[0].asnumpy()[:rows].reshape(rows, -1)
            for picture, label, key in zip(pixels, labels, batch.index[:rows], strict=True):
                yield Picture(int(key), _written(label), "", "", _fit(_coloured(picture), size))
            left -= rows
            if not left:
                break


def _of_record(records: RecordSet, ordinal: int, size: int) -> Picture:
    from gpuio.decoding.host import decode
    from gpuio.image.drawing import draw_boxes

    key, label, about = int(records.keys[ordinal]), "", ""
    try:
        header, image = records.record(ordinal)
        numbers = np.atleast_1d(np.asarray(header.label, np.float32))
        label = _written(numbers)
        info = probe(image)
        about = f"{info.width} x {info.height} {info.format}, {len(image) / 1e3:,.1f} kB"
        channels = 4 if info.channels == 4 and info.format == "png" else 3
        pixels = _fit(_coloured(decode(image, info, channels)), size)
        if is_detection(numbers):
            draw_boxes(pixels, numbers[int(numbers[0]) :].reshape(-1, int(numbers[1])))
    except (RecordError, DecodeError) as error:
        return Picture(key, label, about, str(error), None)
    return Picture(key, label, about, "", pixels)


def _label(records: RecordSet, ordinal: int) -> Any:
    try:
        return records.record(ordinal)[0].label
    except RecordError:
        return []


def _written(label: NDArray[np.float32]) -> str:
    """A label as text."""
    if is_detection(label) and len(label) > 2:
        boxes = (len(label) - int(label[0])) // int(label[1])
        return f"{boxes} box{'' if boxes == 1 else 'es'}"
    more = ", …" if len(label) > MOST_NUMBERS else ""
    return ", ".join(map(label_text, label[:MOST_NUMBERS])) + more


def _coloured(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Three channels; what was transparent becomes white."""
    if picture.shape[2] == 1:
        return np.repeat(picture, 3, 2)
    if picture.shape[2] == 4:
        opaque = picture[:, :, 3:].astype(np.uint16)
        mixed: NDArray[np.uint8] = (
            (picture[:, :, :3] * opaque + 255 * (255 - opaque)) // 255
        ).astype(np.uint8)
        return mixed
    return picture


def _fit(picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The picture, its own copy, made smaller where a side is longer than `size`."""
    import cv2

    height, width = picture.shape[:2]
    share = min(1.0, size / max(height, width))
    if share == 1:
        return picture.copy()
    sides = max(1, round(width * share)), max(1, round(height * share))
    return np.asarray(cv2.resize(picture, sides, interpolation=cv2.INTER_AREA), np.uint8)
