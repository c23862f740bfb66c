"""MXNet's ``nd.save`` and ``nd.load``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace

from gpuio.context import Context, cpu, num_gpus
from gpuio.errors import ArgumentError, DataFileError
from gpuio.nd import sparse
from gpuio.nd.csr_format import check_columns, check_ends, check_rises
from gpuio.nd.ndarray import NDArray, place
from gpuio.nd.placement import host_array
from gpuio.nd.sparse import CSRNDArray
from gpuio.nd.types import Untyped
from gpuio.storage import array_files
from gpuio.storage.array_files import ArrayFile, CSRParts, StoredArray
from gpuio.storage.local import Path

__all__ = ["load", "load_frombuffer", "save"]


def save(
    fname: Path,
    data: NDArray
    | CSRNDArray
    | Sequence[NDArray | CSRNDArray]
    | Mapping[str, NDArray | CSRNDArray],
) -> None:
    """Write arrays to a file, with MXNet 1.9.1's bytes.

    Parameters
    ----------
    fname : path or URL of the file, which is replaced
    data : an NDArray or CSRNDArray, a list of them, or a dict with names

    Raises
    ------
    ArgumentError : `data` is something else, or has a dtype that MXNet's files do not have.
    DataFileError, DataFileNotFoundError : the file cannot be written.
    RemoteError : a remote file cannot be written.
    """
    if isinstance(data, (NDArray, CSRNDArray)):
        data = [data]
    if not isinstance(data, (dict, list)):
        raise ArgumentError(
            "save takes an NDArray, a list of NDArrays, or a dict of them by name, not "
            f"{type(data).__name__}"
        )
    names, arrays = (list(data), list(data.values())) if isinstance(data, dict) else ([], data)
    wrong = [each for each in arrays if not isinstance(each, (NDArray, CSRNDArray))]
    wrong += [each for each in names if not isinstance(each, str)]
    if wrong:
        raise ArgumentError(
            f"save takes NDArrays, with strings as names, not {type(wrong[0]).__name__}"
        )
    array_files.write(fname, [_stored(each) for each in arrays], names)


def load(fname: Path) -> list[NDArray | CSRNDArray] | dict[str, NDArray | CSRNDArray]:
    """Read the arrays of a file that MXNet or `save` wrote: a list, or a dict by name.

    An array that was on a GPU is put there if there is such a GPU, else on the host, as in MXNet.

    Raises
    ------
    DataFileNotFoundError : the file does not exist.
    DataFileError : it is not a file of arrays, or is damaged.
    UnsupportedError : it has a row_sparse array, or one of bfloat16.
    """
    return _arrays(array_files.read(fname), str(fname))


def load_frombuffer(buf: bytes) -> list[NDArray | CSRNDArray] | dict[str, NDArray | CSRNDArray]:
    """Read the bytes of a file of arrays; see `load`."""
    if not isinstance(buf, (bytes, bytearray, memoryview)):
        raise ArgumentError(f"load_frombuffer takes bytes, not {type(buf).__name__}")
    return _arrays(array_files.read_buffer(buf), "the buffer")


def _stored(array: NDArray | CSRNDArray) -> StoredArray:
    if isinstance(array, NDArray):
        return StoredArray(host_array(array), array.context)
    matrix = array.asscipy()
    parts = CSRParts(matrix.shape, matrix.indices, matrix.indptr)
    return StoredArray(matrix.data, array.context, parts)


def _arrays(
    file: ArrayFile, name: str
) -> list[NDArray | CSRNDArray] | dict[str, NDArray | CSRNDArray]:
    made = [_array(each, f"{name}: array {number}") for number, each in enumerate(file.arrays)]
    return dict(zip(file.names, made, strict=True)) if file.names else made


def _array(stored: StoredArray, what: str) -> NDArray | CSRNDArray:
    ctx = _available(stored.context)
    if stored.csr is None:
        return place(stored.values, ctx)
    shape, indices, indptr = stored.csr
    try:
        # SciPy would read outside of the arrays, or fail with an error of its own.
        parts: Untyped = SimpleNamespace(
            data=stored.values, indices=indices, indptr=indptr, shape=shape
        )
        check_ends(parts)
        check_rises(indptr)
        check_columns(indices[: indptr[-1]], indptr, shape[1])
        arrays = stored.values, indices, indptr
        matrix = sparse.csr_matrix(arrays, (shape[0], shape[1]), cpu(), stored.values.dtype)
        return matrix.as_in_context(ctx)
    except ArgumentError as error:
        raise DataFileError(f"{what}: {error}") from error


def _available(ctx: Context) -> Context:
    return ctx if ctx.device_type == "cpu" or ctx.device_id < num_gpus() else cpu()
