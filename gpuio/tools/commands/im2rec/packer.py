"""Records of image files: read, decoded, scaled and encoded as the options say."""

from __future__ import annotations

import math
import struct
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.decoding.header import import_pillow, read_header
from gpuio.decoding.limits import MAX_PIXELS, check_encoded, over_limit
from gpuio.errors import FILE_ERRORS, ArgumentError, DecodeError, Error
from gpuio.recordio import IRHeader, pack, pack_img, unpack
from gpuio.recordio.framing import Payload, frame
from gpuio.recordio.lists import ListItem
from gpuio.tools.commands.im2rec.folder import ImageFolder
from gpuio.tools.commands.im2rec.lists import BadImage
from gpuio.tools.parallel import map_ordered

# Images that a thread makes records of at a time, and how many such groups per thread may be queued
# or finished before their turn.
CHUNK, AHEAD = 4, 3

# Threads besides those of the CPUs, where most of the time they wait for a remote store.
READERS = 16

# Valid keys of an index, and the largest label of a header.
KEYS, MAX_LABEL = range(1 << 63), float(np.finfo(np.float32).max)


class Record(NamedTuple):
    """A record to be written.

    Attributes
    ----------
    path : the image file
    key : its key in the list
    framed : the record as stored in the file, in pieces
    doubt : why it may not be an image; empty: no doubt
    """

    path: str
    key: int
    framed: list[Payload]
    doubt: str


@dataclass(frozen=True)
class ImagePacker:
    """Makes records of image files; the attributes are the options of `write_records`."""

    pass_through: bool
    resize: int
    center_crop: bool
    quality: int
    encoding: str
    color: int
    pack_label: bool
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        if self.resize < 0:
            raise ArgumentError(f"resize must be 0 (no resizing) or more, not {self.resize!r}")
        if self.encoding not in (".jpg", ".png"):
            raise ArgumentError(f"encoding must be '.jpg' or '.png', not {self.encoding!r}")
        if self.color not in (-1, 0, 1):
            raise ArgumentError(
                f"color must be 1 (color), 0 (grayscale) or -1 (unchanged), not {self.color!r}"
            )
        least = 1 if self.encoding == ".jpg" else 0
        if not least <= self.quality <= 100:
            raise ArgumentError(f"quality must be from {least} to 100, not {self.quality!r}")

    def import_packages(self) -> None:
        """Import what `make_record` needs, before it is called by threads; see `import_pillow`."""
        import_pillow()
        if not self.pass_through:
            import cv2  # noqa: F401

            import gpuio.planning.plan  # noqa: F401

    def make_record(self, item: ListItem | BadImage, images: ImageFolder) -> Record | BadImage:
        """Make the record of an image, or say why it cannot be used.

        Raises
        ------
        RemoteError, FileChangedError : a remote store fails.
        """
        if isinstance(item, BadImage):
            return item
        path = images.path(item.path)
        try:
            payload = self._payload(item, images.read(item.path))
            framed = frame(payload)
        except FILE_ERRORS:
            raise
        except (Error, OSError, ValueError, struct.error) as error:
            return BadImage(path, getattr(error, "strerror", None) or str(error))
        doubt = self.doubt(np.frombuffer(payload, np.uint8))
        return Record(path, item.key, framed, doubt)

    def doubt(self, payload: NDArray[np.uint8]) -> str:
        """Why a record may not hold an image; empty: no doubt."""
        if not self.pass_through:
            return ""
        try:
            read_header(unpack(payload)[1])
        except DecodeError as error:
            return str(error)
        return ""

    def _payload(self, item: ListItem, encoded: bytes) -> bytes:
        labels = item.labels
        label = list(labels) if self.pack_label and len(labels) > 1 else labels[0]
        if item.key not in KEYS:
            raise ArgumentError(f"its key must be from 0 to {KEYS[-1]}, not {item.key}")
        for number in labels:
            if MAX_LABEL < abs(number) < math.inf:
                raise ArgumentError(f"its label {number:g} does not fit into float32")
        header = IRHeader(0, label, item.key, 0)
        if self.pass_through:
            return pack(header, encoded)
        image = _decode(encoded, self.color, self.max_pixels)
        image = _scale(self._crop(image), self.resize, self.max_pixels)
        return pack_img(header, image, self.quality, self.encoding)

    def _crop(self, image: NDArray[Any]) -> NDArray[Any]:
        if not self.center_crop:
            return image
        height, width = image.shape[:2]
        size = min(height, width)
        top, left = (height - size) // 2, (width - size) // 2
        return image[top : top + size, left : left + size]


def _decode(encoded: bytes, color: int, max_pixels: int) -> NDArray[Any]:
    """Decode to uint8 or uint16 (H, W), (H, W, 3) or (H, W, 4), as ``cv2.imread`` does."""
    import cv2

    if not encoded:
        raise DecodeError("the file is empty")
    data = np.frombuffer(encoded, np.uint8)
    usable = check_encoded(data, max_pixels)
    try:
        image = cv2.imdecode(data, color) if usable else None
    except cv2.error as error:
        raise DecodeError(f"OpenCV cannot read it: {' '.join(str(error).split())}") from error
    if image is None:
        raise DecodeError("not an image that OpenCV can read")
    return image


def _scale(image: NDArray[Any], shorter: int, max_pixels: int) -> NDArray[Any]:
    """Scale the shorter side to a length in pixels; 0: no scaling."""
    import cv2

    from gpuio.planning.plan import shorter_side

    if not shorter:
        return image
    size = shorter_side(image.shape[1], image.shape[0], shorter)
    if problem := over_limit(*size, max_pixels, "the resized image"):
        raise ArgumentError(f"it cannot be scaled to {size[0]} x {size[1]} pixels: {problem}")
    try:
        return cv2.resize(image, size)
    except cv2.error as error:
        raise ArgumentError(
            f"it cannot be scaled to {size[0]} x {size[1]} pixels: {' '.join(str(error).split())}"
        ) from error


def make_records(
    packer: ImagePacker, items: Iterable[ListItem | BadImage], images: ImageFolder, threads: int
) -> Generator[Record | BadImage, None, None]:
    """The records of a list's images, made in threads, in the order of the list.

    Parameters
    ----------
    items : of `read_list`
    threads : their number; 1: the caller's

    Raises
    ------
    RemoteError, FileChangedError : a remote store fails.
    """
    packer.import_packages()
    make = partial(packer.make_record, images=images)
    if threads == 1:
        yield from map(make, items)
        return
    items = iter(items)
    chunks: Iterator[list[ListItem | BadImage]] = iter(lambda: list(islice(items, CHUNK)), [])
    with closing(
        map_ordered(
            threads,
            lambda chunk: list(map(make, chunk)),
            chunks,
            AHEAD * threads,
            name="gpuio-im2rec",
            waits=images.is_remote,
        )
    ) as several:
        for results in several:
            yield from results
