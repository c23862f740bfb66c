"""cupy's DLPack: what is exported waits as CuPy's does."""

import warnings

from simulation import allocations
from simulation.dlpack import Capsule

from cupy.cuda import runtime
from cupy.cuda.memory import BaseMemory, MemoryPointer
from cupy.cuda.stream import _BaseStream, get_current_stream

CPU, CUDA = 1, 2


class DLPackMemory(BaseMemory):
    """Memory that another library owns."""

    def __init__(self, capsule):
        found = allocations.find(allocations.address_of(capsule.host))
        super().__init__(found.address, found.size, capsule.device_id, found.bytes)
        self._owner = capsule.consume()


def export(array, stream, dl_device, copy):
    if dl_device == (CPU, 0):
        if copy is False:
            raise ValueError("GPU memory cannot be exported to CPU without copy.")
        return array.get().__dlpack__()
    if dl_device not in (None, array.__dlpack_device__()):
        raise BufferError("unsupported device requested.")
    if copy is True:
        raise BufferError("copy=True only supported for copy to CPU.")
    _order(runtime.streamLegacy if stream is None else stream)
    return Capsule(array._host, array.data.device_id, array)


def _order(consumer):
    """Let the consumer's stream wait for the current one."""
    if consumer < -1:
        raise ValueError(
            "On CUDA, the valid stream for the DLPack protocol is -1, 1, 2, or any larger value, "
            f"but {consumer} was provided"
        )
    if consumer == 0:
        warnings.warn(
            "Stream 0 is passed from a library that you are converting to; CuPy assumes 0 as a "
            "legacy default stream.",
            stacklevel=4,
        )
        consumer = runtime.streamLegacy
    current = get_current_stream()
    if consumer >= 0 and consumer != (current.ptr or runtime.streamLegacy):
        _BaseStream(consumer, -1).wait_event(current.record())


def from_dlpack(array, *, device=None, copy=None):
    if device is not None:
        raise NotImplementedError("from_dlpack() does not support device yet.")
    if not hasattr(array, "__dlpack_device__"):
        return _import(array)
    kind, device_id = array.__dlpack_device__()
    if kind == CPU:
        raise TypeError(
            "CPU arrays cannot be directly imported to CuPy. Use "
            "`cupy.array(numpy.from_dlpack(input))` instead."
        )
    if kind != CUDA:
        raise TypeError(f"Unsupported array type: {kind}")
    previous = runtime.getDevice()
    runtime.setDevice(device_id)
    try:
        stream = get_current_stream().ptr or runtime.streamLegacy
        try:
            capsule = array.__dlpack__(stream=stream, max_version=(1, 3), copy=copy)
        except TypeError:
            if copy is not None:
                raise
            capsule = array.__dlpack__(stream=stream)
    finally:
        runtime.setDevice(previous)
    return _import(capsule)


def _import(capsule):
    from cupy._ndarray import ndarray

    host = capsule.host
    if not host.size:
        capsule.consume()
        return ndarray(host.shape, host.dtype)
    memory = DLPackMemory(capsule)
    offset = allocations.address_of(host) - memory.ptr
    return ndarray(host.shape, host.dtype, MemoryPointer(memory, offset), host.strides)
