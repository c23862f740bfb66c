"""ObstoreStore against a server whose answers are right or wrong. What real servers do is in
test_real_stores.py."""

import gc
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpuio.errors import (
    ArgumentError,
    FileChangedError,
    RecordFileNotFoundError,
    RemoteError,
    UnsupportedError,
)
from gpuio.storage.remote.obstore_store import ObstoreStore
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.store import ObjectInfo
from gpuio.storage.remote.url import parse_url
from tests.processes import ROOT, run_process
from tests.servers import faulty as faults
from tests.servers.faulty import FaultyServer, faulty_server
from tests.storage.remote.conformance import sizes_after_fork

pytest.importorskip("obstore")

DATA = np.random.default_rng(0).bytes(50_000)


class Served:
    """A store, and the key of an object in it."""

    def __init__(self, server: FaultyServer, scheme: str, **options: object) -> None:
        self.server = server
        self.path = "bucket/dir/a.rec"
        server.put(self.path, DATA)
        if scheme == "s3":
            self.url = "s3://bucket/dir/a.rec"
            storage = server.s3_options
        elif scheme == "gs":
            self.url = "gs://bucket/dir/a.rec"
            storage = {"base_url": server.url, "skip_signature": True}
        else:
            self.url = f"{server.url}/{self.path}"
            storage = {}
        arguments = {"retries": 4, "timeout": 20.0, **options}
        self.options = RemoteOptions.create(storage_options=storage, **arguments)
        parsed = parse_url(self.url)
        self.key = parsed.key
        self.store = ObstoreStore(parsed, self.options)

    def read(self, begin: int = 1000, end: int = 3000) -> bytes:
        version = self.store.info(self.key)
        self.server.faults.extend(self.later)
        return bytes(self.store.read(self.key, begin, end, version))

    later: tuple[str | None, ...] = ()


@pytest.fixture(params=["s3", "gs", "http"])
def served(request: pytest.FixtureRequest, faulty: FaultyServer, no_delays: None) -> Served:
    return Served(faulty, request.param)


@pytest.fixture(params=["s3", "http"])
def without_etags(request: pytest.FixtureRequest, faulty: FaultyServer, no_delays: None) -> Served:
    """Google's client wants them."""
    served = Served(faulty, request.param)
    faulty.put(served.path, DATA, etag=False)
    return served


def test_a_version_and_parts(served: Served) -> None:
    version = served.store.info(served.key)
    etag = served.server.objects[served.path].etag
    assert version == ObjectInfo(len(DATA), etag)
    for begin, end in [(0, 1), (0, len(DATA)), (len(DATA) - 1, len(DATA)), (777, 7777)]:
        part = served.store.read(served.key, begin, end, version)
        assert bytes(part) == DATA[begin:end]
        assert part.dtype == np.uint8 and not part.flags.writeable
        assert served.server.headers["if-match"] == etag
    before = served.server.total()
    assert len(served.store.read(served.key, 5, 5, version)) == 0
    assert served.server.total() == before
    for begin, end in [(-1, 5), (7, 5), (0, len(DATA) + 1)]:
        with pytest.raises(ArgumentError, match="there are no bytes"):
            served.store.read(served.key, begin, end, version)


def test_data_outlives_the_store(served: Served) -> None:
    version = served.store.info(served.key)
    part = served.store.read(served.key, 0, 5000, version)
    del served.store
    gc.collect()
    assert bytes(part) == DATA[:5000]


def test_an_empty_object(served: Served) -> None:
    served.server.put(served.path, b"")
    version = served.store.info(served.key)
    assert version.size == 0 and len(served.store.read(served.key, 0, 0, version)) == 0


TRANSIENT = [
    "503", "500", "502", "429", "408 RequestTimeout", "400 RequestTimeout", faults.CUT,
    faults.REFUSED, faults.SHORT, faults.LONG, faults.SHIFTED, faults.WHOLE, faults.RESIZED,
    faults.GARBAGE,
]  # fmt: skip


@pytest.mark.parametrize("fault", TRANSIENT)
def test_a_wrong_answer_is_asked_for_again(served: Served, fault: str) -> None:
    served.later = (fault, fault)
    assert served.read() == DATA[1000:3000]
    assert not served.server.faults


@pytest.mark.parametrize("fault", TRANSIENT)
def test_nothing_but_wrong_answers_is_an_error(served: Served, fault: str) -> None:
    version = served.store.info(served.key)
    served.server.always = fault
    with pytest.raises(RemoteError, match=r"bucket/dir/a\.rec: .* tried [45] times") as raised:
        served.store.read(served.key, 1000, 3000, version)
    assert raised.value.__context__ is None and raised.value.__cause__ is None
    if fault in (
        faults.CUT,
        faults.SHORT,
        faults.LONG,
        faults.SHIFTED,
        faults.RESIZED,
        faults.WHOLE,
    ):
        return  # an answer to a request for the version has a whole body
    with pytest.raises(RemoteError, match="tried 5 times"):
        served.store.info(served.key)


@pytest.mark.parametrize("fault", [faults.HANG, faults.STALL])
def test_a_server_that_does_not_answer(faulty: FaultyServer, no_delays: None, fault: str) -> None:
    served = Served(faulty, "s3", timeout=0.3, retries=1)
    served.later = (fault,)
    assert served.read() == DATA[1000:3000]
    served.server.always = fault
    served.later = ()
    with pytest.raises(RemoteError, match="does not answer in time; tried 2 times"):
        served.store.read(
            served.key, 0, 5000, ObjectInfo(len(DATA), faulty.objects[served.path].etag)
        )


def test_many_answers_of_503(served: Served) -> None:
    version = served.store.info(served.key)
    served.server.every = (3, "503")
    for begin in range(0, 40_000, 1000):
        part = served.store.read(served.key, begin, begin + 1000, version)
        assert bytes(part) == DATA[begin : begin + 1000]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("403 AccessDenied", "AWS_ACCESS_KEY_ID"),  # the client sends no signature
        ("400 ExpiredToken", "AWS_SESSION_TOKEN"),
        ("403 RequestTimeTooSkewed", "clock"),
        ("301 PermanentRedirect", "AWS_REGION"),
        ("400 AuthorizationHeaderMalformed", "AWS_REGION"),
        ("403 SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
        ("401", "AWS_ACCESS_KEY_ID"),
        ("405", "405"),
    ],
)
def test_refusals_are_raised_at_once(faulty: FaultyServer, answer: str, words: str) -> None:
    served = Served(faulty, "s3")
    version = served.store.info(served.key)
    faulty.faults.append(answer)
    with pytest.raises(RemoteError, match=words) as raised:
        served.store.read(served.key, 0, 10, version)
    assert str(raised.value).startswith("s3://bucket/dir/a.rec: ")


def test_a_server_that_is_gone_is_waited_for(no_delays: None) -> None:
    with faulty_server() as server:
        server.put("bucket/dir/a.rec", DATA)
        served = Served(server, "s3", retries=7)
        version = served.store.info(served.key)
        server.always = faults.REFUSED
        with pytest.raises(RemoteError, match="the connection failed; tried 8 times"):
            served.store.read(served.key, 0, 10, version)  # no connection is left open
    with pytest.raises(RemoteError, match="the connection is refused; tried 8 times"):
        served.store.read(served.key, 0, 10, version)


def test_pages_are_no_files(faulty: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a web server's list of a folder, which has no Content-Length."""

    def reply(handler: Any, status: int, headers: dict[str, str], *others: object) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b"<html></html>")
        handler.close_connection = True

    faulty.put("folder/", b"")
    monkeypatch.setattr("tests.servers.faulty._Handler.reply", reply)
    url = parse_url(f"{faulty.url}/folder/")
    with pytest.raises(RemoteError, match="give the URL of a file, not of a page or a folder"):
        ObstoreStore(url, RemoteOptions()).info(url.key)


def test_refusals_of_google(faulty: FaultyServer) -> None:
    served = Served(faulty, "gs")
    faulty.faults.append("403 AccessDenied")
    with pytest.raises(RemoteError, match="GOOGLE_APPLICATION_CREDENTIALS"):
        served.store.info(served.key)


def test_missing_objects(served: Served) -> None:
    with pytest.raises(RecordFileNotFoundError, match=r"bucket/dir/b\.rec does not exist"):
        served.store.info(served.key.replace("a.rec", "b.rec"))
    version = served.store.info(served.key)
    served.server.objects.clear()
    with pytest.raises(FileChangedError, match="was removed after it was opened"):
        served.store.read(served.key, 0, 10, version)


@pytest.mark.parametrize("heeds", [True, False])
def test_another_etag(served: Served, heeds: bool) -> None:
    served.server.check_match = heeds
    version = served.store.info(served.key)
    served.server.put(served.path, DATA[::-1])
    with pytest.raises(FileChangedError, match=r"bucket/dir/a\.rec has changed"):
        served.store.read(served.key, 0, 10, version)
    assert (
        bytes(served.store.read(served.key, 0, 10, served.store.info(served.key))) == DATA[:-11:-1]
    )


def test_a_weak_etag_is_compared_here(served: Served) -> None:
    served.server.objects[served.path].etag = 'W/"1"'
    version = served.store.info(served.key)
    assert bytes(served.store.read(served.key, 0, 10, version)) == DATA[:10]
    assert "if-match" not in served.server.headers
    served.server.objects[served.path].etag = 'W/"2"'
    with pytest.raises(FileChangedError):
        served.store.read(served.key, 0, 10, version)


def test_without_etags_times_and_sizes_tell_versions_apart(without_etags: Served) -> None:
    served = without_etags
    version = served.store.info(served.key)
    assert version.etag == "modified 2001-09-09T01:46:40+00:00"
    assert bytes(served.store.read(served.key, 0, 10, version)) == DATA[:10]
    served.server.objects[served.path].modified = 1.1e9
    with pytest.raises(FileChangedError):
        served.store.read(served.key, 0, 10, version)
    served.server.objects[served.path].modified = None
    version = served.store.info(served.key)
    assert version == ObjectInfo(len(DATA), None)
    assert bytes(served.store.read(served.key, 0, 10, version)) == DATA[:10]
    served.server.objects[served.path].data = DATA[:-1]
    with pytest.raises(FileChangedError):
        served.store.read(served.key, 0, 10, version)


def test_an_object_that_became_shorter(without_etags: Served) -> None:
    served = without_etags
    served.server.check_match = False
    version = served.store.info(served.key)
    served.server.put(served.path, DATA[:100], etag=False)
    with pytest.raises(FileChangedError, match="shorter"):
        served.store.read(served.key, 40_000, 40_010, version)


NAMES = [
    "a b.rec",
    "ü\N{SNOWMAN}.rec",
    "a#b?c=d&e.rec",
    "a%20b.rec",
    "a+b.rec",
    "~a!$'()*,;=@[]{}|^`.rec",
]


@pytest.mark.parametrize("name", NAMES)
def test_names(served: Served, name: str) -> None:
    served.server.put(f"bucket/dir/{name}", DATA)
    key = served.key.replace("a.rec", name)
    version = served.store.info(key)
    assert bytes(served.store.read(key, 0, 10, version)) == DATA[:10]


@pytest.mark.parametrize("key", ["", "dir/", "dir//a.rec", "/dir/a.rec"])
def test_what_names_no_object(faulty: FaultyServer, key: str) -> None:
    store = Served(faulty, "s3").store
    for call in (store.info, store.remove, store.upload):
        with pytest.raises(ArgumentError, match=r"is the URL of a folder|has an empty part"):
            call(key)


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_lists(faulty: FaultyServer, scheme: str) -> None:
    store = Served(faulty, scheme).store
    for number in range(7):
        faulty.put(f"bucket/dir/part-{number}.rec", b"x" * number)
    faulty.put("bucket/dir2/part-7.rec", b"x")
    parts = [(f"dir/part-{number}.rec", number) for number in range(7)]
    assert list(store.list("dir/")) == [("dir/a.rec", len(DATA)), *parts]
    assert list(store.list("dir/", recursive=False)) == [("dir/a.rec", len(DATA)), *parts]
    assert len(list(store.list(""))) == 9 and not list(store.list("", recursive=False))
    assert list(store.list("nothing/")) == []


def test_subfolders_are_not_listed_where_nobody_wants_them(faulty: FaultyServer) -> None:
    store = Served(faulty, "s3").store
    for number in range(30):
        faulty.put(f"bucket/dir/deep/{number}.rec", b"x")
    before = faulty.total()
    assert list(store.list("dir/", recursive=False)) == [("dir/a.rec", len(DATA))]
    assert faulty.total() == before + 1


@pytest.mark.parametrize("key", ["dir//a.rec", "dir/../a.rec", "dir/a\nb.rec"])
def test_keys_that_obstore_does_not_list(faulty: FaultyServer, key: str) -> None:
    store = Served(faulty, "s3").store
    faulty.put(f"bucket/{key}", b"x")
    with pytest.raises(RemoteError, match=r"bucket/dir/: .*; rename or remove it") as raised:
        store.list("dir/")
    assert repr(key) in str(raised.value) and "\n" not in str(raised.value)


def test_removal(faulty: FaultyServer) -> None:
    served = Served(faulty, "s3")
    served.store.remove(served.key)
    assert served.path not in faulty.objects
    served.store.remove(served.key)


def test_web_servers_are_read_only(faulty: FaultyServer) -> None:
    served = Served(faulty, "http")
    for call in (served.store.upload, served.store.remove):
        with pytest.raises(UnsupportedError, match="web servers take no files"):
            call(served.key)
    with pytest.raises(UnsupportedError, match="web servers list no files"):
        served.store.list("dir")


def test_a_signed_url(faulty: FaultyServer, no_delays: None) -> None:
    faulty.put("dir/a b.rec", DATA)
    query = "X-Credential=AK%2F2020%2Fus&X-Signature=SECRET%2Ba+b/c==&empty"
    url = parse_url(f"{faulty.url}/dir/a%20b.rec?{query}")
    store = ObstoreStore(url, RemoteOptions(retries=0))
    version = store.info(url.key)
    assert bytes(store.read(url.key, 5, 50, version)) == DATA[5:50]
    assert faulty.query == query
    with pytest.raises(ArgumentError, match="no other file"):
        store.info("dir/b.rec")
    for fault in (
        "403 SignatureDoesNotMatch",
        "403 AccessDenied",
        "503",
        "404",
        faults.REFUSED,
        faults.CUT,
    ):
        faulty.always = fault
        with pytest.raises((RemoteError, RecordFileNotFoundError, FileChangedError)) as raised:
            store.read(url.key, 0, 5000, version)
        assert "SECRET" not in str(raised.value) and "/dir/a%20b.rec" in str(raised.value)
        assert raised.value.__context__ is None or "SECRET" not in str(raised.value.__context__)


def test_a_redirect_to_a_signed_url(faulty: FaultyServer, no_delays: None) -> None:
    faulty.put("elsewhere/b", DATA)
    faulty.redirects["a.rec"] = f"{faulty.url}/elsewhere/b?X-Signature=SECRET"
    store = ObstoreStore(parse_url(f"{faulty.url}/a.rec"), RemoteOptions(retries=0))
    version = store.info("a.rec")
    assert bytes(store.read("a.rec", 5, 50, version)) == DATA[5:50]
    assert faulty.headers["if-match"] == version.etag and "SECRET" in faulty.query
    for fault in ("403 AccessDenied", "503", faults.CUT, faults.REFUSED):
        faulty.faults.extend([None, fault])
        with pytest.raises(RemoteError) as raised:
            store.read("a.rec", 0, 5000, version)
        assert "SECRET" not in str(raised.value)
    faulty.redirects["loop"] = f"{faulty.url}/loop"
    with pytest.raises(RemoteError):
        store.info("loop")


def test_odd_paths_are_sent_as_they_are(faulty: FaultyServer) -> None:
    faulty.put("a//b/c", DATA)  # how the server decodes a%2F/b/c
    url = parse_url(f"{faulty.url}/a%2F/b/c")
    assert ObstoreStore(url, RemoteOptions()).info(url.key).size == len(DATA)


def test_a_user_and_a_password(faulty: FaultyServer) -> None:
    faulty.put("a", DATA)
    url = parse_url(faulty.url.replace("//", "//me:pass%20word@") + "/a")
    ObstoreStore(url, RemoteOptions()).info("a")
    assert faulty.headers["authorization"] == "Basic bWU6cGFzcyB3b3Jk"


def test_without_credentials(faulty: FaultyServer) -> None:
    options = {**faulty.s3_options, "skip_signature": False, "metadata_endpoint": faulty.url}
    store = ObstoreStore(parse_url("s3://b/a"), RemoteOptions.create(storage_options=options))
    with pytest.raises(RemoteError, match=r"there are no credentials.*AWS_ACCESS_KEY_ID"):
        store.info("a")


def test_unreachable_servers(no_delays: None) -> None:
    def info(url: str, retries: int = 1, **options: object) -> None:
        parsed = parse_url(url)
        ObstoreStore(parsed, RemoteOptions(retries=retries, storage_options=options)).info(
            parsed.key
        )

    with pytest.raises(
        RemoteError, match=r"http://127\.0\.0\.1:9/a: the connection is refused; tried 2 .*endpoint"
    ):
        info("http://127.0.0.1:9/a")
    with pytest.raises(RemoteError, match="tried 4 times"):  # an address that never answered
        info("http://127.0.0.1:9/a", retries=100)
    with pytest.raises(RemoteError, match="check the host's name"):
        info("http://nosuchhost.invalid/a")


def test_a_server_without_tls(faulty: FaultyServer) -> None:
    url = parse_url(faulty.url.replace("http:", "https:") + "/a")
    with pytest.raises(RemoteError, match="does not speak TLS"):
        ObstoreStore(url, RemoteOptions()).info("a")


def test_an_interrupt_ends_a_hanging_read_at_once(faulty: FaultyServer) -> None:
    served = Served(faulty, "s3", timeout=1000.0)
    version = served.store.info(served.key)
    faulty.faults.append(faults.HANG)
    main = threading.get_ident()

    def interrupt() -> None:
        faulty.waiting.wait()
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        served.store.read(served.key, 0, 10, version)
    thread.join()
    assert bytes(served.store.read(served.key, 0, 10, version)) == DATA[:10]


@pytest.mark.parametrize("used", [True, False])
def test_forks(faulty: FaultyServer, used: bool) -> None:
    """A client survives no fork; where it has not been used, there is nothing to survive."""
    faulty.put("a", DATA)
    lines = sizes_after_fork(f"{faulty.url}/a", {}, used)
    assert lines[-1] == str(len(DATA)) and len(lines) == 3
    for line in lines[:2]:
        if used:  # of this kind, as no record is bad
            assert line.startswith("RemoteError ") and "start method 'spawn'" in line
        else:
            assert line == str(len(DATA))


INTERRUPTED = """
import os, signal, sys, threading
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.registry import open_store

store, key = open_store(sys.argv[1], RemoteOptions(timeout=1000.0))
version = store.info(key)
thread = threading.Thread(target=store.read, args=(key, 0, 10, version), daemon=True)
thread.start()
print("reading", flush=True)
try:
    store.read(key, 0, 10, version)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_a_process_ends_at_once_after_an_interrupt(faulty: FaultyServer) -> None:
    """Although two of its threads still are in the client."""
    faulty.put("a", DATA)
    faulty.faults.extend([None, faults.HANG, faults.HANG])
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, f"{faulty.url}/a"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "reading\n"
    assert faulty.waiting.wait(60)
    while faulty.requests["GET a"] < 3:
        faulty.stopping.wait(0.01)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == ("interrupted\n", "")
    assert process.returncode == 0


SPAWNED = """
import multiprocessing, sys
from gpuio.storage.remote.registry import open_store

def size(url):
    store, key = open_store(url)
    return store.info(key).size

if __name__ == "__main__":
    print(size(sys.argv[1]))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.apply(size, sys.argv[1:]))
"""


def test_spawned_processes(faulty: FaultyServer, tmp_path: Path) -> None:
    faulty.put("a", DATA)
    script = tmp_path / "script.py"
    script.write_text(SPAWNED)
    code = "import runpy, sys; del sys.argv[0]; runpy.run_path(sys.argv[0], None, '__main__')"
    assert run_process(code, script, f"{faulty.url}/a").split() == [str(len(DATA))] * 2


def test_threads_share_a_store(faulty: FaultyServer, no_delays: None) -> None:
    served = Served(faulty, "s3", retries=50)
    version = served.store.info(served.key)
    served.server.every = (7, "503")
    wrong: list[int] = []

    def read(first: int) -> None:
        for begin in range(first, first + 30 * 100, 100):
            if (
                bytes(served.store.read(served.key, begin, begin + 100, version))
                != DATA[begin : begin + 100]
            ):
                wrong.append(begin)

    threads = [threading.Thread(target=read, args=(first,)) for first in range(0, 8000, 1000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
