"""cupy.ndarray over NumPy: memory, views and transfers."""

import numpy as np

from cupy import _dlpack, _indexing
from cupy._kernels import compute, store
from cupy.cuda import runtime
from cupy.cuda.memory import alloc
from cupy.cuda.stream import get_current_stream


class ndarray:
    """An array on a simulated device; ``_host`` is a NumPy array over its memory.

    As in CuPy, a subclass is kept by views and ufuncs only.
    """

    __slots__ = ("__weakref__", "_host", "base", "data")

    __array_priority__ = 100
    __hash__ = None

    def __new__(cls, *args, _obj=None, _no_init=False, **kwargs):
        self = super().__new__(cls)
        if not _no_init:
            self._init(*args, **kwargs)
            if cls is not ndarray:
                self.__array_finalize__(_obj)
        return self

    def __init__(self, *args, **kwargs):
        pass

    def __array_finalize__(self, obj):
        pass

    def _init(self, shape, dtype=float, memptr=None, strides=None, order="C"):
        shape = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
        dtype = np.dtype(dtype)
        if dtype.kind not in "biufcV":
            raise ValueError(f"Unsupported dtype {dtype}")
        if any(length < 0 for length in shape):
            raise ValueError("Negative dimensions are not allowed")
        size = int(np.prod(shape)) * dtype.itemsize
        self.base = None
        self.data = alloc(size) if memptr is None else memptr
        if not size:
            self._host = np.empty(shape, dtype, order or "C")
            return
        if strides is None:
            strides = _contiguous(shape, dtype.itemsize, order)
        self._host = np.ndarray(
            shape, dtype, self.data.mem._bytes, self.data.ptr - self.data.mem.ptr, strides
        )

    def _share(self, host, kind=None, obj=None, base=True):
        """A view of the same memory."""
        kind = type(self) if kind is None else kind
        view = ndarray.__new__(kind, _no_init=True)
        view._host, view.data = host, self.data
        if host.size:
            offset = host.__array_interface__["data"][0] - self.data.ptr
            view.data = self.data + offset if offset else self.data
        view.base = None if base is None else (self if self.base is None else self.base)
        if kind is not ndarray:
            view.__array_finalize__(self if obj is None else obj)
        return view

    # What describes it

    dtype = property(lambda self: self._host.dtype)
    strides = property(lambda self: self._host.strides)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    itemsize = property(lambda self: self._host.itemsize)
    nbytes = property(lambda self: self._host.nbytes)
    flags = property(lambda self: self._host.flags)
    device = property(lambda self: self.data.device)

    @property
    def shape(self):
        return self._host.shape

    @shape.setter
    def shape(self, shape):
        host = self._host.view()
        host.shape = shape  # raises where NumPy would have to copy
        self._host = host

    def __len__(self):
        if not self.ndim:
            raise TypeError("len() of unsized object")
        return len(self._host)

    def __iter__(self):
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[index] for index in range(len(self)))

    # Views

    def view(self, dtype=None, type=None):
        if isinstance(dtype, _type) and issubclass(dtype, ndarray):
            dtype, type = None, dtype
        return self._share(self._host.view() if dtype is None else self._host.view(dtype), type)

    def reshape(self, *shape, order="C", copy=None):
        shape = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        made = np.broadcast_to(np.empty((), np.uint8), self.shape).reshape(shape).shape
        host = _reshape_without_copy(self._host, made, order)
        if host is not None:
            return self._share(host).copy("C") if copy else self._share(host)
        if copy is False:
            raise ValueError("Unable to avoid creating a copy while reshaping.")
        if order == "F":
            target = ndarray(made, self.dtype, order="F")
            return store(lambda a: a.reshape(made, order="F"), [self], made, self.dtype, target)
        copied = self.copy("C")
        return copied._share(copied._host.reshape(made), base=None)

    def transpose(self, *axes):
        return self._share(self._host.transpose(*axes))

    T = property(transpose)
    mT = property(lambda self: self.swapaxes(-1, -2))

    def swapaxes(self, axis1, axis2):
        return self._share(self._host.swapaxes(axis1, axis2))

    def squeeze(self, axis=None):
        return self._share(self._host.squeeze(axis))

    def diagonal(self, offset=0, axis1=0, axis2=1):
        return self._share(self._host.diagonal(offset, axis1, axis2))

    def ravel(self, order="C"):
        return ndarray.reshape(self, -1, order=order)

    @property
    def real(self):
        return self._share(self._host.real)

    @property
    def imag(self):
        return self._share(self._host.imag)

    # Copies

    # CuPy's own code calls methods that a subclass overrides, with all arguments by position.

    def astype(self, dtype, order="K", casting=None, subok=None, copy=True):
        return self._astype(dtype, order, casting, subok, True if copy else None)

    def _astype(self, dtype, order="K", casting=None, subok=None, copy=True):
        if casting is not None or subok is not None:
            raise TypeError("casting and subok are not supported yet")
        dtype = np.dtype(dtype)
        if dtype.kind not in "biufcV":
            raise ValueError(f"Unsupported dtype {dtype}")
        matches = {"K": True, "A": True, "C": self.flags.c_contiguous, "F": self.flags.f_contiguous}
        if not copy and dtype == self.dtype and matches[order or "K"]:
            return self
        if copy is False:
            raise ValueError("Unable to avoid copy while creating an array as requested.")
        strides = np.empty_like(self._host, dtype, order or "K").strides if self.size else None
        made = ndarray(self.shape, dtype, strides=strides)
        return store(_astype, [self], self.shape, dtype, made) if self.size else made

    def copy(self, order="C"):
        if not self.size or self.data.device_id == runtime.getDevice():
            return self.astype(self.dtype, order, None, None, True)
        with self.device:
            source = self.astype(self.dtype, order, None, None, False)
        if not (source.flags.c_contiguous or source.flags.f_contiguous):
            raise NotImplementedError("CuPy cannot copy non-contiguous array between devices.")
        made = ndarray(source.shape, source.dtype, strides=source.strides)
        made.data.copy_from_device_async(source.data, source.nbytes)
        return made

    def __copy__(self):
        return self.copy("C")

    def __deepcopy__(self, memo):
        with self.device:
            return self.copy("C")

    def __reduce__(self):
        from cupy import array

        return array, (self.get(order="A"),)

    def flatten(self, order="C"):
        return store(lambda a: a.flatten(order), [self], (self.size,), self.dtype)

    def fill(self, value):
        if isinstance(value, np.ndarray):
            if value.shape != ():
                raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
            value = value.item()
        if isinstance(value, ndarray):
            value = value.reshape(())
        compute(lambda a, v: np.broadcast_to(v, a.shape), self, _scalar(value), out=self)

    # The host

    def get(self, stream=None, order="C", out=None, blocking=True):
        stream = get_current_stream() if stream is None else stream
        if out is not None:
            if not isinstance(out, np.ndarray):
                raise TypeError("Only numpy.ndarray can be obtained fromcupy.ndarray")
            if self.dtype != out.dtype:
                raise TypeError(f"{out.dtype} array cannot be obtained from {self.dtype} array")
            if self.shape != out.shape:
                raise ValueError(
                    f"Shape mismatch. Expected shape: {out.shape}, actual shape: {self.shape}"
                )
            order = "F" if out.flags.f_contiguous and not out.flags.c_contiguous else "C"
        else:
            fortran = self.flags.f_contiguous and not self.flags.c_contiguous
            order = ("F" if fortran else "C") if order == "A" else order
            out = np.empty(self.shape, self.dtype, order)
        if not self.size:
            return out
        source = self
        if not (self.flags.f_contiguous if order == "F" else self.flags.c_contiguous):
            with self.device, stream:
                source = ndarray._astype(self, self.dtype, order)
        with self.device:
            source.data.copy_to_host_async(out.ctypes.data, self.nbytes, stream)
            if blocking:
                stream.synchronize()
        return out

    def set(self, arr, stream=None):
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if self.dtype != arr.dtype:
            raise TypeError(f"{arr.dtype} array cannot be set to {self.dtype} array")
        if self.shape != arr.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {arr.shape}")
        if self.flags.c_contiguous:
            arr = np.ascontiguousarray(arr)
        elif self.flags.f_contiguous:
            arr = np.asfortranarray(arr)
        else:
            raise RuntimeError("Cannot set to non-contiguous array")
        if self.size:
            with self.device:
                self.data.copy_from_host_async(arr.ctypes.data, self.nbytes, stream)

    def item(self):
        return self.get().item()

    def tolist(self):
        return self.get().tolist()

    def tobytes(self, order="C"):
        return self.get().tobytes(order)

    def __array__(self, dtype=None):
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct "
            "a NumPy array explicitly."
        )

    def __bool__(self):
        if self.size != 1:
            raise ValueError(
                "The truth value of an array with more than one element is ambiguous. Use a.any() "
                "or a.all()"
            )
        return bool(self.get())

    def __int__(self):
        return int(self.get())

    def __float__(self):
        return float(self.get())

    def __complex__(self):
        return complex(self.get())

    def __repr__(self):
        return repr(self.get())

    def __str__(self):
        return str(self.get())

    def __format__(self, format_spec):
        return format(self.get(), format_spec)

    # Other libraries

    @property
    def __cuda_array_interface__(self):
        described = self._host.__array_interface__
        pointer = get_current_stream().ptr or runtime.streamLegacy
        return {
            "shape": self.shape,
            "typestr": described["typestr"],
            "descr": described["descr"],
            "stream": pointer,
            "version": 3,
            "strides": None if self.flags.c_contiguous else self.strides,
            "data": (self.data.ptr if self.size else 0, False),
        }

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        return _dlpack.export(self, stream, dl_device, copy)

    def __dlpack_device__(self):
        return _dlpack.CUDA, self.data.device_id

    # Indexing

    def __getitem__(self, slices):
        return _indexing.getitem(self, slices)

    def __setitem__(self, slices, value):
        _indexing.setitem(self, slices, value)

    def take(self, indices, axis=None, out=None):
        return _indexing.take(self, indices, axis, out)

    def nonzero(self):
        return _indexing.nonzero(self)


_type = type


def _astype(values):
    return values


def _scalar(value):
    return value.item() if isinstance(value, np.generic) and value.dtype.kind == "V" else value


def _contiguous(shape, itemsize, order):
    """The strides of a contiguous array."""
    strides, step = [], itemsize
    for length in shape if order == "F" else reversed(shape):
        strides.append(step)
        step *= max(length, 1)
    return tuple(strides if order == "F" else reversed(strides))


def _reshape_without_copy(host, shape, order):
    """A view of another shape; None where there is none."""
    view = host.view()
    if order == "F":
        view = host.T
        shape = shape[::-1]
    try:
        made = np.reshape(view, shape, copy=False)
    except ValueError:
        return None
    return made.T if order == "F" else made
