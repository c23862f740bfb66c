"""Tools and writers with a real S3 server: large outputs in parts, overwriting, interrupts."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import RemoteError
from gpuio.recordio import MXIndexedRecordIO
from gpuio.storage.remote import obstore_upload
from gpuio.storage.remote.opening import list_files, open_file
from gpuio.storage.remote.options import RemoteOptions
from tests.io.records import jpeg, write_records
from tests.servers.seaweedfs import SeaweedFS

pytest.importorskip("obstore")

ROOT = Path(__file__).parents[2]
T = mx.tools

# Sends itself a signal when a part is sent, so that no test has to wait for the right moment.
STOPPING = """
import signal, sys
from gpuio.__main__ import main
from gpuio.storage.remote import obstore_upload

obstore_upload.PART = 5 << 20
write, left = obstore_upload.ObstoreUpload.write, [int(sys.argv.pop(1))]

def counting(self, data):
    write(self, data)
    left[0] -= len(data)
    if left[0] < 0:
        left[0] = 1 << 60
        signal.raise_signal(signal.SIGINT)

obstore_upload.ObstoreUpload.write = counting
raise SystemExit(main())
"""


@pytest.fixture
def options(
    s3_server: SeaweedFS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RemoteOptions]:
    monkeypatch.setattr(obstore_upload, "PART", 5 << 20)
    yield RemoteOptions.create(cache_dir=tmp_path / "cache", storage_options=s3_server.options)
    assert s3_server.unfinished() == []


@pytest.fixture
def folder() -> str:
    """The URL of a folder of this test's own."""
    return f"s3://bucket/{secrets.token_hex(4)}"


@pytest.fixture(scope="module")
def rec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of 24 MB."""
    noise = np.random.default_rng(0)
    images = [jpeg(number) + noise.bytes(400_000) for number in range(60)]
    return Path(write_records(tmp_path_factory.mktemp("local") / "x", images)["path_imgrec"])


def content(url: str, options: RemoteOptions) -> bytes:
    return open_file(url, options)[:].tobytes()


def test_large_outputs_are_the_same(
    rec: Path, folder: str, options: RemoteOptions, tmp_path: Path
) -> None:
    """Copied to the server, shuffled there twice, replacing the first one."""
    T.merge([rec], f"{folder}/x.rec", remote=options)
    assert content(f"{folder}/x.rec", options) == rec.read_bytes()
    assert content(f"{folder}/x.idx", options) == rec.with_suffix(".idx").read_bytes()
    for seed in (1, 2):
        T.shuffle(rec, tmp_path / "y.rec", seed=seed)
        T.shuffle(f"{folder}/x.rec", f"{folder}/y.rec", seed=seed, remote=options)
        for name in ("y.rec", "y.idx"):
            assert content(f"{folder}/{name}", options) == (tmp_path / name).read_bytes()
    assert list_files(folder, options) == ["x.idx", "x.rec", "y.idx", "y.rec"]


@pytest.mark.parametrize("sent", [0, 9 << 20, 24_000_000])
def test_an_interrupted_tool_leaves_nothing(
    sent: int, rec: Path, folder: str, options: RemoteOptions, s3_server: SeaweedFS
) -> None:
    """Before, within and after the parts."""
    T.merge([rec], f"{folder}/x.rec", remote=options)
    before = content(f"{folder}/x.rec", options)
    variables = {
        f"AWS_{name.upper()}": str(s3_server.options[name])
        for name in ("access_key_id", "secret_access_key", "region")
    }
    done = subprocess.run(
        [
            sys.executable, "-c", STOPPING, str(sent), "shuffle", f"{folder}/x.rec",
            f"{folder}/y.rec", f"--storage-option=endpoint={s3_server.endpoint}",
            "--storage-option=allow_http=true", f"--cache-dir={options.cache_dir}",
        ],
        cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 130, done.stderr
    assert "interrupted" in done.stderr and "Traceback" not in done.stderr
    assert list_files(folder, options) == ["x.idx", "x.rec"]
    assert content(f"{folder}/x.rec", options) == before


def test_writers(folder: str, options: RemoteOptions, s3_server: SeaweedFS) -> None:
    records = [bytes([number]) * 3_000_000 for number in range(6)]
    arguments = {"storage_options": s3_server.options, "cache_dir": options.cache_dir}
    urls = f"{folder}/x.idx", f"{folder}/x.rec"
    with pytest.raises(ZeroDivisionError), MXIndexedRecordIO(*urls, "w", **arguments) as writer:
        writer.write_idx(0, records[0] * 5)
        raise ZeroDivisionError
    assert list_files(folder, options) == []
    with MXIndexedRecordIO(*urls, "w", **arguments) as writer:
        for key, record in enumerate(records):
            writer.write_idx(key, record)
        assert list_files(folder, options) == []
    with MXIndexedRecordIO(*urls, "r", **arguments) as reader:
        assert [reader.read_idx(key) for key in reader.keys] == records


def test_refused_outputs(rec: Path, folder: str, options: RemoteOptions) -> None:
    stranger = {**options.storage_options, "access_key_id": "nobody"}
    refused = RemoteOptions.create(storage_options=stranger, cache_dir=options.cache_dir)
    with pytest.raises(RemoteError, match=rf"{folder}/y\.(rec|idx).*AWS_ACCESS_KEY_ID"):
        T.shuffle(rec, f"{folder}/y.rec", remote=refused)
