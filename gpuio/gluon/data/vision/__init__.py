"""MXNet's ``gluon.data.vision``: datasets of images, and `transforms` of them."""

from typing import Any

from gpuio.gluon.data.vision import datasets, transforms
from gpuio.gluon.data.vision.datasets import (
    CIFAR10,
    CIFAR100,
    MNIST,
    FashionMNIST,
    ImageFolderDataset,
    ImageListDataset,
    ImageRecordDataset,
)
from gpuio.gluon.missing import missing_name

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "MNIST",
    "FashionMNIST",
    "ImageFolderDataset",
    "ImageListDataset",
    "ImageRecordDataset",
    "datasets",
    "transforms",
]


def __getattr__(name: str) -> Any:
    hint = (
        "gpuio has MXNet 1.9.1's data sets; to read other images, pack them with 'gpuio im2rec' "
        "and use ImageRecordDataset, or derive from gluon.data.Dataset"
    )
    raise missing_name(__name__, name, hint, __all__)
