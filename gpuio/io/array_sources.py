"""Row sources of the in-memory iterators: arrays on either device, CSR matrices, and arrays that
stay on disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gpuio import nd
from gpuio.context import Context, cpu, device_of, get_array_module, on_device
from gpuio.errors import ArgumentError
from gpuio.loading.batch import LoadedBatch
from gpuio.loading.hand_over import hand_over_arrays
from gpuio.nd.conversion import as_dtype
from gpuio.nd.device_memory import hand_over
from gpuio.nd.placement import plain
from gpuio.nd.sparse import CSRNDArray
from gpuio.nd.sparse import wrap as wrap_csr
from gpuio.nd.types import Array, CSRMatrix, DType, Index, Untyped, Values
from gpuio.sampling.order import BatchIndices

AUTO = "auto"

# Rows of each source that a fingerprint covers.
FINGERPRINT_ROWS = 64

# Bytes of a stored array that are read at once when all of it is copied to a device.
CHUNK = 64 << 20

Selection: TypeAlias = slice | NDArray[np.int64]
Rows: TypeAlias = nd.NDArray | CSRNDArray


class Source(Protocol):
    """Rows, selected by their indices.

    Attributes
    ----------
    name : the array's name in a batch
    shape : of all rows together
    axis : the axis of the rows
    dtype : of the batches
    context : the device of the batches
    nbytes : size of all rows in that dtype
    """

    name: str
    shape: tuple[int, ...]
    axis: int
    dtype: DType
    context: Context
    nbytes: int

    @property
    def values(self) -> object:
        """All rows: what `named_sources` makes an equal source of."""

    def __getitem__(self, rows: Selection) -> Rows:
        """A batch of its own memory."""

    def view(self, rows: slice) -> Rows:
        """A batch that shares the source's memory, read-only on the host; of its own memory if the
        source is not an array.
        """

    def to(self, ctx: Context) -> Source:
        """Copy all rows to a device."""


class ArraySource:
    """An array in memory, on either device.

    Parameters
    ----------
    name : see `Source`
    values : all rows
    axis : the axis of the rows
    """

    def __init__(self, name: str, values: nd.NDArray, axis: int) -> None:
        self.name = name
        self.values = values
        # Selecting rows costs a third of what NDArray's own methods take.
        self._plain = plain(*hand_over_arrays([values]))
        self.shape = values.shape
        self.dtype = values.dtype
        self.context = values.context
        self._on_gpu = self.context.device_type == "gpu"
        self.nbytes = values.nbytes
        self.axis = axis
        self._before = (slice(None),) * axis

    def __getitem__(self, rows: Selection) -> nd.NDArray:
        if self._on_gpu:
            hand_over(self._plain)  # to the stream that selects
        with on_device(self.context):
            if isinstance(rows, slice):
                return nd.wrap(self._cut(rows).copy())
            return nd.wrap(self._plain.take(_indices_on(self.context, rows), self.axis))

    def view(self, rows: slice) -> nd.NDArray:
        """A batch that shares the source's memory, read-only on the host."""
        with on_device(self.context):
            cut = nd.wrap(self._cut(rows))
        if isinstance(cut, np.ndarray):
            cut.flags.writeable = False
        return cut

    def _cut(self, rows: slice) -> Array:
        cut: Array = self._plain[(*self._before, rows)] if self.axis else self._plain[rows]
        return cut

    def to(self, ctx: Context) -> ArraySource:
        """Copy all rows to a device."""
        values = self.values.as_in_context(ctx)
        values.wait_to_read()  # CuPy copies pinned memory later, and the user may change it
        return ArraySource(self.name, values, self.axis)


class CsrSource:
    """A sparse matrix in memory, on either device; batches are sparse too.

    Parameters
    ----------
    name : see `Source`
    values : all rows
    """

    axis = 0

    def __init__(self, name: str, values: CSRNDArray) -> None:
        self.name = name
        self.values = values
        self._matrix: CSRNDArray = hand_over_arrays([values])[0]
        self.shape: tuple[int, ...] = values.shape
        self.dtype = values.dtype
        self.context = values.context
        self.nbytes = values.data.nbytes + values.indices.nbytes + values.indptr.nbytes

    def __getitem__(self, rows: Selection) -> CSRNDArray:
        with on_device(self.context):
            if not isinstance(rows, slice):
                return self._matrix[_indices_on(self.context, rows)]
            batch = self._matrix[rows]
            # Whether a slice is a copy depends on the library and its version.
            shared = get_array_module(batch.data).may_share_memory(batch.data, self._matrix.data)
            return batch.copy() if shared else batch

    def view(self, rows: slice) -> CSRNDArray:
        """A batch of its own memory: a sparse matrix has no cheaper slices."""
        return self[rows]

    def to(self, ctx: Context) -> CsrSource:
        """Copy all rows to a device."""
        values = self.values.as_in_context(ctx)
        values.wait_to_read()
        return CsrSource(self.name, values)


class StoredArray(Protocol):
    """An array on disk, such as an h5py dataset, that is read by slicing its first axis or by
    ascending row indices.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Of all rows together."""

    @property
    def dtype(self) -> DType:
        """Of the stored values."""

    def __getitem__(self, key: Index, /) -> Untyped:
        """Read a part."""


class StoredSource:
    """An array that stays on disk, such as an h5py dataset or a memory map: each batch is read and
    converted on demand.

    Parameters
    ----------
    name : see `Source`
    values : the stored array
    dtype : of the batches
    axis : the axis of the rows
    """

    context = cpu()

    def __init__(self, name: str, values: StoredArray, dtype: DType, axis: int) -> None:
        self.name = name
        self.values = values
        self.shape = tuple(values.shape)
        self.axis = axis
        self.dtype = dtype
        self.nbytes = int(np.prod(self.shape, dtype=np.int64)) * dtype.itemsize
        self._before = (slice(None),) * axis

    def __getitem__(self, rows: Selection) -> nd.NDArray:
        if isinstance(rows, slice):
            return nd.wrap(np.array(self.values[(*self._before, rows)], self.dtype))
        # h5py takes ascending indices without duplicates only.
        ascending, inverse = np.unique(rows, return_inverse=True)
        read = np.asarray(self.values[(*self._before, ascending)], self.dtype)
        return nd.wrap(read.take(inverse, self.axis))

    def view(self, rows: slice) -> nd.NDArray:
        """A batch as it is read: nothing is in memory that it could share."""
        return self[rows]

    def to(self, ctx: Context) -> ArraySource:
        """Copy all rows to a device, reading them chunk by chunk."""
        values = nd.zeros(self.shape, ctx, self.dtype)
        count = self.shape[self.axis]
        step = max(1, count * CHUNK // max(1, self.nbytes))
        for first in range(0, count, step):
            chunk = slice(first, min(first + step, count))
            values[(*self._before, chunk)] = self[chunk].as_in_context(ctx)
        values.wait_to_read()
        return ArraySource(self.name, values, self.axis)


def _indices_on(ctx: Context, rows: NDArray[np.int64]) -> Array:
    """Copy row indices to the device of the rows."""
    if ctx.device_type == "cpu":
        return rows
    import cupy

    return cupy.asarray(rows)  # type: ignore[no-any-return]


def gather(
    data: Sequence[Source], label: Sequence[Source], copy: bool = True
) -> Callable[[BatchIndices], LoadedBatch]:
    """A function that makes batches of the sources' rows, on the sources' devices.

    Parameters
    ----------
    copy : batches have their own memory; if False, consecutive rows are views of the sources
    """

    def load(indices: BatchIndices) -> LoadedBatch:
        run = indices.as_slice
        rows = indices.record if run is None else run

        def select(source: Source) -> Rows:
            return source[rows] if copy or run is None else source.view(run)

        return LoadedBatch(
            list(map(select, data)),
            list(map(select, label)),
            indices.pad,
            carried=indices.carried,
        )

    return load


def named_sources(
    values: Values, default_name: str, what: str, dtype: DTypeLike | None, axis: int
) -> list[Source]:
    """The sources of a data argument, named and ordered as in MXNet.

    Parameters
    ----------
    values : an array; a list of arrays, which are named ``_0_data``, ``_1_data``, …; a dict of
        arrays by name, which are sorted by name
    default_name : the name of a single array
    what : the argument's name, for errors
    dtype : "auto": float32 for all but NDArrays, which keep theirs; None: each keeps its own; else
        what all are converted to
    axis : the axis of the rows; in arrays of fewer dimensions it is the first

    Raises
    ------
    TypeError : it is none of these.
    ArgumentError : an array has no rows or is not numeric.
    """
    if isinstance(values, list):
        named = {name: values[index] for index, name in enumerate(_names(values, default_name))}
        named = {
            name: np.asarray(value) if isinstance(value, list) else value
            for name, value in named.items()
        }
    elif isinstance(values, Mapping):
        for name in values:
            if not isinstance(name, str):
                raise TypeError(f"the names in {what} must be strings, not {name!r}")
        named = dict(sorted(values.items()))
    else:
        named = {default_name: values}
    return [_source(name, value, what, dtype, axis) for name, value in named.items()]


def _names(values: Sequence[object], default_name: str) -> list[str]:
    if len(values) == 1:
        return [default_name]
    return [f"_{number}_{default_name}" for number in range(len(values))]


def current_arrays(values: object, sources: Sequence[Source]) -> object:
    """The data argument with which `named_sources` makes equal sources of what these hold, so that
    `values`, from which they were made, can be freed.
    """
    if isinstance(values, list):
        return [source.values for source in sources]
    if isinstance(values, Mapping):
        return {source.name: source.values for source in sources}
    (source,) = sources
    return source.values


def fingerprint(sources: Sequence[Source]) -> str:
    """Dataset fingerprint: names, shapes, dtypes and a sample of the rows."""
    digest = hashlib.blake2b(digest_size=8)
    for source in sources:
        digest.update(f"{source.name} {source.shape} {source.dtype}".encode(errors="surrogatepass"))
        count = source.shape[source.axis]
        chosen = np.unique(np.linspace(0, count - 1, FINGERPRINT_ROWS).astype(np.int64))
        batch = source[chosen]
        parts: Sequence[Array]
        if isinstance(batch, CSRNDArray):
            parts = batch.data, batch.indices, batch.indptr
        else:
            parts = (batch,)
        for part in parts:
            digest.update(np.ascontiguousarray(nd.wrap(part).asnumpy()).tobytes())
    return digest.hexdigest()


def is_csr(value: object) -> TypeGuard[CSRMatrix]:
    """Whether it is a compressed sparse row matrix, of SciPy, CuPy or gpuio."""
    return getattr(value, "format", None) == "csr" and hasattr(value, "indptr")


def _source(name: str, value: Values, what: str, dtype: DTypeLike | None, axis: int) -> Source:
    kept = dtype is None or (dtype == AUTO and isinstance(value, (nd.NDArray, CSRNDArray)))
    target = None if kept else as_dtype(np.float32 if dtype is None or dtype == AUTO else dtype)
    if is_csr(value) or hasattr(value, "tocsr"):
        return _csr_source(name, value, target)
    if not isinstance(value, np.ndarray) and _is_stored(value):
        _check(name, value, what)
        return StoredSource(name, value, target or np.dtype(value.dtype), _axis(value, axis))
    if not isinstance(value, nd.NDArray):
        value = as_array(name, value, what)
    _check(name, value, what)
    if target is None and not value.dtype.isnative:
        target = value.dtype.newbyteorder("=")  # other libraries do not accept foreign byte orders
    if target is not None and value.dtype.kind == "c" and target.kind != "c":
        raise ArgumentError(f"{what}: {name!r} holds complex numbers, which cannot become {target}")
    if target is not None and isinstance(value, np.memmap) and target != value.dtype:
        return StoredSource(name, value, target, _axis(value, axis))
    if target is not None:
        value = value.astype(target, copy=False)
    return ArraySource(name, nd.wrap(value), _axis(value, axis))


def _csr_source(name: str, value: Values, target: DType | None) -> CsrSource:
    matrix: CSRMatrix = value if is_csr(value) else value.tocsr()
    if target is not None and matrix.dtype != target:
        try:
            matrix = matrix.astype(target)
        except (TypeError, ValueError) as error:
            raise ArgumentError(
                f"{name!r} cannot be a sparse matrix of {target}: {error}"
            ) from error
    return CsrSource(name, wrap_csr(matrix))


def as_array(name: str, value: object, what: str) -> Array:
    """A NumPy or CuPy array as it is; an NDArray of the same memory for what offers DLPack.

    Parameters
    ----------
    name, what : which array of which argument, for errors

    Raises
    ------
    TypeError : it is none of these.
    ArgumentError : its memory cannot be shared.
    """
    if isinstance(value, np.ndarray):
        return value
    if device_of(value).device_type == "gpu":
        return value  # type: ignore[return-value]
    if hasattr(value, "__dlpack__"):
        try:
            return nd.from_dlpack(value)
        except (BufferError, RuntimeError, TypeError) as error:
            raise ArgumentError(f"{what}: cannot share the memory of {name!r}: {error}") from error
    raise TypeError(
        f"{what} must be an array (NumPy, NDArray, CuPy, h5py, SciPy CSR, or one that offers "
        f"DLPack, such as a torch tensor), a list of arrays, or a dict of arrays; {name!r} is "
        f"{type(value).__name__}"
    )


def _is_stored(value: object) -> bool:
    """Whether it looks like an h5py dataset: an array that is read when it is sliced."""
    return (
        not hasattr(value, "__dlpack__")
        and not hasattr(value, "__cuda_array_interface__")
        and all(hasattr(value, name) for name in ("shape", "dtype", "__getitem__", "__len__"))
        and hasattr(value, "chunks")
    )


def _check(name: str, value: Array | StoredArray, what: str) -> None:
    if isinstance(value, np.ma.MaskedArray):
        raise ArgumentError(f"{what}: {name!r} is masked; fill it first: .filled(0)")
    if len(value.shape) == 0:
        raise ArgumentError(f"{what}: {name!r} is a single number, expected rows")
    if np.dtype(value.dtype).kind not in "biufc":
        raise ArgumentError(f"{what}: {name!r} holds {value.dtype}, expected numbers")


def _axis(value: Array | StoredArray, axis: int) -> int:
    return axis if len(value.shape) > axis else 0
