"""What an in-memory iterator draws its rows from: arrays on either device, sparse matrices, and
arrays that stay on disk.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gpuio import nd
from gpuio.context import Context, cpu, device_of
from gpuio.errors import ArgumentError
from gpuio.loading.batch import LoadedBatch
from gpuio.sampling.order import BatchIndices

AUTO = "auto"

# Rows of each source that a fingerprint looks at.
FINGERPRINT_ROWS = 64

# Bytes of a stored array that are read at once when all of it goes to a device.
PIECE = 64 << 20

Selection = slice | NDArray[np.int64]


class Source(Protocol):
    """Rows, found by their numbers.

    Attributes
    ----------
    name : the array's name in a batch
    shape : of all rows together
    axis : the one that counts rows
    dtype : of what it gives
    context : where it gives it
    nbytes : what all rows take up in that dtype
    """

    name: str
    shape: tuple[int, ...]
    axis: int
    dtype: np.dtype[Any]
    context: Context
    nbytes: int

    def __getitem__(self, rows: Selection) -> Any:
        """A batch: rows one after another as a view, or chosen ones as a copy."""

    def to(self, ctx: Context) -> Source:
        """The same rows, all of them on a device."""


class ArraySource:
    """An array in memory, on either device.

    Parameters
    ----------
    name : see `Source`
    array : all rows
    axis : the one that counts rows
    """

    def __init__(self, name: str, array: nd.NDArray, axis: int) -> None:
        self.name = name
        self.shape = array.shape
        self.dtype = array.dtype
        self.context = array.context
        self.nbytes = array.nbytes
        self.axis = axis
        self._array = array
        self._before = (slice(None),) * axis

    def __getitem__(self, rows: Selection) -> Any:
        if isinstance(rows, slice):
            return self._array[(*self._before, rows)] if self.axis else self._array[rows]
        with on_device(self.context):
            return nd.wrap(self._array.take(_numbers(rows, self.context), self.axis))

    def to(self, ctx: Context) -> ArraySource:
        """The same rows, all of them on a device."""
        array = self._array.as_in_context(ctx)
        array.wait_to_read()  # whatever stream the batches are used on later
        return ArraySource(self.name, array, self.axis)


class CsrSource:
    """A sparse matrix in memory, on either device; batches are sparse too.

    Parameters
    ----------
    name : see `Source`
    matrix : a CSRNDArray
    """

    axis = 0

    def __init__(self, name: str, matrix: Any) -> None:
        self.name = name
        self.shape = matrix.shape
        self.dtype = matrix.dtype
        self.context = matrix.context
        self.nbytes = matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes
        self._matrix = matrix

    def __getitem__(self, rows: Selection) -> Any:
        with on_device(self.context):
            return self._matrix[rows if isinstance(rows, slice) else _numbers(rows, self.context)]

    def to(self, ctx: Context) -> CsrSource:
        """The same rows, all of them on a device."""
        matrix = self._matrix.as_in_context(ctx)
        matrix.wait_to_read()
        return CsrSource(self.name, matrix)


class StoredSource:
    """An array that stays where it is, such as an h5py data set or a memory map: each batch is
    read and converted when it is wanted.

    Parameters
    ----------
    name : see `Source`
    stored : what can be sliced along its first axis, and indexed with ascending row numbers
    dtype : of the batches
    axis : the one that counts rows
    """

    context = cpu()

    def __init__(self, name: str, stored: Any, dtype: np.dtype[Any], axis: int) -> None:
        self.name = name
        self.shape = tuple(stored.shape)
        self.axis = axis
        self.dtype = dtype
        self.nbytes = int(np.prod(self.shape, dtype=np.int64)) * dtype.itemsize
        self._stored = stored
        self._before = (slice(None),) * axis

    def __getitem__(self, rows: Selection) -> Any:
        if isinstance(rows, slice):
            return nd.wrap(np.array(self._stored[(*self._before, rows)], self.dtype))
        # h5py takes ascending numbers only, each once.
        ascending, place = np.unique(rows, return_inverse=True)
        read = np.asarray(self._stored[(*self._before, ascending)], self.dtype)
        return nd.wrap(read.take(place, self.axis))

    def to(self, ctx: Context) -> Source:
        """The same rows, all of them in the memory of a device; read piece by piece."""
        there = nd.zeros(self.shape, ctx, self.dtype)
        count = self.shape[self.axis]
        step = max(1, count * PIECE // max(1, self.nbytes))
        for first in range(0, count, step):
            piece = slice(first, min(first + step, count))
            there[(*self._before, piece)] = self[piece].as_in_context(ctx)
        there.wait_to_read()
        return ArraySource(self.name, there, self.axis)


def on_device(ctx: Context) -> Any:
    """A context in which CuPy works on this GPU; for the CPU, one that does nothing."""
    if ctx.device_type == "cpu":
        return contextlib.nullcontext()
    import cupy

    return cupy.cuda.Device(ctx.device_id)


def _numbers(rows: NDArray[np.int64], ctx: Context) -> Any:
    """Row numbers where the rows are."""
    if ctx.device_type == "cpu":
        return rows
    import cupy

    return cupy.asarray(rows)


class Gather:
    """Makes the batch of a slice of the order.

    Parameters
    ----------
    data, label : where its arrays come from
    """

    def __init__(self, data: Sequence[Source], label: Sequence[Source]) -> None:
        self._data = data
        self._label = label

    def __call__(self, take: BatchIndices) -> LoadedBatch:
        """The batch, where the sources are."""
        run = take.run
        rows = take.record if run is None else run
        return LoadedBatch(
            [source[rows] for source in self._data],
            [source[rows] for source in self._label],
            take.pad,
        )


def named_sources(values: Any, default_name: str, what: str, dtype: Any, axis: int) -> list[Source]:
    """The sources that an argument of NDArrayIter stands for, as MXNet names and orders them.

    Parameters
    ----------
    values : an array; a list of arrays, which are named ``_0_data``, ``_1_data``, …; a dict of
        arrays by name, which are taken in the names' order
    default_name : the name of a single array
    what : the argument's name, for errors
    dtype : "auto": float32 for all but NDArrays, which keep theirs; None: each keeps its own; else
        what all are converted to
    axis : the one that counts rows; arrays of fewer dimensions have it in front

    Raises
    ------
    TypeError : it is none of these.
    ArgumentError : an array has no rows or no numbers.
    """
    if isinstance(values, list):
        if len(values) == 1:
            named = {default_name: values[0]}
        else:
            named = {f"_{number}_{default_name}": value for number, value in enumerate(values)}
        named = {
            name: np.asarray(value) if isinstance(value, list) else value
            for name, value in named.items()
        }
    elif isinstance(values, Mapping):
        for name in values:
            if not isinstance(name, str):
                raise TypeError(f"the names in {what} must be texts, not {name!r}")
        named = dict(sorted(values.items()))
    else:
        named = {default_name: values}
    return [_source(name, value, what, dtype, axis) for name, value in named.items()]


def fingerprint(sources: Sequence[Source]) -> str:
    """A text that tells data apart, for saved states: names, shapes, types and a sample of the
    rows.
    """
    digest = hashlib.blake2b(digest_size=8)
    for source in sources:
        digest.update(f"{source.name} {source.shape} {source.dtype}".encode())
        count = source.shape[source.axis]
        chosen = np.unique(np.linspace(0, count - 1, FINGERPRINT_ROWS).astype(np.int64))
        batch = source[chosen]
        parts = (batch.data, batch.indices, batch.indptr) if is_csr(batch) else (batch,)
        for part in parts:
            digest.update(np.ascontiguousarray(nd.wrap(part).asnumpy()).tobytes())
    return digest.hexdigest()


def is_csr(value: Any) -> bool:
    """Whether it is a compressed sparse row matrix, of SciPy, CuPy or gpuio."""
    return getattr(value, "format", None) == "csr" and hasattr(value, "indptr")


def _source(name: str, value: Any, what: str, dtype: Any, axis: int) -> Source:
    kept = dtype is None or (dtype == AUTO and isinstance(value, nd.NDArray))
    target = None if kept else np.dtype(np.float32 if dtype == AUTO else dtype)
    if is_csr(value) or hasattr(value, "tocsr"):
        return _csr_source(name, value, target)
    if not isinstance(value, np.ndarray) and _is_stored(value):
        value = _checked(name, value, what)
        return StoredSource(name, value, target or np.dtype(value.dtype), _axis(value, axis))
    if not isinstance(value, nd.NDArray):
        value = as_array(name, value, what)
    value = _checked(name, value, what)
    if target is None and not value.dtype.isnative:
        target = value.dtype.newbyteorder("=")  # nobody takes others over
    if target is not None and value.dtype.kind == "c" and target.kind != "c":
        raise ArgumentError(f"{what}: {name!r} holds complex numbers, which are no {target}")
    if isinstance(value, np.memmap) and target not in (None, value.dtype):
        return StoredSource(name, value, target, _axis(value, axis))
    if target is not None:
        value = value.astype(target, copy=False)
    return ArraySource(name, nd.wrap(value), _axis(value, axis))


def _csr_source(name: str, value: Any, target: np.dtype[Any] | None) -> CsrSource:
    from gpuio.nd import sparse

    matrix = value if is_csr(value) else value.tocsr()
    if target is not None and matrix.dtype != target:
        try:
            matrix = matrix.astype(target)
        except (TypeError, ValueError) as error:
            raise ArgumentError(
                f"{name!r} cannot be a sparse matrix of {target}: {error}"
            ) from error
    return CsrSource(name, sparse.wrap(matrix))


def as_array(name: str, value: Any, what: str) -> Any:
    """An array of NumPy or CuPy, or an NDArray of what offers DLPack: the same memory.

    Parameters
    ----------
    name, what : which one it is, in which argument, for errors

    Raises
    ------
    TypeError : it is none of these.
    ArgumentError : it does not let its memory be shared.
    """
    if isinstance(value, np.ndarray) or device_of(value).device_type == "gpu":
        return value
    if hasattr(value, "__dlpack__"):
        try:
            return nd.from_dlpack(value)
        except (BufferError, RuntimeError, TypeError) as error:
            raise ArgumentError(f"{what}: {name!r} cannot be taken over: {error}") from error
    raise TypeError(
        f"{what} must be an array (NumPy, NDArray, CuPy, h5py, SciPy CSR, or one that offers "
        f"DLPack, such as a torch tensor), a list of arrays, or a dict of arrays; {name!r} is "
        f"{type(value).__name__}"
    )


def _is_stored(value: Any) -> bool:
    """Whether it looks like an h5py data set: an array that is read when it is sliced."""
    return (
        not hasattr(value, "__dlpack__")
        and not hasattr(value, "__cuda_array_interface__")
        and all(hasattr(value, name) for name in ("shape", "dtype", "__getitem__", "__len__"))
        and hasattr(value, "chunks")
    )


def _checked(name: str, value: Any, what: str) -> Any:
    if isinstance(value, np.ma.MaskedArray):
        raise ArgumentError(f"{what}: {name!r} is masked; fill it first: .filled(0)")
    if len(value.shape) == 0:
        raise ArgumentError(f"{what}: {name!r} is a single number, expected rows")
    if np.dtype(value.dtype).kind not in "biufc":
        raise ArgumentError(f"{what}: {name!r} holds {value.dtype}, expected numbers")
    return value


def _axis(value: Any, axis: int) -> int:
    return axis if len(value.shape) > axis else 0
