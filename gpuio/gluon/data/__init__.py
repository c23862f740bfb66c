"""MXNet's ``gluon.data``: datasets with random access, samplers, and the DataLoader.

>>> dataset = gluon.data.vision.ImageRecordDataset("train.rec")
>>> augment = transforms.Compose([transforms.RandomResizedCrop(224), transforms.ToTensor()])
>>> train = dataset.transform_first(augment)
>>> for data, label in gluon.data.DataLoader(train, 64, shuffle=True, num_workers=8):
...     data, label = data.as_in_context(mx.cpu()), label.as_in_context(mx.cpu())  # or mx.gpu(0)

`IntervalSampler` and `batchify` are MXNet 2.0's. For the same images at the speed of whole batches,
and on a GPU, use `gpuio.io.ImageRecordIter`.
"""

from typing import Any

from gpuio.gluon.data import batchify, vision
from gpuio.gluon.data.dataloader import DataLoader
from gpuio.gluon.data.dataset import ArrayDataset, Dataset, RecordFileDataset, SimpleDataset
from gpuio.gluon.data.sampler import (
    BatchSampler,
    FilterSampler,
    IntervalSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
)
from gpuio.gluon.missing import missing_name

__all__ = [
    "ArrayDataset",
    "BatchSampler",
    "DataLoader",
    "Dataset",
    "FilterSampler",
    "IntervalSampler",
    "RandomSampler",
    "RecordFileDataset",
    "Sampler",
    "SequentialSampler",
    "SimpleDataset",
    "batchify",
    "vision",
]


def __getattr__(name: str) -> Any:
    hint = "gpuio has the names of MXNet 1.9.1's gluon.data"
    raise missing_name(__name__, name, hint, __all__)
