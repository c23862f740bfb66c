"""What iterators and arrays write to URLs: mean images, quarantine lists, files of arrays."""

from pathlib import Path

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, RemoteError, UnsupportedError
from tests.io.records import RUNS, jpeg, write_records
from tests.remote_files import remote_arguments, upload
from tests.servers.faulty import FaultyServer

pytest.importorskip("obstore")


def test_mean_images_and_quarantine_lists(faulty: FaultyServer, tmp_path: Path) -> None:
    paths = write_records(tmp_path / "x", [jpeg(0), b"no image", jpeg(2), jpeg(3)])
    upload(faulty, {path.name: path for path in paths.values()})
    remote = remote_arguments(faulty, tmp_path / "cache")
    found = []
    for folder, arguments in ((str(tmp_path), {}), ("s3://bucket", remote)):
        iterator = mx.io.ImageRecordIter(
            path_imgrec=f"{folder}/x.rec", path_imgidx=f"{folder}/x.idx",
            mean_img=f"{folder}/mean.nd", data_shape=(3, 8, 8), batch_size=2, on_error="skip",
            verbose=False, **RUNS["host"], **arguments,
        )  # fmt: skip
        found.append([batch.data[0].asnumpy() for batch in iterator])
        assert iterator.write_quarantine(f"{folder}/bad.tsv") == 1
    np.testing.assert_array_equal(found[0], found[1])
    for name in ("mean.nd", "bad.tsv"):
        assert faulty.objects[f"bucket/{name}"].data == (tmp_path / name).read_bytes()
    with pytest.raises(UnsupportedError, match="web servers take no files"):
        mx.io.ImageRecordIter(
            path_imgrec=paths["path_imgrec"],
            mean_img=f"{faulty.url}/none.nd",
            data_shape=(3, 8, 8),
            batch_size=2,
        )


def test_arrays(faulty: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the environment says how to reach the store, as MXNet had it."""
    monkeypatch.setenv("GPUIO_CACHE_DIR", str(tmp_path / "cache"))
    for name, value in faulty.s3_options.items():
        monkeypatch.setenv(f"AWS_{name.upper()}", str(value).lower())
    arrays = {"a": mx.nd.arange(5), "b": mx.nd.ones((2, 3))}
    mx.nd.save(str(tmp_path / "x.params"), arrays)
    mx.nd.save("s3://bucket/x.params", arrays)
    assert faulty.objects["bucket/x.params"].data == (tmp_path / "x.params").read_bytes()
    back = mx.nd.load("s3://bucket/x.params")
    assert isinstance(back, dict) and (back["b"].asnumpy() == 1).all()
    with pytest.raises(ArgumentError):
        mx.nd.save("s3://bucket/", arrays)
    faulty.always = "403 AccessDenied"
    with pytest.raises(RemoteError, match=r"s3://bucket/y\.params"):
        mx.nd.save("s3://bucket/y.params", arrays)
