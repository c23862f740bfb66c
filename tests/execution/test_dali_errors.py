"""What DALI's exceptions mean."""

import pytest

from gpuio.errors import DeviceError
from gpuio.execution.dali_errors import GraphError, explain

# As DALI 2.4 says it.
FRAME = """Critical error in pipeline:
Critical error in pipeline:
Error in CPU operator `nvidia.dali.fn.decoders.image_slice`,
which was used in the pipeline definition with the following traceback:

  File "/opt/cuda-12/lib/out of memory/dali_graph.py", line 128, in build_graph
    pixels = fn.decoders.image_slice(

encountered:

{}
Current pipeline object is no longer valid.
Current pipeline object is no longer valid."""

IMAGES = [
    ("nvImageCodec failure: '#3'", None),
    ("nvImageCodec failure: '#4'", None),
    ("nvImageCodec failure: '#17'", None),
    ("Failed to decode sample #2 : ", 2),
    ("Failed to decode sample #13 : bad Huffman code", 13),
    (
        "The cropping window [0..500, 0..600] is not valid for image dimensions [50 x 63]\n"
        "C++ context: [/opt/dali/dali/util/crop_window.h:91] ",
        None,
    ),
]
DEVICE = [
    "dlopen libnvimgcodec.so failed!. Attempted paths: libnvimgcodec.so.0: libnvimgcodec.so.0: "
    "failed to map segment from shared object",
    # A thread that cannot be started.
    "Resource temporarily unavailable",
    "CUDA runtime API error cudaErrorMemoryAllocation (2):\nout of memory",
    "CUDA driver API error CUDA_ERROR_ILLEGAL_ADDRESS (700): an illegal memory access was met",
    "CUDA allocation failed\nCurrent memory usage: 12 GB",
    "Failed to decode sample #2 : CUDA runtime API error cudaErrorMemoryAllocation (2)",
    "Failed to decode sample #2 : std::bad_alloc",
    "nvJPEG error (5): NVJPEG_STATUS_ALLOCATOR_FAILURE",
    "nvImageCodec failure: '#5'",
    "nvImageCodec failure: '#21'",
    "Nvml insufficient memory",
    "Failed to allocate memory",
    "Failed to allocate 432000000 bytes",
    "Can't allocate 100 bytes on device 0: allocation failed",
    "NPP_CUDA_KERNEL_EXECUTION_ERROR",
]


@pytest.mark.parametrize(("said", "sample"), IMAGES)
@pytest.mark.parametrize("framed", [True, False])
def test_an_image_may_be_the_reason(framed: bool, said: str, sample: int | None) -> None:
    error = explain(RuntimeError(FRAME.format(said) if framed else said))
    assert isinstance(error, GraphError)
    assert (str(error), error.sample) == (said.strip(), sample)


@pytest.mark.parametrize("said", DEVICE)
@pytest.mark.parametrize("framed", [True, False])
def test_memory_and_driver_are_no_image_s_fault(framed: bool, said: str) -> None:
    error = explain(RuntimeError(FRAME.format(said) if framed else said))
    assert isinstance(error, DeviceError)
    assert said in str(error) and "smaller batch_size or prefetch_buffer" in str(error)
    assert "pipeline definition" not in str(error)


def test_memory_that_the_host_lacks() -> None:
    for error in (MemoryError(), MemoryError("std::bad_alloc")):
        found = explain(error)
        assert isinstance(found, DeviceError)
        assert (str(error) or "MemoryError") in str(found)
