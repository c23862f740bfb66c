"""The base of the iterators over text files: arguments, and what a state is compared with."""

from pathlib import Path
from typing import Any

import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, ContextError, DataFileError, StateError


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


# Ten lines of it are more than an open file buffers, so that a batch is read when it is asked for.
WIDE = 1000


def open_wide_csv(folder: Path, **options: Any) -> mx.io.CSVIter:
    return mx.io.CSVIter(
        data_csv=folder / "data", data_shape=(WIDE,), label_csv=folder / "label", batch_size=4,
        **options,
    )  # fmt: skip


def open_wide_svm(folder: Path, **options: Any) -> mx.io.LibSVMIter:
    return mx.io.LibSVMIter(
        data_libsvm=folder / "data.svm", data_shape=(WIDE,), batch_size=4, **options
    )


def write_wide(folder: Path) -> None:
    (folder / "data").write_text("".join(",".join([str(row)] * WIDE) + "\n" for row in range(10)))
    (folder / "label").write_text("".join(f"{row}\n" for row in range(10)))
    (folder / "data.svm").write_text(
        "".join(
            f"{row} " + " ".join(f"{column}:{row}" for column in range(WIDE)) + "\n"
            for row in range(10)
        )
    )


def result(iterator: mx.io.DataIter) -> tuple[Any, ...]:
    """What `next` gives: index, labels and padding; () at the end of an epoch, which it resets."""
    try:
        batch = iterator.next()
    except StopIteration:
        iterator.reset()
        return ()
    data = batch.data[0].asnumpy()
    return batch.index.tolist(), batch.label[0].asnumpy().ravel().tolist(), batch.pad, data.sum()


@pytest.mark.parametrize("handle", ["wrap", "pad", "discard", "roll_over"])
@pytest.mark.parametrize("make", [open_wide_csv, open_wide_svm])
@pytest.mark.parametrize(("fault", "prefetch_buffer"), [("missing", 1), ("truncated", 0)])
def test_after_a_passing_error_of_a_file_nothing_is_lost(
    make: Any,
    handle: str,
    prefetch_buffer: int,
    fault: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gpuio.io.text.files.BLOCK", 5000)
    write_wide(tmp_path)
    contents = {path: path.read_bytes() for path in tmp_path.iterdir()}
    options: dict[str, Any] = {"prefetch_buffer": prefetch_buffer}
    if handle != "wrap":
        options["last_batch_handle"] = handle
    with make(tmp_path, **options) as iterator:
        whole = [result(iterator) for _ in range(8)]
    failed = 0
    for moment in (0, 2, 3, 5):
        with make(tmp_path, **options) as iterator:
            found = [result(iterator) for _ in range(moment)]
            for path, content in contents.items():
                if fault == "missing":
                    path.unlink()
                else:
                    path.write_bytes(content[: len(content) // 2 + 1])
            tries = 2
            while len(found) < 8:
                try:
                    found.append(result(iterator))
                except DataFileError:
                    failed += 1
                    tries -= 1
                if not tries:
                    for path, content in contents.items():
                        path.write_bytes(content)
            assert found == whole, moment
        for path, content in contents.items():
            path.write_bytes(content)
    assert failed >= 4
