"""What a page shows."""

import base64
import io
import re
from pathlib import Path

import numpy as np
from PIL import Image


def keys(html: Path) -> list[int]:
    """Keys of the records, in order."""
    return [int(key) for key in re.findall('data-key="(\\d+)"', html.read_text())]


def embedded_images(html: Path) -> list[np.ndarray]:
    """Pixels of the images."""
    found = re.findall('data:image/jpeg;base64,([^"]+)', html.read_text())
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) for data in found]
