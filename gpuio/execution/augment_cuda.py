"""Operations on the pixels of samples, on a GPU."""

from __future__ import annotations

import numpy as np

from gpuio.context import require_cupy
from gpuio.errors import ArgumentError
from gpuio.execution import kernels
from gpuio.execution.output import OutputSpec
from gpuio.execution.packing import check_array
from gpuio.nd.types import Array, HostArray
from gpuio.planning.operations import ERASE, OPERATION, WARP_BILINEAR, WARP_NEAREST
from gpuio.planning.plan import Plan

# Threads of a block, which makes one sample; and the most blocks along x that are worthwhile.
THREADS, MOST_BLOCKS = 256, 65535

# Operations that do not ask what the channels mean.
OF_ANY_CHANNELS = (0, WARP_NEAREST, WARP_BILINEAR, ERASE)


def operation_parameters(plan: Plan, output: OutputSpec, samples: int) -> dict[str, HostArray]:
    """What `CudaAugmenter` needs of a plan on the GPU, by name; nothing if it has no operations.

    Parameters
    ----------
    samples : how many the plan must be of

    Raises
    ------
    ArgumentError : the plan is of other samples, or changes colors that there are not.
    """
    operations = plan.operations
    if operations is None or not operations["code"].any():
        return {}
    shape = (samples, operations.shape[1]) if operations.ndim == 2 else (samples, 1)
    checked = check_array(operations, OPERATION, shape, "operations")
    if output.channels not in (1, 3) and not np.isin(checked["code"], OF_ANY_CHANNELS).all():
        raise ArgumentError(f"the operations need 1 or 3 channels, not {output.channels}")
    return {"operations": checked}


class CudaAugmenter:
    """Runs `kernels/augment.cu`, which does what `operate_batch` does.

    Parameters
    ----------
    output : what the batches look like
    device_id : the GPU
    """

    def __init__(self, output: OutputSpec, device_id: int) -> None:
        self._output = output
        self._device_id = device_id

    def __call__(self, pixels: Array, operations: Array) -> Array:
        """Apply the operations of a batch, on the current stream of this GPU, which is current.

        Parameters
        ----------
        pixels : cupy uint8 (M, height, width, channels), contiguous
        operations : the bytes of OPERATION (M, K) on the GPU

        Returns
        -------
        A new array in the order of the stream
        """
        cupy, output, samples = require_cupy(), self._output, len(pixels)
        finished: Array = cupy.empty(pixels.shape, np.uint8)
        other = cupy.empty(pixels.shape, np.uint8)
        kernels.load("augment", "augment", self._device_id)(
            (min(samples, MOST_BLOCKS), 1),
            (THREADS,),
            (
                finished,
                other,
                pixels,
                operations,
                np.int64(samples),
                np.int32(operations.nbytes // (OPERATION.itemsize * samples)),
                np.int32(output.height),
                np.int32(output.width),
                np.int32(output.channels),
            ),
        )
        return finished
