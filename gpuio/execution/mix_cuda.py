"""Mixing the images of a batch, on a GPU."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gpuio.execution import kernels
from gpuio.execution.output import OutputSpec
from gpuio.execution.packing import check_array
from gpuio.nd.types import Array, HostArray
from gpuio.planning.mixing import BatchMix

THREADS = 256


def mix_parameters(mix: BatchMix | None, count: int) -> dict[str, HostArray]:
    """What `mix_on_gpu` needs on the GPU, by name; nothing without a mix.

    Parameters
    ----------
    count : rows that the mix must be of

    Raises
    ------
    ArgumentError : it is of others.
    """
    if mix is None:
        return {}
    cycle = check_array(mix.cycle, np.int64, (count,), "mix.cycle")
    box = check_array(mix.box, np.int64, (count, 4), "mix.box")
    return {
        "mix.cycle": cycle.astype(np.int32),
        "mix.box": box.astype(np.int32),
        "mix.weight": check_array(mix.weight, np.float32, (count,), "mix.weight"),
    }


def mix_on_gpu(
    batch: Array, parameters: Mapping[str, Array], output: OutputSpec, device_id: int
) -> None:
    """Run `kernels/mix.cu`, which does what `mix_batch` does, on the current stream of a GPU, which
    is current.

    Parameters
    ----------
    batch : cupy (N, …) of the output's shape and dtype, contiguous; changed in place
    parameters : those of `mix_parameters` on the GPU
    output : what the batch looks like
    device_id : the GPU
    """
    blocks = -(-output.height * output.width * output.channels // THREADS)
    kernels.load("mix", f"mix_{output.dtype.name}", device_id)(
        (blocks, 1),
        (THREADS,),
        (
            batch,
            parameters["mix.cycle"],
            parameters["mix.box"],
            parameters["mix.weight"],
            np.int64(len(batch)),
            np.int32(output.height),
            np.int32(output.width),
            np.int32(output.channels),
            np.int32(output.layout == "NCHW"),
        ),
    )
