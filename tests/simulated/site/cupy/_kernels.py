"""How operations run: what they make is known at once, its values when their stream gets there.

An operation is a function of NumPy arrays. It is called once with zeros, for the shape and dtype of
the result, and again on the memory of its arguments when the stream runs it.
"""

import warnings

import numpy as np
from simulation import streams

from cupy.cuda import runtime
from cupy.cuda.stream import _current_queue

# The types that CuPy's kernels take beside arrays.
SCALARS = (int, float, complex, bool, np.number, np.bool_)


def check(values):
    """Check arguments as CuPy's kernels do: arrays on the current device, and numbers."""
    from cupy._ndarray import ndarray

    for value in values:
        if isinstance(value, ndarray):
            current = runtime.getDevice()
            if value.data.device_id != current:
                raise ValueError(
                    f"The device where the array resides ({value.data.device_id}) is different "
                    f"from the current device ({current}). Peer access is unavailable between "
                    "these devices."
                )
        elif not isinstance(value, SCALARS):
            raise TypeError(f"Unsupported type {type(value)}")


def quietly(function, *args, **options):
    """Call a function without NumPy's warnings, which a device does not give."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **options)


def zeros_of(value):
    """Zeros in place of an argument's values."""
    host = host_of(value)
    if not isinstance(host, np.ndarray):
        return host
    return np.broadcast_to(np.zeros((), host.dtype), host.shape)


def host_of(value):
    """A NumPy array over an array's memory; numbers, and lists of both, likewise."""
    if isinstance(value, (list, tuple)):
        return [host_of(each) for each in value]
    return getattr(value, "_host", value)


def arrays_in(values):
    """The arrays among arguments, and in lists of them."""
    from cupy._ndarray import ndarray

    for value in values:
        if isinstance(value, (list, tuple)):
            yield from arrays_in(value)
        elif isinstance(value, ndarray):
            yield value


def launch(work, reads, writes, name):
    """Queue a kernel on the current stream; `reads` and `writes` are arrays of CuPy."""
    check([*reads, *writes])
    regions = [each._host for each in reads], [each._host for each in writes]
    streams.launch(_current_queue(), lambda: quietly(work), *regions, name)


def compute(function, *args, out=None, dtype=None, like=None):
    """The result of a function of NumPy arrays, as a new array or in `out`.

    Parameters
    ----------
    args : arrays, numbers, and lists of them
    dtype : of the result; None: the function's
    like : an array whose class the result has; None: cupy.ndarray
    """
    arrays = list(arrays_in(args))
    check(arrays)
    made = np.asarray(quietly(function, *map(_zeros, args)))
    return store(function, args, made.shape, made.dtype if dtype is None else dtype, out, like)


def _zeros(value):
    return [_zeros(each) for each in value] if isinstance(value, (list, tuple)) else zeros_of(value)


def store(function, args, shape, dtype, out=None, like=None):
    """Queue a function whose result has a known shape and dtype; see `compute`."""
    from cupy._ndarray import ndarray

    if out is None:
        out = ndarray(shape, dtype)
        if like is not None:
            out = out._share(out._host, type(like), like, base=None)
    elif out.shape != tuple(shape):
        raise ValueError(f"Output shape mismatch: expected {tuple(shape)}, got {out.shape}")
    target, sources = out._host, [host_of(each) for each in args]
    name = getattr(function, "__name__", "kernel")

    def work():
        target[...] = np.asarray(function(*sources)).astype(target.dtype, copy=False)

    if target.size:
        launch(work, list(arrays_in(args)), [out], f"the kernel {name}")
    return out
