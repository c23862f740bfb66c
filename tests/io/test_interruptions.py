"""Ctrl-C at any moment: a consumer that catches it and goes on loses the batch in hand at most."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import Error
from tests.interruptions import Interruption, check
from tests.io.conformance import BATCH, ROWS, digest
from tests.io.image_iterators import OWN, open_kind, write_images
from tests.io.threads import no_threads_left, run_in_thread

TABLE = np.arange(ROWS) / 4

# In the suite; ``python -m tests.interruptions`` tries all.
MOMENTS = 30

# Those that cannot save their state.
STATELESS = {"PrefetchingIter of own iterators"}


class Rows(mx.io.IndexedIter):
    def load(self, rows: np.ndarray) -> Any:
        return TABLE[rows], rows


class Counts(mx.io.DataIter):
    """A user's own iterator."""

    provide_data = [("data", (2,))]  # type: ignore[assignment]
    provide_label: Any = []

    def __init__(self) -> None:
        super().__init__(2)
        self.at = 0

    def reset(self) -> None:
        self.at = 0

    def next(self) -> mx.io.DataBatch:
        if self.at == 4:
            raise StopIteration
        self.at += 1
        return mx.io.DataBatch([mx.nd.array([self.at] * 2)], [], 0)


def _rows(**options: Any) -> mx.io.DataIter:
    return mx.io.NDArrayIter(TABLE, np.arange(ROWS), BATCH, **options)


def _text(folder: Path, **options: Any) -> mx.io.DataIter:
    return mx.io.CSVIter(
        data_csv=folder / "d.csv", label_csv=folder / "l.csv", data_shape=1, batch_size=BATCH,
        **options,
    )  # fmt: skip


def makers(folder: Path) -> dict[str, Callable[[], mx.io.DataIter]]:
    """Iterators of all kinds; `folder` gets their files."""
    write_images(folder, ROWS)
    for name in ("d", "l"):
        (folder / f"{name}.csv").write_text("".join(f"{number}\n" for number in range(ROWS)))
    shuffled = {"shuffle": True, "seed": 5, "last_batch_handle": "roll_over"}
    return {
        "NDArrayIter": partial(_rows, **shuffled),
        "IndexedIter": partial(Rows, ROWS, BATCH, **shuffled),
        "IndexedIter ahead": partial(Rows, ROWS, BATCH, prefetch_buffer=2, **shuffled),
        "CSVIter": partial(_text, folder),
        "CSVIter here": partial(_text, folder, prefetch_buffer=0),
        "PrefetchingIter": lambda: mx.io.PrefetchingIter(
            [_rows(), _text(folder, round_batch=False)]
        ),
        "PrefetchingIter of own iterators": lambda: mx.io.PrefetchingIter([Counts(), Counts()]),
        "ResizeIter": lambda: mx.io.ResizeIter(_rows(), 3),
        "MixIter": lambda: mx.io.MixIter(
            [
                mx.io.NDArrayIter(TABLE[:, None] + 9, np.arange(ROWS), BATCH),
                _text(folder, round_batch=False),
            ],
            stopping_strategy="all_exhausted",
        ),
        "BucketSentenceIter": lambda: mx.rnn.BucketSentenceIter(
            [[number, 2] for number in range(4)] + [[number, 2, 3] for number in range(4)],
            2,
            seed=1,
        ),
        "ImageRecordIter": partial(open_kind, "ImageRecordIter", "host", folder, **shuffled),
        "ImageRecordIter on DALI": partial(open_kind, "ImageRecordIter", "dali", folder),
        "ImageIter one by one": partial(
            open_kind, "ImageIter of a list", "host", folder, aug_list=OWN
        ),
    }


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Callable[[], mx.io.DataIter]]:
    return makers(tmp_path_factory.mktemp("interrupted"))


NAMES = [
    "NDArrayIter", "IndexedIter", "IndexedIter ahead", "CSVIter", "CSVIter here",
    "PrefetchingIter", "PrefetchingIter of own iterators", "ResizeIter", "MixIter",
    "BucketSentenceIter", "ImageRecordIter", "ImageRecordIter on DALI", "ImageIter one by one",
]  # fmt: skip


# What finalizers do cannot be interrupted: Python reports the exception and goes on.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", NAMES)
def test_an_interruption_loses_no_more_than_the_batch_in_hand(
    name: str, opened: dict[str, Callable[[], mx.io.DataIter]]
) -> None:
    check(
        opened[name],
        lambda count: range(number_of(name) % 7, count, max(1, count // MOMENTS)),
        digest,
        name not in STATELESS,
    )
    assert no_threads_left()


def number_of(name: str) -> int:
    """Another first moment for each."""
    return NAMES.index(name)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", [name for name in NAMES if "DALI" not in name])
def test_closing_can_be_repeated_after_an_interruption(
    name: str, opened: dict[str, Callable[[], mx.io.DataIter]]
) -> None:
    at, interrupted = 0, True
    while interrupted:
        iterator = opened[name]()
        iterator.next()
        with Interruption(at) as interruption, contextlib.suppress(KeyboardInterrupt):
            iterator.close()
        iterator.close()
        interrupted, at = interruption.place is not None, at + 11
        with pytest.raises(Error, match="closed"):
            iterator.next()
    assert no_threads_left()


@pytest.mark.parametrize(
    ("name", "step"), [("PrefetchingIter", 9), ("IndexedIter ahead", 7), ("CSVIter here", 11)]
)
def test_a_signal_handler_closes_at_any_moment(
    name: str, step: int, opened: dict[str, Callable[[], mx.io.DataIter]]
) -> None:
    def close_at_all_moments() -> None:
        at, handled = 0, True
        while handled:
            iterator = opened[name]()
            with Interruption(at, iterator.close) as interruption, contextlib.suppress(Error):
                iterator.next()
            handled, at = interruption.place is not None, at + step
            iterator.close()
            with pytest.raises(Error, match="closed"):
                iterator.next()

    thread, raised = run_in_thread(close_at_all_moments)
    thread.join(60)
    assert not thread.is_alive() and not raised
    assert no_threads_left()


def _handled(iterator: mx.io.DataIter, method: str, at: int) -> tuple[list[str], bool, str | None]:
    """The batches of an iterator, a method of which is called at a moment of the first `next`;
    whether that was refused, and where.
    """
    found: list[mx.io.DataBatch] = []
    refused = []

    def handle() -> None:
        try:
            batch = getattr(iterator, method)()
        except Error as error:
            refused.append(str(error))
        else:
            found.extend([] if batch is None else [batch])

    with iterator:
        with Interruption(at, handle) as interruption, contextlib.suppress(Error):
            found.append(iterator.next())
        found += iterator
        assert all("was called within another" in said for said in refused)
        return [digest(batch) for batch in found], bool(refused), interruption.place


@pytest.mark.parametrize("method", ["next", "reset"])
@pytest.mark.parametrize("name", ["NDArrayIter", "PrefetchingIter", "ImageRecordIter"])
def test_a_signal_handler_disturbs_no_batch(
    name: str, method: str, opened: dict[str, Callable[[], mx.io.DataIter]]
) -> None:
    """What it calls within `next` is refused, or happens before or after it."""

    def call_at_some_moments() -> int:
        with opened[name]() as iterator:
            whole = [digest(batch) for batch in iterator]
        with opened[name]() as iterator:
            first = iterator.next()
            iterator.reset()
            after_reset = [digest(batch) for batch in (first, *iterator)]
        at, place, count = 0, "", 0
        while place is not None:
            seen, refused, place = _handled(opened[name](), method, at)
            if method == "next":
                assert sorted(seen) == sorted(whole), place
            else:
                assert seen == whole or (seen == after_reset and not refused), place
            at, count = at + 5, count + refused
        return count

    counts: list[int] = []
    thread, raised = run_in_thread(lambda: counts.append(call_at_some_moments()))
    thread.join(60)
    assert not thread.is_alive() and not raised, raised
    assert counts[0] and no_threads_left()


@pytest.mark.parametrize("executor", ["host", "dali"])
@pytest.mark.parametrize("what", ["draw", "open"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_process_at_once(
    executor: str, what: str, number: signal.Signals, tmp_path: Path
) -> None:
    if executor == "dali":
        pytest.importorskip("nvidia.dali", reason="DALI is not installed")
    write_images(tmp_path, ROWS)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.io.interrupted_process", executor, str(tmp_path / "x"), what],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == -number, said
    if number == signal.SIGINT:
        assert said.endswith("KeyboardInterrupt\n"), said
