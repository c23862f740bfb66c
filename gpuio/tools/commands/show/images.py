"""Images to show, of records or of batches, with their labels and problems."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.context import Context
from gpuio.decoding.header import read_header
from gpuio.decoding.limits import MAX_PIXELS, check_image
from gpuio.errors import ArgumentError, DecodeError, RecordError
from gpuio.recordio import RecordSet, unpack
from gpuio.sampling.permutation import permute
from gpuio.storage.remote.options import RemoteOptions
from gpuio.tools.commands.verify import Verification
from gpuio.tools.labels import is_detection, label_string, label_strings, starts_with_label
from gpuio.tools.layouts import DETECTION, Layout, layout_of_file
from gpuio.tools.payloads import read_payloads
from gpuio.tools.sheet import denormalize
from gpuio.tools.tasks import SHAPE, open_iterator

# Rows of an image that are blended at once.
ROWS = 256

# Maximum number of a label's numbers to write.
MAX_NUMBERS = 6

# Records whose labels are read at a time.
LABELS = 1 << 10

MEANS, STDS = (tuple(f"{kind}_{name}" for name in "rgba") for kind in ("mean", "std"))


class LabelledImage(NamedTuple):
    """An image with its caption.

    Attributes
    ----------
    key : of its record
    label : as written in the caption
    details : of the encoded image, such as "500 x 375 jpeg, 110 kB"; empty for batches
    problem : what is wrong with it; empty: nothing
    pixels : uint8 (height, width, 3), RGB, scaled to fit the requested size; None: unreadable
    """

    key: int
    label: str
    details: str
    problem: str
    pixels: NDArray[np.uint8] | None


def of_records(
    records: RecordSet,
    count: int,
    size: int,
    *,
    keys: Iterable[int] | None = None,
    labels: Iterable[float] | None = None,
    seed: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Iterator[LabelledImage]:
    """Images of records.

    Parameters
    ----------
    records : the file
    count : maximum number
    size : maximum length of the longer side, in pixels
    keys : these records, in this order
    labels : only records whose first label is one of these
    seed : draw records at random; None: evenly spread over the file, or with `labels` the first
    max_pixels : the most pixels of an image that is shown

    Raises
    ------
    ArgumentError : no record has one of the keys.
    """
    images = np.asarray(records.image_ordinals(), np.int64)
    if keys is not None:
        by_key = {int(records.keys[ordinal]): int(ordinal) for ordinal in images}
        missing = [key for key in keys if key not in by_key]
        if missing:
            raise ArgumentError(f"there is no image with key {missing[0]} in {records.paths[0]}")
        chosen = np.array([by_key[key] for key in keys], np.int64)
    elif seed is not None and len(images):
        drawn = len(images) if labels is not None else min(count, len(images))
        chosen = images[permute(np.arange(drawn), len(images), seed, 0)]
    elif labels is None and len(images):
        chosen = images[np.unique(np.linspace(0, len(images) - 1, count).round().astype(int))]
    else:
        chosen = images
    ordinals: Iterable[int] = chosen.tolist()
    if labels is not None:
        ordinals = _with_labels(records, chosen, label_strings(labels))
    yield from _of_records(records, list(islice(ordinals, count)), size, max_pixels)


def of_bad_records(
    records: RecordSet,
    found: Verification,
    count: int,
    size: int,
    max_pixels: int = MAX_PIXELS,
) -> Iterator[LabelledImage]:
    """Images of records that cannot be decoded, or only in part, as a deep verification of their
    file has found.
    """
    reasons: dict[int | None, str] = {
        finding.offset: finding.reason
        for finding in found.findings
        if finding.kind in ("header", "image", "limit", "partial")
    }
    bad = (n for n in range(len(records)) if reasons and records.location(n).offset in reasons)
    ordinals = list(islice(bad, count))
    images = _of_records(records, ordinals, size, max_pixels)
    for ordinal, image in zip(ordinals, images, strict=True):
        yield image._replace(problem=reasons[records.location(ordinal).offset])


def of_batches(
    rec: str,
    idx: str | None,
    count: int,
    size: int,
    options: dict[str, Any],
    ctx: Context | str | None,
    layout: Layout | None = None,
    remote: RemoteOptions | None = None,
) -> Iterator[LabelledImage]:
    """Images of the batches of an ImageRecordIter with the given options; for files with boxes of
    an ImageDetRecordIter, with the boxes.

    Parameters
    ----------
    layout : of the file; None: it is looked at

    Raises
    ------
    ArgumentError, UnsupportedError : the iterator does not accept the options.
    """
    arguments: dict[str, Any] = {
        "data_shape": SHAPE,
        "on_error": "skip",
        "verbose": False,
        **options,
    }
    # Images are shown as they are before the mean is subtracted.
    arguments.pop("mean_img", None)
    arguments.setdefault("batch_size", min(count, 64))
    if "round_batch" not in arguments:  # a file may have fewer images than a batch
        arguments.setdefault("last_batch_handle", "pad")
    layout = layout or layout_of_file(rec, idx, remote)
    with open_iterator(rec, idx, ctx, arguments, layout, remote) as iterator:
        description = iterator.provide_data[0]
        # uint8 batches are not normalized at all, int8 batches only by the rounded mean.
        normalized = description.dtype not in (np.uint8, np.int8)
        mean = [float(arguments.get(name, 0)) for name in MEANS]
        if description.dtype == np.int8:
            mean = [float(round(value)) for value in mean]
        std = [float(arguments.get(name, 1)) for name in STDS] if normalized else [1.0] * 4
        scale = float(arguments.get("scale", 1)) if normalized else 1.0
        if description.dtype == np.uint8:
            mean = [0.0] * 4
        left = count
        for batch in iterator:
            rows = min(len(batch.data[0]) - batch.padding, left)
            pixels = denormalize(batch.data[0][:rows], mean, std, scale, str(description.layout))
            labels = batch.label[0].asnumpy()[:rows].reshape(rows, -1)
            for image, label, key in zip(pixels, labels, batch.index[:rows], strict=True):
                fitted = _fit(_to_rgb(image), size)
                if layout.name == DETECTION:
                    caption = _draw_batch_boxes(fitted, label, image.shape[:2])
                else:
                    caption = _format_label(label)
                yield LabelledImage(int(key), caption, "", "", fitted)
            left -= rows
            if not left:
                break


def _of_records(
    records: RecordSet,
    ordinals: list[int],
    size: int,
    max_pixels: int,
) -> Iterator[LabelledImage]:
    payloads = read_payloads(records, ordinals)
    for ordinal, payload in zip(ordinals, payloads, strict=True):
        yield _of_record(int(records.keys[ordinal]), payload, size, max_pixels)


def _of_record(
    key: int, payload: NDArray[np.uint8] | RecordError, size: int, max_pixels: int
) -> LabelledImage:
    from gpuio.decoding.host import decode
    from gpuio.image.drawing import draw_boxes

    label, details = "", ""
    try:
        if isinstance(payload, RecordError):
            raise payload
        header, image = unpack(payload)
        numbers = np.atleast_1d(np.asarray(header.label, np.float32))
        label = _format_label(numbers)
        info = read_header(image)
        details = f"{info.width} x {info.height} {info.format}, {len(image) / 1e3:,.1f} kB"
        check_image(info, image, max_pixels)
        channels = 4 if info.channels == 4 and info.format == "png" else 3
        pixels = _fit(_to_rgb(decode(image, info, channels)), size)
        if is_detection(numbers):
            draw_boxes(pixels, numbers[int(numbers[0]) :].reshape(-1, int(numbers[1])))
    except (RecordError, DecodeError) as error:
        return LabelledImage(key, label, details, str(error), None)
    return LabelledImage(key, label, details, "", pixels)


def _draw_batch_boxes(
    pixels: NDArray[np.uint8], label: NDArray[np.float32], size: tuple[int, int]
) -> str:
    """Draw the boxes of a label of ImageDetRecordIter; returns its caption.

    Parameters
    ----------
    pixels : uint8 (height, width, 3), changed
    label : channels, rows and columns that the image fills, how many numbers follow, and these
    size : rows and columns of the batch's images
    """
    from gpuio.image.drawing import draw_boxes

    rows, columns, count = label[1:4].astype(int)
    numbers = label[4 : 4 + count].copy()
    boxes = numbers[int(numbers[0]) :].reshape(-1, int(numbers[1]))
    scale = columns / size[1], rows / size[0]  # a box's corners are fractions of the filled part
    boxes[:, 1:5] *= [*scale, *scale]
    draw_boxes(pixels, boxes)
    return _format_boxes(len(boxes))


def _with_labels(
    records: RecordSet, ordinals: NDArray[np.int64], labels: Set[str]
) -> Iterator[int]:
    """Those of some records, in their order, whose first label is one of these."""
    for first in range(0, len(ordinals), LABELS):
        some = ordinals[first : first + LABELS]
        matching = {
            ordinal
            for inside, rows in records.label_blocks(some, skip_damaged=True)
            for ordinal, row in zip(inside.tolist(), rows, strict=True)
            if starts_with_label(row, labels)
        }
        yield from (ordinal for ordinal in some.tolist() if ordinal in matching)


def _format_label(label: NDArray[np.float32]) -> str:
    """Format a label for a caption."""
    if is_detection(label) and len(label) > 2:
        return _format_boxes((len(label) - int(label[0])) // int(label[1]))
    more = ", …" if len(label) > MAX_NUMBERS else ""
    return ", ".join(map(label_string, label[:MAX_NUMBERS])) + more


def _format_boxes(count: int) -> str:
    return f"{count} box{'' if count == 1 else 'es'}"


def _to_rgb(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Convert (H, W, 1 or 3 or 4) to (H, W, 3), with transparent areas white."""
    if image.shape[2] == 1:
        return np.repeat(image, 3, 2)
    if image.shape[2] == 4:
        blended = np.empty((*image.shape[:2], 3), np.uint8)
        for row in range(0, len(image), ROWS):  # a part at a time: 16 bits take more memory
            part = image[row : row + ROWS]
            alpha = part[:, :, 3:].astype(np.uint16)
            blended[row : row + ROWS] = (part[:, :, :3] * alpha + 255 * (255 - alpha)) // 255
        return blended
    return image


def _fit(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Copy an image, scaled down if its longer side exceeds `size` pixels."""
    import cv2

    height, width = image.shape[:2]
    scale = min(1.0, size / max(height, width))
    if scale == 1:
        return image.copy()
    shape = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(image, shape, interpolation=cv2.INTER_AREA), np.uint8)
