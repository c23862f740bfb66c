"""PyTorch's DataLoader over files, with torchvision's decoder and its transforms on tensors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torchvision
from torch.utils.data import DataLoader, Dataset
from torchvision.io import ImageReadMode, decode_image, read_file
from torchvision.transforms import v2

from tests.benchmarks.images.job import Job


def transforms(job: Job) -> v2.Compose:
    """The usual transforms, with torchvision's defaults."""
    steps: list[Any] = []
    if job.area:
        steps.append(v2.RandomResizedCrop(job.size, job.area, job.ratio))
    elif job.resize:
        steps += [v2.Resize(job.resize), v2.CenterCrop(job.size)]
    elif job.pad:
        steps.append(v2.RandomCrop(job.size, padding=job.pad))
    if job.train:
        steps.append(v2.RandomHorizontalFlip())
    mean, std = ([value / 255 for value in each] for each in (job.mean, job.std))
    return v2.Compose([*steps, v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)])


class Images(Dataset[Any]):
    """Image files and their numbers."""

    def __init__(self, job: Job) -> None:
        self._job, self._transforms = job, transforms(job)

    def __len__(self) -> int:
        return self._job.count

    def __getitem__(self, number: int) -> Any:
        image = decode_image(read_file(self._job.path(number)), ImageReadMode.RGB)
        return self._transforms(image), number


def batches(job: Job) -> Iterator[Any]:
    """Batches of a process for each thread that the job has."""
    loader = DataLoader(
        Images(job), job.batch_size, shuffle=job.train, num_workers=job.threads, drop_last=True,
        persistent_workers=True,
    )  # fmt: skip
    while True:
        yield from loader


def versions() -> dict[str, str]:
    return {"PyTorch": torch.__version__, "torchvision": torchvision.__version__}
