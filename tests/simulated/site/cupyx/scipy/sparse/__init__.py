"""Substitute for cupyx.scipy.sparse: CSR and CSC matrices.

What needs the positions of values, CuPy computes in many kernels and waits for; here SciPy does it
on the host, and the result goes back.
"""

import cupy
import numpy as np
import scipy.sparse
from cupy import _kernels

_DTYPES = ("bool", "float32", "float64", "complex64", "complex128")


class _compressed:
    """A matrix of compressed rows (``_major`` 0) or columns (1)."""

    format = ""
    _major = 0

    def __init__(self, arg1, shape=None, dtype=None, copy=False, *, maxprint=None):
        if isinstance(arg1, _compressed):
            source = arg1.asformat(self.format)
            parts, shape = (source.data, source.indices, source.indptr), source.shape
        elif scipy.sparse.issparse(arg1):
            source = arg1.asformat(self.format)
            parts = tuple(map(cupy.array, (source.data, source.indices, source.indptr)))
            shape = source.shape
        elif isinstance(arg1, tuple) and len(arg1) == 3:
            parts = arg1
            if not all(isinstance(part, cupy.ndarray) and part.ndim == 1 for part in parts):
                raise ValueError("data, indices, and indptr must be 1-D cupy arrays")
        else:
            raise NotImplementedError("only matrices, and (data, indices, indptr)")
        data, indices, indptr = parts
        if len(data) != len(indices):
            raise ValueError("indices and data should have the same size")
        first, end = cupy.stack((indptr[0], indptr[-1])).get().tolist()
        if first:
            raise ValueError(f"index pointer should start with 0 (got {first})")
        if end > data.size:
            raise ValueError(f"last index pointer ({end}) exceeds the size of data/indices")
        dtype = data.dtype if dtype is None else np.dtype(dtype)
        if dtype.name not in _DTYPES:
            raise ValueError("Only bool, float32, float64, complex64 and complex128 are supported")
        if shape is None:
            shape = len(indptr) - 1, int(indices.max()) + 1
            shape = shape[:: 1 if self._major == 0 else -1]
        if len(indptr) != shape[self._major] + 1:
            raise ValueError(
                f"index pointer size ({len(indptr)}) should be ({shape[self._major] + 1})"
            )
        index = np.int32 if max(*shape, end) <= np.iinfo(np.int32).max else np.int64
        self.data = (
            data[:end].astype(dtype, copy=copy)
            if end < data.size
            else (data.astype(dtype, copy=copy))
        )
        indices = indices[:end] if end < indices.size else indices
        self.indices = indices.astype(index, copy=copy)
        self.indptr = indptr.astype(index, copy=copy)
        self._shape = tuple(shape)

    @classmethod
    def _from_parts(cls, data, indices, indptr, shape):
        made = cls.__new__(cls)
        made.data, made.indices, made.indptr, made._shape = data, indices, indptr, tuple(shape)
        return made

    shape = property(lambda self: self._shape)
    dtype = property(lambda self: self.data.dtype)
    ndim = property(lambda self: 2)
    nnz = size = property(lambda self: self.data.size)

    def get(self, stream=None):
        parts = tuple(part.get(stream) for part in (self.data, self.indices, self.indptr))
        kind = scipy.sparse.csr_matrix if self._major == 0 else scipy.sparse.csc_matrix
        return kind(parts, shape=self._shape)

    def _upload(self, matrix, kind=None):
        """A matrix of SciPy as one of a class, by default of this one."""
        kind = type(self) if kind is None else kind
        matrix = matrix.asformat(kind.format)
        parts = map(cupy.asarray, (matrix.data, matrix.indices, matrix.indptr))
        return kind._from_parts(*parts, matrix.shape)

    def asformat(self, format):
        return self if format == self.format else getattr(self, f"to{format}")()

    def tocsr(self, copy=False):
        return self if self._major == 0 else self._upload(self.get(), csr_matrix)

    def tocsc(self, copy=False):
        return self if self._major == 1 else self._upload(self.get(), csc_matrix)

    def toarray(self, order=None, out=None):
        return cupy.asarray(self.get().toarray(order, out))

    todense = toarray

    def transpose(self, axes=None, copy=False):
        if axes is not None:
            raise ValueError("Sparse matrices do not support an 'axes' parameter")
        parts = self.data, self.indices, self.indptr
        parts = tuple(part.copy() for part in parts) if copy else parts
        return (csc_matrix, csr_matrix)[self._major]._from_parts(*parts, self._shape[::-1])

    @property
    def T(self):
        return self.transpose()  # as CuPy's, by the method of a subclass

    def _with_data(self, data, copy=True):
        positions = self.indices, self.indptr
        positions = tuple(each.copy() for each in positions) if copy else positions
        return type(self)._from_parts(data, *positions, self._shape)

    def copy(self):
        return self._with_data(self.data.copy())

    def astype(self, dtype, copy=True):
        if np.dtype(dtype) == self.dtype:
            return self.copy() if copy else self
        return self._with_data(self.data.astype(dtype))

    @property
    def has_sorted_indices(self):
        return bool(self.get().has_sorted_indices)

    def __neg__(self):
        return self._with_data(-self.data)

    def __mul__(self, other):
        return self._with_data(self.data * other) if cupy.isscalar(other) else self @ other

    def __rmul__(self, other):
        return self * other if cupy.isscalar(other) else NotImplemented

    def __add__(self, other):
        if not isinstance(other, _compressed):
            return NotImplemented
        return self._upload(self.get() + other.get(), csr_matrix)

    def __matmul__(self, other):
        if isinstance(other, _compressed):
            return self._upload(self.get() @ other.get(), csr_matrix)
        if not isinstance(other, cupy.ndarray):
            return NotImplemented
        kind = scipy.sparse.csr_matrix if self._major == 0 else scipy.sparse.csc_matrix
        shape = self._shape

        def multiply(data, indices, indptr, dense):
            if not indptr.any():  # zeros in place of values
                indices, data = indices[:0], data[:0]
            return kind((data, indices, indptr), shape) @ dense

        return _kernels.compute(multiply, self.data, self.indices, self.indptr, other)

    def __getitem__(self, key):
        if self._major or isinstance(key, tuple):
            raise NotImplementedError("only the rows of CSR matrices")
        if isinstance(key, slice):
            return self._rows(*key.indices(self._shape[0]))
        if isinstance(key, (int, np.integer)):
            row = int(key) + (self._shape[0] if key < 0 else 0)
            if not 0 <= row < self._shape[0]:
                raise IndexError(f"index ({key}) out of range")
            return self._rows(row, row + 1, 1)
        rows = key.get() if isinstance(key, cupy.ndarray) else np.asarray(key)
        return self._upload(self.get()[rows])

    def _rows(self, start, stop, step):
        if (start, stop, step) == (0, self._shape[0], 1):
            return self
        if step != 1:
            return self._upload(self.get()[start:stop:step])
        stop = max(start, stop)
        begin, end = self.indptr[[start, stop]].get().tolist()
        indptr = self.indptr[start : stop + 1] - self.indptr[start]
        part = slice(begin, end)
        shape = stop - start, self._shape[1]
        return type(self)._from_parts(self.data[part], self.indices[part], indptr, shape)


class csr_matrix(_compressed):
    format = "csr"


class csc_matrix(_compressed):
    format = "csc"
    _major = 1


def issparse(x):
    return isinstance(x, _compressed)


def isspmatrix_csr(x):
    return isinstance(x, csr_matrix)
