"""Files that change while they are read: an error that names them, or what they held before."""

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gpuio.errors import FileChangedError, RecordError
from tests.io.records import jpeg, open_iter, write_records
from tests.processes import run_process

EXECUTORS = ["host", "dali"]

# Images of which all is read at once, and others.
IMAGES = [jpeg(number, *((60, 50), (700, 600))[number % 2]) for number in range(24)]

# Each truncation in turn, of a new copy of the file; where a mapped file is touched behind its new
# end, the process dies.
TRUNCATE = """
import os, shutil, sys
import numpy as np
from gpuio.errors import FileChangedError
from tests.io.records import open_iter

original, executor = sys.argv[1:]
def opened(path, **options):
    return open_iter(path_imgrec=path, path_imgidx=original[:-3] + "idx", data_shape=(3, 200, 200),
                     batch_size=4, executor=executor, **options)
with opened(original) as iterator:
    expected = [batch.data[0].asnumpy() for batch in iterator]
size = os.path.getsize(original)
path = original + ".copy.rec"
for number, (length, before) in enumerate(
    [(0, 2), (size - 10, 0), (size // 2, 2), (4096, 7)][: 2 if executor == "dali" else 4]
):
    on_error = "raise" if number % 2 else "skip"
    shutil.copyfile(original, path)
    held, failures = [], []
    with opened(path, prefetch_buffer=1 + number % 4, on_error=on_error) as iterator:
        while len(held) < before and not failures:
            try:
                held.append(iterator.next())
            except StopIteration:
                iterator.reset()
        os.truncate(path, length)
        iterator.reset() if number % 2 else None
        for _ in range(14):
            try:
                held.append(iterator.next())
            except StopIteration:
                iterator.reset()
            except FileChangedError as error:
                assert f"{path} has become shorter" in str(error), error
                failures.append(error)
        assert failures and not iterator.bad_records
    for batch in held:
        number = int(batch.index[0]) // 40
        assert np.array_equal(batch.data[0].asnumpy(), expected[number])
print("alive")
"""


@pytest.fixture(scope="module")
def rec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_records(tmp_path_factory.mktemp("images") / "x", IMAGES)["path_imgrec"]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_file_is_truncated_while_it_is_iterated_over(executor: str, rec: Path) -> None:
    assert run_process(TRUNCATE, rec, executor) == "alive\n"


READERS = """
import os, shutil, sys
import numpy as np
import gpuio as mx
from gpuio.errors import FileChangedError
from gpuio.gluon.data import RecordFileDataset
from gpuio.loading.source import RecordSource
from gpuio.recordio import MXIndexedRecordIO, MXRecordIO, RecordSet

original = sys.argv[1]
path, idx = original + ".copy.rec", original[:-3] + "idx"
for length in (0, 5000):
    shutil.copyfile(original, path)
    records, reader = RecordSet(path, idx), MXRecordIO(path, "r")
    indexed, dataset = MXIndexedRecordIO(idx, path, "r"), RecordFileDataset(path)
    payload, head = records.payload(20), reader.read()
    (image,) = RecordSource(records).read_batch(np.array([21]))
    copy = payload.tobytes()
    os.truncate(path, length)
    for call in (
        lambda: records.payload(20),
        lambda: records.header(20),
        lambda: records.read_many(np.array([3, 20])),
        lambda: list(records.label_blocks(range(24))),
        lambda: records.most_labels(range(24), 100),
        lambda: image.data,
        lambda: indexed.read_idx(200),
        lambda: dataset[20],
        lambda: list(reader),
    ):
        try:
            call()
        except FileChangedError as error:
            assert f"{path} has become shorter" in str(error), error
        else:
            raise AssertionError("no error")
    records.close()
    assert payload.tobytes() == copy
print("alive")
"""


def test_a_file_is_truncated_while_records_are_read(rec: Path) -> None:
    assert run_process(READERS, rec) == "alive\n"


TOOLS = """
import contextlib, io, os, shutil, sys
from gpuio.tools.cli import main

original, folder = sys.argv[1:]
path, idx = f"{folder}/y.rec", f"{folder}/y.idx"
armed = None
def truncate(event, arguments):
    global armed
    if event == "open" and armed and str(arguments[0]).endswith(armed):
        armed = None
        os.truncate(path, 6000)
sys.addaudithook(truncate)
for command, when in (
    (["verify", path, "--deep"], ".idx"),
    (["repair", path], ".part"),
    (["info", path], ".idx"),
    (["stats", path], ".idx"),
    (["shuffle", path, f"{folder}/out.rec"], ".part"),
    (["split", path, f"{folder}/out", "--parts", "2"], ".part"),
    (["filter", path, f"{folder}/out.rec", "--least", "1"], ".idx"),
    (["extract", path, f"{folder}/out"], ".idx"),
    (["index", path, "--list", f"{folder}/y.lst", "--force"], "y.lst"),
):
    shutil.copyfile(original, path)
    shutil.copyfile(original[:-3] + "idx", idx)
    with open(f"{folder}/y.lst", "w") as file:
        file.writelines(f"{10 * number}\\t{number}\\tx\\n" for number in range(24))
    armed, said = when, io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        status = main(command)
    print(command[0], status, said.getvalue().count("y.rec has become shorter"), armed)
    for name in os.listdir(folder):
        assert not name.endswith(".part") and name != "out.rec", name
"""


def test_a_file_is_truncated_while_a_tool_reads_it(rec: Path, tmp_path: Path) -> None:
    lines = run_process(TOOLS, rec, tmp_path).splitlines()
    *others, index = (line.split()[1:] for line in lines)
    assert others == [["2", "1", "None"]] * 8, lines
    assert index == ["2", "0", "None"]  # it opens the file again, and finds it cut off


def solid(color: int, width: int, height: int, size: int) -> bytes:
    """A JPEG of one color, filled up to a size, so that it can take another one's place."""
    content = cv2.imencode(".jpg", np.full((height, width, 3), color, np.uint8))[1].tobytes()
    return content + bytes(size - len(content))


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("size", [3_000, 40_000])
def test_a_file_is_overwritten_between_epochs(executor: str, size: int, tmp_path: Path) -> None:
    """By as many records of the same lengths: the images' headers are not remembered."""
    sides = [(60, 40), (40, 60)]
    both = []
    for number, (width, height) in enumerate(sides):
        labels = [40.0 * row + 100 * number for row in range(4)]
        images = [solid(int(label) % 256, width, height, size) for label in labels]
        both.append(write_records(tmp_path / f"x{number}", images, labels))
    path, other = (each["path_imgrec"] for each in both)
    files = {name: str(each) for name, each in both[0].items()}
    with open_iter(**files, executor=executor, batch_size=4, prefetch_buffer=1) as iterator:
        (first,) = iterator
        assert first.label[0].asnumpy().tolist() == [0, 40, 80, 120]
        os.utime(path, ns=(0, 0))  # a coarse clock could give both the same time
        with path.open("r+b") as file:
            file.write(other.read_bytes())
        later = []
        for _ in range(12):  # the first of them were read ahead
            iterator.reset()
            later += list(iterator)
        assert not iterator.bad_records
    for batch in (first, *later):
        labels = batch.label[0].asnumpy()
        means = batch.data[0].asnumpy().mean((1, 2, 3))
        np.testing.assert_allclose(means, labels % 256, atol=2)
    assert later[-1].label[0].asnumpy().tolist() == [100, 140, 180, 220]


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("change", ["replaced", "deleted", "appended to"])
def test_what_a_file_held_is_read_to_the_end(change: str, executor: str, tmp_path: Path) -> None:
    files = write_records(tmp_path / "x", IMAGES[:8])
    options: dict[str, Any] = {**files, "executor": executor, "batch_size": 2}
    with open_iter(**options) as iterator:
        expected = [batch.data[0].asnumpy() for batch in iterator]
    rec = files["path_imgrec"]
    with open_iter(**options) as iterator:
        found = [iterator.next().data[0].asnumpy()]
        if change == "replaced":
            os.replace(write_records(tmp_path / "y", IMAGES[8:12])["path_imgrec"], rec)
        elif change == "deleted":
            rec.unlink()
        else:
            with rec.open("ab") as file:
                file.write(b"more")
        found += [batch.data[0].asnumpy() for batch in iterator]
        iterator.reset()
        found += [batch.data[0].asnumpy() for batch in iterator]
    np.testing.assert_array_equal(found, expected * 2)


def test_a_record_that_is_no_longer_where_it_was(tmp_path: Path) -> None:
    files = write_records(tmp_path / "x", IMAGES[:4])
    rec = files["path_imgrec"]
    options: dict[str, Any] = {**files, "batch_size": 4, "prefetch_buffer": 1}
    with open_iter(**options) as iterator:
        iterator.next()
        os.utime(rec, ns=(0, 0))
        with rec.open("r+b") as file:
            file.write(b"\0" * rec.stat().st_size)
        iterator.reset()
        with pytest.raises(RecordError, match=r"x\.rec, key 0, byte 0: .* was overwritten after"):
            for _ in range(4):
                iterator.next()
                iterator.reset()
    assert not issubclass(FileChangedError, RecordError)
