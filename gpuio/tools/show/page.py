"""A page for a browser, in one file that needs no other."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from importlib.resources import files
from string import Template

import numpy as np
from numpy.typing import NDArray

from gpuio.tools.show.pictures import Picture

QUALITY = 90


def page(pictures: Sequence[Picture], title: str, size: int) -> str:
    """The page's HTML: the pictures in it, with label, key and what is known of each, and a field
    that shows only those with a label, a key or a text.
    """
    template = Template(files("gpuio.tools.show").joinpath("page.html").read_text("utf-8"))
    return template.substitute(
        title=html.escape(title),
        size=size,
        count=f"{len(pictures)} picture{'' if len(pictures) == 1 else 's'}",
        figures="\n".join(map(_figure, pictures)),
    )


def _figure(picture: Picture) -> str:
    key, label = str(picture.key), html.escape(picture.label)
    lines = [f"<b>{label or '?'}</b>", f"<span>key {key}</span>"]
    if picture.about:
        lines.append(f"<span>{html.escape(picture.about)}</span>")
    if picture.trouble:
        lines.append(f'<span class="trouble">{html.escape(picture.trouble)}</span>')
    image = '<div class="none">no picture</div>'
    if picture.pixels is not None:
        height, width = picture.pixels.shape[:2]
        image = (
            f'<img src="data:image/jpeg;base64,{_jpeg(picture.pixels)}" width="{width}" '
            f'height="{height}" alt="record {key}, label {label}">'
        )
    return (
        f'<figure data-key="{key}" data-label="{label.lower()}">{image}'
        f"<figcaption>{''.join(lines)}</figcaption></figure>"
    )


def _jpeg(pixels: NDArray[np.uint8]) -> str:
    import simplejpeg

    encoded = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), QUALITY)
    return base64.b64encode(encoded).decode()
