"""The part of CUDA's runtime API that is used, with CuPy's names."""

import threading

import simulation
from simulation import memory, modes, streams

streamLegacy, streamPerThread = streams.LEGACY, streams.PER_THREAD

_VERSION = 13000
_ERRORS = {
    1: ("cudaErrorInvalidValue", "invalid argument"),
    101: ("cudaErrorInvalidDevice", "invalid device ordinal"),
    400: ("cudaErrorInvalidResourceHandle", "invalid resource handle"),
}
_thread = threading.local()


class CUDARuntimeError(RuntimeError):
    def __init__(self, status):
        self.status = status
        super().__init__("{}: {}".format(*_ERRORS[status]))

    def __reduce__(self):
        return type(self), (self.status,)


def getDeviceCount():
    return simulation.DEVICES


def getDevice():
    return getattr(_thread, "device", 0)


def setDevice(device):
    if not 0 <= device < simulation.DEVICES:
        raise CUDARuntimeError(101)
    _thread.device = device


def deviceSynchronize():
    streams.synchronize_device(getDevice())


def memGetInfo():
    return memory.CAPACITY - memory.used(getDevice()), memory.CAPACITY


def driverGetVersion():
    return _VERSION


def runtimeGetVersion():
    return _VERSION


def getDeviceProperties(device):
    if not 0 <= device < simulation.DEVICES:
        raise CUDARuntimeError(101)
    name = f"Simulated GPU {device} ({modes.mode.name})".encode()
    return {
        "name": name,
        "totalGlobalMem": memory.CAPACITY,
        "major": 9,
        "minor": 0,
        "multiProcessorCount": 1,
    }


def _queue(handle, device_id=-1):
    """The stream of a handle; of the default streams that of the current device."""
    try:
        return streams.find(handle, getDevice() if device_id < 0 else device_id)
    except streams.InvalidHandleError as error:
        raise CUDARuntimeError(400) from error
