"""The examples in docstrings run, and give what they show."""

import doctest
import importlib
import io
import math
import pkgutil
import struct
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import gpuio as mx
from gpuio.gluon.data import batchify
from gpuio.gluon.data.vision import transforms

# Modules whose examples need a package.
NEEDS = {
    "gpuio.torch": "torch",
    "gpuio.torch_records": "torch",
    "gpuio.jax": "jax",
    "gpuio.ray": "ray",
    "gpuio.ray_records": "ray",
}

# A shared library, and programs.
NO_MODULES = {"gpuio.libgpuio_native", "gpuio.__main__", "gpuio.tools.im2rec"}


def _examples() -> Iterator[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    for found in pkgutil.walk_packages(mx.__path__, "gpuio."):
        if found.name in NO_MODULES:
            continue
        needed = NEEDS.get(found.name)
        if needed and find_spec(needed) is None:
            continue
        module = importlib.import_module(found.name)
        yield from (each for each in finder.find(module, found.name) if each.examples)


EXAMPLES = list(_examples())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that examples name."""
    folder: Path = tmp_path_factory.mktemp("examples")
    mx.tools.make_samples(folder / "folder" / "of" / "photos")
    mx.tools.make_samples(folder / "photos", per_class=1)
    mx.tools.make_list(folder / "train", folder / "photos", recursive=True)
    jpeg = (folder / "photos" / "cat" / "cat-00.jpg").read_bytes()
    for name in ("images/a.jpg", "images/b.jpg", "101_ObjectCategories/accordion/image_0001.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(jpeg)
    # A header of 2 numbers, and one object of 5: class and box.
    for name, label in (("train", 0), ("objects", [2, 5, 0, 0.2, 0.2, 0.8, 0.8])):
        files = folder / f"{name}.idx", folder / f"{name}.rec"
        with mx.recordio.MXIndexedRecordIO(*files, "w") as records:
            for key in range(128):
                header = mx.recordio.IRHeader(0, label, key, 0)
                records.write_idx(key, mx.recordio.pack(header, jpeg))
    np.savetxt(folder / "train.csv", np.zeros((5, 100)), delimiter=",", fmt="%d")
    np.savetxt(folder / "labels.csv", np.zeros(5), fmt="%d")
    (folder / "mnist").mkdir()
    for name, shape in (("images-idx3", (6, 28, 28)), ("labels-idx1", (6,))):
        head = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
        (folder / "mnist" / f"train-{name}-ubyte").write_bytes(head + bytes(math.prod(shape)))
    return folder


@pytest.fixture
def names(folder: Path) -> dict[str, object]:
    """What examples take as given."""
    image = mx.nd.zeros((224, 224, 3), dtype="uint8")
    images, labels = np.zeros((40, 8, 8, 3), np.uint8), np.arange(40) % 10
    dataset = mx.gluon.data.ArrayDataset(images, labels)
    return {
        "mx": mx,
        "gpuio": mx,
        "np": np,
        "gluon": mx.gluon,
        "transforms": transforms,
        "batchify": batchify,
        "image": image,
        "images": images,
        "labels": labels,
        "dataset": dataset,
        "pixels": mx.io.NDArrayIter(images, None, 8),
        "photographs": mx.io.NDArrayIter(images, labels, 8),
        "drawings": mx.io.NDArrayIter(images, labels, 8),
        "captions": mx.io.NDArrayIter(labels, None, 8),
        "lengths": labels,
        "augment": None,
        "train": mx.io.NDArrayIter(images, labels, 8),
        "model": lambda images: images,
        "criterion": lambda outputs, labels: 0.0,
        "state": None,
        "step": lambda state, images, labels: state,
        "loader": mx.gluon.data.DataLoader(dataset, 8),
        "world_size": 2,
        "rank": 0,
    }


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: each.name)
def test_example(
    example: doctest.DocTest,
    folder: Path,
    names: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    needed = NEEDS.get(example.globs["__name__"])
    if needed:
        names[needed] = importlib.import_module(needed)
    example.globs = {**names, **example.globs}
    output = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(example, out=output.write)
    assert not output.getvalue(), output.getvalue()
