"""CuPy's functions that create arrays."""

import itertools

import numpy as np
from simulation import pinned

from cupy._kernels import compute, launch
from cupy._ndarray import ndarray
from cupy.cuda import runtime
from cupy.cuda.stream import get_current_stream


def array(obj, dtype=None, copy=True, order="K", subok=False, ndmin=0, *, blocking=False):
    if subok:
        raise NotImplementedError
    order = order or "K"
    obj = _from_interface(obj)
    if isinstance(obj, ndarray):
        made = _from_device(obj, dtype, copy, order)
    elif isinstance(obj, (list, tuple)) and _holds_device_arrays(obj):
        made = _stack(obj)
        made = made._astype(made.dtype if dtype is None else dtype, order, copy=None)
    else:
        made = _from_host(obj, dtype, order)
    if made.ndim < ndmin:
        made = made.reshape((1,) * (ndmin - made.ndim) + made.shape)
    if blocking:
        get_current_stream().synchronize()
    return made


def asarray(a, dtype=None, order=None, *, copy=None, blocking=False):
    return array(a, dtype, copy, order, blocking=blocking)


asanyarray = asarray


def _from_interface(obj):
    """An array over the memory of another library's array, which its stream has made."""
    described = None if isinstance(obj, ndarray) else getattr(obj, "__cuda_array_interface__", None)
    if described is None:
        return obj
    from cupy.cuda import ExternalStream, MemoryPointer, UnownedMemory

    shape, dtype = described["shape"], np.dtype(described["typestr"])
    strides = described.get("strides")
    if 0 in shape:
        return ndarray(shape, dtype)
    lengths = strides or ndarray(shape, dtype).strides
    extent = dtype.itemsize + sum(
        (length - 1) * stride for length, stride in zip(shape, lengths, strict=True)
    )
    memory = UnownedMemory(described["data"][0], extent, obj)
    made = ndarray(shape, dtype, MemoryPointer(memory, 0), strides)
    stream = described.get("stream")
    if stream is not None:
        current = get_current_stream()
        if stream != (current.ptr or runtime.streamLegacy):
            with made.device:
                current.wait_event(ExternalStream(stream).record())
    return made


def _from_device(obj, dtype, copy, order):
    dtype = obj.dtype if dtype is None else dtype
    if obj.data.device_id != runtime.getDevice():
        return obj.copy(order)._astype(dtype, "K", None, None, None)
    return obj._astype(dtype, order, None, None, copy)


def _from_host(obj, dtype, order):
    values = np.asarray(obj, dtype)
    if values.dtype.kind not in "biufcV":
        raise ValueError(f"Unsupported dtype {values.dtype}")
    fortran = values.flags.fnc if order in ("K", "A") else order == "F"
    order = "F" if fortran else "C"
    made = ndarray(values.shape, values.dtype, order=order)
    if not values.ndim:
        made.fill(values)
    elif values.size:
        contiguous = values.flags.f_contiguous if fortran else values.flags.c_contiguous
        if contiguous and pinned.is_pinned(values):
            made.data.copy_from_host_async(values.ctypes.data, made.nbytes)
            _watch(get_current_stream().record(), values)
        else:  # CuPy copies to pinned memory of its own, which it keeps until the copy is done
            staged = np.asarray(values, order=order)
            staged = staged.copy(order) if pinned.is_pinned(staged) else staged
            made.data.copy_from_host_async(staged.ctypes.data, made.nbytes)
    return made


_watched = []


def _watch(event, values):
    """Keep pinned memory until a copy from it is done."""
    _watched[:] = [pair for pair in _watched if not pair[0].done]
    _watched.append((event, values))


def _holds_device_arrays(values):
    return any(
        _holds_device_arrays(each) if isinstance(each, (list, tuple)) else isinstance(each, ndarray)
        for each in values
    )


def _stack(values):
    from cupy._manipulation import stack

    if isinstance(values, ndarray):
        return values
    return stack([_stack(each) for each in values])


def empty(shape, dtype=float, order="C"):
    return ndarray(shape, dtype, order=order)


def full(shape, fill_value, dtype=None, order="C"):
    if dtype is None:
        dtype = fill_value.dtype if isinstance(fill_value, ndarray) else np.array(fill_value).dtype
    made = ndarray(shape, dtype, order=order)
    if isinstance(fill_value, ndarray):
        made[...] = fill_value
    else:
        made.fill(fill_value)
    return made


def zeros(shape, dtype=float, order="C"):
    return full(shape, 0, dtype, order)


def ones(shape, dtype=float, order="C"):
    return full(shape, 1, dtype, order)


def empty_like(prototype, dtype=None, order="K", subok=None, shape=None):
    dtype = prototype.dtype if dtype is None else np.dtype(dtype)
    shape = prototype.shape if shape is None else shape
    like = np.empty_like(np.broadcast_to(np.empty((), dtype), shape), order="C")
    if shape == prototype.shape:
        like = np.empty_like(prototype._host, dtype, order or "K", subok=False)
    return ndarray(shape, dtype, strides=like.strides if like.size else None)


def full_like(a, fill_value, dtype=None, order="K", subok=None, shape=None):
    made = empty_like(a, dtype, order, subok, shape)
    made.fill(fill_value)
    return made


def zeros_like(a, dtype=None, order="K", subok=None, shape=None):
    return full_like(a, 0, dtype, order, subok, shape)


def ones_like(a, dtype=None, order="K", subok=None, shape=None):
    return full_like(a, 1, dtype, order, subok, shape)


def arange(start, stop=None, step=1, dtype=None):
    return compute(lambda: np.arange(*((0, start) if stop is None else (start, stop)), step, dtype))


def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0):
    return compute(lambda: np.linspace(start, stop, num, endpoint, False, dtype, axis))


def eye(N, M=None, k=0, dtype=float, order="C"):
    return compute(lambda: np.eye(N, M, k, dtype))


def identity(n, dtype=float):
    return eye(n, dtype=dtype)


def ascontiguousarray(a, dtype=None):
    return _with_order(a, dtype, "C")


def asfortranarray(a, dtype=None):
    return _with_order(a, dtype, "F")


def _with_order(a, dtype, order):
    """The array in an order; one of shape () becomes one-dimensional, as in NumPy."""
    made = ndarray._astype(a, a.dtype if dtype is None else dtype, order, copy=None)
    return made if made.ndim else ndarray.reshape(made, 1)


def copy(a, order="K"):
    return a.copy(order=order)


def asnumpy(a, stream=None, order="C", out=None, *, blocking=True):
    if isinstance(a, ndarray):
        return a.get(stream, order, out, blocking)
    made = np.asarray(a, order=order)
    if out is None:
        return made
    out[...] = made
    return out


def copyto(dst, src, casting="same_kind", where=None):
    if isinstance(src, np.ndarray):
        if src.size != 1:
            raise ValueError("non-scalar numpy.ndarray cannot be used for copyto")
        src = src.item()
    if not isinstance(src, ndarray):
        np.copyto(np.empty((), dst.dtype), src, casting)
        dst.fill(src)
        return
    if not np.can_cast(src.dtype, dst.dtype, casting):
        raise TypeError(f"Cannot cast {src.dtype} to {dst.dtype} in {casting} casting mode")
    pairs = itertools.zip_longest(reversed(src.shape), reversed(dst.shape), fillvalue=1)
    if not all(length in (target, 1) for length, target in pairs):
        raise ValueError(
            f"could not broadcast input array from shape {src.shape} into shape {dst.shape}"
        )
    if where is not None:
        target, source, mask = dst._host, src._host, where._host
        launch(
            lambda: np.copyto(target, source, casting, where=mask), [src, where], [dst], "copyto"
        )
        return
    contiguous = dst.flags.c_contiguous and src.flags.c_contiguous
    if contiguous and (src.dtype, src.shape) == (dst.dtype, dst.shape):
        dst.data.copy_from_device_async(src.data, src.nbytes)
        return
    with dst.device:
        dst[...] = src if src.data.device_id == dst.data.device_id else src.copy()
