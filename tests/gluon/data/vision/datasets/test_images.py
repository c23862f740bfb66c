"""Images in record files, folders and lists."""

import io
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import gpuio as mx
from gpuio.errors import ArgumentError, DecodeError, RecordError, RecordFileNotFoundError
from gpuio.gluon.data import DataLoader
from gpuio.gluon.data.vision import ImageFolderDataset, ImageListDataset, ImageRecordDataset
from tests.gluon.faces import write_faces
from tests.io.records import jpeg, write_records

JPEGS = [jpeg(number, 30 + number, 20) for number in range(6)]


def decoded(content: bytes) -> np.ndarray:
    return mx.image.imdecode(content).asnumpy()


@pytest.fixture
def record_file(tmp_path: Path) -> Path:
    labels = [0.5, 1, [2, 3], 4, 5, 6]
    return write_records(tmp_path / "x", JPEGS, labels)["path_imgrec"]


def test_images_and_labels(record_file: Path) -> None:
    dataset = ImageRecordDataset(record_file)
    assert len(dataset) == 6
    for number, (image, _) in enumerate(dataset):
        assert isinstance(image, mx.nd.NDArray) and image.context == mx.cpu()
        np.testing.assert_array_equal(image, decoded(JPEGS[number]))
    labels = [label for _, label in dataset]
    assert labels[:2] == [0.5, 1.0] and isinstance(labels[0], float)
    assert labels[2].dtype == np.float32 and labels[2].tolist() == [2, 3]
    assert ImageRecordDataset(record_file, flag=0)[-1][0].shape == (20, 35, 1)


def test_transform_takes_image_and_label(record_file: Path) -> None:
    dataset = ImageRecordDataset(record_file, transform=lambda image, label: (image.shape, label))
    assert dataset[1] == ((20, 31, 3), 1)
    assert dataset.transform_first(str)[1] == ("(20, 31, 3)", 1)


def test_the_order_is_that_of_the_index(record_file: Path) -> None:
    index = record_file.with_suffix(".idx")
    lines = index.read_text().splitlines()
    index.write_text("\n".join(lines[number] for number in (4, 1, 5)) + "\n")
    assert [label for _, label in ImageRecordDataset(record_file)] == [5, 1, 6]


def test_face_files(tmp_path: Path) -> None:
    """The header and the identity records are no images, in whatever order the index has them."""
    record_file = write_faces(tmp_path / "faces", JPEGS[1:5])
    dataset = ImageRecordDataset(record_file)
    assert [label.tolist() for _, label in dataset] == [[0, 0], [1, 0], [0, 0], [1, 0]]
    np.testing.assert_array_equal(dataset[0][0], decoded(JPEGS[1]))
    index = record_file.with_suffix(".idx")
    index.write_text("".join(f"{line}\n" for line in reversed(index.read_text().splitlines())))
    dataset = ImageRecordDataset(record_file)
    assert len(dataset) == 4
    np.testing.assert_array_equal(dataset[0][0], decoded(JPEGS[4]))


def test_threads_and_pickles(record_file: Path) -> None:
    dataset = ImageRecordDataset(record_file)
    expected = [image.asnumpy() for image, _ in dataset]
    with ThreadPoolExecutor(4) as pool:
        for number, (image, _) in enumerate(pool.map(dataset.__getitem__, list(range(6)) * 10)):
            np.testing.assert_array_equal(image, expected[number % 6])
    pickled = pickle.dumps(dataset)
    assert len(pickled) < 500
    np.testing.assert_array_equal(pickle.loads(pickled)[2][0], expected[2])


# In a process of its own: forking one with threads of other libraries warns, or may hang.
PROCESSES = """
import multiprocessing, sys
import numpy as np
from gpuio.gluon.data.vision import ImageRecordDataset
if __name__ == "__main__":
    dataset = ImageRecordDataset(sys.argv[1])
    with multiprocessing.get_context(sys.argv[2]).Pool(2) as pool:
        found = pool.map(dataset.__getitem__, range(6))
    for (image, _), (expected, _) in zip(found, dataset, strict=True):
        np.testing.assert_array_equal(image, expected)
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes(record_file: Path, tmp_path: Path, method: str) -> None:
    script = tmp_path / "processes.py"
    script.write_text(PROCESSES)
    environment = {**os.environ, "PYTHONPATH": str(Path(mx.__file__).parents[1])}
    subprocess.run(
        [sys.executable, script, record_file, method], check=True, timeout=100, env=environment
    )


def test_a_loader_over_records(record_file: Path) -> None:
    dataset = ImageRecordDataset(record_file, transform=lambda image, label: (image[:, :20], 0))
    images, labels = next(iter(DataLoader(dataset, 6, num_workers=2)))
    assert images.shape == (6, 20, 20, 3) and labels.shape == (6,)


def test_bad_records_are_named(tmp_path: Path) -> None:
    files = write_records(tmp_path / "x", [b"no image", JPEGS[0]])
    dataset = ImageRecordDataset(files["path_imgrec"])
    with pytest.raises(DecodeError, match=r"x\.rec, key 0, byte 0: Decoding failed"):
        dataset[0]
    assert dataset[1][0].shape == (20, 30, 3)
    with pytest.raises(IndexError, match="index 2 of"):
        dataset[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, files in {"b": ["2.jpg", "1.JPEG"], "a": ["3.png"], "c": []}.items():
        (tmp_path / name).mkdir()
        for file in files:
            content = io.BytesIO()
            if file.endswith("png"):
                Image.fromarray(decoded(JPEGS[0])).save(content, "PNG")
            (tmp_path / name / file).write_bytes(content.getvalue() or JPEGS[1])
    return tmp_path


def test_folders_are_classes(folder: Path) -> None:
    dataset = ImageFolderDataset(str(folder))
    assert dataset.synsets == ["a", "b", "c"] and len(dataset) == 3
    names = [(os.path.relpath(path, folder), label) for path, label in dataset.items]
    assert names == [("a/3.png", 0), ("b/1.JPEG", 1), ("b/2.jpg", 1)]
    image, label = dataset[0]
    assert isinstance(label, int) and label == 0 and isinstance(image, mx.nd.NDArray)
    np.testing.assert_array_equal(image, decoded(JPEGS[0]))
    assert ImageFolderDataset(folder, flag=0)[1][0].shape == (20, 31, 1)
    dataset.items = dataset.items[1:]
    assert [label for _, label in dataset] == [1, 1]
    dataset = ImageFolderDataset(folder, transform=lambda image, label: label + 10)
    assert list(dataset) == [10, 11, 11]
    assert list(pickle.loads(pickle.dumps(ImageFolderDataset(folder))).items)


def test_other_files_are_ignored_with_a_warning(folder: Path) -> None:
    (folder / "notes.txt").write_text("x")
    with pytest.warns(UserWarning, match=r"notes\.txt is ignored: it is not a folder"):
        assert len(ImageFolderDataset(folder)) == 3
    (folder / "notes.txt").unlink()
    (folder / "a" / "x.gif").write_text("x")
    with pytest.warns(UserWarning, match=r"x\.gif is ignored: only \.jpg"):
        assert len(ImageFolderDataset(folder)) == 3


def test_folders_that_are_missing(folder: Path) -> None:
    with pytest.raises(RecordFileNotFoundError, match="is not a folder; it should have a folder"):
        ImageFolderDataset(folder / "x")
    dataset = ImageFolderDataset(folder)
    (folder / "a" / "3.png").unlink()
    with pytest.raises(RecordFileNotFoundError, match=r"3\.png"):
        dataset[0]
    (folder / "a" / "3.png").write_bytes(b"x")
    with pytest.raises(DecodeError, match=r"3\.png: Decoding failed"):
        dataset[0]


@pytest.mark.parametrize("as_file", [False, True])
def test_lists(folder: Path, as_file: bool) -> None:
    items: Any = [[5, "a/3.png"], [[6, 7], "b/2.jpg"], [8, 9, "b/1.JPEG"]]
    if as_file:
        lines = ["1\t5\ta/3.png", "9\t6\t7\tb/2.jpg", "4\t8\t9\tb/1.JPEG"]
        (folder / "x.lst").write_text("\n".join(lines) + "\n")
        items = "x.lst"
    dataset = ImageListDataset(folder, items)
    assert len(dataset) == 3
    assert [label.tolist() for _, label in dataset] == [[5], [6, 7], [8, 9]]
    image, label = dataset[-3]
    assert isinstance(label, mx.nd.NDArray) and label.dtype == np.float32
    np.testing.assert_array_equal(image, decoded(JPEGS[0]))
    assert ImageListDataset(folder, items, flag=0)[0][0].shape[2] == 1
    label[:] = 0
    assert dataset[0][1].tolist() == [5]


def test_wrong_lists(folder: Path) -> None:
    with pytest.raises(ArgumentError, match="imglist must be"):
        ImageListDataset(folder)
    with pytest.raises(ArgumentError, match=r"y\.lst cannot be read"):
        ImageListDataset(folder, "y.lst")
    dataset = ImageListDataset(folder, [[0, "none.jpg"]])
    with pytest.raises(RecordError, match=r"none\.jpg, key 1: the file cannot be read"):
        dataset[0]
    with pytest.raises(IndexError):
        dataset[1]


@pytest.mark.parametrize("flag", [-1, 2, "1"])
def test_wrong_flags(record_file: Path, flag: Any) -> None:
    with pytest.raises(ArgumentError, match="flag must be 1"):
        ImageRecordDataset(record_file, flag)
    with pytest.raises(ArgumentError, match="flag must be 1"):
        ImageFolderDataset(record_file.parent, flag)
