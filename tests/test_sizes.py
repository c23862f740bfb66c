"""Sizes in bytes."""

from typing import Any

import numpy as np
import pytest

from gpuio.errors import ArgumentError
from gpuio.sizes import as_bytes


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (0, 0), (17, 17), ("17", 17), (np.int32(7), 7), (8e6, 8_000_000), ("7 B", 7),
        ("8MB", 8_000_000), ("100 gb", 100 * 10**9), (" 1.5 GB ", 1_500_000_000), ("1.5k", 1500),
        ("64MiB", 64 << 20), ("64Mi", 64 << 20), (".5GiB", 1 << 29), ("2TB", 2 * 10**12),
        ("9223372036854775807", 2**63 - 1), (2**63 - 1, 2**63 - 1),
    ],
)  # fmt: skip
def test_sizes(value: Any, size: int) -> None:
    found = as_bytes("block_size", value)
    assert found == size and type(found) is int


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "at least 1 bytes, not 0"), ("0.2B", "at least 1 bytes"), (-5, "at least 1 bytes"),
        (2**63, "at most"), ("9" * 400, "at most"), ("99999999PB", "at most"),
        ("1XB", "such as '8MB'"), ("MB", "such as"), ("-8MB", "such as"), ("1e3", "such as"),
        ("1 GB x", "such as"), ("1ib", "such as"), ("nan", "such as"), ("", "such as"),
        ("٨MB", "such as"), (b"1", "such as"), (True, "such as"), (None, "such as"),
        (0.5, "such as"), (float("nan"), "such as"), (float("inf"), "such as"), ([8], "such as"),
    ],
)  # fmt: skip
def test_what_is_no_size_is_refused(value: Any, words: str) -> None:
    with pytest.raises(ArgumentError, match=words) as raised:
        as_bytes("block_size", value, 1)
    assert str(raised.value).startswith("block_size must be")


def test_a_size_of_thousands_of_digits_is_refused() -> None:
    with pytest.raises(ArgumentError, match="block_size must be at most"):
        as_bytes("block_size", 10**5000)
