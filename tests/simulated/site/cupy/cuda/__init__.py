"""Substitute for cupy.cuda, over simulated devices."""

from cupy.cuda import compiler, device, memory, nvrtc, pinned_memory, runtime, stream
from cupy.cuda.device import Device, get_device_id
from cupy.cuda.memory import MemoryPointer, MemoryPool, UnownedMemory, alloc
from cupy.cuda.pinned_memory import PinnedMemoryPointer, alloc_pinned_memory
from cupy.cuda.stream import (
    Event,
    ExternalStream,
    Stream,
    get_current_stream,
    get_elapsed_time,
)

__all__ = [
    "Device",
    "Event",
    "ExternalStream",
    "MemoryPointer",
    "MemoryPool",
    "PinnedMemoryPointer",
    "Stream",
    "UnownedMemory",
    "alloc",
    "alloc_pinned_memory",
    "compiler",
    "device",
    "get_current_stream",
    "get_device_id",
    "get_elapsed_time",
    "memory",
    "nvrtc",
    "pinned_memory",
    "runtime",
    "stream",
]


def is_available():
    return True
