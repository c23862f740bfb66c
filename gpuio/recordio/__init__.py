"""MXNet's ``mx.recordio``: reading and writing record files."""

from gpuio.recordio.header import IRHeader, pack, pack_img, unpack, unpack_img
from gpuio.recordio.index import Index
from gpuio.recordio.mxrecordio import MXIndexedRecordIO, MXRecordIO
from gpuio.recordio.record_set import RecordSet

__all__ = [
    "IRHeader",
    "Index",
    "MXIndexedRecordIO",
    "MXRecordIO",
    "RecordSet",
    "pack",
    "pack_img",
    "unpack",
    "unpack_img",
]
