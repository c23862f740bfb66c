"""The array protocol: what it promises, both libraries' arrays have."""

from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

import gpuio as mx
from gpuio.nd.types import Array, ArrayMethods, Flags

ROOT = Path(__file__).parents[2]


def _members(protocol: type) -> set[str]:
    """What the protocol declares, and typing does not."""
    return {name for name in vars(protocol) if name in dir(np.ndarray)} - set(dir(Protocol))


def test_arrays_have_all_members_of_the_protocol(ctx: mx.Context) -> None:
    array = mx.nd.array([[1, 2], [3, 4]], ctx)
    assert {"shape", "dtype", "astype", "take", "__add__", "__len__"} <= _members(ArrayMethods)
    for name in _members(ArrayMethods):
        assert hasattr(array, name), name
    for name in ("c_contiguous", "f_contiguous"):
        assert hasattr(Flags, name) and isinstance(getattr(array.flags, name), bool), name


def test_the_protocol_does_not_offer_what_a_gpu_array_refuses() -> None:
    """NumPy converts what has ``__array__``, and CuPy's raises."""
    for name in ("__array__", "__array_interface__", "ctypes", "base"):
        assert not hasattr(Array, name), name


def test_a_type_checker_tells_ndarrays_from_numpys(tmp_path: Path) -> None:
    api = pytest.importorskip("mypy.api", reason="mypy is not installed")
    lines = {
        "takes_numpy(plain)": True,
        "takes_numpy(array)": False,
        "takes_numpy(array + 1)": False,
        "takes_numpy(array[0])": False,
        "takes_numpy(array.asnumpy())": True,
        "takes_any(plain)": True,
        "takes_any(array)": True,
        "takes_any(array[0].reshape(-1) * 2)": True,
        "takes_any([1, 2])": False,
    }
    begin = """import numpy as np
import gpuio as mx
from gpuio.nd.types import Array, HostArray
def takes_numpy(array: HostArray) -> None: ...
def takes_any(array: Array) -> None: ...
plain = np.zeros((2, 2), np.float32)
array = mx.nd.wrap(plain)
"""
    path = tmp_path / "calls.py"
    path.write_text(begin + "\n".join(lines) + "\n")
    # The cache of `make check`, which has seen gpuio.
    found, errors, _ = api.run(["--cache-dir", str(ROOT / ".mypy_cache"), str(path)])
    assert not errors
    first = begin.count("\n") + 1
    wrong = {
        int(line.split(":")[1])
        for line in found.splitlines()
        if line.startswith(f"{path}:") and ": error:" in line
    }
    expected = {first + number for number, good in enumerate(lines.values()) if not good}
    assert wrong == expected, found
