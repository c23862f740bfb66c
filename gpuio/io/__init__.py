"""MXNet's ``mx.io``: iterators that give batches."""

from gpuio.io.desc import DataBatch, DataDesc
from gpuio.io.image_record import ImageRecordInt8Iter, ImageRecordIter, ImageRecordUInt8Iter
from gpuio.io.iterator import DataIter

__all__ = [
    "DataBatch",
    "DataDesc",
    "DataIter",
    "ImageRecordInt8Iter",
    "ImageRecordIter",
    "ImageRecordUInt8Iter",
]
