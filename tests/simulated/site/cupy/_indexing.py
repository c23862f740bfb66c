"""Indexing as CuPy does it: basic indices give views, others copies, out of bounds wraps around."""

import numpy as np

from cupy._kernels import compute, launch, store


def _is_basic(each):
    return (
        each is None
        or each is Ellipsis
        or (isinstance(each, (slice, int, np.integer)) and (not isinstance(each, bool)))
    )


def _prepare(array, slices):
    """The key as a tuple, and the arrays in it: host arrays go to the device, masks are indices."""
    from cupy import array as to_device
    from cupy._ndarray import ndarray

    key = list(slices) if isinstance(slices, tuple) else [slices]
    if all(map(_is_basic, key)):
        return tuple(key), []
    masks = []
    for place, each in enumerate(key):
        if _is_basic(each):
            continue
        if not isinstance(each, ndarray):
            listed = isinstance(each, (list, tuple))
            each = to_device(each, copy=None)
            if listed and not each.size:
                each = each.astype(np.int32)
        if each.dtype.kind not in "biu":
            raise IndexError(
                "arrays used as indices must be of integer or boolean type. (actual: "
                f"{each.dtype.type})"
            )
        key[place] = each
        if each.dtype.kind == "b":
            masks.append(place)
    for place in reversed(masks):  # CuPy synchronizes to count
        found = key[place].get().nonzero() if key[place].ndim else None
        if found is None:
            raise NotImplementedError("masks of shape ()")
        key[place : place + 1] = list(found)
    return tuple(key), [each for each in key if isinstance(each, (ndarray, np.ndarray))]


def _wrapping(shape, key):
    """A function that puts index arrays into the key, modulo the lengths of their axes."""
    taken = sum(each is not None and each is not Ellipsis for each in key)
    key = key if Ellipsis in [each for each in key if each is Ellipsis] else (*key, Ellipsis)
    lengths, axis = [], 0
    for each in key:
        if each is Ellipsis:
            axis += len(shape) - taken
        elif each is not None:
            if not _is_basic(each):
                if axis >= len(shape):
                    raise IndexError("too many indices for array")
                lengths.append(shape[axis])
            axis += 1

    def put(*indices):
        wrapped = iter(
            index % length if length else index
            for index, length in zip(indices, lengths, strict=True)
        )
        return tuple(each if _is_basic(each) else next(wrapped) for each in key)

    return put


def getitem(array, slices):
    if isinstance(slices, str):
        return array._share(array._host[slices])
    key, indices = _prepare(array, slices)
    if not indices:
        key = key if Ellipsis in [each for each in key if each is Ellipsis] else (*key, Ellipsis)
        return array._share(array._host[key])
    if len(key) == 1 and not isinstance(indices[0], np.ndarray):
        return array._share(array._host).take(indices[0], 0, None)
    put = _wrapping(array.shape, key)
    return compute(lambda a, *given: a[put(*given)], array, *indices)


def setitem(array, slices, value):
    from cupy import array as to_device
    from cupy._ndarray import ndarray

    key, indices = _prepare(array, slices)
    if isinstance(value, ndarray):
        lead = next((n for n, length in enumerate(value.shape) if length != 1), value.ndim)
        value = value._share(value._host.reshape(value.shape[lead:]))
    if indices:
        value = value if isinstance(value, ndarray) else to_device(value, dtype=array.dtype)
        put = _wrapping(array.shape, key)
        _scatter(array, put, indices, value)
        return
    target = getitem(array, slices)
    if not isinstance(value, ndarray):
        target.fill(value)  # refuses arrays of NumPy
        return
    same = (value.shape, value.strides) == (target.shape, target.strides)
    if same and value.data.ptr == target.data.ptr:
        return
    if same and target.flags.c_contiguous and target.dtype == value.dtype:
        if target.size:
            target.data.copy_from_device_async(value.data, value.nbytes)
        return
    shape = target.shape
    if np.broadcast_shapes(value.shape, shape) != shape:
        raise ValueError(
            f"operands could not be broadcast together with shapes {value.shape} {shape}"
        )
    store(lambda v: np.broadcast_to(v, shape), [value], shape, target.dtype, target)


def _scatter(array, put, indices, value):
    from cupy._ndarray import ndarray

    hosts = [getattr(each, "_host", each) for each in indices]
    zeros = [np.zeros(each.shape, np.int64) for each in hosts]
    if array.size:  # for the error of shapes that do not fit
        shape = array._host[put(*zeros)].shape
        np.broadcast_to(np.broadcast_to(0, value.shape), shape)
    target, source = array._host, value._host

    def work():
        target[put(*hosts)] = source

    reads = [value, *(each for each in indices if isinstance(each, ndarray))]
    if value.size and array.size:
        launch(work, reads, [array], "the kernel scatter")


def take(array, indices, axis=None, out=None):
    from cupy import array as to_device
    from cupy._ndarray import ndarray

    if not isinstance(indices, (ndarray, int, np.integer)):
        indices = to_device(indices, dtype=int)
    length = array.size if axis is None else array.shape[axis]

    def gather(values, index):
        return np.take(values, index % length if length else index, axis)

    return compute(gather, array, indices, out=out)


def nonzero(array):
    found = array.get().nonzero()  # CuPy synchronizes to count
    from cupy import array as to_device

    packed = to_device(np.stack(found, axis=1)) if array.ndim else None
    if packed is None:
        raise ValueError("Calling nonzero on 0d arrays is not allowed.")
    return tuple(packed[:, axis] for axis in range(array.ndim))
