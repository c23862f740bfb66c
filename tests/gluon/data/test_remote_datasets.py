"""Datasets of Gluon and PyTorch over a server's files."""

import pickle
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import (
    ArgumentError,
    DataFileError,
    DataFileNotFoundError,
    DecodeError,
    FileChangedError,
    RecordError,
    RecordFileNotFoundError,
    RemoteError,
    UnsupportedError,
)
from gpuio.storage.remote.fetch import fetcher
from tests.gluon.faces import write_faces
from tests.io.records import jpeg, write_records
from tests.io.threads import eventually
from tests.remote_files import remote_arguments, upload
from tests.servers.faulty import FaultyServer

vision = mx.gluon.data.vision
IMAGES = [jpeg(number, 32, 24) for number in range(5)]

Arguments = dict[str, Any]


@pytest.fixture
def remote(faulty: FaultyServer, tmp_path: Path) -> Iterator[Arguments]:
    write_records(tmp_path / "x", IMAGES)
    upload(faulty, {name: tmp_path / name for name in ("x.rec", "x.idx")})
    yield remote_arguments(faulty, tmp_path / "cache")
    assert eventually(lambda: not fetcher().threads)


def same(one: Any, other: Any) -> bool:
    return len(one) == len(other) and all(
        np.array_equal(np.asarray(image), np.asarray(expected))
        and np.array_equal(np.asarray(label), np.asarray(number))
        for (image, label), (expected, number) in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("index", [True, False])
def test_record_files(remote: Arguments, faulty: FaultyServer, tmp_path: Path, index: bool) -> None:
    if not index:
        (tmp_path / "x.idx").unlink()
        del faulty.objects["bucket/x.idx"]
    local = vision.ImageRecordDataset(tmp_path / "x.rec")
    dataset = vision.ImageRecordDataset("s3://bucket/x.rec", **remote)
    assert same(dataset, local) and same(pickle.loads(pickle.dumps(dataset)), local)
    assert (dataset.filename, dataset.idx_file) == ("s3://bucket/x.rec", "s3://bucket/x.idx")
    raw = mx.gluon.data.RecordFileDataset("s3://bucket/x.rec", **remote)
    assert raw[3] == mx.gluon.data.RecordFileDataset(tmp_path / "x.rec")[3]
    loaded = list(mx.gluon.data.DataLoader(dataset, 2, num_workers=2))
    assert len(loaded) == 3


def test_a_signed_url_has_no_index(remote: Arguments, faulty: FaultyServer, tmp_path: Path) -> None:
    faulty.put("x.rec", (tmp_path / "x.rec").read_bytes())
    url = f"{faulty.url}/x.rec?signature=secret"
    dataset = vision.ImageRecordDataset(url, cache_dir=remote["cache_dir"])
    assert same(dataset, vision.ImageRecordDataset(tmp_path / "x.rec"))
    with pytest.raises(UnsupportedError, match="ImageRecordDataset cannot be pickled or copied"):
        pickle.dumps(dataset)
    assert dataset.idx_file.endswith(".idx") and "secret" not in dataset.filename + dataset.idx_file
    assert not any(".idx" in name for name in faulty.requests)


def test_a_sample_is_one_request(remote: Arguments, faulty: FaultyServer) -> None:
    dataset = vision.ImageRecordDataset("s3://bucket/x.rec", **remote)
    requests = faulty.requests["GET bucket/x.rec"]
    dataset[4]
    assert faulty.requests["GET bucket/x.rec"] <= requests + 1


def test_faces(remote: Arguments, faulty: FaultyServer, tmp_path: Path) -> None:
    write_faces(tmp_path / "f", IMAGES[:4])
    upload(faulty, {name: tmp_path / name for name in ("f.rec", "f.idx")})
    dataset = vision.ImageRecordDataset("s3://bucket/f.rec", **remote)
    assert same(dataset, vision.ImageRecordDataset(tmp_path / "f.rec"))


def test_folders(remote: Arguments, faulty: FaultyServer, tmp_path: Path) -> None:
    """Sorted as local ones are, although stores sort their keys otherwise."""
    names = ["cat/1.jpg", "cat/0.PNG", "cat-big/2.jpeg", "dog/3.jpg", "dog/notes.txt", "top.jpg",
             "dog/deeper/4.jpg"]  # fmt: skip
    for number, name in enumerate(names):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(IMAGES[number % 5])
        faulty.put(f"bucket/images/{name}", IMAGES[number % 5])
    faulty.put("bucket/images-2/cat/9.jpg", IMAGES[0])

    def opened(root: Any, **options: Any) -> tuple[Any, list[str]]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            dataset = vision.ImageFolderDataset(root, **options)
        return dataset, [str(each.message).replace(str(root), "") for each in caught]

    local, ignored = opened(tmp_path / "images")
    requests = faulty.total()
    dataset, also = opened("s3://bucket/images", **remote)
    assert dataset.synsets == local.synsets == ["cat", "cat-big", "dog"]
    assert [url.replace("s3://bucket/", f"{tmp_path}/") for url, _ in dataset.items] == [
        path for path, _ in local.items
    ]
    assert sorted(also) == sorted(ignored) and len(also) == 3
    assert faulty.requests.keys() == {"GET bucket"} | faulty.requests.keys() - {"GET bucket"}
    assert not any("images/" in name for name in faulty.requests)  # no image was read
    assert same(dataset, local) and same(pickle.loads(pickle.dumps(dataset)), local)
    assert faulty.total() > requests
    with pytest.raises(RecordFileNotFoundError, match="s3://bucket/none is not a folder"):
        vision.ImageFolderDataset("s3://bucket/none", **remote)
    faulty.put("bucket/images/cat/1.jpg", b"no image")
    with pytest.raises(DecodeError, match=r"s3://bucket/images/cat/1\.jpg: "):
        opened("s3://bucket/images", **remote)[0][1]
    with pytest.raises(UnsupportedError, match="web servers"):
        vision.ImageFolderDataset(f"{faulty.url}/images", cache_dir=remote["cache_dir"])


@pytest.mark.parametrize("of_file", [True, False])
def test_lists(remote: Arguments, faulty: FaultyServer, tmp_path: Path, of_file: bool) -> None:
    lines = []
    for number, image in enumerate(IMAGES):
        (tmp_path / f"{number}.jpg").write_bytes(image)
        faulty.put(f"bucket/in/{number}.jpg", image)
        lines.append(f"{number}\t{number}.5\t{number}.jpg\n")
    (tmp_path / "x.lst").write_text("".join(lines))
    upload(faulty, {"in/x.lst": tmp_path / "x.lst"})
    items: Any = "x.lst" if of_file else [[number + 0.5, f"{number}.jpg"] for number in range(5)]
    local = vision.ImageListDataset(tmp_path, items)
    dataset = vision.ImageListDataset("s3://bucket/in", items, **remote)
    assert same(dataset, local) and same(pickle.loads(pickle.dumps(dataset)), local)
    items = [[number + 0.5, f"s3://bucket/in/{number}.jpg"] for number in range(5)]
    assert same(vision.ImageListDataset(tmp_path, items, **remote), local)
    if of_file:
        url = "s3://bucket/in/x.lst"
        assert same(vision.ImageListDataset(tmp_path, url, **remote), local)
        with pytest.raises(ArgumentError, match=r"s3://bucket/in/y\.lst cannot be read"):
            vision.ImageListDataset("s3://bucket/in", "y.lst", **remote)
    del faulty.objects["bucket/in/2.jpg"]
    with pytest.raises(RecordError, match=r"s3://bucket/in/2\.jpg, key .* does not exist"):
        vision.ImageListDataset("s3://bucket/in", [[0, "2.jpg"]], **remote)[0]


def test_pytorch(remote: Arguments, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from gpuio.torch import RecordDataset

    url = {"path_imgrec": "s3://bucket/x.rec", "path_imgidx": "s3://bucket/x.idx"}
    local = RecordDataset(tmp_path / "x.rec", tmp_path / "x.idx")
    dataset = RecordDataset(**url, **remote)
    assert same(dataset, local) and "s3://bucket/x.rec: 5 images" in repr(dataset)
    loader = torch.utils.data.DataLoader(dataset, 2, num_workers=1, multiprocessing_context="spawn")
    found = [label for _, labels in loader for label in labels.tolist()]
    assert found == [0, 1, 2, 3, 4]


def test_forked_workers_say_what_to_do(remote: Arguments) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from gpuio.torch import RecordDataset

    dataset = RecordDataset("s3://bucket/x.rec", "s3://bucket/x.idx", **remote)
    loader = torch.utils.data.DataLoader(dataset, 2, num_workers=1, multiprocessing_context="fork")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python and JAX warn of threads and forks
        with pytest.raises(mx.MXNetError, match="start method 'spawn' or 'forkserver'"):
            list(loader)


@pytest.mark.parametrize("kind", ["ImageRecordDataset", "RecordDataset"])
def test_a_changed_file_and_a_refusal(remote: Arguments, faulty: FaultyServer, kind: str) -> None:
    if kind == "RecordDataset":
        pytest.importorskip("torch", reason="PyTorch is not installed")
        from gpuio.torch import RecordDataset

        dataset: Any = RecordDataset("s3://bucket/x.rec", "s3://bucket/x.idx", **remote)
    else:
        dataset = vision.ImageRecordDataset("s3://bucket/x.rec", **remote)
    Path(remote["cache_dir"]).rename(Path(remote["cache_dir"]).with_name("lost"))
    faulty.always = "403 AccessDenied"
    with pytest.raises(RemoteError, match=r"s3://bucket/x\.rec"):
        dataset[0]
    faulty.always = None
    faulty.put("bucket/x.rec", faulty.objects["bucket/x.rec"].data + b"....")
    with pytest.raises(FileChangedError, match=r"s3://bucket/x\.rec has changed"):
        dataset[0]


def test_files_of_arrays(
    remote: Arguments, faulty: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPUIO_CACHE_DIR", remote["cache_dir"])
    arrays = {"a": mx.nd.arange(100_000), "b": mx.nd.ones((2, 3), dtype="uint8")}
    mx.nd.save(str(tmp_path / "x.params"), arrays)
    faulty.put("x.params", (tmp_path / "x.params").read_bytes())
    found = mx.nd.load(f"{faulty.url}/x.params")
    assert isinstance(found, dict) and found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name].asnumpy(), array.asnumpy())
    with pytest.raises(DataFileNotFoundError, match=r"/none\.params does not exist"):
        mx.nd.load(f"{faulty.url}/none.params?signature=secret")
    faulty.put("x.params", b"nothing of the kind")
    with pytest.raises(DataFileError, match=r"/x\.params is not a file of arrays") as raised:
        mx.nd.load(f"{faulty.url}/x.params?signature=secret")
    assert "secret" not in str(raised.value)


def test_single_images_are_read_from_this_machine(faulty: FaultyServer) -> None:
    with pytest.raises(UnsupportedError, match="of this machine, not the URL s3://bucket/x"):
        mx.image.imread("s3://bucket/x.jpg")


@pytest.mark.parametrize(
    "call",
    [
        lambda: mx.io.ImageRecordIter(path_imgrec="s3://b/x", data_shape=(3, 8, 8), batch_size=2),
        lambda: mx.image.ImageIter(2, (3, 8, 8), imglist=[[0, "x.jpg"]], path_root="s3://b"),
        lambda: mx.io.CSVIter(data_csv="s3://b/x", data_shape=2, batch_size=2),
        lambda: mx.io.MNISTIter(image="s3://b/x", label="s3://b/y"),
        lambda: mx.recordio.MXRecordIO("s3://b/x", "r"),
        lambda: vision.ImageFolderDataset("s3://b/x"),
    ],
)
def test_without_the_package(
    faulty: FaultyServer, call: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ImportError, match=r"s3://b.*: .* pip install 'gpuio\[remote\]'"):
        call()
