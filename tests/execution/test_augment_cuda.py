"""What a GPU is told about operations.

That its pixels are right is tested without a GPU: tests/kernels/test_augment_kernel.py.
"""

from dataclasses import replace

import numpy as np
import pytest

from gpuio.errors import ArgumentError
from gpuio.execution.augment_cuda import CudaAugmenter, operation_parameters
from gpuio.execution.operations import operate_batch
from gpuio.execution.output import OutputSpec
from gpuio.execution.packing import send_packed
from gpuio.planning.operations import ERASE, INVERT, no_operations
from gpuio.planning.plan import Plan
from gpuio.planning.policies import RandAugmentPolicy, plan_operations

RGB = OutputSpec(3, 9, 8, "uint8", "NHWC")
PLAIN = Plan(np.zeros((2, 4)), np.zeros((2, 4), np.int64), np.ones(2, np.int64), np.zeros(2, bool))


def test_what_changes_nothing_is_left_out() -> None:
    assert operation_parameters(PLAIN, RGB, 2) == {}
    nothing = replace(PLAIN, operations=no_operations(2, 3))
    assert operation_parameters(nothing, RGB, 2) == {}


def test_operations_of_other_samples_are_refused() -> None:
    operations = no_operations(3, 2)
    operations["code"] = INVERT
    with pytest.raises(ArgumentError, match=r"operations must be .* \(2, 2\)"):
        operation_parameters(replace(PLAIN, operations=operations), RGB, 2)


def test_colors_of_four_channels_are_refused() -> None:
    operations = no_operations(2, 1)
    operations["code"] = ERASE
    output = OutputSpec(4, 9, 8, "uint8", "NHWC")
    plan = replace(PLAIN, operations=operations)
    assert operation_parameters(plan, output, 2)["operations"].shape == (2, 1)
    operations["code"] = INVERT
    with pytest.raises(ArgumentError, match="need 1 or 3 channels, not 4"):
        operation_parameters(plan, output, 2)


@pytest.mark.gpu
@pytest.mark.parametrize("channels", [1, 3])
def test_a_gpu_does_what_the_host_does(channels: int) -> None:
    import cupy

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (6, 33, 47, channels), dtype=np.uint8)
    record = np.arange(6)
    policy = RandAugmentPolicy(3, 20)
    operations = plan_operations([policy], (47, 33), channels, 0, record, record)
    assert operations is not None
    plan = Plan(np.zeros((6, 4)), np.zeros((6, 4), int), np.ones(6, int), np.zeros(6, bool))
    output = OutputSpec(channels, 33, 47, "uint8", "NHWC")
    parameters = operation_parameters(replace(plan, operations=operations), output, 6)
    with cupy.cuda.Device(0), cupy.cuda.Stream(non_blocking=True):
        sent = send_packed(parameters)
        made = CudaAugmenter(output, 0)(cupy.array(pixels), sent["operations"])
        result = made.get()
    np.testing.assert_array_equal(result, operate_batch(pixels, operations))
