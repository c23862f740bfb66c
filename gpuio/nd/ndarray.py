"""NDArray: MXNet's methods on the arrays of NumPy (CPU) and CuPy (GPU).

An NDArray *is* a numpy.ndarray or a cupy.ndarray with more methods, so every library that accepts
those accepts it, and it offers DLPack. The GPU class is created when CuPy is first imported.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike

from gpuio.context import Context, as_context, device_of, on_device, require
from gpuio.errors import ArgumentError, UnsupportedError
from gpuio.nd.arguments import as_device_index, as_index, each_array, without_scalars
from gpuio.nd.shapes import as_shape, infer_shape
from gpuio.nd.types import (
    Array,
    CSRMatrix,
    DType,
    HostArray,
    Index,
    NDArrayMethods,
    Operand,
    Option,
    Scalar,
    Untyped,
    Values,
)

if TYPE_CHECKING:
    # Neither library's class: what one of them lacks must not pass the type checker.
    _Base = NDArrayMethods["NDArray"]
else:
    _Base = object


class NDArray(_Base):
    """An array on a device, with MXNet's methods.

    Created by `array`, `zeros`, `ones`, `wrap` and the iterators; every instance is also a
    numpy.ndarray or a cupy.ndarray. As in MXNet, indexing a single value gives an NDArray of shape
    (1,) on the same memory, indices may be floating-point, and comparisons have the array's dtype,
    1 for true and 0 for false; as an index such a result is a mask all the same. NumPy's functions
    take an NDArray as an array of NumPy, and give arrays of NumPy; its ufuncs give NDArrays. The
    methods that are MXNet's functions, such as ``x.sum()``, are added by `gpuio.nd.methods`, the
    operators by `gpuio.nd.arithmetic`.
    """

    __slots__ = ()

    # Whether the array is the result of a comparison, or a part of one.
    is_mask = False

    @property
    def context(self) -> Context:
        """The device that holds the array."""
        return device_of(self)

    ctx = context

    def asnumpy(self) -> HostArray:
        """A copy of the values as a plain numpy.ndarray, C-contiguous; ``np.asarray`` of an array
        on the CPU shares its memory instead.
        """
        return np.array(host_array(self), order="C")

    def asscalar(self) -> Scalar:
        """The only value, as a NumPy scalar.

        Raises
        ------
        ValueError : the size is not 1.
        """
        if self.size != 1:
            raise ValueError(f"The current array is not a scalar: its shape is {self.shape}")
        return self.asnumpy()[(0,) * self.ndim]

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

    def astype(self, dtype: DTypeLike, copy: bool = True, **options: Option) -> NDArray:
        """The values in another dtype.

        Parameters
        ----------
        copy : False: the array itself if it has this dtype already
        options : NumPy's or CuPy's own, such as ``order="F"``
        """
        with on_device(self.context):
            return wrap(super().astype(as_dtype(dtype), copy=copy, **options))  # type: ignore[safe-super]

    def copy(self, order: str = "C") -> NDArray:
        """The values in new memory on the same device."""
        with on_device(self.context):
            return wrap(super().copy(order))  # type: ignore[safe-super, call-arg]

    def reshape(self, *shape: Option, **options: Option) -> NDArray:
        """The same memory in another shape.

        Parameters
        ----------
        shape : the dimensions, as one tuple or as separate integers. Besides NumPy's -1 (inferred),
            MXNet's codes: 0 keeps this dimension, -2 keeps all remaining ones, -3 merges two, -4
            splits one into the two that follow
        options : MXNet's ``shape=`` and ``reverse=True``, which applies the codes from right to
            left; and NumPy's or CuPy's own, such as ``order="F"``

        Raises
        ------
        ValueError : the values do not fill the shape.
        """
        given = options.pop("shape") if "shape" in options and not shape else shape
        wanted = as_shape(given[0] if len(shape) == 1 else given)
        old, reverse = self.shape, options.pop("reverse", False)
        if reverse:
            old, wanted = old[::-1], wanted[::-1]
        # As in NumPy, an empty array may get another shape with a 0.
        if reverse or any(length < -1 or (length == 0 and self.size) for length in wanted):
            wanted = infer_shape(old, wanted)
        wanted = wanted[::-1] if reverse else wanted
        with on_device(self.context):
            made = wrap(super().reshape(wanted, **options))  # type: ignore[safe-super]
        made.is_mask = self.is_mask
        return made

    def as_nd_ndarray(self) -> NDArray:
        """The array itself."""
        return self

    def detach(self) -> NDArray:
        """The array itself: gpuio records no gradients."""
        return self

    def attach_grad(self, *args: Option, **options: Option) -> None:
        """Raise an error: gpuio has no gradients."""
        raise UnsupportedError(
            "gpuio has MXNet's data part, without autograd; train with PyTorch or JAX: "
            "torch.from_dlpack(x) shares the array's memory"
        )

    backward = attach_grad

    def to_dlpack_for_read(self) -> Untyped:
        """A DLPack capsule of the array's memory."""
        return self.__dlpack__()

    to_dlpack_for_write = to_dlpack_for_read

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
        return f"\n{np.array_str(host_array(self))}\n<NDArray {shape} @{self.context}>"

    __str__ = __repr__

    # NumPy has these for arrays of shape () only.

    def __float__(self) -> float:
        return float(self._value("a float"))

    def __int__(self) -> int:
        return int(self._value("an int"))

    def __index__(self) -> int:
        return operator.index(self._value("an index"))

    def __format__(self, spec: str) -> str:
        return format(self._value("a formatted number") if spec else str(self), spec)

    def _value(self, what: str) -> Scalar:
        if self.size != 1:
            raise TypeError(
                f"only an array of size 1 becomes {what}, not one of shape {self.shape}"
            )
        return self.item()


# Conversions of an NDArray by storage type. `gpuio.nd.sparse`, which builds on this module, adds
# its own when `gpuio.nd` is imported.
storage_types: dict[str, Callable[[NDArray], CSRMatrix]] = {}


class _HostNDArray(NDArray, HostArray):  # type: ignore[misc, override]
    """An NDArray on the CPU."""

    def __getitem__(self, key: Index, /) -> NDArray:  # type: ignore[override]
        key = as_index(key)
        found = np.ndarray.__getitem__(self, key)
        if isinstance(found, np.generic):  # not a view
            found = np.ndarray.__getitem__(
                self, (*key, ...) if isinstance(key, tuple) else (key, ...)
            )
        return _legacy(self, found)

    def __setitem__(self, key: Index, value: Operand, /) -> None:
        value = host_array(value)
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.reshape(())  # also fits where NumPy expects a number
        np.ndarray.__setitem__(self, as_index(key), value)

    def __array_ufunc__(  # type: ignore[no-untyped-def]
        self, ufunc, method, *inputs, **options
    ):
        """NumPy's ufuncs work on the plain arrays, too."""
        inputs = without_scalars(method, each_array(plain, inputs))
        result = getattr(ufunc, method)(*inputs, **each_array(plain, options))
        if any(out is not None for out in options.get("out", ())):
            return options["out"] if isinstance(result, tuple) else options["out"][0]
        return each_array(wrap, result)

    def __array_function__(  # type: ignore[no-untyped-def]
        self, func, types, args, kwargs
    ):
        """NumPy's functions work on the plain arrays: the methods that they call are MXNet's."""
        if not all(issubclass(each, np.ndarray) for each in types):
            return NotImplemented
        return func(*each_array(plain, args), **each_array(plain, kwargs))

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

        def __getitem__(self, key: Index, /) -> NDArray:
            with on_device(self.context):
                return _legacy(self, cupy.ndarray.__getitem__(self, as_device_index(key)))

        def __setitem__(self, key: Index, value: Operand, /) -> None:
            with on_device(self.context):
                if isinstance(value, (np.ndarray, np.generic, list, tuple)):
                    # CuPy takes nothing from the host.
                    value = cupy.asarray(convert(value, self.dtype))
                if isinstance(value, cupy.ndarray) and value.size == 1:
                    value = plain(value).reshape(())
                cupy.ndarray.__setitem__(self, as_device_index(key), value)

        def __array_ufunc__(  # type: ignore[no-untyped-def]
            self, ufunc, method, *inputs, **options
        ):
            inputs = without_scalars(method, inputs)
            with on_device(self.context):
                return super().__array_ufunc__(ufunc, method, *inputs, **options)

        def astype(self, dtype: DTypeLike, *args: Option, **options: Option) -> NDArray:
            if len(args) > 1:  # CuPy's copy passes its own arguments, all by position
                with on_device(self.context):
                    return wrap(cupy.ndarray.astype(self, dtype, *args, **options))
            return super().astype(dtype, *args, **options)

        def __deepcopy__(self, memo: object) -> NDArray:
            with on_device(self.context):
                return wrap(self.copy())

        def __reduce__(self) -> tuple[Callable[[HostArray, str], NDArray], tuple[HostArray, str]]:
            return _unpickle_on_device, (self.asnumpy(), repr(self.context))

        __repr__ = NDArray.__repr__
        __str__ = NDArray.__repr__

    for name in ("all", "any", "cumprod", "cumsum", "dot", "nonzero", "ravel", "std", "var"):
        setattr(DeviceNDArray, name, _kept(getattr(cupy.ndarray, name)))
    return DeviceNDArray


def _kept(method: Callable[..., Values]) -> Callable[..., Values]:
    """A method of CuPy's arrays on the array's own device, which gives NDArrays: CuPy keeps a
    subclass for views and ufuncs only.
    """

    @functools.wraps(method)
    def call(self: NDArray, *args: Option, **options: Option) -> Values:
        with on_device(self.context):
            return kept(self, method(self, *args, **options))

    return call


def kept(array: NDArray, result: Values) -> Values:
    """The result of a method of an NDArray's library, arrays as NDArrays."""
    if isinstance(result, tuple):
        return tuple(kept(array, each) for each in result)
    return wrap(result) if isinstance(result, type(plain(array))) else result


def _legacy(array: NDArray, found: Values) -> NDArray:
    """What an index found; MXNet has no arrays of shape (), except as `array` makes them."""
    made = wrap(found.reshape(1) if array.ndim and not found.ndim else found)
    made.is_mask = array.is_mask
    return made


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


def plain(values: Values) -> Values:
    """View an NDArray as an array of NumPy or CuPy, with their methods; all else as it is."""
    if not isinstance(values, NDArray):
        return values
    if isinstance(values, np.ndarray):
        return values.view(np.ndarray)
    import cupy

    return values.view(type=cupy.ndarray)


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
    NumPy arrays, which share their memory.
    """
    return values.get() if device_of(values).device_type == "gpu" else plain(values)


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
        source = [host_array(each) for each in source]
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
