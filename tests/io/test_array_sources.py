"""Row sources: names, dtypes, selections, fingerprints."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import gpuio as mx
from gpuio.errors import ArgumentError
from gpuio.io.array_sources import (
    ArraySource,
    CsrSource,
    StoredSource,
    as_array,
    current_arrays,
    fingerprint,
    gather,
    is_csr,
    named_sources,
)
from gpuio.sampling.order import Order

TABLE = np.arange(30, dtype=np.float64).reshape(10, 3)


def stored(path: Path) -> np.memmap:
    np.save(path, TABLE)
    return np.load(path, mmap_mode="r")


def sources(data: Any, dtype: Any = "auto", axis: int = 0) -> list[Any]:
    return named_sources(data, "data", "data", dtype, axis)


@pytest.mark.parametrize("rows", [slice(2, 5), np.array([7, 0, 7, 3])], ids=["slice", "selection"])
def test_every_kind_gives_the_same_rows(rows: Any, tmp_path: Path, ctx: mx.Context) -> None:
    (dense,) = sources(TABLE)
    (sparse,) = sources(scipy.sparse.csr_matrix(TABLE))
    (on_disk,) = sources(stored(tmp_path / "x.npy"))
    assert isinstance(dense, ArraySource)
    assert isinstance(sparse, CsrSource) and isinstance(on_disk, StoredSource)
    for source in (dense, sparse, on_disk):
        assert source.shape == (10, 3) and source.dtype == np.float32
        for placed in (source, source.to(ctx)):
            batch = placed[rows]
            assert batch.context == placed.context and batch.dtype == np.float32
            np.testing.assert_array_equal(batch.asnumpy(), TABLE[rows])
        assert source.to(ctx).context == ctx and source.to(ctx).name == "data"


def test_rows_along_another_axis(tmp_path: Path) -> None:
    for data in (TABLE, stored(tmp_path / "x.npy")):
        (source,) = sources(data, axis=1)
        assert source.axis == 1
        np.testing.assert_array_equal(source[slice(1, 3)], TABLE[:, 1:3])
        np.testing.assert_array_equal(source[np.array([2, 0])], TABLE[:, [2, 0]])
    assert sources(TABLE[:, 0], axis=1)[0].axis == 0  # it has no second one


def test_a_stored_array_is_copied_in_chunks(
    tmp_path: Path, ctx: mx.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpuio.io.array_sources.CHUNK", 3 * 3 * 4)
    (source,) = sources(stored(tmp_path / "x.npy"))
    np.testing.assert_array_equal(source.to(ctx)[slice(0, 10)].asnumpy(), TABLE)


def test_names_and_their_order() -> None:
    def names(data: Any) -> list[str]:
        return [source.name for source in sources(data)]

    assert names(TABLE) == names([TABLE]) == ["data"]
    assert names([TABLE, TABLE]) == ["_0_data", "_1_data"]
    assert names({"b": TABLE, "a": TABLE}) == ["a", "b"]


@pytest.mark.parametrize("dtype", ["auto", None, "float16"])
def test_converted_data_make_equal_sources(dtype: str | None) -> None:
    for data in (TABLE, [TABLE, TABLE[:, 0]], {"b": TABLE, "a": mx.nd.array(TABLE)}):
        first = sources(data, dtype)
        again = sources(current_arrays(data, first), dtype)
        assert fingerprint(again) == fingerprint(first)
        for one, two in zip(first, again, strict=True):
            assert (one.name, one.shape, one.dtype) == (two.name, two.shape, two.dtype)
            assert np.shares_memory(one.values, two.values)  # nothing is converted twice


def test_a_fingerprint_depends_on_names_shapes_dtypes_and_values() -> None:
    prints = {
        fingerprint(sources(data, dtype))
        for data, dtype in (
            (TABLE, "auto"),
            (TABLE, None),
            ({"x": TABLE}, "auto"),
            (TABLE.reshape(10, 1, 3), "auto"),
            (TABLE + 1, "auto"),
            (scipy.sparse.csr_matrix(TABLE), "auto"),
            ([TABLE, TABLE], "auto"),
        )
    }
    assert len(prints) == 7
    assert fingerprint(sources(TABLE)) == fingerprint(sources(TABLE.astype(np.float32)))


def test_gather_fills_a_batch_with_rows_of_both_ends() -> None:
    load = gather(sources(TABLE), sources(np.arange(10)))
    order = Order(10, 4, last_batch="pad")
    batch = load(order.batch_at(8))
    assert batch.pad == 2 and batch.label[0].tolist() == [8, 9, 0, 1]
    np.testing.assert_array_equal(batch.data[0], TABLE[[8, 9, 0, 1]])
    first = load(order.batch_at(0))
    assert first.pad == 0 and first.label[0].tolist() == [0, 1, 2, 3]


def test_what_csr_is() -> None:
    matrix = scipy.sparse.csr_matrix(TABLE)
    assert is_csr(matrix) and is_csr(mx.nd.sparse.wrap(matrix)) and is_csr(matrix.tocsr())
    for other in (matrix.tocsc(), matrix.tocoo(), TABLE, None):
        assert not is_csr(other)


def test_memory_that_cannot_be_shared_is_named() -> None:
    class Refuses:
        def __dlpack__(self, **options: Any) -> Any:
            raise BufferError("not today")

        def __dlpack_device__(self) -> tuple[int, int]:
            return 1, 0

    with pytest.raises(ArgumentError, match="data: cannot share the memory of 'x': not today"):
        as_array("x", Refuses(), "data")
    with pytest.raises(TypeError, match="'x' is str"):
        as_array("x", "text", "data")
