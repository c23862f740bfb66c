"""The memory of this machine, and whether batches can fit into it."""

from __future__ import annotations

import os

from gpuio.errors import ArgumentError, DeviceError

# Bytes up to which messages give a size; a larger one may have hundreds of digits.
MOST_SHOWN = 10**18


def physical_memory() -> int | None:
    """Bytes of memory that this machine has; None: the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def check_fits(needed: int, what: str) -> None:
    """Check that an allocation can succeed at all.

    Parameters
    ----------
    needed : bytes on the host
    what : what needs them and what to do, for the message

    Raises
    ------
    ArgumentError : this machine has less.
    """
    memory = physical_memory()
    if memory is not None and needed > memory:
        raise ArgumentError(
            f"{what}: they need {gigabytes(needed)}, this machine has {gigabytes(memory)}"
        )


def gigabytes(size: int) -> str:
    """A size in bytes, for a message."""
    if size > MOST_SHOWN:
        return f"over {MOST_SHOWN / 1e9:,.0f} GB"
    return f"{size / 1e9:,.1f} GB"


def explain_memory_error(error: BaseException) -> BaseException:
    """What the caller gets for an exception of a thread: for a MemoryError a DeviceError that says
    what takes less memory; any other as it is.
    """
    if not isinstance(error, MemoryError):
        return error
    explained = DeviceError(
        f"memory is too short to make a batch ({error}); a smaller "
        "batch_size, prefetch_buffer or preprocess_threads takes less"
    )
    explained.__cause__ = error
    return explained
