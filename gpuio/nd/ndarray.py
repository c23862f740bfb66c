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

from gpuio.context import Context, as_context, cpu, device_of, on_device, require
from gpuio.errors import ArgumentError, UnsupportedError
from gpuio.nd.arguments import as_index, as_ufunc_inputs
from gpuio.nd.conversion import as_dtype, check_stype, convert
from gpuio.nd.device_memory import usage_of
from gpuio.nd.nested import each_array, is_array
from gpuio.nd.placement import (
    NDArrayBase,
    common_context,
    host_array,
    on_context,
    plain,
    to_gpu,
    wait_for,
)
from gpuio.nd.shapes import as_shape, infer_shape
from gpuio.nd.types import (
    Array,
    CSRMatrix,
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


class NDArray(NDArrayBase, _Base):
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

    def astype(
        self, dtype: DTypeLike, copy: bool | str = True, *args: Option, **options: Option
    ) -> NDArray:
        """The values in another dtype.

        Parameters
        ----------
        copy : False: the array itself if it has this dtype already
        args, options : NumPy's or CuPy's own, such as ``order="F"``; by position the order takes
            the place of `copy`, as in calls by these libraries
        """
        dtype = as_dtype(dtype)
        if args or isinstance(copy, str):
            args, copy = (copy, *args), options.pop("copy", True)
        elif not copy and dtype == self.dtype and not options:
            return self
        if len(args) < 4:
            options["copy"] = copy
        with on_device(self.context):
            return wrap(plain(self).astype(dtype, *args, **options))

    def copy(self, order: str = "C") -> NDArray:
        """The values in new memory on the same device."""
        with on_device(self.context):
            return wrap(plain(self).copy(order))

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
            try:
                made = wrap(plain(self).reshape(wanted, **options))
            except (ValueError, OverflowError) as error:
                raise ArgumentError(f"reshape: {error}") from error
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

    def record_stream(self, stream: Untyped) -> None:
        """Say that an array on a GPU is used on a stream, too, as in PyTorch; does nothing on the
        CPU.

        A batch's memory is reused once nothing references it and the work is done that was queued
        until then, on the streams that gpuio knows: CuPy's current one in the thread that got the
        batch or calls an NDArray's operation on it, that to which it was exported by DLPack, and
        that on which the last reference goes. A program that uses it on yet another stream, or on
        another in kernels of its own, says so before. The stream also waits until the batch is
        complete.

        Parameters
        ----------
        stream : of CuPy, PyTorch or another library with ``__cuda_stream__``, on the array's GPU;
            or its handle, a ``cudaStream_t``, as an integer

        Raises
        ------
        TypeError : it is something else.
        """
        usage = usage_of(self)
        if usage is not None:
            usage.note_external(stream)

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

    def __array_ufunc__(  # type: ignore[no-untyped-def]
        self, ufunc, method, *inputs, **options
    ):
        """The ufuncs of NumPy and CuPy work on the plain arrays, too."""
        outs = [each for each in options.get("out", ()) if each is not None]
        inputs = as_ufunc_inputs(method, inputs)
        # Into an array of NumPy the host computes.
        to_numpy = any(type(each) is np.ndarray for each in outs)
        ctx = cpu() if to_numpy else common_context(ufunc.__name__, (inputs, options))
        with on_device(ctx):
            result = getattr(ufunc, method)(*on_context(inputs, ctx), **on_context(options, ctx))
        if outs:
            return options["out"] if isinstance(result, tuple) else outs[0]
        return each_array(wrap, result)

    def __array_function__(  # type: ignore[no-untyped-def]
        self, func, types, args, kwargs
    ):
        """NumPy's functions work on the plain arrays: the methods that they call are MXNet's."""
        if not all(issubclass(each, (np.ndarray, type(plain(self)))) for each in types):
            return NotImplemented
        ctx = common_context(func.__name__, (args, kwargs))
        with on_device(ctx):
            return func(*on_context(args, ctx), **on_context(kwargs, ctx))

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
        key = as_index(key, cpu())
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
        np.ndarray.__setitem__(self, as_index(key, cpu()), value)

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
            ctx = self.context
            with on_device(ctx):
                return _legacy(self, plain(self)[as_index(key, ctx)])

        def __setitem__(self, key: Index, value: Operand, /) -> None:
            ctx = self.context
            if isinstance(value, (np.ndarray, list, tuple)):
                value = convert(value, self.dtype)  # on the host: there may be less to copy then
            with on_device(ctx):
                if is_array(value):
                    value = to_gpu(value, ctx)
                    value = value.reshape(()) if value.size == 1 else value
                plain(self)[as_index(key, ctx)] = value

        def __contains__(self, value: Operand, /) -> bool:
            return bool((self == value).any())

        def get(self, *args: Option, **options: Option) -> HostArray:
            with on_device(self.context):
                return plain(self).get(*args, **options)  # type: ignore[no-any-return]

        def set(self, *args: Option, **options: Option) -> None:
            with on_device(self.context):
                plain(self).set(*args, **options)

        def __copy__(self) -> NDArray:
            return self.copy()

        def __deepcopy__(self, memo: object) -> NDArray:
            return self.copy()

        def __dlpack__(
            self,
            *,
            stream: int | None = None,
            max_version: tuple[int, int] | None = None,
            dl_device: tuple[int, int] | None = None,
            copy: bool | None = None,
        ) -> Untyped:
            """A DLPack capsule of the array's memory, complete in the order of a stream.

            Parameters
            ----------
            stream : the consumer's: the handle of a stream of this GPU, 1 or None the legacy
                default stream, 2 the calling thread's default stream; -1: in no order
            max_version, dl_device, copy : see the DLPack protocol
            """
            with on_device(self.context):
                usage = usage_of(self)
                if usage is not None:
                    usage.note_current()
                    handle = 1 if stream is None else stream
                    # CuPy refuses others; CUDA would take any number for an address.
                    known = isinstance(handle, int) and handle >= 0
                    if known and dl_device in (None, self.__dlpack_device__()):
                        usage.note_external(handle)
                return super().__dlpack__(
                    stream=stream, max_version=max_version, dl_device=dl_device, copy=copy
                )

        @property
        def __cuda_array_interface__(self) -> dict[str, Untyped]:
            """The array's memory, complete in the order of CuPy's current stream."""
            with on_device(self.context):
                usage = usage_of(self)
                if usage is not None:
                    usage.note_current()
                return super().__cuda_array_interface__  # type: ignore[no-any-return]

        def __reduce__(self) -> tuple[Callable[[HostArray, str], NDArray], tuple[HostArray, str]]:
            return _unpickle_on_device, (self.asnumpy(), repr(self.context))

        __repr__ = NDArray.__repr__
        __str__ = NDArray.__repr__

    # All other methods but `view`, which does no work on the device, and is used by `plain`.
    for name in {*dir(cupy.ndarray)} - {*dir(NDArray), *vars(DeviceNDArray), "view"}:
        public = not name.startswith("_") or name in ("__bool__", "__complex__")
        if public and callable(getattr(cupy.ndarray, name)):
            setattr(DeviceNDArray, name, functools.partialmethod(library_method, name))
    return DeviceNDArray


def library_method(array: NDArray, name: str, *args: Option, **options: Option) -> Values:
    """Call a method of NumPy's or CuPy's arrays on an NDArray's own device.

    It gets plain arrays, so that the methods that it calls in turn are not MXNet's. Arrays that it
    returns become NDArrays: CuPy keeps a subclass for views and ufuncs only.
    """
    ctx = common_context(name, (array, args, options))
    method = getattr(plain(array), name)
    with on_device(ctx):
        return kept(array, method(*on_context(args, ctx), **on_context(options, ctx)))


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
    return wrap(to_gpu(values, ctx, copy))
