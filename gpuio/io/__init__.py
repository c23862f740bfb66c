"""MXNet's ``mx.io``: iterators that give batches."""

import sys

from gpuio.io.combined import PrefetchingIter, ResizeIter
from gpuio.io.csv import CSVIter
from gpuio.io.image_det_record import ImageDetRecordIter
from gpuio.io.image_record import (
    ImageRecordInt8Iter,
    ImageRecordIter,
    ImageRecordIter_v1,
    ImageRecordUInt8Iter,
    ImageRecordUInt8Iter_v1,
)
from gpuio.io.indexed import IndexedIter
from gpuio.io.libsvm import LibSVMIter
from gpuio.io.mix import MixIter
from gpuio.io.mnist import MNISTIter
from gpuio.io.ndarray import NDArrayIter
from gpuio.iterators.data_iter import DataIter
from gpuio.iterators.desc import DataBatch, DataDesc
from gpuio.sampling.launchers import rank_and_size

__all__ = [
    "CSVIter",
    "DataBatch",
    "DataDesc",
    "DataIter",
    "ImageDetRecordIter",
    "ImageRecordInt8Iter",
    "ImageRecordIter",
    "ImageRecordIter_v1",
    "ImageRecordUInt8Iter",
    "ImageRecordUInt8Iter_v1",
    "IndexedIter",
    "LibSVMIter",
    "MNISTIter",
    "MixIter",
    "NDArrayIter",
    "PrefetchingIter",
    "ResizeIter",
    "rank_and_size",
]

# MXNet's name of the module that defines them: mx.io.io.DataDesc is mx.io.DataDesc.
io = sys.modules[f"{__name__}.io"] = sys.modules[__name__]
