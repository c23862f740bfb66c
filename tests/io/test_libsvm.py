"""LibSVMIter: MXNet's results, parts, mistakes."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import gpuio as mx
from gpuio.errors import ArgumentError, DataFileError, DataFileNotFoundError, UnsupportedError
from tests.io.golden import CASES, DATA, arrays, assert_described

LINES = [f"{n} {n % 4}:{n + 0.5} 9:{n}" for n in range(20)]


@pytest.mark.parametrize("case", ["plain", "labelfile"])
def test_golden(case: str, ctx: mx.Context) -> None:
    expected = arrays(f"svm_{case}")
    options: dict[str, Any] = {}
    if case == "labelfile":
        options = {"label_libsvm": DATA / "l.svm", "label_shape": (3,)}
    with mx.io.LibSVMIter(
        data_libsvm=DATA / "d.svm", data_shape=(3,), batch_size=3, ctx=ctx, **options
    ) as iterator:
        assert_described(iterator, f"LibSVMIter_{case}")
        for epoch in range(2):
            for number, batch in enumerate(iterator):
                at = f"{epoch}_{number}"
                (data,), (label,) = batch.data, batch.label
                assert isinstance(data, mx.nd.sparse.CSRNDArray) and data.context == ctx
                data.check_format()
                np.testing.assert_array_equal(data.asnumpy(), expected[f"d{at}"])
                for part, name in (
                    (data.data, "data"),
                    (data.indices, "indices"),
                    (data.indptr, "indptr"),
                ):
                    found = mx.nd.wrap(part).asnumpy()
                    np.testing.assert_array_equal(found, expected[f"csr{name}{at}"])
                assert (label.context, batch.pad) == (ctx, expected[f"pad{at}"])
                np.testing.assert_array_equal(label.asnumpy(), expected[f"l{at}"])
            iterator.reset()


def test_every_golden_case_is_looked_at() -> None:
    found = {name for name in CASES if name.startswith("LibSVM")}
    assert found == {"LibSVMIter_plain", "LibSVMIter_labelfile"}


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
@pytest.mark.parametrize("with_labels", [False, True])
def test_parts_cover_the_lines(parts: int, with_labels: bool, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name, lines in (("a", ["\ufeff" + LINES[0], *LINES[1:7]]), ("b", ["", "# x", *LINES[7:]])):
        (tmp_path / "data" / name).write_text("\n".join(lines), encoding="utf-8")
    options: dict[str, Any] = {}
    if with_labels:
        labels = tmp_path / "l.svm"
        labels.write_text("".join(f"0 {n % 2}:{n}\n" for n in range(20)))
        options = {"label_libsvm": labels, "label_shape": (2,)}
    found: list[int] = []
    for part in range(parts):
        with mx.io.LibSVMIter(
            data_libsvm=tmp_path / "data",
            data_shape=(10,),
            batch_size=2,
            num_parts=parts,
            part_index=part,
            round_batch=False,
            **options,
        ) as iterator:
            for batch in iterator:
                rows = slice(0, 2 - batch.pad)
                numbers = batch.data[0].asnumpy()[rows, 9].astype(int).tolist()
                label = batch.label[0].asnumpy()[rows]
                assert (label.sum(1) if with_labels else label).tolist() == numbers
                found += numbers
    assert found == list(range(20))


def test_a_part_with_no_line_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.svm"
    path.write_text("1 0:1\n")
    with pytest.raises(DataFileError, match="has no rows"):
        mx.io.LibSVMIter(data_libsvm=path, data_shape=(2,), batch_size=1, num_parts=2, part_index=1)


def test_packed_files(tmp_path: Path) -> None:
    path = tmp_path / "x.svm.gz"
    path.write_bytes(gzip.compress("\n".join(LINES).encode()))
    call = dict(data_libsvm=path, data_shape=(10,), batch_size=20)
    with mx.io.LibSVMIter(**call) as iterator:
        batch = iterator.next()
        assert scipy.sparse.issparse(batch.data[0]) and batch.label[0].tolist() == list(range(20))
    with pytest.raises(UnsupportedError, match="decompress it first"):
        mx.io.LibSVMIter(**call, num_parts=2)


@pytest.mark.parametrize("block", [16, 100])
def test_blocks_do_not_show(block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpuio.io.text.files.BLOCK", block)
    path = tmp_path / "x.svm"
    path.write_text("\n".join(LINES))
    with mx.io.LibSVMIter(data_libsvm=path, data_shape=(10,), batch_size=6) as iterator:
        found = list(iterator)
    assert [batch.pad for batch in found] == [0, 0, 0, 4]
    dense = np.concatenate([batch.data[0].asnumpy() for batch in found])
    numbers = np.arange(24) % 20
    np.testing.assert_array_equal(dense[:, 9], numbers)
    np.testing.assert_array_equal(dense[np.arange(24), numbers % 4], numbers + 0.5)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("1 10:2", "10"),
        ("1 -1:2", "-1"),
        ("1 2:", "2:"),
        ("1 :2", ":2"),
        ("one 1:2", "'one'"),
        ("1 1:two", "two"),
        ("1 qid:3 1:2", "qid"),
        ("1 3", "'3'"),
    ],
)
def test_broken_lines_are_named(line: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / "x.svm"
    path.write_text("\n".join([*LINES[:3], "", line, *LINES]))
    with pytest.raises(DataFileError, match=rf"x\.svm, line 5.*{what}"):
        mx.io.LibSVMIter(data_libsvm=path, data_shape=(10,), batch_size=2)


def test_broken_lines_far_into_a_part_have_their_number_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpuio.io.text.files.BLOCK", 32)
    path = tmp_path / "x.svm"
    path.write_text("\n".join([*LINES, "broken", *LINES]))
    with (
        pytest.raises(DataFileError, match="line 21"),
        mx.io.LibSVMIter(
            data_libsvm=path, data_shape=(10,), batch_size=2, num_parts=4, part_index=1
        ) as iterator,
    ):
        list(iterator)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"data_shape": (3, 2)}, "data_shape must have one axis"),
        ({"data_shape": ()}, "data_shape must have at least one axis"),
        ({"label_libsvm": DATA / "l.svm"}, "label_libsvm needs label_shape"),
        ({"label_shape": (2, 2)}, "label_shape must have one axis"),
        ({"num_parts": 2, "part_index": 2}, "part_index"),
        ({"batch_size": 0}, "batch_size"),
        ({"last_batch_handle": "none"}, "last_batch_handle"),
    ],
    ids=str,
)
def test_options_that_cannot_be(options: dict[str, Any], text: str) -> None:
    call = {"data_libsvm": DATA / "d.svm", "data_shape": (3,), "batch_size": 2, **options}
    with pytest.raises(ArgumentError, match=text):
        mx.io.LibSVMIter(**call)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataFileNotFoundError, match="data_libsvm"):
        mx.io.LibSVMIter(data_libsvm=tmp_path / "no", data_shape=(3,), batch_size=2)
    with pytest.raises(DataFileNotFoundError, match="label_libsvm"):
        mx.io.LibSVMIter(
            data_libsvm=DATA / "d.svm",
            data_shape=(3,),
            batch_size=2,
            label_libsvm=tmp_path / "no",
            label_shape=(2,),
        )
