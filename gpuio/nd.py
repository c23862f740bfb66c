"""MXNet's NDArray over the arrays that everybody has: NumPy's on the CPU, CuPy's on a GPU.

An NDArray *is* a numpy.ndarray or a cupy.ndarray, with MXNet's methods beside its own, so it goes
wherever those go, and offers DLPack. The GPU's class is made when CuPy is first imported.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from gpuio.context import Context, as_context, device_of, num_gpus, require
from gpuio.errors import ArgumentError

__all__ = ["NDArray", "array", "from_dlpack", "ones", "waitall", "wrap", "zeros"]

if TYPE_CHECKING:
    _Base = np.ndarray[Any, Any]
else:
    _Base = object


class NDArray(_Base):
    """An array on a device, with MXNet's methods.

    Made by `array`, `zeros`, `ones`, `wrap` and the iterators; its instances are also numpy.ndarray
    or cupy.ndarray.
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
        """The array on a device: itself if it is there, else a copy."""
        ctx = as_context(ctx)
        return self if ctx == self.context else _place(self, ctx)

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

    def wait_to_read(self) -> None:
        """Wait until the values are there; on the CPU they always are."""

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.shape))
        return f"\n{np.array_str(self.asnumpy())}\n<NDArray {shape} @{self.context}>"

    __str__ = __repr__


class _HostArray(NDArray, np.ndarray[Any, Any]):
    """An NDArray on the CPU."""

    def asnumpy(self) -> np.ndarray[Any, Any]:
        return self.view(np.ndarray)

    def __reduce__(self) -> tuple[Any, ...]:
        return wrap, (np.array(self.view(np.ndarray)),)

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

        def wait_to_read(self) -> None:
            with cupy.cuda.Device(self.context.device_id):
                cupy.cuda.get_current_stream().synchronize()

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
        host = values.asnumpy() if isinstance(values, NDArray) else _to_numpy(values)
        return wrap(np.array(host) if copy else host)
    import cupy

    with cupy.cuda.Device(ctx.device_id):
        return wrap(cupy.array(values) if copy else cupy.asarray(values))


def _to_numpy(values: Any) -> np.ndarray[Any, Any]:
    if device_of(values).device_type == "gpu":
        return values.get()  # type: ignore[no-any-return]
    return np.asarray(values)


def array(
    source: ArrayLike | NDArray, ctx: Context | str | None = None, dtype: DTypeLike | None = None
) -> NDArray:
    """A new array with the values of another, of a list or of a number.

    Parameters
    ----------
    source : numbers, an array on either device, or anything that NumPy makes an array of
    ctx : the device; None: the current context
    dtype : None: that of an NDArray, float32 for everything else, as in MXNet

    Raises
    ------
    ContextError : the device is not there.
    """
    ctx = as_context(ctx)
    require(ctx)
    if dtype is None:
        dtype = source.dtype if isinstance(source, NDArray) else np.float32
    on_gpu = device_of(source).device_type == "gpu"
    values: Any = source if on_gpu else np.asarray(source)
    return _place(values.astype(dtype), ctx)


def zeros(
    shape: int | tuple[int, ...], ctx: Context | str | None = None, dtype: DTypeLike = np.float32
) -> NDArray:
    """An array of zeros on a device."""
    return _place(np.zeros(shape, dtype), as_context(ctx))


def ones(
    shape: int | tuple[int, ...], ctx: Context | str | None = None, dtype: DTypeLike = np.float32
) -> NDArray:
    """An array of ones on a device."""
    return _place(np.ones(shape, dtype), as_context(ctx))


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
