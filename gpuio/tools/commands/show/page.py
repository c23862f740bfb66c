"""Self-contained HTML page of images."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from importlib.resources import files
from string import Template

import numpy as np
from numpy.typing import NDArray

from gpuio.tools.commands.show.images import LabelledImage

QUALITY = 90


def render_page(images: Sequence[LabelledImage], title: str, size: int) -> str:
    """Render the HTML: embedded images with captions, and a search field for label, key or words.

    Parameters
    ----------
    size : width of a column in pixels
    """
    template = Template(files("gpuio.tools.commands.show").joinpath("page.html").read_text("utf-8"))
    return template.substitute(
        title=html.escape(title),
        size=size,
        count=f"{len(images)} image{'' if len(images) == 1 else 's'}",
        figures="\n".join(map(_figure, images)),
    )


def _figure(image: LabelledImage) -> str:
    key, label = str(image.key), html.escape(image.label)
    lines = [f"<b>{label or '?'}</b>", f"<span>key {key}</span>"]
    if image.details:
        lines.append(f"<span>{html.escape(image.details)}</span>")
    if image.problem:
        lines.append(f'<span class="problem">{html.escape(image.problem)}</span>')
    element = '<div class="none">no image</div>'
    if image.pixels is not None:
        height, width = image.pixels.shape[:2]
        element = (
            f'<img src="data:image/jpeg;base64,{_jpeg(image.pixels)}" width="{width}" '
            f'height="{height}" alt="record {key}, label {label}">'
        )
    return (
        f'<figure data-key="{key}" data-label="{label.lower()}">{element}'
        f"<figcaption>{''.join(lines)}</figcaption></figure>"
    )


def _jpeg(pixels: NDArray[np.uint8]) -> str:
    import simplejpeg

    encoded = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), QUALITY)
    return base64.b64encode(encoded).decode()
