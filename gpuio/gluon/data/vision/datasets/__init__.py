"""Datasets of images: record files, folders, lists; MNIST and CIFAR."""

from gpuio.gluon.data.vision.datasets.downloaded import CIFAR10, CIFAR100, MNIST, FashionMNIST
from gpuio.gluon.data.vision.datasets.images import (
    ImageFolderDataset,
    ImageListDataset,
    ImageRecordDataset,
)

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "MNIST",
    "FashionMNIST",
    "ImageFolderDataset",
    "ImageListDataset",
    "ImageRecordDataset",
]
