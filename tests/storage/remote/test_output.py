"""Objects that are written: visible when complete, else not at all; memory, forks, interrupts."""

import gc
import io
import json
import logging
import signal
import threading
from collections.abc import Callable

import numpy as np
import pytest

from gpuio.errors import ArgumentError, RemoteError, UnsupportedError
from gpuio.storage.remote import obstore_upload, output
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.output import RemoteOutput, check_writable, uploading
from tests.processes import run_process
from tests.servers import faulty as faults
from tests.servers.faulty import FaultyServer

pytest.importorskip("obstore")

MIB = 1 << 20
DATA = np.random.default_rng(1).bytes(12 * MIB)
URL = "s3://bucket/folder/a"
KEY = "bucket/folder/a"


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(obstore_upload, "PART", 5 * MIB)


@pytest.fixture
def options(faulty: FaultyServer) -> RemoteOptions:
    return RemoteOptions.create(storage_options=faulty.s3_options, retries=0, timeout=20)


@pytest.mark.parametrize("size", [0, 1, MIB, 12 * MIB])
def test_what_is_appended_is_visible_when_it_is_closed(
    size: int, faulty: FaultyServer, options: RemoteOptions
) -> None:
    faulty.put(KEY, b"old")
    file = RemoteOutput(URL, options)
    for begin in range(0, size, 300_000):
        pieces = [
            DATA[begin : begin + 7],
            np.frombuffer(DATA, np.uint8)[begin + 7 : begin + 300_000],
        ]
        if begin + 300_000 > size:
            pieces = [DATA[begin:size]]
        file.write(pieces, sum(map(len, pieces)))
    assert file.position == size
    file.flush()
    assert faulty.objects[KEY].data == b"old" and not file.closed and file.position == size
    file.close()
    file.close()
    file.abandon()
    assert faulty.objects[KEY].data == DATA[:size] and file.closed and not faulty.uploads
    with pytest.raises(ValueError, match="s3://bucket/folder/a is closed"):
        file.write([b"x"], 1)


@pytest.mark.parametrize("size", [0, 12 * MIB])
def test_nothing_is_left_of_what_is_abandoned(
    size: int, faulty: FaultyServer, options: RemoteOptions
) -> None:
    file = RemoteOutput(URL, options)
    file.write([DATA[:size]], size)
    file.abandon()
    file.abandon()
    file.close()
    assert file.closed and not faulty.objects and not faulty.uploads


@pytest.mark.parametrize("fault", ["403 AccessDenied", "404 NoSuchBucket", "503"])
@pytest.mark.parametrize("size", [1, 12 * MIB])
def test_what_the_store_refuses(
    size: int, fault: str, faulty: FaultyServer, options: RemoteOptions
) -> None:
    """It is closed then, and its errors name the URL."""
    faulty.always = fault
    file = RemoteOutput(URL, options)
    with pytest.raises(RemoteError, match="s3://bucket/folder/a"):
        for _ in range(3):
            file.write([DATA[:size]], size)
        file.close()
    assert file.closed
    faulty.always = None
    file.close()
    assert not faulty.objects and not faulty.uploads


@pytest.mark.parametrize("mode", ["w", "wb"])
def test_files_are_uploaded_as_a_whole(
    mode: str, faulty: FaultyServer, options: RemoteOptions
) -> None:
    content = "ä\n\udc80" if mode == "w" else "ä\n\udc80".encode("utf-8", "surrogateescape")
    with uploading(URL, mode, options) as file:
        assert file.writable() and file.name == URL
        file.write(content)
        file.write(content)
        assert not faulty.objects
    assert faulty.objects[KEY].data == "ä\n\udc80".encode("utf-8", "surrogateescape") * 2
    assert file.closed
    for error in (KeyboardInterrupt, OSError):
        with pytest.raises(error), uploading(URL, mode, options) as file:
            file.write(content)
            raise error
        gc.collect()
        assert len(faulty.objects[KEY].data) == 8 and not faulty.uploads
    with uploading(URL, "wb", options) as file, pytest.raises(io.UnsupportedOperation):
        file.read()
    assert faulty.objects[KEY].data == b""


def test_urls_that_name_no_object(options: RemoteOptions) -> None:
    check_writable(URL)
    check_writable("az://container@account.dfs.core.windows.net/a")
    for url, error in {
        "http://x/y?secret": UnsupportedError,
        "s3://bucket": ArgumentError,
        "s3://bucket/": ArgumentError,
        "s3://bucket/a/": ArgumentError,
        "a": ArgumentError,
    }.items():
        for call in (check_writable, lambda url: RemoteOutput(url, options)):
            with pytest.raises(error) as caught:
                call(url)
            assert "secret" not in str(caught.value)


def test_an_interrupted_write_leaves_nothing(
    faulty: FaultyServer, options: RemoteOptions, interrupt_when: Callable[..., None]
) -> None:
    file = RemoteOutput(URL, options)
    faulty.always = faults.HANG
    with pytest.raises(KeyboardInterrupt):
        interrupt_when(faulty.waiting)
        for _ in range(40):
            file.write([DATA], len(DATA))
        file.close()
    assert file.closed and not faulty.objects


@pytest.fixture
def interrupt_when(monkeypatch: pytest.MonkeyPatch) -> Callable[[threading.Event], None]:
    """Have a thread interrupt the main one after an event; nobody waits for a store then."""
    monkeypatch.setattr(output, "PATIENCE", 0.01)

    def begin(event: threading.Event) -> None:
        def run() -> None:
            assert event.wait(60)
            signal.raise_signal(signal.SIGINT)

        threading.Thread(target=run, daemon=True).start()

    return begin


def test_a_store_that_does_not_answer_is_not_waited_for(
    faulty: FaultyServer,
    options: RemoteOptions,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(output, "PATIENCE", 0.01)
    file = RemoteOutput(URL, options)
    file.write([DATA], len(DATA))
    faulty.always = faults.HANG
    with caplog.at_level(logging.WARNING, "gpuio"):
        file.abandon()
    assert "s3://bucket/folder/a: the store does not answer" in caplog.text


ENDING = """
import json, sys
from gpuio.recordio import MXRecordIO
from gpuio.storage.remote import obstore_upload

obstore_upload.PART = 5 << 20
writer = MXRecordIO("s3://bucket/folder/a", "w", storage_options=json.loads(sys.argv[1]))
writer.write(bytes(int(sys.argv[2])))
if sys.argv[3] == "cycle":
    cycle = [writer]
    cycle.append(cycle)
    del cycle, writer
"""


@pytest.mark.parametrize("end", ["plain", "cycle"])
@pytest.mark.parametrize("size", [1, 12 * MIB])
def test_nothing_is_left_when_the_process_ends(end: str, size: int, faulty: FaultyServer) -> None:
    run_process(ENDING, json.dumps(faulty.s3_options), size, end)
    assert not faulty.objects and not faulty.uploads


FORKING = """
import json, os, sys
from gpuio.storage.remote import obstore_upload
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.output import RemoteOutput

obstore_upload.PART = 5 << 20
options = RemoteOptions.create(storage_options=json.loads(sys.argv[1]))
file = RemoteOutput("s3://bucket/folder/a", options)
file.write([bytes(6_000_000)], 6_000_000)
if not (child := os.fork()):  # what it has inherited is dropped, as where it is garbage-collected
    file.abandon()
    assert file.closed
    del file
    sys.exit()
assert os.waitpid(child, 0)[1] == 0 and not file.closed
file.close()
"""


def test_a_forked_process_leaves_the_upload_alone(faulty: FaultyServer) -> None:
    run_process(FORKING, json.dumps(faulty.s3_options))
    assert faulty.objects[KEY].data == bytes(6_000_000) and not faulty.uploads
