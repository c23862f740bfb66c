"""The memory of the machine."""

import pytest

from gpuio.errors import ArgumentError, DeviceError
from gpuio.memory import check_fits, explain_memory_error, physical_memory


def test_what_cannot_fit() -> None:
    memory = physical_memory()
    assert memory is None or memory > 1 << 28
    check_fits(1 << 20, "batches")
    if memory is not None:
        check_fits(memory, "batches")
        with pytest.raises(ArgumentError, match=r"a batch: they need .* GB, this machine has"):
            check_fits(memory + 1, "a batch")
        with pytest.raises(ArgumentError, match="they need over 1,000,000,000 GB, this"):
            check_fits(10**400, "a batch")


def test_a_memory_error_says_what_to_do() -> None:
    error = MemoryError("Unable to allocate 9 GiB")
    explained = explain_memory_error(error)
    assert isinstance(explained, DeviceError) and explained.__cause__ is error
    assert "9 GiB" in str(explained) and "smaller batch_size" in str(explained)
    other = KeyError("x")
    assert explain_memory_error(other) is other
