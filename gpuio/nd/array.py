"""MXNet's NDArray over the arrays that everybody has: NumPy's on the CPU, CuPy's on a GPU.

An NDArray *is* a numpy.ndarray or a cupy.ndarray, with MXNet's methods beside its own, so it goes
wherever those go, and offers DLPack. The GPU's class is made when CuPy is first imported.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from gpuio.context import (
    Context,
    as_context,
    device_of,
    get_array_module,
    num_gpus,
    require,
)
from gpuio.errors import ArgumentError
from gpuio.nd.shapes import reshaped, sides_of

__all__ = [
    "NDArray",
    "array",
    "concat",
    "empty",
    "from_dlpack",
    "full",
    "ones",
    "stack",
    "waitall",
    "wrap",
    "zeros",
]

if TYPE_CHECKING:
    from gpuio.nd.sparse import CSRNDArray

    _Base = np.ndarray[Any, Any]
else:
    _Base = object


class NDArray(_Base):
    """An array on a device, with MXNet's methods.

    Made by `array`, `zeros`, `ones`, `wrap` and the iterators; its instances are also numpy.ndarray
    or cupy.ndarray. A single value indexed out of one is an NDArray with no axes.
    """

    __slots__ = ()

    @property
    def context(self) -> Context:
        """The device on which the array lives."""
        return device_of(self)

    ctx = context

    def asnumpy(self) -> np.ndarray[Any, Any]:
        """The values as a plain numpy.ndarray: on the CPU the same memory, from a GPU a copy."""
        raise NotImplementedError

    def asscalar(self) -> Any:
        """The only value.

        Raises
        ------
        ValueError : the array has not exactly one.
        """
        if self.size != 1:
            raise ValueError(f"The current array is not a scalar: its shape is {self.shape}")
        return self.asnumpy().reshape(())[()]

    def as_in_context(self, ctx: Context | str) -> NDArray:
        """The array on a device: itself if it is there, else a copy.

        Raises
        ------
        ContextError : the device is not there.
        """
        ctx = as_context(ctx)
        there = self.context
        if ctx == there or ctx.device_type == there.device_type == "cpu":
            return self
        return _place(self, ctx)

    as_in_ctx = as_in_context

    def copyto(self, other: NDArray | Context | str) -> NDArray:
        """Copy into another array of the same shape, which is returned, or to a device as a new
        array.

        Raises
        ------
        ArgumentError : the shapes differ, or it is the same array.
        """
        if isinstance(other, (Context, str)):
            return _place(self, as_context(other), copy=True)
        if not isinstance(other, NDArray):
            raise ArgumentError(f"copyto takes an NDArray or a Context, not {type(other).__name__}")
        if other is self:
            raise ArgumentError("copyto: the source and the target are the same array")
        if other.shape != self.shape:
            raise ArgumentError(f"copyto: the shapes {self.shape} and {other.shape} differ")
        other[...] = _place(self, other.context)
        return other

    def reshape(self, *shape: Any, **options: Any) -> NDArray:
        """The same values in another shape.

        Parameters
        ----------
        shape : the sides, as one tuple or one by one. Beside NumPy's -1, the one side that is
            worked out, MXNet's: 0 keeps the side at this place, -2 all sides that are left; -3
            joins two sides; -4 splits one into the two that follow it
        options : NumPy's or CuPy's own, such as ``order="F"``, and MXNet's ``shape=``

        Raises
        ------
        ValueError : the values do not fill the shape.
        """
        wanted = options.pop("shape") if "shape" in options and not shape else shape
        sides = sides_of(wanted[0] if len(shape) == 1 else wanted)
        # An array with no values may well become another with a side of 0, as in NumPy.
        if any(side < -1 or (side == 0 and self.size) for side in sides):
            sides = reshaped(self.shape, sides)
        made: NDArray = super().reshape(sides, **options)  # type: ignore[assignment]
        return made

    @property
    def stype(self) -> str:
        """The way of storage: "default", each value is there."""
        return "default"

    def tostype(self, stype: str) -> NDArray | CSRNDArray:
        """The array in a way of storage: "default", itself; "csr", a new matrix of compressed
        sparse rows on the same device.

        Raises
        ------
        UnsupportedError : it is "row_sparse", or there are no sparse matrices of this dtype.
        ArgumentError : there is no such way, or the array is no matrix.
        """
        from gpuio.nd import sparse  # stands on this module

        if sparse.check_stype(stype) == "default":
            return self
        return sparse.csr_matrix(self, ctx=self.context)

    def wait_to_read(self) -> None:
        """Wait until the values are there; on the CPU they always are."""
        wait_for(self.context)

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.shape))
        return f"\n{np.array_str(self.asnumpy())}\n<NDArray {shape} @{self.context}>"

    __str__ = __repr__


class _HostArray(NDArray, np.ndarray[Any, Any]):
    """An NDArray on the CPU."""

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        if isinstance(found, np.generic):  # as CuPy's: one value is an array with no axes
            return super().__getitem__((*key, ...) if isinstance(key, tuple) else (key, ...))
        return found

    def asnumpy(self) -> np.ndarray[Any, Any]:
        return self.view(np.ndarray)

    def __reduce__(self) -> tuple[Any, ...]:
        return wrap, (self.view(np.ndarray),)

    __repr__ = NDArray.__repr__
    __str__ = NDArray.__repr__


@functools.cache
def _device_class() -> type:
    """NDArray on a GPU."""
    import cupy

    class DeviceArray(NDArray, cupy.ndarray):  # type: ignore[misc]
        """An NDArray on a GPU."""

        def asnumpy(self) -> np.ndarray[Any, Any]:
            return cupy.asnumpy(self)  # type: ignore[no-any-return]

        def __reduce__(self) -> tuple[Any, ...]:
            return array, (self.asnumpy(), repr(self.context), self.dtype)

        __repr__ = NDArray.__repr__
        __str__ = NDArray.__repr__

    return DeviceArray


def wrap(values: Any) -> NDArray:
    """A numpy.ndarray or cupy.ndarray as an NDArray: the same memory, on the same device, of the
    same dtype.
    """
    if isinstance(values, NDArray):
        return values
    if isinstance(values, np.ndarray):
        return values.view(_HostArray)
    if device_of(values).device_type == "gpu":
        return values.view(type=_device_class())  # type: ignore[no-any-return]
    raise ArgumentError(
        f"wrap takes a numpy.ndarray or a cupy.ndarray, not {type(values).__name__}"
    )


def _place(values: Any, ctx: Context, copy: bool = False) -> NDArray:
    """Values on a device; the same memory where they are there already, unless `copy`."""
    require(ctx)
    if ctx.device_type == "cpu":
        if device_of(values).device_type == "gpu":
            return wrap(values.get())
        return wrap(np.array(values) if copy else np.asarray(values))
    import cupy

    with cupy.cuda.Device(ctx.device_id):
        return wrap(cupy.array(values) if copy else cupy.asarray(values))


def as_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """What NumPy knows by a name or a type.

    Raises
    ------
    ArgumentError : it knows none.
    """
    try:
        return np.dtype(dtype)
    except TypeError as error:
        raise ArgumentError(f"dtype: {error}; MXNet's are float32, uint8, int32 ...") from error


def wait_for(ctx: Context) -> None:
    """Wait until the work in a device's current stream is done; on the CPU there is none."""
    if ctx.device_type == "gpu":
        import cupy

        with cupy.cuda.Device(ctx.device_id):
            cupy.cuda.get_current_stream().synchronize()


def array(
    source: ArrayLike | NDArray | CSRNDArray,
    ctx: Context | str | None = None,
    dtype: DTypeLike | None = None,
) -> NDArray:
    """A new array with the values of another, of a list or of a number.

    Parameters
    ----------
    source : numbers, an array on either device, a list of NDArrays of one shape, or anything that
        NumPy makes an array of; a sparse matrix becomes a CSRNDArray, as by `sparse.array`
    ctx : the device; None: the current context
    dtype : None: that of an NDArray or of a sparse matrix, float32 for everything else, as in MXNet

    Raises
    ------
    ContextError : the device is not there.
    ArgumentError : the source is not numbers, or not as many in each of its rows.
    """
    ctx = as_context(ctx)
    require(ctx)
    if hasattr(source, "tocsr"):
        from gpuio.nd import sparse  # stands on this module

        return sparse.array(source, ctx, dtype)
    if dtype is None:
        dtype = source.dtype if isinstance(source, NDArray) else np.float32
    return _place(converted(source, as_dtype(dtype)), ctx)


def converted(source: Any, dtype: np.dtype[Any]) -> Any:
    """New values in a dtype, one row after the other in memory, where the source is.

    Raises
    ------
    ArgumentError : they are not numbers, or not as many in each row.
    """
    if device_of(source).device_type == "gpu":
        return _on_device_of(source, lambda: source.astype(dtype, order="C"))
    if isinstance(source, (list, tuple)) and source and isinstance(source[0], NDArray):
        # NumPy takes nothing from a GPU.
        source = [each.asnumpy() if isinstance(each, NDArray) else each for each in source]
    try:
        values = np.asarray(source)
        if values.dtype.kind == "c" and dtype.kind != "c":
            raise TypeError(f"complex numbers are no {dtype}")
        return values.astype(dtype, order="C")
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"an array is numbers, as many in each row, not this {type(source).__name__}: {error}"
        ) from error


def empty(
    shape: int | tuple[int, ...],
    ctx: Context | str | None = None,
    dtype: DTypeLike | None = np.float32,
) -> NDArray:
    """An array on a device whose values nobody has set.

    Parameters
    ----------
    shape : its sides; 0 is one, and () a single value
    ctx : the device; None: the current context
    dtype : None: float32

    Raises
    ------
    ContextError : the device is not there.
    ArgumentError : a side is negative, or no whole number; or there is no such dtype.
    """
    ctx = as_context(ctx)
    require(ctx)
    try:
        sides = sides_of(shape)
    except TypeError as error:
        raise ArgumentError(f"a shape is whole numbers, not {shape!r}") from error
    if any(side < 0 for side in sides):
        raise ArgumentError(f"a shape has no negative sides: {shape!r}")
    kind = as_dtype(np.float32 if dtype is None else dtype)
    if ctx.device_type == "cpu":
        return wrap(np.empty(sides, kind))
    import cupy

    with cupy.cuda.Device(ctx.device_id):
        return wrap(cupy.empty(sides, kind))


def full(
    shape: int | tuple[int, ...],
    val: Any,
    ctx: Context | str | None = None,
    dtype: DTypeLike | None = np.float32,
) -> NDArray:
    """An array on a device with the same value everywhere.

    Parameters
    ----------
    shape, ctx, dtype : see `empty`
    val : a number, or numbers that NumPy's rules spread over the shape

    Raises
    ------
    ContextError, ArgumentError : see `empty`.
    """
    made = empty(shape, ctx, dtype)
    if np.isscalar(val):
        value = converted(val, made.dtype)[()]
    else:
        value = array(val, made.context, made.dtype)
    try:
        _on_device_of(made, lambda: made.__setitem__(..., value))
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"full of shape {made.shape}: {error}") from error
    return made


def zeros(
    shape: int | tuple[int, ...],
    ctx: Context | str | None = None,
    dtype: DTypeLike | None = np.float32,
) -> NDArray:
    """An array of zeros on a device; see `empty`."""
    return full(shape, 0, ctx, dtype)


def ones(
    shape: int | tuple[int, ...],
    ctx: Context | str | None = None,
    dtype: DTypeLike | None = np.float32,
) -> NDArray:
    """An array of ones on a device; see `empty`."""
    return full(shape, 1, ctx, dtype)


def concat(*arrays: NDArray, dim: int = 1) -> NDArray:
    """Arrays behind one another, along an axis that they have.

    Parameters
    ----------
    arrays : on one device, of one dtype, and of one shape but for the axis
    dim : the axis

    Raises
    ------
    ArgumentError : there are none, or they do not fit together.
    """
    return _joined("concat", "concatenate", arrays, dim)


def stack(*arrays: NDArray, axis: int = 0) -> NDArray:
    """Arrays beside one another, along a new axis.

    Parameters
    ----------
    arrays : on one device, of one dtype and one shape
    axis : where the new one goes

    Raises
    ------
    ArgumentError : there are none, or they do not fit together.
    """
    return _joined("stack", "stack", arrays, axis)


def _joined(name: str, function: str, arrays: tuple[NDArray, ...], axis: int) -> NDArray:
    wrong = [each for each in arrays if not isinstance(each, NDArray)]
    if wrong or not arrays:
        came = type(wrong[0]).__name__ if wrong else "none"
        raise ArgumentError(f"{name} takes NDArrays, one by one, and got {came}; unpack a list: *")
    kinds = {(each.context, each.dtype) for each in arrays}
    if len(kinds) > 1:
        came = ", ".join(sorted(f"{dtype} on {ctx}" for ctx, dtype in kinds))
        raise ArgumentError(f"{name} takes NDArrays on one device and of one dtype, not {came}")

    def join() -> NDArray:
        xp = get_array_module(arrays[0])
        try:
            return wrap(getattr(xp, function)(arrays, axis=axis))
        except ValueError as error:  # NumPy's and CuPy's AxisError is one
            shapes = ", ".join(str(each.shape) for each in arrays)
            raise ArgumentError(f"{name} of {shapes} along axis {axis}: {error}") from error

    return _on_device_of(arrays[0], join)  # type: ignore[no-any-return]


def _on_device_of(values: Any, work: Callable[[], Any]) -> Any:
    """What work gives that has to run with the device of an array as CuPy's current one."""
    ctx = device_of(values)
    if ctx.device_type == "cpu":
        return work()
    import cupy

    with cupy.cuda.Device(ctx.device_id):
        return work()


def from_dlpack(values: Any) -> NDArray:
    """An array of another library that offers DLPack, such as a torch tensor: the same memory,
    where it is.

    Raises
    ------
    ArgumentError : it does not offer DLPack, or lives on a device that gpuio has no arrays for.
    """
    if not hasattr(values, "__dlpack__") or not hasattr(values, "__dlpack_device__"):
        raise ArgumentError(
            f"from_dlpack takes an object with __dlpack__, not {type(values).__name__}"
        )
    if isinstance(values, np.ndarray):  # NumPy refuses to export a read-only one
        return wrap(values)
    kind, number = values.__dlpack_device__()
    if kind in (_DLPACK_CPU, _DLPACK_PINNED):
        return wrap(np.from_dlpack(values))
    if kind == _DLPACK_CUDA:
        require(Context("gpu", int(number)))
        import cupy

        return wrap(cupy.from_dlpack(values))
    raise ArgumentError(f"from_dlpack: the array lives on a device of DLPack's kind {kind}")


# DLPack's numbers of device types (dlpack.h, DLDeviceType).
_DLPACK_CPU, _DLPACK_CUDA, _DLPACK_PINNED = 1, 2, 3


def waitall() -> None:
    """Wait until all work of the current GPU is done; with no GPU there is nothing to wait for."""
    if "cupy" in sys.modules and num_gpus():
        import cupy

        cupy.cuda.Device().synchronize()
