"""Statistics of iterators: the table, Prometheus' text, the advice."""

import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.iterators import stats as module
from gpuio.iterators.stats import Queue, Stats, describe_remote
from gpuio.storage.remote.statistics import Statistics
from tests.io.image_iterators import KINDS, open_kind, write_images
from tests.io.records import open_iter
from tests.servers.faulty import faulty_server


def made(**changes: Any) -> Stats:
    """Those of a loop that waits half of the time for two threads that decode."""
    values: dict[str, Any] = dict(
        iterator="ImageRecordIter", batches=101, batch_size=50, started=0.5, waited=5.0, worked=4.0,
        handed=1.0, stages={"read": 1.0, "plan": 1.0, "decode": 17.0, "finish": 0.5},
        executor="host", threads=2, queue=Queue(4, 101, 202),
    )  # fmt: skip
    return Stats(**{**values, **changes})


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two CPUs, and the native module."""
    monkeypatch.setattr(module, "cpu_count", lambda: 2)
    monkeypatch.setattr(module.native, "state", lambda: (True, ""))


def test_figures() -> None:
    stats = made()
    assert stats.seconds == 10.0 and stats.waiting == 0.5 and stats.rows_per_second == 500.0
    assert stats.busy == pytest.approx(19.5 / 21)
    assert stats.queue is not None and stats.queue.mean == 2.0
    nothing = made(batches=0, started=0.0, waited=0.0, worked=0.0, handed=0.0, stages={},
                   queue=Queue(4, 0, 0))  # fmt: skip
    assert nothing.waiting == nothing.rows_per_second == nothing.busy == 0.0
    assert nothing.queue is not None and nothing.queue.mean == 0.0
    assert str(nothing) and nothing.prometheus()


def test_the_table_is_aligned() -> None:
    lines = str(made(bad_records=3, remote=Statistics(7, 2_000_000, 6_000_000, 1.5))).splitlines()
    assert lines[0] == "ImageRecordIter: 101 batches of 50 rows in 10.0 s, 500 rows a second"
    ends = {line.index(" s", 28) for line in lines[1:10]}
    assert len(ends) == 1
    text = "\n".join(lines)
    for expected in ("loop waited for data            5.00 s    50%", "decode", "87% of all",
                     "2.0 of 4 made ahead", "bad records                        3",
                     "7 requests for 2.0 MB, 75%"):  # fmt: skip
        assert expected in text, text
    assert lines[-1] == f"advice: {made().advice}"


REMOTE = Statistics(5, 10, 10, 3.0)
READING = {"read": 9.0, "plan": 1.0, "decode": 2.0, "finish": 0.0}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batches": 1}, "too few batches"),
        ({"waited": 0.2}, "waited for data 4% of the time: loading keeps up with it$"),
        ({}, "waited for data 50% of the time: 'decode' is 87% of the work: smaller images"),
        ({"threads": 1}, "raise preprocess_threads above 1, there are 2 CPUs"),
        ({"stages": READING}, "'read' is 75% of the work: a faster disk"),
        ({"stages": READING, "remote": REMOTE}, "shuffle='blocks', a larger readahead"),
        ({"stages": {"read": 0.1, "decode": 3.0}}, "worked 15% of the time: raise prefetch_buffer"),
        (
            {"stages": {"decode": 1.0, "finish": 3.0}, "bad_records": 9},
            "75% .*quarantine",
        ),
        ({"queue": Queue(0, 101, 0)}, "raise prefetch_buffer above 1"),
        ({"executor": "dali"}, r"smaller images \(gpuio im2rec --resize\), or more CPUs$"),
        ({"stages": {}, "queue": None}, "PrefetchingIter makes them ahead"),
        ({"stages": {}}, "one thread makes its batches ahead"),
        (
            {"inner": (made(inner=(made(stages={}, queue=None),), queue=None),)},
            "mostly iterator 0, .* mostly iterator 0, ImageRecordIter: one thread makes its",
        ),
        (
            {"inner": (made(waited=1.0), made(stages=READING, iterator="Other"))},
            "mostly iterator 1, Other: 'read' is 75%",
        ),
    ],
)
def test_advice(changes: dict[str, Any], words: str) -> None:
    assert re.search(words, made(**changes).advice), made(**changes).advice


def test_advice_without_the_native_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.native, "state", lambda: (False, "it was switched off"))
    assert made().advice.endswith(
        "without the native module, which is not in use: it was switched off"
    )
    assert "native" not in made(executor="dali").advice


def test_what_was_added_since() -> None:
    inner = (made(batches=3),)
    before = made(inner=inner, remote=Statistics(1, 1, 1, 1.0))
    after = made(
        batches=111, waited=6.0, worked=4.5, handed=1.25, bad_records=2,
        stages={**before.stages, "read": 1.5}, queue=Queue(4, 111, 212), inner=(made(batches=8),),
        remote=Statistics(3, 4, 5, 6.0),
    )  # fmt: skip
    found = after.since(before)
    assert (found.batches, found.waited, found.worked, found.handed) == (10, 1.0, 0.5, 0.25)
    assert found.stages == {"read": 0.5, "plan": 0.0, "decode": 0.0, "finish": 0.0}
    assert found.queue == Queue(4, 10, 10) and found.bad_records == 2
    assert found.remote == Statistics(2, 3, 4, 5.0) and found.inner[0].batches == 5
    assert (found.started, found.threads, found.iterator) == (0.0, 2, "ImageRecordIter")


# The text format of Prometheus, version 0.0.4.
HELP = re.compile(r"# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) [^\n]+")
TYPE = re.compile(r"# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge)")
LABEL = r'[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(
    rf"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{{{LABEL}(?:,{LABEL})*\}})? ([-+]?[0-9.]+(?:e[-+]?[0-9]+)?)"
)


def parsed(text: str) -> dict[str, list[float]]:
    """The samples of a text by metric; it is checked against the format."""
    assert text.endswith("\n") and "\n\n" not in text
    found: dict[str, list[float]] = {}
    seen, kind = set(), ""
    lines = text.splitlines()
    while lines:
        name = HELP.fullmatch(lines.pop(0))[1]  # type: ignore[index]
        typed = TYPE.fullmatch(lines.pop(0))
        assert typed and typed[1] == name and name not in seen
        kind = typed[2]
        assert name.endswith("_total") == (kind == "counter")
        seen.add(name)
        while lines and not lines[0].startswith("#"):
            sample = SAMPLE.fullmatch(lines.pop(0))
            assert sample and sample[1] == name
            found.setdefault(name, []).append(float(sample[2]))
        assert found[name]
    return found


def test_the_text_for_prometheus() -> None:
    inner = (made(iterator='Odd"\\\nName', batches=7), made(stages={}, queue=None))
    text = made(inner=inner, remote=Statistics(1, 2, 3, 0.5), waited=1e-7).prometheus()
    found = parsed(text)
    assert found["gpuio_batches_total"] == [101, 7, 101]
    assert found["gpuio_rows_total"][0] == 5050
    assert found["gpuio_wait_seconds_total"] == [1e-7, 5.0, 5.0]
    assert found["gpuio_stage_seconds_total"] == [1.0, 1.0, 17.0, 0.5] * 2
    assert found["gpuio_remote_fetched_bytes_total"] == [2.0]
    assert found["gpuio_remote_failed_requests_total"] == [0.0]
    assert 'iterator="ImageRecordIter/1/ImageRecordIter"' in text
    assert r'"ImageRecordIter/0/Odd\"\\\nName"' in text


def test_remote_files_in_words() -> None:
    assert describe_remote(Statistics()) == (
        "remote: 0 requests for 0.0 MB, 0% of what was read came from the cache, threads waited "
        "0.0 s"
    )
    assert describe_remote(Statistics(failed=2)).endswith("; 2 requests failed and were repeated")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    write_images(folder, 12)
    return folder


@pytest.mark.parametrize("run", ["host", "dali"])
@pytest.mark.parametrize("name", list(KINDS))
def test_image_iterators_measure_their_stages(name: str, run: str, folder: Path) -> None:
    if run == "dali":
        pytest.importorskip("nvidia.dali", reason="DALI is not installed")
        if not KINDS[name].planned:
            pytest.skip("it has no plan, and runs on the host")
    with open_kind(name, run, folder, preprocess_threads=2) as iterator:
        assert iterator.stats().batches == 0
        for _ in range(2):
            assert len(list(iterator)) == 3
            iterator.reset()
        stats = iterator.stats()
    assert (stats.batches, stats.batch_size, stats.threads) == (6, 4, 2)
    assert stats.executor == ("host" if "Decodes" in name or not KINDS[name].planned else run)
    assert stats.started > 0 and stats.seconds > 0 and stats.remote is None
    for stage in ("read", "plan", "decode", "finish"):
        assert stats.stages[stage] > 0, stage
    assert stats.queue is not None and stats.queue.asked >= 6
    assert 0 <= stats.queue.mean <= stats.queue.size
    parsed(stats.prometheus())


def test_iterators_over_others_have_their_statistics() -> None:
    rows = [mx.io.NDArrayIter(np.ones((8, 2)), np.ones(8), 2) for _ in range(5)]
    outer = mx.io.PrefetchingIter(
        [mx.io.ResizeIter(rows[0], 3), mx.io.MixIter(rows[1:3], size=3)],
        [{"data": "a"}, {"data": "b"}], [{"softmax_label": "c"}, {"softmax_label": "d"}],
    )  # fmt: skip
    with outer:
        assert len(list(outer)) == 3
        stats = outer.stats()
    assert [each.iterator for each in stats.inner] == ["ResizeIter", "MixIter"]
    assert [each.batches for each in stats.inner] == [3, 3]
    assert stats.queue is not None and stats.queue.asked == 4
    assert 0 <= stats.queue.mean <= stats.queue.size == 1
    assert stats.inner[0].queue is stats.inner[0].inner[0].queue is None
    assert sum(each.batches for each in stats.inner[1].inner) == 3
    assert "  1: MixIter: 3 batches" in str(stats)
    assert len(parsed(stats.prometheus())["gpuio_batches_total"]) == 6


def test_rows_that_a_thread_makes_ahead_are_counted() -> None:
    class Numbers(mx.io.IndexedIter):
        def load(self, rows: np.ndarray) -> np.ndarray:
            return rows.astype(np.float32)

    with Numbers(10, 2, prefetch_buffer=3) as iterator:
        assert len(list(iterator)) == 5
        queue = iterator.stats().queue
    assert queue is not None and queue.asked == 5
    assert queue.size == 3 and 0 <= queue.mean <= 3
    assert Numbers(10, 2).stats().queue is None


def test_remote_files_are_counted(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPUIO_CACHE_DIR", str(tmp_path))
    with faulty_server() as server:
        server.put("b/x.rec", (folder / "x.rec").read_bytes())
        server.put("b/x.idx", (folder / "x.idx").read_bytes())
        for fetched in (True, False):
            with open_iter(
                path_imgrec=f"{server.url}/b/x.rec", path_imgidx=f"{server.url}/b/x.idx"
            ) as iterator:
                list(iterator)
                remote = iterator.stats().remote
            assert remote is not None and remote.cached > 0
            assert (remote.fetched > 0) == fetched


def test_bad_records_are_counted(tmp_path: Path) -> None:
    write_images(tmp_path, 8, {3: b"no image", 5: b"none either"})
    with open_kind("ImageRecordIter", "host", tmp_path, on_error="skip") as iterator:
        list(iterator)
        assert iterator.stats().bad_records == 2


def test_what_is_done_between_epochs_is_not_the_loops_work() -> None:
    with open_iter(batch_size=4) as iterator:
        list(iterator)
        before = iterator.stats()
        iterator.reset()
        state = iterator.state_dict()
        iterator.next()
        assert iterator.stats().since(before).worked == 0
        iterator.load_state_dict(state)
        iterator.next()
        assert iterator.stats().since(before).worked == 0


def test_another_thread_may_ask() -> None:
    with open_iter(batch_size=1) as iterator:
        found: list[int] = []
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                found.append(iterator.stats().batches)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            for _ in range(4):
                list(iterator)
                iterator.reset()
        finally:
            stop.set()
            thread.join(20)
    assert found == sorted(found) and iterator.stats().batches == 48
