"""cupy.cuda's page-locked host memory."""

from simulation import pinned


class PinnedMemory:
    def __init__(self, size, flags=0):
        self._bytes = pinned.allocate(size)
        self.ptr = int(self._bytes.__array_interface__["data"][0])
        self.size = size


class PinnedMemoryPointer:
    """Pinned bytes: ``_bytes`` is an array of NumPy that keeps them."""

    def __init__(self, mem, offset):
        self.mem, self.ptr = mem, mem.ptr + offset
        self._bytes = mem._bytes[offset:]

    def size(self):
        return self._bytes.size


def alloc_pinned_memory(size):
    return PinnedMemoryPointer(PinnedMemory(size), 0)
