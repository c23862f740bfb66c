"""What DALI's exceptions mean: whether a batch failed because of its images, and of which."""

from __future__ import annotations

import re

from gpuio.errors import DeviceError

# DALI quotes the graph's definition, with paths that could contain any word, before this.
BEGINNING = "encountered:"
END = "Current pipeline object is no longer valid."

# Of nvimgcodecStatus_t, those that no image can be blamed for: not initialized, a failed allocator,
# another architecture, a missing library, a failed CUDA call.
STATUS = re.compile(r"nvImageCodec failure: '#(\d+)'")
DEVICE_STATUSES = {1, 5, 7, 10, 11, 15, 16, 21}

# What DALI, CUDA and its libraries say when memory, the driver or the GPU fails, or the system
# refuses a thread.
DEVICE = re.compile(
    r"\bCUDA|\bcu(da|dnn|blas)?Err|\bNVML\b|\bnvml|\bNPP_|nvJPEG error|nvjpegStatus"
    r"|out of memory|bad_alloc|insufficient (memory|resources|driver)"
    r"|alloc(ation|ate|ator)?\w*\W+(\w+\W+)?fail|fail\w* to (allocate|(re)?alloc|map segment)"
    r"|cannot allocate"
    r"|device (lost|unavailable|is busy)|illegal memory access|illegal instruction"
    r"|unspecified launch failure|resource temporarily unavailable",
    re.IGNORECASE,
)
SAMPLE = re.compile(r"\bsample #?(\d+)")

ADVICE = (
    "if memory is short, use a smaller batch_size or prefetch_buffer, or fewer preprocess_threads; "
    "after a CUDA error the process must be restarted"
)


class GraphError(Exception):
    """DALI failed a batch, and an image may be the reason.

    Attributes
    ----------
    sample : the sample that DALI names; None: it names none
    """

    def __init__(self, message: str, sample: int | None) -> None:
        super().__init__(message)
        self.sample = sample


def explain(error: Exception) -> GraphError | DeviceError:
    """Tell what an exception of DALI's is about.

    Returns
    -------
    GraphError : an image may be the reason
    DeviceError : memory, the driver or the device failed
    """
    message = str(error).rpartition(BEGINNING)[2].replace(END, "").strip()
    status = STATUS.search(message)
    on_device = DEVICE.search(message) or (status and int(status[1]) in DEVICE_STATUSES)
    if on_device or isinstance(error, MemoryError):
        return device_error(message or type(error).__name__)
    named = SAMPLE.search(message)
    return GraphError(message, None if named is None else int(named[1]))


def device_error(message: str) -> DeviceError:
    """The error for a batch that failed for no fault of its images."""
    return DeviceError(f"DALI could not make a batch: {message}; {ADVICE}")
