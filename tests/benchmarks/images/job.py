"""What a contestant has to do: files, and what becomes of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Job:
    """Batches of float32 (batch_size, 3, size, size) RGB, ``(pixel - mean) / std``, and their
    labels, without end.

    The files hold the same images in the same order; an image's label is its number.

    Attributes
    ----------
    rec, idx : record file and index
    folder : one file for each image, ``<number><extension>``
    shards : tar files for WebDataset, ``<number><extension>`` and ``<number>.cls``
    extension : ".jpg" or ".png"
    count : number of images
    size : height and width of the output in pixels
    resize : without train: scale the shorter side to this, then crop the center; 0: crop only
    train : shuffle, crop at random, mirror with probability 0.5
    area, ratio : with train: ranges of the fraction of the image that is cropped and of its
        width/height, scaled to the output; None: crop a square of `size` instead
    pad : first add a black border of this many pixels
    mean, std : of each channel, in pixel values
    batch_size : images in a batch
    threads : decoding threads, or processes of contestants that have processes
    """

    rec: str
    idx: str
    folder: str
    shards: list[str]
    extension: str
    count: int
    size: int
    resize: int
    train: bool
    area: tuple[float, float] | None
    ratio: tuple[float, float]
    pad: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    batch_size: int
    threads: int

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Job:
        """Restore a job from ``dataclasses.asdict`` after JSON made lists of its tuples."""
        return cls(
            **{
                name: tuple(value) if isinstance(value, list) and name != "shards" else value
                for name, value in fields.items()
            }
        )

    def path(self, number: int) -> str:
        """File of an image in `folder`."""
        return f"{self.folder}/{number:06}{self.extension}"
