"""Uploads: visible when they are complete, and nothing is left of others."""

import signal
import sys
import threading

import numpy as np
import pytest

from gpuio.errors import ArgumentError, RemoteError
from gpuio.storage.remote import obstore_upload
from gpuio.storage.remote.obstore_store import ObstoreStore
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.url import parse_url
from tests.servers import faulty as faults
from tests.servers.faulty import FaultyServer

pytest.importorskip("obstore")

MIB = 1 << 20
DATA = np.random.default_rng(1).bytes(17 * MIB)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(obstore_upload, "PART", 5 * MIB)


def open_s3(server: FaultyServer, retries: int = 0, timeout: float = 20.0) -> ObstoreStore:
    options = RemoteOptions.create(
        storage_options=server.s3_options, retries=retries, timeout=timeout
    )
    return ObstoreStore(parse_url("s3://bucket/a"), options)


def check_parts(server: FaultyServer, caplog: pytest.LogCaptureFixture) -> None:
    """No parts are left. obstore 0.11, the last for Python 3.10, may leave some, which is said."""
    if server.uploads:
        assert sys.version_info < (3, 11)
        assert "parts of it may be left" in caplog.text


@pytest.mark.parametrize("size", [0, 1, 5 * MIB, 5 * MIB + 1, 17 * MIB])
@pytest.mark.parametrize("piece", [3 * MIB + 7, 40 * MIB])
def test_an_object_appears_when_it_is_complete(faulty: FaultyServer, size: int, piece: int) -> None:
    faulty.put("bucket/a", b"old")
    upload = open_s3(faulty).upload("a")
    for begin in range(0, size, piece):
        upload.write(memoryview(DATA)[begin : min(begin + piece, size)])
    assert faulty.objects["bucket/a"].data == b"old"
    upload.complete()
    assert faulty.objects["bucket/a"].data == DATA[:size]
    upload.complete()
    upload.abort()
    assert faulty.objects["bucket/a"].data == DATA[:size] and not faulty.uploads
    with pytest.raises(ValueError, match="has ended"):
        upload.write(b"x")


@pytest.mark.parametrize("size", [0, 1, 17 * MIB])
def test_nothing_is_left_of_a_dropped_upload(faulty: FaultyServer, size: int) -> None:
    upload = open_s3(faulty).upload("a")
    upload.write(DATA[:size])
    upload.abort()
    upload.abort()
    assert not faulty.objects and not faulty.uploads
    with pytest.raises(ValueError, match="has ended"):
        upload.complete()


def test_what_cannot_be_dropped_is_logged(
    faulty: FaultyServer, caplog: pytest.LogCaptureFixture
) -> None:
    upload = open_s3(faulty).upload("a")
    upload.write(DATA[: 6 * MIB])
    faulty.always = "403 AccessDenied"
    upload.abort()
    assert "parts of it may be left" in caplog.text


@pytest.mark.parametrize("at", range(6))
def test_a_failed_upload_is_an_error_and_leaves_nothing(
    faulty: FaultyServer, at: int, caplog: pytest.LogCaptureFixture
) -> None:
    faulty.faults.extend([None] * at + ["403 AccessDenied"])
    upload = open_s3(faulty).upload("a")
    with pytest.raises(RemoteError, match=r"s3://bucket/a: the server refuses access \(403"):
        upload.write(DATA)
        upload.complete()
    upload.abort()
    assert not faulty.objects
    check_parts(faulty, caplog)


def test_requests_of_uploads_are_repeated(faulty: FaultyServer) -> None:
    faulty.every = (3, "503")
    upload = open_s3(faulty, retries=20).upload("a")
    upload.write(DATA[: 6 * MIB])
    upload.complete()
    assert faulty.objects["bucket/a"].data == DATA[: 6 * MIB]


def test_other_layouts_of_bytes(faulty: FaultyServer) -> None:
    upload = open_s3(faulty).upload("a")
    upload.write(memoryview(np.arange(6, dtype=np.uint16).reshape(2, 3)))  # type: ignore[arg-type]
    upload.complete()
    assert faulty.objects["bucket/a"].data == np.arange(6, dtype=np.uint16).tobytes()


def test_an_interrupted_upload_can_be_dropped(
    faulty: FaultyServer, caplog: pytest.LogCaptureFixture
) -> None:
    faulty.faults.extend([None, faults.HANG])
    upload = open_s3(faulty).upload("a")
    main = threading.get_ident()

    def interrupt() -> None:
        faulty.waiting.wait()
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        upload.write(DATA[: 6 * MIB])
        upload.complete()
    thread.join()
    faulty.released.set()
    upload.abort()
    assert not faulty.objects
    check_parts(faulty, caplog)


def test_a_bucket_is_no_object(faulty: FaultyServer) -> None:
    with pytest.raises(ArgumentError, match=r"is the URL of a folder|has an empty part"):
        open_s3(faulty).upload("")


def test_parts_grow_with_the_expected_size(
    faulty: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that there are not more of them than a store takes."""
    monkeypatch.setitem(obstore_upload.MOST_PARTS, "s3", 2)
    upload = open_s3(faulty).upload("a", expected=len(DATA))
    upload.write(DATA)
    upload.complete()
    assert faulty.objects["bucket/a"].data == DATA
    assert faulty.requests["PUT bucket/a"] == 2


def test_an_object_that_becomes_too_large(
    faulty: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(obstore_upload.MOST_PARTS, "s3", 3)
    upload = open_s3(faulty).upload("a")
    upload.write(DATA[: 15 * MIB])
    words = r"s3://bucket/a cannot be written: .* larger than 15728640 bytes.* several files"
    with pytest.raises(RemoteError, match=words):
        upload.write(b"x")
    upload.abort()
    assert not faulty.objects and not faulty.uploads
