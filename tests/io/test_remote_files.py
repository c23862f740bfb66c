"""Iterators over record files of a server."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import Error, FileChangedError, RemoteError
from gpuio.storage.remote import calls
from gpuio.storage.remote.fetch import fetcher
from gpuio.storage.remote.statistics import statistics
from tests.io.records import RUNS, jpeg, write_records
from tests.io.threads import eventually, run_in_thread
from tests.servers.faulty import FaultyServer, faulty_server

EXECUTORS = ["host", "dali"]
COUNT = 60


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyServer]:
    monkeypatch.setenv("GPUIO_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(calls, "FIRST_DELAY", 0.0)
    with faulty_server() as found:
        yield found
        assert eventually(lambda: not fetcher().threads)


def files(server: FaultyServer, folder: Path) -> dict[str, dict[str, Any]]:
    """The same record file and index, here and there."""
    images = [jpeg(number, 200 + 7 * number, 150) for number in range(COUNT)]
    local = write_records(folder / "x", images)
    for path in local.values():
        server.put(path.name, path.read_bytes())
    urls = {name: f"{server.url}/{path.name}" for name, path in local.items()}
    return {"local": dict(local), "remote": urls}


def opened(where: dict[str, Any], executor: str = "host", **changes: Any) -> mx.io.ImageRecordIter:
    if executor == "dali":
        pytest.importorskip("nvidia.dali")
    values = dict(
        data_shape=(3, 64, 64), batch_size=7, shuffle=True, seed=3, preprocess_threads=2,
        prefetch_buffer=2,
    )  # fmt: skip
    return mx.io.ImageRecordIter(**where, **RUNS[executor], **{**values, **changes})


def epoch(iterator: mx.io.ImageRecordIter) -> list[tuple[list[int], np.ndarray]]:
    found = [(batch.index.tolist(), batch.data[0].asnumpy().copy()) for batch in iterator]
    iterator.reset()
    return found


def same(one: list[Any], other: list[Any]) -> bool:
    return len(one) == len(other) and all(
        keys == expected and (pixels == values).all()
        for (keys, pixels), (expected, values) in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("executor", EXECUTORS)
def test_batches_are_those_of_local_files(
    server: FaultyServer, tmp_path: Path, executor: str
) -> None:
    where = files(server, tmp_path)
    with opened(where["local"], executor) as local, opened(where["remote"], executor) as remote:
        assert same(epoch(remote), epoch(local))
        # All is cached by now, also what the next epoch begins with.
        requests = statistics().requests
        for _ in range(2):
            assert same(epoch(remote), epoch(local))
        assert statistics().requests == requests


def test_what_comes_is_fetched_ahead(server: FaultyServer, tmp_path: Path) -> None:
    where = files(server, tmp_path)
    with opened(where["remote"], batch_size=4) as iterator:
        iterator.next()
        # Without another batch being asked for.
        size = (tmp_path / "x.rec").stat().st_size
        assert eventually(lambda: server.sent["GET x.rec"] > 0.6 * size)


def test_a_run_goes_on_where_it_stopped(server: FaultyServer, tmp_path: Path) -> None:
    where = files(server, tmp_path)
    with opened(where["remote"]) as iterator:
        for _ in range(3):
            iterator.next()
        state = iterator.state_dict()
        expected = epoch(iterator)
        assert "http" not in str(state)
    with opened(where["remote"]) as again:
        again.load_state_dict(state)
        assert same(epoch(again), expected)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_a_changed_file_is_no_bad_record(
    server: FaultyServer, tmp_path: Path, executor: str, on_error: str
) -> None:
    where = files(server, tmp_path)
    with opened(where["remote"], executor, on_error=on_error) as iterator:
        server.put("x.rec", server.objects["x.rec"].data[::-1])
        with pytest.raises(FileChangedError, match=r"/x\.rec has changed"):
            iterator.next()
        assert not iterator.bad_records


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_store_that_refuses_is_asked_again_for_the_same_batch(
    server: FaultyServer, tmp_path: Path, executor: str
) -> None:
    where = files(server, tmp_path)
    with opened(where["local"], executor) as local, opened(where["remote"], executor) as remote:
        server.always = "403 AccessDenied"
        with pytest.raises(RemoteError):
            remote.next()
        server.always = None
        assert same(epoch(remote), epoch(local))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_closing_does_not_wait_for_a_server(
    server: FaultyServer, tmp_path: Path, executor: str
) -> None:
    with faulty_server() as hanging:
        iterator = opened(files(hanging, tmp_path)["remote"], executor)
        hanging.always = "hang"
        thread, raised = run_in_thread(iterator.next)
        assert hanging.waiting.wait(20)
        iterator.close()
        thread.join(20)
        assert not thread.is_alive() and isinstance(raised[0], Error)


def test_several_iterators_share_what_is_fetched(server: FaultyServer, tmp_path: Path) -> None:
    where = files(server, tmp_path)
    found: list[Any] = []
    iterators = [opened(where["remote"]) for _ in range(2)]
    threads = [
        threading.Thread(target=lambda each=each: found.append(epoch(each)))  # type: ignore[misc]
        for each in iterators
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for iterator in iterators:
        iterator.close()
    assert same(*found)
    assert server.sent["GET x.rec"] < 1.5 * (tmp_path / "x.rec").stat().st_size
