"""NDArray: MXNet's methods on the arrays of NumPy (CPU) and CuPy (GPU).

An NDArray *is* a numpy.ndarray or a cupy.ndarray with more methods, so every library that accepts
those accepts it, and it offers DLPack. The GPU class is created when CuPy is first imported.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike

from gpuio.context import Context, as_context, device_of, on_device, require
from gpuio.errors import ArgumentError, UnsupportedError
from gpuio.nd.shapes import as_shape, infer_shape
from gpuio.nd.types import (
    Array,
    ArrayMethods,
    CSRMatrix,
    DType,
    HostArray,
    Index,
    Option,
    Scalar,
    Values,
)

if TYPE_CHECKING:
    # Neither library's class: what one of them lacks must not pass the type checker.
    _Base = ArrayMethods["NDArray", "NDArray"]
else:
    _Base = object


class NDArray(_Base):
    """An array on a device, with MXNet's methods.

    Created by `array`, `zeros`, `ones`, `wrap` and the iterators; every instance is also a
    numpy.ndarray or a cupy.ndarray. Indexing a single value gives an NDArray of shape ().
    """

    __slots__ = ()

    @property
    def context(self) -> Context:
        """The device that holds the array."""
        return device_of(self)

    ctx = context

    def asnumpy(self) -> HostArray:
        """The values as a plain numpy.ndarray: on the CPU the same memory, from a GPU a copy."""
        raise NotImplementedError

    def asscalar(self) -> Scalar:
        """The only value, as a NumPy scalar.

        Raises
        ------
        ValueError : the size is not 1.
        """
        if self.size != 1:
            raise ValueError(f"The current array is not a scalar: its shape is {self.shape}")
        return self.asnumpy().reshape(())[()]

    def as_in_context(self, ctx: Context | str) -> NDArray:
        """The array on `ctx`: itself if it is there already, else a copy.

        Raises
        ------
        ContextError : the device is not available.
        """
        ctx = as_context(ctx)
        current = self.context
        if ctx == current or ctx.device_type == current.device_type == "cpu":
            return self
        return place(self, ctx)

    as_in_ctx = as_in_context

    def copyto(self, other: NDArray | Context | str) -> NDArray:
        """Copy into another array of the same shape, and return that; or to a device as a new
        array.

        Raises
        ------
        ArgumentError : the shapes differ, or `other` is this array.
        """
        if isinstance(other, (Context, str)):
            return place(self, as_context(other), copy=True)
        if not isinstance(other, NDArray):
            raise ArgumentError(f"copyto takes an NDArray or a Context, not {type(other).__name__}")
        if other is self:
            raise ArgumentError("copyto: the source and the target are the same array")
        if other.shape != self.shape:
            raise ArgumentError(f"copyto: the shapes {self.shape} and {other.shape} differ")
        other[...] = place(self, other.context)
        return other

    def reshape(self, *shape: Option, **options: Option) -> NDArray:
        """The same values in another shape.

        Parameters
        ----------
        shape : the dimensions, as one tuple or as separate integers. Besides NumPy's -1 (inferred),
            MXNet's codes: 0 keeps this dimension, -2 keeps all remaining ones, -3 merges two, -4
            splits one into the two that follow
        options : NumPy's or CuPy's own, such as ``order="F"``, and MXNet's ``shape=``

        Raises
        ------
        ValueError : the values do not fill the shape.
        """
        given = options.pop("shape") if "shape" in options and not shape else shape
        wanted = as_shape(given[0] if len(shape) == 1 else given)
        # As in NumPy, an empty array may get another shape with a 0.
        if any(length < -1 or (length == 0 and self.size) for length in wanted):
            wanted = infer_shape(self.shape, wanted)
        return super().reshape(wanted, **options)  # type: ignore[safe-super]

    @property
    def stype(self) -> str:
        """The storage type: "default", dense."""
        return "default"

    def tostype(self, stype: str) -> NDArray | CSRMatrix:
        """Convert to a storage type: "default" is the array itself, "csr" a new CSRNDArray on the
        same device.

        Raises
        ------
        UnsupportedError : `stype` is "row_sparse", or the device has no CSR matrices of this dtype.
        ArgumentError : `stype` is unknown, or the array is not 2-dimensional.
        """
        if check_stype(stype) == "default":
            return self
        return storage_types[stype](self)

    def wait_to_read(self) -> None:
        """Wait until the values have been computed; on the CPU they always are."""
        wait_for(self.context)

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.shape))
        return f"\n{np.array_str(self.asnumpy())}\n<NDArray {shape} @{self.context}>"

    __str__ = __repr__


# Conversions of an NDArray by storage type. `gpuio.nd.sparse`, which builds on this module, adds
# its own when `gpuio.nd` is imported.
storage_types: dict[str, Callable[[NDArray], CSRMatrix]] = {}


class _HostNDArray(NDArray, HostArray):  # type: ignore[misc, override]
    """An NDArray on the CPU."""

    def __getitem__(self, key: Index, /) -> NDArray:  # type: ignore[override]
        found = np.ndarray.__getitem__(self, key)
        if isinstance(found, np.generic):  # like CuPy: a single value is an array of shape ()
            key = (*key, ...) if isinstance(key, tuple) else (key, ...)
            found = np.ndarray.__getitem__(self, key)
        return found  # type: ignore[return-value]

    def asnumpy(self) -> HostArray:
        return self.view(np.ndarray)

    def __reduce__(self) -> tuple[Callable[[HostArray], NDArray], tuple[HostArray]]:
        return wrap, (self.view(np.ndarray),)

    __repr__ = NDArray.__repr__
    __str__ = NDArray.__repr__


@functools.cache
def _device_class() -> type[NDArray]:
    """The class of NDArrays on a GPU."""
    import cupy

    class DeviceNDArray(NDArray, cupy.ndarray):  # type: ignore[misc]
        """An NDArray on a GPU."""

        def asnumpy(self) -> HostArray:
            return cupy.asnumpy(self)  # type: ignore[no-any-return]

        def __deepcopy__(self, memo: object) -> NDArray:
            with on_device(self.context):
                return wrap(self.copy())

        def __reduce__(self) -> tuple[Callable[[HostArray, str], NDArray], tuple[HostArray, str]]:
            return _unpickle_on_device, (self.asnumpy(), repr(self.context))

        __repr__ = NDArray.__repr__
        __str__ = NDArray.__repr__

    return DeviceNDArray


def _unpickle_on_device(values: HostArray, ctx: str) -> NDArray:
    return place(values, as_context(ctx))


def wrap(values: Array) -> NDArray:
    """View a numpy.ndarray or cupy.ndarray as an NDArray: same memory, device and dtype.

    Raises
    ------
    ArgumentError : it is neither.
    """
    if isinstance(values, NDArray):
        return values
    if isinstance(values, np.ndarray):
        return values.view(_HostNDArray)  # type: ignore[return-value]
    if device_of(values).device_type == "gpu":
        return values.view(type=_device_class())  # type: ignore[attr-defined, no-any-return]
    raise ArgumentError(
        f"wrap takes a numpy.ndarray or a cupy.ndarray, not {type(values).__name__}"
    )


def place(values: Array, ctx: Context, copy: bool = False) -> NDArray:
    """The array on `ctx`; the same memory if it is there already, unless `copy`.

    Raises
    ------
    ContextError : the device is not available.
    """
    require(ctx)
    if ctx.device_type == "cpu":
        was_on_host = device_of(values).device_type == "cpu"
        host = host_array(values)
        return wrap(np.array(host) if copy and was_on_host else np.asarray(host))
    import cupy

    with on_device(ctx):
        return wrap(cupy.array(values) if copy else cupy.asarray(values))


def host_array(values: Values) -> Values:
    """Copy a GPU array to the host; everything else as it is, except that NDArrays become plain
    NumPy arrays.
    """
    if isinstance(values, NDArray):
        return values.asnumpy()
    return values.get() if device_of(values).device_type == "gpu" else values


def as_dtype(dtype: DTypeLike) -> DType:
    """The NumPy dtype of a name or type.

    Raises
    ------
    ArgumentError : NumPy does not know it.
    """
    try:
        return np.dtype(dtype)
    except TypeError as error:
        raise ArgumentError(f"dtype: {error}; MXNet's are float32, uint8, int32 ...") from error


def convert(source: Values, dtype: DType) -> Array:
    """Copy values to a dtype, C-contiguous, on the device where they are.

    Raises
    ------
    ArgumentError : they are not a rectangular numeric array.
    """
    ctx = device_of(source)
    if ctx.device_type == "gpu":
        with on_device(ctx):
            return source.astype(dtype, order="C")  # type: ignore[no-any-return]
    if isinstance(source, (list, tuple)) and source and isinstance(source[0], NDArray):
        # NumPy takes nothing from a GPU.
        source = [each.asnumpy() if isinstance(each, NDArray) else each for each in source]
    try:
        values = np.asarray(source)
        if values.dtype.kind == "c" and dtype.kind != "c":
            raise TypeError(f"complex numbers cannot become {dtype}")
        return values.astype(dtype, order="C")
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"expected a rectangular numeric array, not this {type(source).__name__}: {error}"
        ) from error


def check_stype(stype: str) -> str:
    """The storage type, if gpuio has it: "csr" or "default".

    Raises
    ------
    UnsupportedError : it is MXNet's "row_sparse".
    ArgumentError : it is unknown.
    """
    if stype == "row_sparse":
        raise UnsupportedError("gpuio has no row_sparse arrays; use 'csr' or 'default'")
    if stype not in ("csr", "default"):
        raise ArgumentError(f"stype must be 'csr' or 'default', not {stype!r}")
    return stype


def wait_for(ctx: Context) -> None:
    """Synchronize with the device's current stream; a no-op on the CPU."""
    if ctx.device_type == "gpu":
        import cupy

        with on_device(ctx):
            cupy.cuda.get_current_stream().synchronize()
