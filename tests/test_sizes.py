"""Sizes in bytes."""

from typing import Any

import numpy as np
import pytest

from gpuio.errors import ArgumentError
from gpuio.sizes import as_bytes


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (1, 1), (np.int32(7), 7), (8e6, 8_000_000), ("5", 5), ("5B", 5), ("8MB", 8_000_000),
        ("8 MiB", 8 << 20), (" 1.5 gb ", 1_500_000_000), ("64kib", 65536), ("2TB", 2 * 10**12),
        ("0.5KiB", 512), (2**62, 2**62),
    ],
)  # fmt: skip
def test_sizes(value: Any, size: int) -> None:
    found = as_bytes("block_size", value)
    assert found == size and type(found) is int


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "at least 1 bytes, not 0"), ("0.2B", "at least 1 bytes"), (-5, "at least 1"),
        (2**63, "at most"), ("9" * 30 + "TB", "at most"),
        ("8 MX", "no unit 'MX'; use one of B, kB, MB"), ("MB", "such as '8MB'"),
        ("-8MB", "such as '8MB'"), ("1e6", "no unit 'e6'|such as"), ("", "such as"),
        ("9" * 5000, "such as"), ("٨MB", "such as"), (True, "such as"), (None, "such as"),
        (0.5, "such as"), (float("nan"), "such as"), (float("inf"), "such as"), ([8], "such as"),
    ],
)  # fmt: skip
def test_what_is_no_size_is_refused(value: Any, words: str) -> None:
    with pytest.raises(ArgumentError, match=words) as raised:
        as_bytes("block_size", value)
    assert "block_size" in str(raised.value)


def test_a_size_of_thousands_of_digits_is_refused() -> None:
    with pytest.raises(ArgumentError, match="block_size must be at most"):
        as_bytes("block_size", 10**5000)
