"""Batches that the graph failed, run again without the samples that DALI refuses."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from gpuio.errors import DeviceError
from gpuio.execution import dali_refused
from gpuio.execution.dali_errors import GraphError
from gpuio.execution.dali_graph import Feed
from gpuio.execution.dali_pipeline import DaliPipeline
from gpuio.execution.dali_refused import Canceled, RefusedSamples, Rerun
from tests.execution.test_dali_pipeline import (
    DAMAGED,
    GOOD,
    RASTER,
    feed,
    make_pipeline,
    pixels,
)


class CountingPipeline(DaliPipeline):
    """Notes how many samples each run had, and whether it is closed."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.runs: list[int] = []
        self.closed = False

    def run(self, feed: Feed, stream: object) -> Any:
        self.runs.append(len(feed.encoded))
        return super().run(feed, stream)

    def close(self) -> None:
        super().close()
        self.closed = True


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The pipelines that a `RefusedSamples` has created, and itself."""
    monkeypatch.setattr("tests.execution.test_dali_pipeline.DaliPipeline", CountingPipeline)
    pipelines: list[Any] = []

    def create() -> DaliPipeline:
        pipelines.append(make_pipeline(1))
        return pipelines[-1]

    again = RefusedSamples(create, None)
    yield pipelines, again
    again.close()
    assert all(each.closed for each in pipelines)


def blanks(payloads: list[bytes]) -> Callable[[set[int]], Feed]:
    """Makes the feed of a batch with some samples replaced by an error."""
    return lambda refused: feed(
        [None if row in refused else each for row, each in enumerate(payloads)]
    )


def rerun(again: RefusedSamples, payloads: list[bytes], sample: int | None = None) -> Rerun:
    return again.run(
        blanks(payloads), [*range(len(payloads))], GraphError("it failed", sample), lambda: True
    )


@pytest.mark.parametrize("bad", [RASTER, DAMAGED], ids=["not named", "named"])
@pytest.mark.parametrize("rows", [(0,), (3,), (1, 2), (0, 1, 2, 3), ()], ids=str)
def test_what_dali_refuses_is_found(rows: tuple[int, ...], bad: bytes, made: Any) -> None:
    _, again = made
    expected = pixels(make_pipeline().run(feed(GOOD), None))
    payloads = [bad if row in rows else each for row, each in enumerate(GOOD)]
    found = rerun(again, payloads)
    assert found.refused == found.alone == set(rows)
    for row in {*range(4)} - {*rows}:
        np.testing.assert_array_equal(pixels(found.tensors)[row], expected[row])


def test_a_sample_that_dali_named_costs_one_run_and_one_of_it_alone(made: Any) -> None:
    (pipelines, again) = made
    found = rerun(again, [*GOOD[:2], DAMAGED, GOOD[3]], sample=2)
    assert found.refused == found.alone == {2}
    assert pipelines[0].runs == [4, 1]


def test_a_sample_that_dali_takes_alone_is_left_out_but_not_for_ever(made: Any) -> None:
    _, again = made
    found = rerun(again, GOOD, sample=1)
    assert found.refused == {1} and found.alone == set()


def test_wrong_and_unknown_names_do_no_harm(made: Any) -> None:
    _, again = made
    payloads = [*GOOD[:2], RASTER, GOOD[3]]
    for sample in (0, 3, 17):
        found = rerun(again, payloads, sample)
        assert found.refused == found.alone == {2}


def test_a_batch_that_was_not_run_is_run(made: Any) -> None:
    (pipelines, again) = made
    found = again.run(blanks(GOOD), [0, 1, 2, 3], None, lambda: True)
    assert found.refused == set() and pipelines[0].runs == [4]
    found = again.run(blanks([*GOOD[:3], RASTER]), [0, 1, 2, 3], None, lambda: True)
    assert found.refused == {3}


def test_without_candidates_the_batch_fails() -> None:
    """All samples that may be refused are left out, and the graph still fails."""
    again = RefusedSamples(partial(make_pipeline, 1), None)
    with pytest.raises(DeviceError, match="could not make a batch: nvImageCodec failure"):
        again.run(blanks([RASTER, *GOOD[1:]]), [1, 2, 3], GraphError("it failed", None),
                  lambda: True)  # fmt: skip
    again.close()


def test_a_sample_that_fails_although_it_is_left_out_fails_the_batch(made: Any) -> None:
    """As when DALI names a sample, but the reason is another."""
    _, again = made
    answers = iter([True] * 20 + [False])  # it does not try for ever
    with pytest.raises(DeviceError, match="could not make a batch"):
        again.run(lambda refused: feed([GOOD[0], DAMAGED, *GOOD[2:]]), [0, 1, 2, 3],
                  GraphError("it failed", 1), lambda: next(answers))  # fmt: skip


def test_what_is_no_longer_wanted_stops(made: Any) -> None:
    (pipelines, again) = made
    answers = iter([True, True, False])
    with pytest.raises(Canceled):
        again.run(blanks([RASTER, *GOOD[1:]]), [0, 1, 2, 3], GraphError("it failed", None),
                  lambda: next(answers))  # fmt: skip
    assert len(pipelines[0].runs) == 2


def test_the_graph_is_dropped_when_it_has_been_idle(
    made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dali_refused, "IDLE_BATCHES", 3)
    (pipelines, again) = made
    for _ in range(2):
        rerun(again, [RASTER, *GOOD[1:]])
        again.count_good()
        again.count_good()
        rerun(again, [RASTER, *GOOD[1:]])
        again.count_good()
        again.count_good()
        assert not pipelines[-1].closed
        again.count_good()
        assert pipelines[-1].closed
    assert len(pipelines) == 2


def test_a_broken_graph_is_replaced(made: Any) -> None:
    (pipelines, again) = made
    rerun(again, [RASTER, *GOOD[1:]])
    pipelines[0].broken = True
    assert rerun(again, [RASTER, *GOOD[1:]]).refused == {0}
    assert pipelines[0].closed and len(pipelines) == 2
