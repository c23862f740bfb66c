"""MXNet's files of arrays: golden files both ways, hostile ones, and what cannot be written."""

import contextlib
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpuio as mx
from gpuio.errors import (
    ArgumentError,
    DataFileError,
    DataFileNotFoundError,
    Error,
    UnsupportedError,
)
from gpuio.storage.array_files import CSRParts, StoredArray, read, read_buffer, write

GOLDEN = Path(__file__).parents[1] / "golden" / "data"
DTYPES = ["float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool"]


def stored(values: object, dtype: str = "float32") -> StoredArray:
    return StoredArray(np.array(values, dtype))


MATRIX = StoredArray(
    np.array([7, 8, 9], np.float32),
    csr=CSRParts((3, 3), np.array([0, 2, 1]), np.array([0, 2, 2, 3])),
)
EMPTY_MATRIX = StoredArray(
    np.empty(0, np.float32), csr=CSRParts((2, 5), np.empty(0, np.int64), np.zeros(3, np.int64))
)

# What each golden file of MXNet 1.9.1 has.
CONTENT: dict[str, tuple[list[StoredArray], list[str]]] = {
    "nd_single.nd": ([stored([[1, 2], [3, 4]])], []),
    "nd_list.nd": ([stored([[0, 1, 2]], dtype) for dtype in DTYPES], []),
    "nd_dict.nd": (
        [stored([[0, 1, 2], [3, 4, 5]]), stored([7], "uint8")],
        ["arg:fc_weight", "aux:é"],
    ),
    "nd_none.nd": ([], []),
    "nd_csr.nd": ([MATRIX, EMPTY_MATRIX], ["m", "empty"]),
    "nd_v0.nd": ([stored([[0, 1, 2], [3, 4, 5]])], ["w"]),
    "nd_v1.nd": ([stored([[0, 1, 2], [3, 4, 5]])], ["w"]),
    "nd_np_shape.nd": (
        [stored(3.5), stored(np.empty((2, 0))), stored([1])],
        [],
    ),
}


def assert_same(found: StoredArray, wanted: StoredArray) -> None:
    assert found.values.dtype == wanted.values.dtype
    np.testing.assert_array_equal(found.values, wanted.values, strict=True)
    assert (found.csr is None) == (wanted.csr is None)
    if found.csr is not None and wanted.csr is not None:
        assert found.csr.shape == wanted.csr.shape
        np.testing.assert_array_equal(found.csr.indices, wanted.csr.indices, strict=True)
        np.testing.assert_array_equal(found.csr.indptr, wanted.csr.indptr, strict=True)


@pytest.mark.parametrize("name", CONTENT)
def test_reads_what_mxnet_wrote(name: str) -> None:
    arrays, names = CONTENT[name]
    found = read(GOLDEN / name)
    assert found.names == names and len(found.arrays) == len(arrays)
    for each, wanted in zip(found.arrays, arrays, strict=True):
        assert_same(each, wanted)
        assert each.values.flags.writeable and each.values.flags.aligned
        assert each.context == mx.cpu()


@pytest.mark.parametrize(
    "name", ["nd_single.nd", "nd_list.nd", "nd_dict.nd", "nd_none.nd", "nd_csr.nd"]
)
def test_writes_the_bytes_that_mxnet_writes(tmp_path: Path, name: str) -> None:
    arrays, names = CONTENT[name]
    write(tmp_path / name, arrays, names)
    assert (tmp_path / name).read_bytes() == (GOLDEN / name).read_bytes()


def test_shapes_that_only_numpy_has_are_written_as_mxnets_numpy_interface_does(
    tmp_path: Path,
) -> None:
    arrays = CONTENT["nd_np_shape.nd"][0][:2]  # a third, of an ordinary shape, is V2 here
    write(tmp_path / "x.nd", arrays)
    both = (tmp_path / "x.nd").read_bytes()[24:-8]  # without the counts
    assert (GOLDEN / "nd_np_shape.nd").read_bytes()[24:].startswith(both)


def test_a_mean_image_of_imagerecorditer() -> None:
    arrays, names = read(GOLDEN / "mean.nd")
    assert names == ["mean_img"] and arrays[0].values.shape == (3, 20, 22)


def test_row_sparse_arrays_are_not_supported() -> None:
    with pytest.raises(
        UnsupportedError, match=r"nd_row_sparse\.nd: array 0 is row_sparse.*tostype"
    ):
        read(GOLDEN / "nd_row_sparse.nd")


def test_the_device_is_remembered(tmp_path: Path) -> None:
    write(tmp_path / "x.nd", [StoredArray(np.ones(2, np.float32), mx.gpu(3))])
    data = (tmp_path / "x.nd").read_bytes()
    assert data[44:52] == struct.pack("<ii", 2, 3)
    assert read(tmp_path / "x.nd").arrays[0].context == mx.gpu(3)


@pytest.mark.parametrize("kind", [3, 5, 17])
def test_other_kinds_of_memory_are_the_host(tmp_path: Path, kind: int) -> None:
    write(tmp_path / "x.nd", [stored([1, 2])])
    data = bytearray((tmp_path / "x.nd").read_bytes())
    data[44:48] = struct.pack("<i", kind)
    assert read_buffer(bytes(data)).arrays[0].context == mx.cpu()


def test_arrays_of_any_layout_and_byte_order_are_written(tmp_path: Path) -> None:
    values = np.arange(12, dtype=">f8").reshape(3, 4)
    write(tmp_path / "x.nd", [StoredArray(values.T), StoredArray(values[::2, ::-1])])
    first, second = read(tmp_path / "x.nd").arrays
    np.testing.assert_array_equal(first.values, values.T)
    np.testing.assert_array_equal(second.values, values[::2, ::-1])
    assert first.values.dtype == np.float64


@pytest.mark.parametrize("dtype", ["int16", "uint32", "complex64", "U3", "O"])
def test_a_dtype_that_mxnet_lacks_is_not_written_and_nothing_is_lost(
    tmp_path: Path, dtype: str
) -> None:
    path = tmp_path / "x.nd"
    write(path, [stored([1])])
    before = path.read_bytes()
    with pytest.raises(ArgumentError, match=r"have arrays of float32, .*use astype"):
        write(path, [stored([1]), StoredArray(np.zeros(3, dtype))])
    with pytest.raises(ArgumentError, match="1 arrays, but 2 names"):
        write(path, [stored([1])], ["a", "b"])
    assert path.read_bytes() == before


def test_files_that_are_not_there_or_are_something_else(tmp_path: Path) -> None:
    with pytest.raises(DataFileNotFoundError, match=r"none\.nd does not exist"):
        read(tmp_path / "none.nd")
    with pytest.raises(DataFileNotFoundError, match="its directory does not exist"):
        write(tmp_path / "none" / "x.nd", [])
    with pytest.raises(DataFileError, match="is a directory"):
        read(tmp_path)
    with pytest.raises(DataFileError, match="cannot be written"):
        write(tmp_path, [])
    for content in (b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00v\x00{'descr'"):
        (tmp_path / "x.nd").write_bytes(content)
        with pytest.raises(DataFileError, match=r"x\.nd is not a file of arrays as MXNet's"):
            read(tmp_path / "x.nd")


@pytest.mark.parametrize("name", CONTENT)
def test_a_truncated_file_is_an_error_wherever_it_ends(name: str) -> None:
    data = (GOLDEN / name).read_bytes()
    for size in range(len(data)):
        with pytest.raises(DataFileError):
            read_buffer(data[:size])
    read_buffer(data + b"more")  # as in MXNet, what follows is not read


def changed(at: int, code: str, *numbers: int) -> bytes:
    """A file with one float32 array (2, 2), with other numbers at a place."""
    data = bytearray((GOLDEN / "nd_single.nd").read_bytes())
    struct.pack_into("<" + code, data, at, *numbers)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (changed(16, "Q", 2**63), "9223372036854775808 arrays .* cannot be in the"),
        (changed(16, "Q", 2), "the number of names needs"),
        (changed(28, "i", 7), "the storage type 7"),
        (changed(32, "i", 2**31 - 1), "2147483647 dimensions"),
        (changed(32, "i", -5), "-5 dimensions"),
        (changed(36, "q", -2), r"negative dimension: \(-2, 2\)"),
        (changed(36, "qq", 2**62, 2**62), "array 0 needs 850.* bytes, and 24 follow"),
        (changed(36, "qq", 0, 2**62), r"shape \(0, 4611686018427387904\)"),
        (changed(60, "i", 99), "the unknown dtype 99"),
        (changed(60, "i", -1), "the unknown dtype -1"),
        (changed(80, "Q", 2**64 - 1), "1 arrays, but 18446744073709551615 names"),
        (changed(80, "Q", 1), "name 0 needs 8 bytes"),
        (changed(80, "Q", 1) + struct.pack("<Q", 2**60), "name 0 needs 1152921504606846976 bytes"),
        (changed(80, "Q", 1) + struct.pack("<Q", 1) + b"\xff", "name 0 is not UTF-8"),
    ],
)
def test_hostile_numbers_are_refused_before_memory_is_allocated(data: bytes, message: str) -> None:
    with pytest.raises(DataFileError, match=message):
        read_buffer(data, "x.nd")


def test_bfloat16_is_not_supported() -> None:
    with pytest.raises(UnsupportedError, match=r"bfloat16.*astype\('float32'\)"):
        read_buffer(changed(60, "i", 12))


def test_an_ndarray_that_holds_nothing_is_empty() -> None:
    head, tail = struct.pack("<QQQ", 0x112, 0, 1), struct.pack("<Q", 0)
    for none in (
        struct.pack("<Iii", 0xF993FAC9, 0, 0),
        struct.pack("<Iii", 0xF993FACA, 0, -1),
        struct.pack("<Ii", 0xF993FAC8, 0),
        struct.pack("<I", 0),
    ):
        (array,) = read_buffer(head + none + tail).arrays
        assert array.values.shape == (0,)


@given(st.sampled_from(sorted(CONTENT)), st.data())
def test_a_damaged_file_gives_arrays_or_an_error_of_ours(name: str, data: st.DataObject) -> None:
    content = bytearray((GOLDEN / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Error):
        read_buffer(bytes(content))
