"""What public MXNet code does around its iterators, with only the import changed.

Each test is a short script in the words that such code uses.
"""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.tools.cli import main
from tests.mxnet import datasets, files
from tests.mxnet.files import record_iter

# Subclasses of DataIter


class Plain(mx.io.DataIter):
    """Assigns its descriptions after the base class's constructor, as most do."""

    def __init__(self, batch_size: int) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.provide_data = [("data", (batch_size, 3))]
        self.provide_label = [("softmax_label", (batch_size,))]
        self.cur = 0

    def reset(self) -> None:
        self.cur = 0

    def next(self) -> mx.io.DataBatch:
        if self.cur == 2:
            raise StopIteration
        self.cur += 1
        data, label = mx.nd.empty((self.batch_size, 3)), mx.nd.empty((self.batch_size,))
        for i in range(self.batch_size):
            data[i][:] = i
            label[i][:] = i  # one element
        return mx.io.DataBatch([data], [label], 0)


class Before(Plain):
    """Assigns them before the base class's constructor."""

    def __init__(self, batch_size: int) -> None:
        self.provide_data = [mx.io.DataDesc("data", (batch_size, 3))]
        super().__init__(batch_size)


class Without(Plain):
    """Never calls it."""

    def __init__(self, batch_size: int) -> None:
        self.provide_data = [("data", (batch_size, 3))]
        self.provide_label = [("softmax_label", (batch_size,))]
        self.batch_size, self.cur = batch_size, 0


class Properties(Plain):
    """Has them as properties, like apache/mxnet's image classification example."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size, self.cur = batch_size, 0

    @property
    def provide_data(self) -> list[mx.io.DataDesc]:
        return [mx.io.DataDesc("data", (self.batch_size, 3), np.float32)]

    @property
    def provide_label(self) -> list[mx.io.DataDesc]:
        return [mx.io.DataDesc("softmax_label", (self.batch_size,), np.float32)]


class Wrapper(mx.io.DataIter):
    """Adds a label to another iterator's, through getdata() and its kin."""

    def __init__(self, inner: mx.io.DataIter) -> None:
        super().__init__(inner.batch_size)
        self.inner = inner

    @property
    def provide_data(self) -> Any:
        return self.inner.provide_data

    @property
    def provide_label(self) -> Any:
        return [*self.inner.provide_label, ("extra_label", (self.batch_size,))]

    def reset(self) -> None:
        self.inner.reset()

    def iter_next(self) -> bool:
        return self.inner.iter_next()

    def getdata(self) -> Any:
        return self.inner.getdata()

    def getlabel(self) -> Any:
        return [*self.inner.getlabel(), mx.nd.ones((self.batch_size,))]

    def getpad(self) -> Any:
        return self.inner.getpad()

    def getindex(self) -> Any:
        return self.inner.getindex()


@pytest.mark.parametrize("kind", [Plain, Before, Without, Properties])
def test_subclasses_assign_their_descriptions(kind: type[Plain]) -> None:
    iterator = kind(4)
    assert tuple(iterator.provide_data[0])[:2] == ("data", (4, 3))
    assert tuple(iterator.provide_label[0])[:2] == ("softmax_label", (4,))
    for _ in range(2):
        batches = list(iterator)
        assert [batch.label[0].asnumpy().tolist() for batch in batches] == [[0, 1, 2, 3]] * 2
        iterator.reset()


@pytest.mark.parametrize("kind", [Plain, Without, Properties])
def test_subclasses_in_the_iterators_that_combine(kind: type[Plain]) -> None:
    prefetching = mx.io.PrefetchingIter(kind(4))
    assert tuple(prefetching.provide_data[0])[:2] == ("data", (4, 3))
    assert len(list(prefetching)) == 2
    assert len(list(mx.io.ResizeIter(kind(4), 5))) == 5


def test_wrappers_of_other_iterators() -> None:
    inner = mx.io.NDArrayIter(np.arange(10), np.arange(10), batch_size=4)
    iterator = Wrapper(inner)
    for _ in range(2):
        batches = list(iterator)
        assert [batch.pad for batch in batches] == [0, 0, 2]
        assert batches[1].data[0].asnumpy().tolist() == [4, 5, 6, 7]
        assert [label.shape for label in batches[0].label] == [(4,), (4,)]
        iterator.reset()


# getdata() and getlabel()


def test_cpp_iterators_give_one_array(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "data.csv", np.arange(30).reshape(10, 3), delimiter=",")
    (tmp_path / "data.svm").write_text("".join(f"{row % 2} 0:1 2:{row}\n" for row in range(10)))
    datasets.mnist(tmp_path, 10, 10)
    iterators = [
        record_iter(tmp_path),
        mx.io.CSVIter(data_csv=str(tmp_path / "data.csv"), data_shape=(3,), batch_size=4),
        mx.io.LibSVMIter(data_libsvm=str(tmp_path / "data.svm"), data_shape=(3,), batch_size=4),
        mx.io.MNISTIter(
            image=str(tmp_path / "train-images-idx3-ubyte"),
            label=str(tmp_path / "train-labels-idx1-ubyte"),
            batch_size=4,
        ),
    ]
    for iterator in iterators:
        for batch in iterator:
            data, label = iterator.getdata(), iterator.getlabel()
            np.testing.assert_array_equal(data.asnumpy(), batch.data[0].asnumpy())
            np.testing.assert_array_equal(label.asnumpy(), batch.label[0].asnumpy())
        iterator.reset()
        assert iterator.iter_next()
        assert iterator.getlabel().asnumpy().shape == (4,)


def test_python_iterators_give_lists(tmp_path: Path) -> None:
    iterator = mx.io.NDArrayIter(np.arange(10), np.arange(10), batch_size=4)
    assert iterator.iter_next()
    assert iterator.getdata()[0].asnumpy().tolist() == [0, 1, 2, 3]
    assert iterator.getlabel()[0].asnumpy().tolist() == [0, 1, 2, 3]


# NDArrays


def test_ndarray_under_its_other_names() -> None:
    import gpuio.ndarray as imported
    from gpuio import ndarray
    from gpuio.ndarray import NDArray

    assert NDArray is mx.nd.NDArray
    for module in (imported, ndarray, mx.ndarray):
        assert isinstance(module.ones((2,)), NDArray)
        assert module.concat is mx.nd.concat and module.sparse is mx.nd.sparse


def test_functions_around_iterators(ctx: mx.Context) -> None:
    nd = mx.nd
    x = nd.arange(24, ctx=ctx).reshape((2, 3, 4))
    assert x.context == ctx and x.dtype == np.float32
    expected = np.arange(24, dtype=np.float32).reshape(2, 3, 4)

    def check(result: Any, correct: np.ndarray) -> None:
        assert isinstance(result, nd.NDArray) and result.context == ctx
        np.testing.assert_allclose(result.asnumpy(), correct, rtol=1e-6)

    check(nd.transpose(x, axes=(2, 0, 1)), expected.transpose(2, 0, 1))
    check(nd.concatenate([x, x], axis=0), np.concatenate([expected, expected]))
    check(nd.concat(x, x, dim=1), np.concatenate([expected, expected], 1))
    check(nd.stack(x, x, axis=1), np.stack([expected, expected], 1))
    check(nd.tile(x, reps=(1, 2, 1)), np.tile(expected, (1, 2, 1)))
    check(nd.sum(x, axis=2), expected.sum(2))
    check(nd.mean(x, axis=(0, 1)), expected.mean((0, 1)))
    check(nd.flip(data=x, axis=1), expected[:, ::-1])
    check(nd.expand_dims(x, axis=0), expected[None])
    check(nd.one_hot(nd.array([0, 2], ctx=ctx), 3), np.eye(3)[[0, 2]])
    check(nd.argmax(x, axis=2), expected.argmax(2))
    check(nd.clip(x, 3, 9), expected.clip(3, 9))
    check(nd.slice_axis(x, axis=2, begin=1, end=3), expected[:, :, 1:3])
    check(nd.split(x, num_outputs=2, axis=0)[1], expected[1:])
    check(x.reshape((0, -1)), expected.reshape(2, 12))
    check(x.astype("uint8").astype("float32") / 255, expected / 255)


def test_arrays_saved_and_loaded(tmp_path: Path) -> None:
    path = str(tmp_path / "mean.params")
    mean = mx.nd.array(np.random.default_rng(0).random((3, 8, 8)))
    mx.nd.save(path, {"mean_img": mean})
    assert mx.nd.load(path)["mean_img"].asnumpy().tolist() == mean.asnumpy().tolist()
    mx.nd.save(path, [mean, mean + 1])
    assert len(mx.nd.load(path)) == 2


def test_random_seed_decides_what_has_no_seed() -> None:
    def orders() -> list[Any]:
        mx.random.seed(seed)
        iterator = mx.io.NDArrayIter(np.arange(50), batch_size=50, shuffle=True)
        return [iterator.next().data[0].asnumpy().tolist(), mx.nd.random.uniform(shape=(3,))]

    seed = 7
    (order, numbers), (same, same_numbers) = orders(), orders()
    seed = 8
    other, other_numbers = orders()
    assert order == same != other
    assert numbers.asnumpy().tolist() == same_numbers.asnumpy().tolist()
    assert numbers.asnumpy().tolist() != other_numbers.asnumpy().tolist()


def test_arithmetic_in_place_leaves_the_data_set_alone() -> None:
    data = np.full((8, 3), 255, np.float32)
    iterator = mx.io.NDArrayIter(data, np.arange(8), batch_size=4)
    for _ in range(2):
        for batch in iterator:
            pixels = batch.data[0].asnumpy()
            pixels /= 255
            assert (pixels == 1).all()
            batch.data[0][:] = 0  # a batch is the caller's own
        iterator.reset()
    assert (data == 255).all()


def test_pinned_memory_is_the_host() -> None:
    for pinned in (mx.cpu_pinned(), mx.Context("cpu_pinned", 0)):
        data = mx.nd.array(np.ones((4, 3)), ctx=pinned)
        assert data.asnumpy().tolist() == np.ones((4, 3)).tolist()
        batch = mx.io.NDArrayIter(data, batch_size=2, ctx=pinned).next()
        assert batch.data[0].shape == (2, 3)
    assert {mx.cpu(): 1}[mx.cpu(0)] == 1


# gluon.data


def test_gluon_data(tmp_path: Path) -> None:
    from gpuio import gluon
    from gpuio.gluon.data.vision import transforms

    augment = transforms.Compose(
        [
            transforms.Resize(40),
            transforms.RandomResizedCrop(32),
            transforms.RandomFlipLeftRight(),
            transforms.RandomColorJitter(0.1, 0.1, 0.1),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    folders = gluon.data.vision.ImageFolderDataset(str(files.class_folders(tmp_path / "images")))
    assert folders.synsets == ["cat", "dog"] and len(folders) == 10
    records = gluon.data.vision.ImageRecordDataset(files.images(tmp_path)["path_imgrec"])
    assert len(records) == 10 and records[4][0].shape == (90, 104, 3) and records[4][1] == 1
    raw = gluon.data.RecordFileDataset(files.images(tmp_path)["path_imgrec"])
    assert mx.recordio.unpack(raw[4])[0].id == 4
    for dataset in (folders, records):
        loader = gluon.data.DataLoader(
            dataset.transform_first(augment), batch_size=4, shuffle=True, num_workers=2
        )
        sizes = [(data.shape, label.shape) for data, label in loader]
        assert sizes == [((4, 3, 32, 32), (4,))] * 2 + [((2, 3, 32, 32), (2,))]


@pytest.mark.parametrize("name", ["data_shape", "input_shape"])
def test_mnist_with_a_shape(name: str, tmp_path: Path) -> None:
    datasets.mnist(tmp_path, 10, 10)
    iterator = mx.io.MNISTIter(
        image=str(tmp_path / "train-images-idx3-ubyte"),
        label=str(tmp_path / "train-labels-idx1-ubyte"),
        batch_size=5,
        flat=True,
        silent=False,
        **{name: (784,)},
    )
    assert iterator.provide_data[0].shape == (5, 784)
    assert len(list(iterator)) == 2


# Records and images


def test_keys_are_a_list(tmp_path: Path) -> None:
    paths = files.images(tmp_path)
    record = mx.recordio.MXIndexedRecordIO(paths["path_imgidx"], paths["path_imgrec"], "r")
    keys = list(record.keys)
    random.shuffle(record.keys)
    assert isinstance(record.keys, list) and sorted(record.keys) == keys == list(range(10))
    labels = [mx.recordio.unpack(record.read_idx(key))[0].label for key in record.keys]
    assert labels == [key % 3 for key in record.keys]


def test_results_are_written_into_out(ctx: mx.Context) -> None:
    image = mx.nd.array(np.arange(48).reshape(4, 4, 3), dtype="uint8", ctx=ctx)
    out = mx.nd.zeros((8, 6, 3), dtype="uint8", ctx=ctx)
    assert mx.image.imresize(image, 6, 8, out=out) is out
    np.testing.assert_array_equal(out.asnumpy(), mx.image.imresize(image, 6, 8).asnumpy())
    out = mx.nd.zeros((6, 8, 3), dtype="uint8", ctx=ctx)
    assert mx.image.copyMakeBorder(image, 1, 1, 2, 2, out=out) is out
    np.testing.assert_array_equal(out.asnumpy()[1:5, 2:6], image.asnumpy())


# The command line


def test_the_tutorials_own_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files.class_folders(tmp_path / "data" / "101_ObjectCategories")
    common = ["data/caltech", "data/101_ObjectCategories"]
    flags = ["--list=1", "--recursive=1", "--shuffle=1", "--test-ratio=0.2"]
    assert main(["im2rec", *flags, *common]) == 0
    lists = {path.stem: path.read_text().splitlines() for path in Path("data").glob("*.lst")}
    assert {name: len(lines) for name, lines in lists.items()} == {
        "caltech_train": 8,
        "caltech_test": 2,
    }
    assert main(["im2rec", "--num-thread=4", "--pass-through=1", *common]) == 0
    iterator = mx.io.ImageRecordIter(
        path_imgrec="data/caltech_train.rec", data_shape=(3, 40, 40), batch_size=4
    )
    assert len(list(iterator)) == 2
    assert Path("data/caltech_test.idx").read_text().count("\n") == 2


def test_list_true(tmp_path: Path) -> None:
    folder = files.class_folders(tmp_path / "images")
    prefix = str(tmp_path / "some")
    assert main(["im2rec", "--list", "True", "--recursive", "True", prefix, str(folder)]) == 0
    assert len(Path(prefix + ".lst").read_text().splitlines()) == 10
