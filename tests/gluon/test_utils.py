"""split_data and split_and_load; files that were downloaded before."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpuio as mx
from gpuio.errors import ArgumentError, DataFileError, UnsupportedError
from gpuio.gluon.utils import check_sha1, download, split_and_load, split_data


@given(
    rows=st.integers(0, 20),
    parts=st.integers(1, 8),
    axis=st.sampled_from([0, 1, -1, -2]),
)
def test_parts_are_all_rows_in_order(rows: int, parts: int, axis: int) -> None:
    shape = (rows, 3) if axis in (0, -2) else (3, rows)
    data = mx.nd.wrap(np.arange(rows * 3).reshape(shape))
    found = split_data(data, parts, axis, even_split=False)
    assert len(found) == parts
    assert np.array_equal(np.concatenate(found, axis), data)
    sizes = [part.shape[axis] for part in found]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] - sizes[-1] <= 1


def test_uneven_parts_are_refused_by_default() -> None:
    with pytest.raises(ValueError, match=r"shape \(5, 2\) cannot be evenly split into 2 slices"):
        split_data(mx.nd.ones((5, 2)), 2)
    assert [part.shape for part in split_data(mx.nd.ones((5, 4)), 2, batch_axis=1)] == [(5, 2)] * 2


def test_each_part_is_on_its_device(ctx: mx.Context) -> None:
    batch = np.arange(8, dtype=np.float64).reshape(4, 2)
    first, second = split_and_load(batch, [ctx, mx.cpu()])
    assert first.context == ctx and second.context == mx.cpu()
    assert first.dtype == np.float32  # as mx.nd.array makes it
    assert first.asnumpy().tolist() == [[0, 1], [2, 3]] and second.tolist() == [[4, 5], [6, 7]]
    (only,) = split_and_load(mx.nd.array([1, 2]), [ctx])
    assert only.context == ctx and only.asnumpy().tolist() == [1, 2]


def test_contexts_as_strings() -> None:
    assert len(split_and_load([1, 2], ["cpu", "cpu"])) == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: split_and_load([1], []), "ctx_list is empty"),
        (lambda: split_data(mx.nd.ones((2,)), 0), "num_slice must be at least 1"),
        (lambda: split_data(mx.nd.ones((2,)), 1, batch_axis=1), "batch_axis 1 is not an axis"),
    ],
)
def test_wrong_arguments(call: object, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()  # type: ignore[operator]


def test_a_file_that_was_downloaded_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://example.com/data/x.tar"
    with pytest.raises(UnsupportedError, match=rf"curl -L .* {url}"):
        download(url, tmp_path / "x.tar")
    (tmp_path / "x.tar").write_bytes(b"content")
    digest = hashlib.sha1(b"content").hexdigest()
    for path in (tmp_path, tmp_path / "x.tar"):
        assert download(url, path, sha1_hash=digest) == os.path.join(tmp_path, "x.tar")
    monkeypatch.chdir(tmp_path)
    assert download(url) == "x.tar"
    with pytest.raises(UnsupportedError, match=r"http://host/none") as raised:
        download("http://user:secret@host/none?signature=secret")
    assert "secret" not in str(raised.value)
    assert check_sha1("x.tar", digest) and not check_sha1("x.tar", "0")
    with pytest.raises(DataFileError, match="SHA-1 digest 00"):
        download(url, sha1_hash="00")
