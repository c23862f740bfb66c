"""MXNet's files of arrays (``.params``, ``.nd``), read and written byte for byte.

A file is, little endian::

    uint64  0x112, the magic of a list of arrays
    uint64  0, reserved
    uint64  number of arrays, then each array
    uint64  number of names: 0, or one for each array; then each: uint64 length, bytes in UTF-8

and an array is::

    uint32  magic of the format: V2 (MXNet 0.12 to 1.9) or V3 (shapes of NumPy), else see below
    int32   storage type: 0 dense, 1 row_sparse, 2 CSR
    shape   of the stored values, only if sparse
    shape   of the array; if that is none, nothing follows
    int32   device type (1 CPU, 2 GPU, 3 and 5 host memory of other kinds), int32 device number
    int32   dtype
    int32   dtype, then shape: of each index array, only if sparse; for CSR of indptr and indices
    values, then index arrays, C-contiguous

where a shape is an int32 number of dimensions and an int64 for each. V1 (MXNet 0.11) has no storage
type. Before it there was no magic: the file has a uint32 number of dimensions in its place, and a
uint32 for each dimension. "None" is -1 dimensions in V3, 0 dimensions else, so V3 alone has arrays
of shape (); and V3 alone has dimensions of 0, which mean "unknown" to MXNet else.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from gpuio.context import Context, cpu
from gpuio.errors import (
    ArgumentError,
    DataFileError,
    DataFileNotFoundError,
    RecordError,
    RecordFileNotFoundError,
    UnsupportedError,
)
from gpuio.storage.local import ByteSequence, Path
from gpuio.storage.remote.file import RemoteFile
from gpuio.storage.remote.opening import forwards, open_file
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.replacing import replacing

# Arrays and dtypes of any kind; gpuio.nd, with its names for them, is built on this module.
HostArray: TypeAlias = np.ndarray[Any, np.dtype[Any]]
DType: TypeAlias = np.dtype[Any]

_LIST_MAGIC = 0x112
_V1, _V2, _V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_DENSE, _ROW_SPARSE, _CSR = 0, 1, 2
_CPU, _GPU = 1, 2

# MXNet's numbers of dtypes. 1.9.1 has those that can be written; MXNet 2 has the others too.
_WRITABLE = ("float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool")
_READABLE = (*_WRITABLE, "int16", "uint16", "uint32", "uint64")
_MAX_NDIM = 32  # NumPy's, and MXNet's

# Bytes of a remote file that are read at least.
PIECE = 1 << 16


class CSRParts(NamedTuple):
    """Positions of the stored values of a CSR matrix.

    Attributes
    ----------
    shape : (rows, columns)
    indices : int64 (nnz,), the column of each value
    indptr : int64 (rows + 1,), where each row begins
    """

    shape: tuple[int, ...]
    indices: HostArray
    indptr: HostArray


@dataclass(frozen=True)
class StoredArray:
    """An array as it is stored in a file.

    Attributes
    ----------
    values : on the host: the array, or (nnz,) the stored values of a CSR matrix
    context : the device that held the array when it was written
    csr : positions of the values; None: the array is dense
    """

    values: HostArray
    context: Context = cpu()  # noqa: RUF009  # a constant
    csr: CSRParts | None = None


class ArrayFile(NamedTuple):
    """The content of a file.

    Attributes
    ----------
    arrays : in the file's order
    names : one for each array, or none at all
    """

    arrays: list[StoredArray]
    names: list[str]


def read(path: Path, remote: RemoteOptions | None = None) -> ArrayFile:
    """Read a file.

    Parameters
    ----------
    path : the file, or its URL
    remote : how a remote file is reached and cached; None: by the default options

    Raises
    ------
    DataFileNotFoundError : it does not exist.
    DataFileError : it is not a file of arrays, or is damaged.
    UnsupportedError : it has a row_sparse array, or one of a dtype that NumPy does not have.
    FileChangedError : it was truncated or replaced meanwhile.
    RemoteError : a remote file cannot be read.
    """
    try:
        file = open_file(path, remote)
        if isinstance(file, RemoteFile):
            return _read(forwards(file, remote or RemoteOptions.create(), PIECE), file.path)
        return _read(file, file.path)
    except RecordFileNotFoundError as error:
        raise DataFileNotFoundError(str(error)) from error
    except RecordError as error:
        raise DataFileError(str(error)) from error


def read_buffer(data: bytes | HostArray, name: str = "the buffer") -> ArrayFile:
    """Read the bytes of a file; see `read`. The arrays are copies.

    Parameters
    ----------
    data : bytes, or uint8 (size,)
    name : what the bytes are called in messages
    """
    return _read(memoryview(data).cast("B"), name)


def _read(data: memoryview | ByteSequence, name: str) -> ArrayFile:
    parser = _Parser(data, name)
    if len(parser.data) < 8 or parser.unpack("Q", "the magic")[0] != _LIST_MAGIC:
        raise DataFileError(
            f"{name} is not a file of arrays as MXNet's nd.save writes: it does not begin with "
            f"the bytes {struct.pack('<Q', _LIST_MAGIC).hex(' ')}"
        )
    parser.unpack("Q", "the header")
    (count,) = parser.unpack("Q", "the number of arrays")
    parser.check_count(count, 4, "arrays")
    arrays = [parser.array(f"array {number}") for number in range(count)]
    (count,) = parser.unpack("Q", "the number of names")
    if count not in (0, len(arrays)):
        raise DataFileError(f"{name} has {len(arrays)} arrays, but {count} names")
    return ArrayFile(arrays, [parser.string(f"name {number}") for number in range(count)])


def write(
    path: Path,
    arrays: Sequence[StoredArray],
    names: Sequence[str] = (),
    remote: RemoteOptions | None = None,
) -> None:
    """Write a file, with the bytes that MXNet 1.9.1 writes. An existing file is replaced when the
    new one is complete.

    Parameters
    ----------
    path : of the file, or its URL
    arrays : of dtype float16, float32, float64, int8, int32, int64, uint8 or bool
    names : one for each array, or none at all
    remote : how a remote file is reached; None: by the default options

    Raises
    ------
    ArgumentError : a dtype or the number of names is wrong.
    DataFileError, DataFileNotFoundError : the file cannot be written.
    RemoteError : a remote file cannot be written.
    """
    if len(names) not in (0, len(arrays)):
        raise ArgumentError(f"there are {len(arrays)} arrays, but {len(names)} names")
    pieces: list[bytes | HostArray] = [struct.pack("<QQQ", _LIST_MAGIC, 0, len(arrays))]
    for array in arrays:
        pieces += _pieces(array)
    pieces.append(struct.pack("<Q", len(names)))
    for name in names:
        encoded = name.encode(errors="surrogateescape")
        pieces.append(struct.pack("<Q", len(encoded)) + encoded)
    try:
        with replacing(path, "wb", remote) as file:
            for piece in pieces:
                file.write(piece)
    except RecordFileNotFoundError as error:
        raise DataFileNotFoundError(str(error)) from error
    except RecordError as error:
        raise DataFileError(str(error)) from error


def _pieces(array: StoredArray) -> list[bytes | HostArray]:
    values, csr = np.ascontiguousarray(array.values), array.csr
    values = values.reshape(array.values.shape)  # ascontiguousarray makes () a (1,)
    shape = values.shape if csr is None else csr.shape
    # MXNet writes V3 for these, from its mx.np; V2 could not be read.
    magic = _V3 if csr is None and 0 in (len(shape), *shape) else _V2
    header = struct.pack("<Ii", magic, _DENSE if csr is None else _CSR)
    if csr is not None:
        header += _pack_shape(values.shape)
    device = _GPU if array.context.device_type == "gpu" else _CPU
    number = array.context.device_id if device == _GPU else 0
    header += _pack_shape(shape) + struct.pack("<iii", device, number, _dtype_number(values.dtype))
    if csr is None:
        return [header, _little_endian(values)]
    positions = [np.ascontiguousarray(each, dtype="<i8") for each in (csr.indptr, csr.indices)]
    for each in positions:
        header += struct.pack("<i", _dtype_number(each.dtype)) + _pack_shape(each.shape)
    return [header, _little_endian(values), *positions]


def _little_endian(values: HostArray) -> HostArray:
    return values.astype(values.dtype.newbyteorder("<"), copy=False)


def _pack_shape(shape: tuple[int, ...]) -> bytes:
    return struct.pack(f"<i{len(shape)}q", len(shape), *shape)


def _dtype_number(dtype: DType) -> int:
    if dtype.name not in _WRITABLE:
        raise ArgumentError(
            f"MXNet's files have arrays of {', '.join(_WRITABLE)}, not of {dtype}; use astype"
        )
    return _WRITABLE.index(dtype.name)


class _Parser:
    """Reads a file from front to back, and allocates nothing that the file does not fill.

    Parameters
    ----------
    data : all of it
    name : what it is called in messages
    """

    def __init__(self, data: memoryview | ByteSequence, name: str) -> None:
        self.data = data
        self._name = name
        self._at = 0

    def _error(self, problem: str) -> DataFileError:
        return DataFileError(f"{self._name} at byte {self._at}: {problem}")

    def check_count(self, count: int, size: int, what: str) -> None:
        """Raise if `count` things of at least `size` bytes do not fit in the rest of the file."""
        left = len(self.data) - self._at
        if count * size > left:
            raise self._error(
                f"{count} {what} of at least {size} bytes each cannot be in the {left} bytes that "
                "follow; the file is truncated or damaged"
            )

    def _take(self, size: int, what: str) -> memoryview | HostArray:
        left = len(self.data) - self._at
        if size > left:
            raise self._error(
                f"{what} needs {size} bytes, and {left} follow; the file is truncated or damaged"
            )
        self._at += size
        return self.data[self._at - size : self._at]

    def unpack(self, code: str, what: str) -> tuple[int, ...]:
        """The next numbers, by their codes in `struct`."""
        return struct.unpack("<" + code, self._take(struct.calcsize("<" + code), what))

    def string(self, what: str) -> str:
        (length,) = self.unpack("Q", what)
        try:
            return str(self._take(length, what), "utf-8")
        except UnicodeDecodeError as error:
            raise self._error(f"{what} is not UTF-8: {error}") from error

    def array(self, what: str) -> StoredArray:
        (magic,) = self.unpack("I", what)
        storage = _DENSE
        if magic in (_V2, _V3):
            (storage,) = self.unpack("i", what)
            if storage == _ROW_SPARSE:
                raise UnsupportedError(
                    f"{self._name}: {what} is row_sparse, which gpuio does not have; save it with "
                    "MXNet as x.tostype('default')"
                )
            if storage not in (_DENSE, _CSR):
                raise self._error(f"{what} has the storage type {storage}")
        stored_shape = self._shape(what) if storage == _CSR else None
        shape = self._shape(what) if magic in (_V1, _V2, _V3) else self._old_shape(magic, what)
        if shape is None or (shape == () and magic != _V3):
            return StoredArray(np.empty(0, np.float32))  # MXNet's NDArray that holds nothing
        device, number = self.unpack("ii", what)
        context = Context("gpu", number) if device == _GPU and number >= 0 else cpu()
        dtype = self._dtype(what)
        if storage == _DENSE:
            return StoredArray(self._values(dtype, shape, what), context)
        return self._csr(stored_shape, shape, dtype, context, what)

    def _csr(
        self,
        stored_shape: tuple[int, ...] | None,
        shape: tuple[int, ...],
        dtype: DType,
        context: Context,
        what: str,
    ) -> StoredArray:
        described = [(self._dtype(what), self._shape(what)) for _ in range(2)]
        if stored_shape is None or len(stored_shape) != 1 or len(shape) != 2:
            raise self._error(
                f"{what} is a CSR matrix of shape {shape} with values of shape {stored_shape}"
            )
        values = self._values(dtype, stored_shape, what)
        positions = []
        for kind, lengths in described:
            if lengths is None or len(lengths) != 1 or kind.kind not in "iu":
                raise self._error(f"{what} has indices of {kind} and shape {lengths}")
            positions.append(self._values(kind, lengths, what).astype(np.int64, copy=False))
        indptr, indices = positions
        return StoredArray(values, context, CSRParts(shape, indices, indptr))

    def _shape(self, what: str) -> tuple[int, ...] | None:
        """A shape of V1 or later; None: MXNet's "none" of V3."""
        (ndim,) = self.unpack("i", what)
        if ndim == -1:
            return None
        return self._checked(self.unpack(f"{self._ndim(ndim, what)}q", what), what)

    def _old_shape(self, ndim: int, what: str) -> tuple[int, ...]:
        """A shape from before V1, after its number of dimensions."""
        return self._checked(self.unpack(f"{self._ndim(ndim, what)}I", what), what)

    def _ndim(self, ndim: int, what: str) -> int:
        if not 0 <= ndim <= _MAX_NDIM:
            raise self._error(f"{what} has {ndim} dimensions, or an unknown format")
        return ndim

    def _checked(self, shape: tuple[int, ...], what: str) -> tuple[int, ...]:
        if any(length < 0 for length in shape):
            raise self._error(f"{what} has a negative dimension: {shape}")
        return shape

    def _dtype(self, what: str) -> DType:
        (number,) = self.unpack("i", what)
        if number == 12:
            raise UnsupportedError(
                f"{self._name}: {what} is of bfloat16, which NumPy does not have; save it with "
                "MXNet as x.astype('float32')"
            )
        if not 0 <= number < len(_READABLE):
            raise self._error(f"{what} has the unknown dtype {number}")
        return np.dtype(_READABLE[number])

    def _values(self, dtype: DType, shape: tuple[int, ...], what: str) -> HostArray:
        size = dtype.itemsize
        for length in shape:
            size *= length
        stored = np.frombuffer(self._take(size, what), dtype.newbyteorder("<"))
        try:
            # A copy: aligned, writable, and independent of the file.
            return stored.reshape(shape).astype(dtype, copy=True)
        except ValueError as error:  # a 0 beside huge numbers
            raise self._error(f"{what} has the shape {shape}: {error}") from error
