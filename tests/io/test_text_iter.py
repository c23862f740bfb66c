"""The base of the iterators over text files: arguments, and what a state is compared with."""

from pathlib import Path
from typing import Any

import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, ContextError, StateError


def csv(path: Path, **options: Any) -> mx.io.CSVIter:
    return mx.io.CSVIter(data_csv=path, data_shape=1, batch_size=2, **options)


def svm(path: Path, **options: Any) -> mx.io.LibSVMIter:
    return mx.io.LibSVMIter(data_libsvm=path, data_shape=1, batch_size=2, **options)


@pytest.mark.parametrize("make", [csv, svm])
def test_arguments_are_checked_before_a_file_is_opened(make: Any, tmp_path: Path) -> None:
    for options, error in (
        ({"round_batch": 5}, ArgumentError),
        ({"last_batch_handle": "wrap"}, ArgumentError),
        ({"prefetch_buffer": -1}, ArgumentError),
        ({"ctx": "tpu"}, ArgumentError),
        ({"ctx": mx.gpu(mx.num_gpus())}, ContextError),
    ):
        with pytest.raises(error):
            make(tmp_path / "missing", **options)


@pytest.mark.parametrize(("make", "line"), [(csv, "{}\n"), (svm, "{} 0:1\n")])
def test_a_state_belongs_to_its_files_and_options(make: Any, line: str, tmp_path: Path) -> None:
    path, longer = tmp_path / "x", tmp_path / "y"
    path.write_text("".join(map(line.format, range(4))))
    longer.write_text("".join(map(line.format, range(5))))
    with make(path) as iterator:
        iterator.next()
        state = iterator.state_dict()
    with make(path) as same:
        same.load_state_dict(state)
        assert same.next().index.tolist() == [2, 3]
    for other in (make(longer), make(path, last_batch_handle="discard")):
        with other, pytest.raises(StateError, match="was saved with"):
            other.load_state_dict(state)
