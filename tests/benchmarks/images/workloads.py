"""The images that are loaded: made from photographs, encoded once, in every kind of file."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gpuio.tools.tasks import MEAN, STD, TASKS
from tests.benchmarks.images.job import Job
from tests.benchmarks.photographs import write_records

AREA = TASKS["train"]["min_random_area"], TASKS["train"]["max_random_area"]
RATIO = TASKS["train"]["min_aspect_ratio"], TASKS["train"]["max_aspect_ratio"]

# Tar files for WebDataset, of which each process needs one at least.
SHARDS = 16


@dataclass(frozen=True)
class Workload:
    """Images of one kind, and what is done to them.

    Attributes
    ----------
    name, title, description : in figures, and in the report
    stored : pixels of an image's height and width as it is stored; 0: as the photographs are
    mosaic : width and height of an image that is made of photographs instead
    extension : ".jpg" or ".png"
    size, batch_size : of the output
    images : number of different ones
    copies : how often the files hold each; an epoch is a number of whole batches
    scaled : eval scales the shorter side to 8/7 of the output before the crop, and train crops a
        random area; else images are used as they are stored
    pad : border before train's random crop, in pixels
    """

    name: str
    title: str
    description: str
    stored: int = 0
    mosaic: tuple[int, int] | None = None
    extension: str = ".jpg"
    size: int = 224
    batch_size: int = 64
    images: int = 200
    copies: int = 1
    scaled: bool = True
    pad: int = 0

    def job(self, folder: Path, task: str, threads: int) -> Job:
        """The job of one task, "eval" or "train", over files that `write_files` wrote."""
        train = task == "train"
        return Job(
            rec=str(folder / "images.rec"),
            idx=str(folder / "images.idx"),
            folder=str(folder / "images"),
            shards=sorted(map(str, folder.glob("*.tar"))),
            extension=self.extension,
            count=sum(1 for _ in (folder / "images").iterdir()),
            size=self.size,
            resize=self.size * 8 // 7 if self.scaled and not train else 0,
            train=train,
            area=AREA if self.scaled and train else None,
            ratio=RATIO,
            pad=self.pad if train else 0,
            mean=MEAN,
            std=STD,
            batch_size=self.batch_size,
            threads=threads,
        )


SCALED = (
    "eval: shorter side to 256, center crop of 224 x 224; train: a random 8 to 100 % of the area, "
    "width/height of 3/4 to 4/3, to 224 x 224; mirrored with probability 0.5; shuffled."
)
SMALL = (
    "eval: as they are; train: a border of 4 pixels, a random crop of 32 x 32, mirrored with "
    "probability 0.5; shuffled."
)
CIFAR: dict[str, Any] = {
    "stored": 32, "size": 32, "batch_size": 256, "images": 2048, "copies": 4, "scaled": False,
    "pad": 4,
}  # fmt: skip
WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("224", "photographs to 224 x 224", SCALED, images=192, copies=4),
        Workload(
            "112", "JPEG of 112 x 112, as faces are stored",
            "eval: as they are; train: mirrored with probability 0.5; shuffled.",
            stored=112, size=112, batch_size=128, images=1024, copies=4, scaled=False,
        ),
        Workload("32-jpeg", "JPEG of 32 x 32", SMALL, **CIFAR),
        Workload("32-png", "PNG of 32 x 32, as CIFAR", SMALL, extension=".png", **CIFAR),
        Workload(
            "12mp", "photographs of 12 megapixels to 224 x 224", SCALED, mosaic=(4000, 3000),
            batch_size=8, images=32,
        ),
    )
}  # fmt: skip


@cache
def read_image(path: Path) -> NDArray[np.uint8]:
    """Read an image as RGB, uint8 (h, w, 3)."""
    return cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)


def encode(image: NDArray[np.uint8], extension: str, quality: int = 95) -> bytes:
    """Encode RGB, uint8 (h, w, 3), as JPEG with 4:2:0 or as PNG."""
    parameters = [cv2.IMWRITE_JPEG_QUALITY, quality] if extension == ".jpg" else []
    return cv2.imencode(extension, image[:, :, ::-1], parameters)[1].tobytes()


def encoded_images(workload: Workload, paths: list[Path]) -> Iterator[bytes]:
    """The images of a workload, without copies.

    Small ones are squares of the photographs, scaled down; large ones 4 x 4 photographs, scaled up
    to about twice their size, so that they have as many bytes as a telephone's.
    """
    random = np.random.default_rng(0)
    for number in range(workload.images):
        if workload.stored:
            image = read_image(paths[number % len(paths)])
            side = int(min(image.shape[:2]) * random.uniform(0.5, 1))
            y, x = (int(random.integers(most - side + 1)) for most in image.shape[:2])
            square = image[y : y + side, x : x + side]
            size = (workload.stored, workload.stored)
            image = cv2.resize(square, size, interpolation=cv2.INTER_AREA)
            yield encode(image, workload.extension)
        elif workload.mosaic:
            across, down = workload.mosaic
            cells = [
                cv2.resize(
                    read_image(paths[(number * 16 + cell) % len(paths)]),
                    (across // 4, down // 4),
                    interpolation=cv2.INTER_CUBIC,
                )
                for cell in range(16)
            ]
            rows = [np.concatenate(cells[first : first + 4], 1) for first in range(0, 16, 4)]
            yield encode(np.concatenate(rows), workload.extension, 93)
        else:
            yield paths[number % len(paths)].read_bytes()


def write_files(folder: Path, images: list[bytes], extension: str, copies: int = 1) -> None:
    """Write images as a record file with its index, as files in a folder, and as tar files."""
    (folder / "images").mkdir(parents=True)
    numbered = list(enumerate(images * copies))
    write_records(images * copies, folder / "images.rec", folder / "images.idx")
    for number, image in numbered:
        path = folder / "images" / f"{number:06}{extension}"
        if number < len(images):
            path.write_bytes(image)
        else:
            os.link(folder / "images" / f"{number % len(images):06}{extension}", path)
    for shard in range(SHARDS):
        with tarfile.open(folder / f"{shard}.tar", "w") as tar:
            for number, image in numbered[shard::SHARDS]:
                for ending, content in ((extension, image), (".cls", str(number).encode())):
                    member = tarfile.TarInfo(f"{number:06}{ending}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
