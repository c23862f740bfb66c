"""nd.save and nd.load; the format is tested in tests/storage/test_array_files.py."""

import struct
from pathlib import Path

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, DataFileError, DataFileNotFoundError, UnsupportedError

GOLDEN = Path(__file__).parents[1] / "golden" / "data"


def test_what_is_saved_is_loaded(tmp_path: Path, ctx: mx.Context) -> None:
    path = tmp_path / "x.params"
    one = mx.nd.array([[1, 2], [3, 4]], ctx)
    two = mx.nd.array([True], ctx, "bool")
    for data in ([one, two], {"arg:one": one, "aux:two": two}, []):
        mx.nd.save(str(path), data)
        back = mx.nd.load(path)
        assert type(back) is type(data) and len(back) == len(data)
        pairs = (
            zip(data.values(), back.values(), strict=True)
            if isinstance(data, dict) and isinstance(back, dict)
            else zip(data, back, strict=True)
        )
        for given, found in pairs:
            assert isinstance(found, mx.nd.NDArray) and found.context == ctx
            np.testing.assert_array_equal(found.asnumpy(), given.asnumpy(), strict=True)
            found[:] = 0  # writable
    mx.nd.save(path, one)
    assert len(mx.nd.load(path)) == 1
    assert mx.nd.load_frombuffer(path.read_bytes())[0].shape == (2, 2)  # type: ignore[index]


def test_mxnets_files() -> None:
    loaded = mx.nd.load(GOLDEN / "nd_csr.nd")
    assert isinstance(loaded, dict) and list(loaded) == ["m", "empty"]
    assert loaded["m"].stype == "csr" and loaded["empty"].shape == (2, 5)
    assert loaded["m"].asnumpy().tolist() == [[7, 0, 8], [0, 0, 0], [0, 9, 0]]
    assert mx.nd.load(GOLDEN / "nd_v0.nd")["w"].shape == (2, 3)  # type: ignore[call-overload]


@pytest.mark.parametrize("name", ["nd_single", "nd_list", "nd_dict", "nd_csr", "nd_none"])
def test_loaded_and_saved_again_the_bytes_are_the_same(tmp_path: Path, name: str) -> None:
    mx.nd.save(tmp_path / "x.nd", mx.nd.load(GOLDEN / f"{name}.nd"))
    assert (tmp_path / "x.nd").read_bytes() == (GOLDEN / f"{name}.nd").read_bytes()


def test_what_is_not_saved(tmp_path: Path) -> None:
    path, one = tmp_path / "x.nd", mx.nd.ones(2)
    for data in ((one,), 5, np.ones(2)):
        with pytest.raises(ArgumentError, match="takes an NDArray, a list of NDArrays, or a dict"):
            mx.nd.save(path, data)
    for data, text in (([one, np.ones(2)], "not ndarray"), ({1: one}, "not int"), ([1], "not int")):
        with pytest.raises(ArgumentError, match=f"save takes NDArrays.*{text}"):
            mx.nd.save(path, data)
    assert not path.exists()


def test_what_is_not_loaded(tmp_path: Path) -> None:
    with pytest.raises(DataFileNotFoundError):
        mx.nd.load(tmp_path / "x.nd")
    with pytest.raises(UnsupportedError, match="row_sparse"):
        mx.nd.load(GOLDEN / "nd_row_sparse.nd")
    with pytest.raises(ArgumentError, match="load_frombuffer takes bytes, not str"):
        mx.nd.load_frombuffer("x")  # type: ignore[arg-type]
    with pytest.raises(DataFileError, match="the buffer is not a file of arrays"):
        mx.nd.load_frombuffer(b"x")


@pytest.mark.parametrize(("at", "value"), [(-9, 7), (-9, -1), (1, 5), (1, -(2**40)), (0, 1)])
def test_csr_matrices_with_impossible_positions(at: int, value: int) -> None:
    """They would read and write outside of SciPy's arrays."""
    data = bytearray((GOLDEN / "nd_csr.nd").read_bytes())
    indptr = data.index(struct.pack("<4q", 0, 2, 2, 3))
    where = indptr + 8 * at if at >= 0 else indptr + 32
    struct.pack_into("<q", data, where, value)
    with pytest.raises(DataFileError, match="the buffer: array 0: "):
        mx.nd.load_frombuffer(bytes(data))
