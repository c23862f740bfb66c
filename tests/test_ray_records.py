"""Ray Data's interfaces to record files, without a cluster: tasks are called here."""

import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gpuio.errors import ArgumentError, DecodeError, RecordError, RecordFileNotFoundError
from gpuio.image import imdecode
from gpuio.recordio import MXIndexedRecordIO, unpack
from tests.io.records import jpeg, write_records

pytest.importorskip("ray.data")

from ray.data.block import BlockAccessor

from gpuio.ray_records import RecordDatasink, RecordDatasource

# Ray's own.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

COLUMNS = ("key", "label", "payload")


def source(paths: Any, **options: Any) -> RecordDatasource:
    values = {
        "index_paths": None, "columns": COLUMNS, "decode": False, "label_width": 1,
        "max_pixels": None, "remote": None,
    }  # fmt: skip
    return RecordDatasource(paths, **{**values, **options})


def rows(found: RecordDatasource, parallelism: int = 4, limit: int | None = None) -> list[Any]:
    """All rows, from tasks that are sent as Ray sends them."""
    result = []
    for task in found.get_read_tasks(parallelism, limit):
        read = pickle.loads(pickle.dumps(task.read_fn))
        blocks = [BlockAccessor.for_block(block) for block in read()]
        assert sum(block.num_rows() for block in blocks) == task.metadata.num_rows
        result += [row for block in blocks for row in block.iter_rows(True)]
    return result


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Three files of 7, 0 and 12 records."""
    return [
        write_records(tmp_path / name, [jpeg(number, 30 + 9 * number) for number in range(count)])[
            "path_imgrec"
        ]
        for name, count in (("a", 7), ("b", 0), ("c", 12))
    ]


@pytest.mark.parametrize("parallelism", [1, 2, 3, 19, 200])
def test_all_records_in_their_order(files: list[Path], parallelism: int) -> None:
    found = rows(source(files), parallelism)
    assert [row["key"] for row in found] == [*range(0, 70, 10), *range(0, 120, 10)]
    assert [row["label"] for row in found] == [*range(7), *range(12)]
    images = [*range(7), *range(12)]
    assert [row["payload"] for row in found] == [jpeg(n, 30 + 9 * n) for n in images]
    assert list(found[0]) == list(COLUMNS)


def test_tasks_read_equally_many_bytes(files: list[Path]) -> None:
    sizes = [task.metadata.size_bytes for task in source(files).get_read_tasks(4)]
    assert len(sizes) == 4
    assert max(sizes) < 1.7 * min(sizes)
    assert sum(sizes) == source(files).estimate_inmemory_data_size()
    assert source([files[1]]).get_read_tasks(4) == []


def test_columns_and_images(files: list[Path]) -> None:
    (first, *_) = rows(source(files, columns=("payload", "key"), decode=True))
    assert list(first) == ["image", "key"]
    assert np.array_equal(first["image"], imdecode(jpeg(0, 30)).asnumpy())
    for columns in ((), ("key", "key"), ("id",)):
        with pytest.raises(ArgumentError, match="key, label, payload"):
            source(files, columns=columns)


def test_labels(tmp_path: Path) -> None:
    labels = [[1.0, 2.0, 3.0], 4.0, [5.0, 6.0]]
    rec = write_records(tmp_path / "a", [b"x"] * 3, labels)["path_imgrec"]
    assert [row["label"] for row in rows(source(rec))] == [1.0, 4.0, 5.0]
    every = rows(source(rec, label_width=None))
    assert [np.ravel(row["label"]).tolist() for row in every] == [[1, 2, 3], [4], [5, 6]]
    with pytest.raises(RecordError, match=r"key 10.*has 1 numbers, label_width is 2"):
        rows(source(rec, label_width=2))


def test_without_an_index_or_with_part_of_it(files: list[Path]) -> None:
    lines = files[2].with_suffix(".idx").read_text().splitlines(keepends=True)
    files[2].with_suffix(".idx").write_text("".join(lines[::3]))
    assert [row["key"] for row in rows(source(files[2]))] == [0, 30, 60, 90]
    files[2].with_suffix(".idx").unlink()
    assert [row["key"] for row in rows(source(files[2]))] == list(range(12))
    assert len(rows(source(files[0].parent))) == 19


def test_limits(files: list[Path]) -> None:
    keys = [row["key"] for row in rows(source(files), 2, 3)]
    assert len(keys) == 6 and keys[:3] == [0, 10, 20]


def test_what_is_wrong_is_located(files: list[Path]) -> None:
    found = source(files[0], decode=True)
    content = bytearray(files[0].read_bytes())
    content[40:60] = bytes(20)
    files[0].write_bytes(content)
    with pytest.raises(DecodeError, match="key 0, byte 0"):
        rows(found)
    files[0].write_bytes(content[:-8])
    with pytest.raises(RecordFileNotFoundError, match="another machine of the cluster"):
        rows(found)


def test_files_are_written_and_named_when_all_are_complete(tmp_path: Path) -> None:
    sink = RecordDatasink(tmp_path / "out", None)
    sink.on_write_start()
    written = []
    for task in (7, 2, 5):
        block = BlockAccessor.batch_to_block(
            {
                "key": np.array([task, 100 + task]),
                "label": np.array([[1, 2], [3, 4]], np.float32),
                "payload": np.array([b"x" * task, b"y"], object),
            }
        )
        blocks = [block, block] if task == 2 else [block]
        written.append(sink.write(iter(blocks), SimpleNamespace(task_idx=task)))
    assert sink.write(iter([]), SimpleNamespace(task_idx=9)) == []
    assert not list((tmp_path / "out").glob("*-0000?.rec"))
    sink.on_write_complete(SimpleNamespace(write_returns=[*written, []]))
    names = [str(tmp_path / "out" / f"part-0000{number}.rec") for number in range(3)]
    assert sink.written == names
    assert len(list((tmp_path / "out").iterdir())) == 6
    with MXIndexedRecordIO(names[1].replace(".rec", ".idx"), names[1], "r") as reader:
        assert list(reader.keys) == [5, 105]
        header, payload = unpack(reader.read_idx(5))
    assert (header.id, header.label.tolist(), bytes(payload)) == (5, [1.0, 2.0], b"xxxxx")
    with pytest.raises(ArgumentError, match="has record files already"):
        RecordDatasink(tmp_path / "out", None)


@pytest.mark.parametrize("payload", [5, [1, 2], "text", None, np.arange(3)])
def test_payloads_are_bytes(payload: Any, tmp_path: Path) -> None:
    sink = RecordDatasink(tmp_path / "out", None)
    sink.on_write_start()
    payloads = np.empty(1, object)
    payloads[0] = payload
    columns = {"key": np.array([7]), "label": np.ones(1), "payload": payloads}
    block = BlockAccessor.batch_to_block(columns)
    with pytest.raises(ArgumentError, match=r"the payload of key 7 is .*, not bytes"):
        sink.write(iter([block]), SimpleNamespace(task_idx=0))


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RecordError, match="file"):
        RecordDatasink(tmp_path / "file", None)


def test_columns_that_records_need(tmp_path: Path) -> None:
    sink = RecordDatasink(tmp_path, None)
    block = BlockAccessor.batch_to_block({"key": np.array([1]), "image": np.array([b"x"], object)})
    with pytest.raises(ArgumentError, match="columns key, image, and not label, payload"):
        sink.write(iter([block]), SimpleNamespace(task_idx=0))
    assert not list(tmp_path.iterdir())


def test_what_others_have_written_stays(tmp_path: Path) -> None:
    others = ["part-00000.parquet", "part-notes.txt", "part-00003.idx"]
    for name in others:
        (tmp_path / name).write_text("mine")
    sink = RecordDatasink(tmp_path, None)
    sink.on_write_start()
    columns = {"key": np.array([1]), "label": np.ones(1), "payload": np.array([b"x"], object)}
    block = BlockAccessor.batch_to_block(columns)
    sink.write(iter([block]), SimpleNamespace(task_idx=1))  # lost, and run again
    written = sink.write(iter([block]), SimpleNamespace(task_idx=1))
    sink.on_write_complete(SimpleNamespace(write_returns=[written]))
    names = [*others, "part-00000.idx", "part-00000.rec"]
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(names)
    sink.remove()
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(others)
