"""Contact sheets of image batches."""

from __future__ import annotations

import io
import math
import os
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError
from gpuio.storage.local import Path
from gpuio.storage.remote.opening import location
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.replacing import write_file

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

BACKGROUND, INK, FAINT = (250, 249, 246), (38, 38, 38), (130, 128, 122)

# As fractions of an image's width.
MARGIN, GAP, FONT = 1 / 9, 1 / 14, 1 / 13

MIN_FONT = 9


def contact_sheet(
    images: NDArray[np.uint8],
    labels: Sequence[str],
    path: Path | None = None,
    *,
    columns: int | None = None,
    title: str = "",
) -> Image:
    """Draw images in a grid, each with its label below.

    Parameters
    ----------
    images : uint8 (N, H, W, 3), or (N, H, W, 1) for grayscale
    labels : N strings, truncated to the image's width; accents are dropped
    path : where to save the sheet, as PNG or in the format of the extension; None: do not save it
    columns : images per row; None: chosen so that the sheet is somewhat wider than high
    title : a line above the images

    Returns
    -------
    the sheet, a PIL.Image.Image

    Raises
    ------
    ArgumentError : the arguments are not as above.
    """
    from PIL import Image, ImageDraw

    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise ArgumentError(
            "images must be uint8 (N, H, W, 3) or (N, H, W, 1), not "
            f"{images.dtype} {images.shape}; denormalize() makes them from a batch"
        )
    count, height, width = images.shape[:3]
    if not count or len(labels) != count:
        raise ArgumentError(
            f"expected at least one image, and a label for each; got {count} images and "
            f"{len(labels)} labels"
        )
    if columns is None:
        columns = math.ceil((1.6 * count * height / width) ** 0.5)
    elif columns < 1:
        raise ArgumentError(f"columns must be at least 1, not {columns!r}")
    columns = min(columns, count)
    rows = -(-count // columns)
    margin, gap = round(width * MARGIN), round(width * GAP)
    font = _font(width * FONT)
    line = round(font.size * 1.9)
    title_font = _font(width * FONT * 1.25)
    top = margin + (round(title_font.size * 2) if title else 0)

    size = (
        2 * margin + columns * width + (columns - 1) * gap,
        top + rows * (height + line) + (rows - 1) * gap // 2 + margin - line // 3,
    )
    sheet = Image.new("RGB", size, BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    if title:
        fitted = _fit(title, title_font, size[0] - 2 * margin)
        draw.text((margin, margin), fitted, FAINT, title_font, anchor="lt")
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        x = margin + i % columns * (width + gap)
        y = top + i // columns * (height + line + gap // 2)
        sheet.paste(Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image), (x, y))
        fitted = _fit(label, font, width)
        draw.text((x, y + height + round(line * 0.62)), fitted, INK, font, anchor="ls")
    if path is not None:
        save_image(sheet, location(path))
    return sheet


def image_format(path: str) -> str:
    """Pillow's name of the format that a file name's extension stands for.

    Raises
    ------
    ArgumentError : there is none.
    """
    from PIL import Image

    extension = os.path.splitext(path)[1].lower()
    try:
        return Image.registered_extensions()[extension]
    except KeyError:
        raise ArgumentError(
            f"{extension!r} is not an image file extension; write to a name such as sheet.png or "
            "page.html"
        ) from None


def save_image(image: Image, path: str, remote: RemoteOptions | None = None) -> None:
    """Write an image, to a path or a URL, in the format of the extension; an existing file is
    replaced as a whole.

    Raises
    ------
    ArgumentError : the extension is unknown.
    RecordError, RemoteError : the file cannot be written.
    """
    encoded = io.BytesIO()
    image.save(encoded, image_format(path))
    write_file(path, encoded.getvalue(), remote)


def denormalize(
    batch: Any,
    mean: Sequence[float] = (0.0, 0.0, 0.0),
    std: Sequence[float] = (1.0, 1.0, 1.0),
    scale: float = 1.0,
    layout: str = "NCHW",
) -> NDArray[np.uint8]:
    """Recover the pixel values that a normalized batch was made from.

    ``pixel = value * std / scale + mean``, rounded and clipped to 0…255.

    Parameters
    ----------
    batch : NDArray or array of any numeric dtype, on any device; (N, C, H, W) or (N, H, W, C)
    mean, std : one number per channel, as given to the iterator
    scale : as given to the iterator
    layout : "NCHW" or "NHWC"

    Returns
    -------
    uint8 (N, H, W, C) on the host

    Raises
    ------
    ArgumentError : the batch does not have four axes, the layout is unknown, or mean or std has
        fewer numbers than there are channels.
    """
    if layout not in ("NCHW", "NHWC"):
        raise ArgumentError(f"layout must be 'NCHW' or 'NHWC', not {layout!r}")
    values = np.asarray(batch.asnumpy() if hasattr(batch, "asnumpy") else batch)
    if values.ndim != 4:
        raise ArgumentError(f"expected a batch of images with four axes, got shape {values.shape}")
    if layout == "NCHW":
        values = values.transpose(0, 2, 3, 1)
    channels = values.shape[3]
    if min(len(mean), len(std)) < channels:
        raise ArgumentError(
            f"mean and std must have a number for each of {channels} channels, not {mean} and {std}"
        )
    factor = np.asarray(std[:channels], np.float32) / np.float32(scale)
    pixels = values.astype(np.float32) * factor + np.asarray(mean[:channels], np.float32)
    clipped: NDArray[np.uint8] = np.rint(pixels).clip(0, 255).astype(np.uint8)
    return clipped


def _font(size: float) -> FreeTypeFont:
    from PIL import ImageFont
    from PIL.ImageFont import FreeTypeFont

    font = ImageFont.load_default(max(MIN_FONT, round(size)))
    assert isinstance(font, FreeTypeFont)  # Pillow returns one whenever a size is given
    return font


def _fit(string: str, font: FreeTypeFont, width: float) -> str:
    """Reduce a string to the font's characters, and truncate it to a width in pixels."""
    # Pillow's font has little more than ASCII: accents are dropped, other characters become "?".
    decomposed = unicodedata.normalize("NFKD", string)
    plain = "".join(c for c in decomposed if not unicodedata.combining(c))
    string = " ".join(plain.encode("ascii", "replace").decode().split())
    if font.getlength(string) <= width:
        return string
    while string and font.getlength(f"{string}…") > width:
        string = string[:-1].rstrip()
    return f"{string}…"
