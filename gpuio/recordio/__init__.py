"""MXNet's ``mx.recordio``: record files, and what stands in them."""

from gpuio.recordio.dataset import RecordSet
from gpuio.recordio.files import MXIndexedRecordIO, MXRecordIO
from gpuio.recordio.header import IRHeader, pack, pack_img, unpack, unpack_img
from gpuio.recordio.index import Index

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
