"""Saved states of the iterators over images; that they resume in a new process, too, is tested for
every iterator in conformance.py.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from gpuio.errors import StateError
from tests.io.conformance import trace
from tests.io.image_iterators import KINDS, open_kind, open_random, runs, write_images
from tests.io.records import (
    EXECUTORS,
    RUNS,
    TRAIN,
    jpeg,
    open_iter,
    write_records,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten images."""
    folder = tmp_path_factory.mktemp("images")
    write_images(folder, 10)
    return folder


@pytest.mark.parametrize("handle", ["pad", "discard", "roll_over"])
@pytest.mark.parametrize(("name", "run"), runs())
def test_a_state_resumes_at_any_point(name: str, run: str, handle: str, folder: Path) -> None:
    with open_random(name, run, folder, last_batch_handle=handle) as iterator:
        states, whole = [], []
        for _ in range(8):
            states.append(json.dumps(iterator.state_dict()))
            whole += trace(iterator, 1)
        whole += trace(iterator, 4)
    with open_random(name, run, folder, last_batch_handle=handle, prefetch_buffer=1) as other:
        for stop in (5, 0, 7, 3, 2):
            other.load_state_dict(json.loads(states[stop]))
            assert trace(other, 4) == whole[stop : stop + 4]


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("round_batch", [True, False])
def test_resume_of_the_golden_images_is_bit_identical(executor: str, round_batch: bool) -> None:
    options = {**RUNS[executor], "round_batch": round_batch, **TRAIN}
    with open_iter(**options) as iterator:
        states, whole = [], []
        for _ in range(9):
            states.append(json.dumps(iterator.state_dict()))
            whole += trace(iterator, 1)
        whole += trace(iterator, 4)
    for stop in (0, 2, 3, 6):
        with open_iter(**options) as other:
            other.load_state_dict(json.loads(states[stop]))
            assert trace(other, 6) == whole[stop : stop + 6]


def test_a_state_resumes_with_another_number_of_global_parts() -> None:
    with open_iter(**TRAIN, partition="global", batch_size=4) as whole:
        whole.next()
        state = whole.state_dict()
        expected = [whole.next().index.tolist() for _ in range(1)]
    for part in range(2):
        with open_iter(
            **TRAIN, partition="global", batch_size=2, num_parts=2, part_index=part
        ) as half:
            half.load_state_dict(state)
            assert half.next().index.tolist() == expected[0][2 * part : 2 * part + 2]


@pytest.mark.parametrize("name", KINDS)
def test_a_state_resumes_with_another_number_of_ranks(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    with open_random(name, "host", folder, num_parts="auto", batch_size=4) as whole:
        whole.next()
        state = whole.state_dict()
        expected = whole.next().index.tolist()
    monkeypatch.setenv("WORLD_SIZE", "2")
    found = []
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        with open_random(name, "host", folder, num_parts="auto", batch_size=2) as half:
            half.load_state_dict(state)
            found += half.next().index.tolist()
    assert found == expected


@pytest.mark.parametrize(
    "change", [{"seed": 6}, {"shuffle": False}, {"num_parts": 2}, {"round_batch": False}], ids=str
)
def test_a_state_of_another_order_is_refused(change: dict[str, Any]) -> None:
    with open_iter(**TRAIN) as iterator:
        state = iterator.state_dict()
    with (
        open_iter(**{**TRAIN, **change}) as other,
        pytest.raises(StateError, match="was saved with"),
    ):
        other.load_state_dict(state)


@pytest.mark.parametrize(
    "change",
    [{"seed": 6}, {"shuffle": False}, {"num_parts": 2}, {"last_batch_handle": "discard"}],
    ids=str,
)
@pytest.mark.parametrize("name", KINDS)
def test_a_state_with_other_arguments_is_refused(
    name: str, change: dict[str, Any], folder: Path
) -> None:
    with open_random(name, "host", folder) as iterator:
        iterator.next()
        state = iterator.state_dict()
        following = trace(iterator, 3)
    with open_random(name, "host", folder, **change) as other:
        before = trace(other, 1)
        after = other.state_dict()
        with pytest.raises(StateError, match="was saved with"):
            other.load_state_dict(state)
        assert other.state_dict() == after and before
    with open_random(name, "host", folder) as iterator:
        iterator.load_state_dict(state)
        assert trace(iterator, 3) == following


@pytest.mark.parametrize("name", KINDS)
def test_a_state_of_other_images_is_refused(name: str, folder: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(folder, copied)
    other_data = tmp_path / "other"
    other_data.mkdir()
    write_images(other_data, 11)
    with open_kind(name, "host", folder) as iterator:
        state = iterator.state_dict()
    with open_kind(name, "host", copied) as copy:
        copy.load_state_dict(state)  # the same data elsewhere
    with (
        open_kind(name, "host", other_data) as other,
        pytest.raises(StateError, match="was saved with data="),
    ):
        other.load_state_dict(state)


@pytest.mark.parametrize("name", KINDS)
def test_a_state_of_another_kind_of_iterator_is_refused(name: str, folder: Path) -> None:
    with open_kind(name, "host", folder) as iterator:
        state = iterator.state_dict()
        for wrong in (
            {},
            None,
            {**state, "version": 9},
            {**state, "kind": "NDArrayIter"},
            {**state, "position": -4},
            {**state, "position": "far"},
            {key: value for key, value in state.items() if key != "position"},
        ):
            with pytest.raises(StateError):
                iterator.load_state_dict(wrong)
        assert iterator.next().index.tolist() == [0, 10, 20, 30]


def test_a_state_of_other_data_is_refused(tmp_path: Path) -> None:
    files = write_records(tmp_path / "other", [jpeg(number) for number in range(12)])
    with open_iter() as iterator, open_iter(**files) as other:
        with pytest.raises(StateError, match="data"):
            other.load_state_dict(iterator.state_dict())
        for state in ({}, {"version": 9}, None):
            with pytest.raises(StateError):
                other.load_state_dict(state)
