"""RecordDataset: record files in PyTorch's own DataLoader."""

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import gpuio as mx
import gpuio.torch
from gpuio.errors import ArgumentError, DecodeError, RecordError, RecordFileNotFoundError
from gpuio.recordio.quarantine import Entry, write_quarantine
from tests.gluon.faces import write_faces
from tests.io.records import jpeg, write_records

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

JPEGS = [jpeg(number, 32, 24) for number in range(6)]
PIXELS = [mx.image.imdecode(content).asnumpy() for content in JPEGS]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return write_records(tmp_path / "x", JPEGS)


def double(image: Any) -> Any:
    """At module level, so that it can be pickled."""
    return image.float() * 2


def test_samples_are_tensors_and_classes(files: dict[str, Path]) -> None:
    dataset = gpuio.torch.RecordDataset(**files)
    assert isinstance(dataset, torch.utils.data.Dataset)
    assert len(dataset) == 6
    for number, (image, label) in enumerate(dataset):
        assert image.dtype == torch.uint8 and image.shape == (3, 24, 32) and image.is_contiguous()
        np.testing.assert_array_equal(image.permute(1, 2, 0), PIXELS[number])
        assert label == number and isinstance(label, int)
    assert repr(dataset) == f"RecordDataset({files['path_imgrec']}: 6 images)"


def test_outputs(files: dict[str, Path]) -> None:
    array, _ = gpuio.torch.RecordDataset(files["path_imgrec"], output="numpy")[1]
    assert type(array) is np.ndarray
    np.testing.assert_array_equal(array, PIXELS[1])
    array[:] = 0  # it is the caller's
    image, _ = gpuio.torch.RecordDataset(**files, output="pil")[1]
    assert isinstance(image, Image.Image) and image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(image), PIXELS[1])
    assert gpuio.torch.RecordDataset(**files, color=False)[1][0].shape == (1, 24, 32)
    assert gpuio.torch.RecordDataset(**files, color=False, output="pil")[1][0].mode == "L"


def test_transforms(files: dict[str, Path]) -> None:
    dataset = gpuio.torch.RecordDataset(
        **files, transform=double, target_transform=lambda label: -label
    )
    image, label = dataset[3]
    np.testing.assert_array_equal(image.permute(1, 2, 0), PIXELS[3] * np.float32(2))
    assert label == -3


# In a process of its own: forking one with threads of other libraries warns, or may hang.
WORKERS = """
import sys
import numpy as np
import torch
import gpuio.torch

def double(image):
    return image.float() * 2

if __name__ == "__main__":
    path, method = sys.argv[1:]
    dataset = gpuio.torch.RecordDataset(path + ".rec", path + ".idx", transform=double)
    expected = torch.stack([image for image, _ in dataset])
    loader = torch.utils.data.DataLoader(
        dataset, 2, num_workers=2, multiprocessing_context=method, persistent_workers=True
    )
    for _ in range(2):
        images, labels = map(torch.cat, zip(*loader, strict=True))
        assert torch.equal(images, expected)
        assert labels.dtype == torch.int64 and labels.tolist() == list(range(6))
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers(files: dict[str, Path], tmp_path: Path, method: str) -> None:
    script = tmp_path / "workers.py"
    script.write_text(WORKERS)
    environment = {**os.environ, "PYTHONPATH": str(Path(mx.__file__).parents[1])}
    command = [sys.executable, script, files["path_imgrec"].with_suffix(""), method]
    subprocess.run(command, check=True, timeout=200, env=environment)


def test_batches(files: dict[str, Path]) -> None:
    dataset = gpuio.torch.RecordDataset(**files)
    ((images, labels),) = torch.utils.data.DataLoader(dataset, 6)
    np.testing.assert_array_equal(images.permute(0, 2, 3, 1), np.stack(PIXELS))
    assert labels.dtype == torch.int64 and labels.tolist() == list(range(6))


def test_pickled_by_path(files: dict[str, Path]) -> None:
    pickled = pickle.dumps(gpuio.torch.RecordDataset(**files))
    assert len(pickled) < 600
    copied = pickle.loads(pickled)
    assert len(copied) == 6 and copied[2][1] == 2


def test_shuffling_subsets_and_sums(files: dict[str, Path]) -> None:
    dataset = gpuio.torch.RecordDataset(**files)
    loader = torch.utils.data.DataLoader(dataset, 6, shuffle=True)
    assert sorted(next(iter(loader))[1].tolist()) == list(range(6))
    first, second = torch.utils.data.random_split(dataset, [4, 2])
    assert len(first) == 4 and len(first + second) == 6


def test_face_files_give_identities(tmp_path: Path) -> None:
    faces = write_faces(tmp_path / "faces", JPEGS[:4])
    for index in (faces.with_suffix(".idx"), None):
        dataset = gpuio.torch.RecordDataset(faces, index)
        assert [label for _, label in dataset] == [0, 1, 0, 1]
        np.testing.assert_array_equal(dataset[3][0].permute(1, 2, 0), PIXELS[3])
    whole = gpuio.torch.RecordDataset(faces, label_width=None)[1][1]
    assert whole.dtype == torch.int64 and whole.tolist() == [1, 0]


def test_labels(tmp_path: Path) -> None:
    labels = [[1, 2.5, 3], 0.25, [4, 5]]
    files = write_records(tmp_path / "x", JPEGS[:3], labels)
    dataset = gpuio.torch.RecordDataset(**files)
    assert dataset[0][1] == 1
    with pytest.raises(RecordError, match=r'key 10.*\[0\.25\] is not an integer.*"float"'):
        dataset[1]
    dataset = gpuio.torch.RecordDataset(**files, label_dtype="float")
    assert dataset[1][1] == 0.25 and isinstance(dataset[0][1], float)
    dataset = gpuio.torch.RecordDataset(**files, label_width=2, label_dtype="float")
    assert dataset[0][1].tolist() == [1, 2.5] and dataset[0][1].dtype == torch.float32
    with pytest.raises(RecordError, match=r"key 10.*has 1 numbers, label_width asks for 2"):
        dataset[1]
    dataset = gpuio.torch.RecordDataset(**files, label_width=None, label_dtype="float")
    assert [label.tolist() for _, label in dataset] == [labels[0], [0.25], labels[2]]


def test_several_files(tmp_path: Path) -> None:
    for name in "ab":
        write_records(tmp_path / name, JPEGS[:2])
    dataset = gpuio.torch.RecordDataset(tmp_path)
    assert [label for _, label in dataset] == [0, 1, 0, 1]
    assert len(gpuio.torch.RecordDataset([tmp_path / "a.rec", tmp_path / "b.rec"])) == 4


def test_quarantine_and_bad_records(tmp_path: Path) -> None:
    files = write_records(tmp_path / "x", [JPEGS[0], b"text", JPEGS[2]])
    dataset = gpuio.torch.RecordDataset(**files)
    with pytest.raises(DecodeError, match=r"x\.rec, key 10, byte (\d+): Decoding failed") as raised:
        dataset[1]
    offset = int(str(raised.value).split("byte ")[1].split(":")[0])
    write_quarantine(tmp_path / "bad.tsv", [Entry("x.rec", offset, 10, "text")])
    dataset = gpuio.torch.RecordDataset(**files, quarantine=tmp_path / "bad.tsv")
    assert [label for _, label in dataset] == [0, 2]
    assert len(pickle.loads(pickle.dumps(dataset))) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output": "jpeg"}, "output must be 'tensor', 'numpy' or 'pil'"),
        ({"color": 2}, "color must be True or False"),
        ({"label_width": 0}, "label_width must be at least 1"),
        ({"label_dtype": "int64"}, "label_dtype must be 'int' or 'float'"),
    ],
)
def test_wrong_arguments(files: dict[str, Path], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        gpuio.torch.RecordDataset(**files, **options)


def test_wrong_files_and_indices(files: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(RecordFileNotFoundError, match=r"y\.rec does not exist"):
        gpuio.torch.RecordDataset(tmp_path / "y.rec")
    (tmp_path / "empty.rec").write_bytes(b"")
    with pytest.raises(ArgumentError, match=r"empty\.rec: there are no images"):
        gpuio.torch.RecordDataset(tmp_path / "empty.rec")
    dataset = gpuio.torch.RecordDataset(**files)
    assert dataset[-1][1] == 5
    with pytest.raises(IndexError, match="index 6 of a dataset of 6 images"):
        dataset[6]
    with pytest.raises(TypeError):
        dataset[1:2]
