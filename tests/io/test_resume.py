"""Saved states: the next batch after a load is the one that would have come."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import gpuio as mx
from gpuio.errors import (
    StateError,
)
from tests.io.records import (
    EXECUTORS,
    GOLDEN,
    RUNS,
    TRAIN,
    jpeg,
    open_iter,
    write_records,
)

RESUME = """
import json, sys, hashlib
import gpuio as mx
arguments, state, count = json.loads(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3])
with mx.io.ImageRecordIter(**arguments) as iterator:
    iterator.load_state_dict(state)
    for _ in range(count):
        try:
            batch = iterator.next()
            digest = hashlib.sha256(batch.data[0].asnumpy().tobytes()).hexdigest()
            print(batch.pad, digest, batch.index.tolist())
        except StopIteration:
            print("end")
            iterator.reset()
"""


def trace(iterator: mx.io.ImageRecordIter, count: int) -> list[str]:
    lines = []
    for _ in range(count):
        try:
            batch = iterator.next()
        except StopIteration:
            lines.append("end")
            iterator.reset()
        else:
            digest = hashlib.sha256(batch.data[0].asnumpy().tobytes()).hexdigest()
            lines.append(f"{batch.pad} {digest} {batch.index.tolist()}")
    return lines


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("round_batch", [True, False])
def test_resume_in_a_new_process_is_bit_identical(executor: str, round_batch: bool) -> None:
    arguments = dict(
        path_imgrec=str(GOLDEN / "img.rec"),
        path_imgidx=str(GOLDEN / "img.idx"),
        data_shape=[3, 24, 28],
        batch_size=5,
        **RUNS[executor],
        round_batch=round_batch,
        **TRAIN,
    )
    with mx.io.ImageRecordIter(**arguments) as iterator:
        whole, states = [], []
        for _ in range(9):
            states.append(iterator.state_dict())
            whole += trace(iterator, 1)
        whole += trace(iterator, 4)
    for stop in (0, 2, 3, 6):
        state = json.dumps(states[stop])
        done = subprocess.run(
            [sys.executable, "-c", RESUME, json.dumps(arguments), state, "6"],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.stdout.splitlines() == whole[stop : stop + 6], done.stderr
        if executor == "dali":
            break  # one new process suffices: what follows is the same code


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


def test_a_state_of_other_data_is_refused(tmp_path: Path) -> None:
    files = write_records(tmp_path / "other", [jpeg(number) for number in range(12)])
    with open_iter() as iterator, open_iter(**files) as other:
        with pytest.raises(StateError, match="data"):
            other.load_state_dict(iterator.state_dict())
        for state in ({}, {"version": 9}, None):
            with pytest.raises(StateError):
                other.load_state_dict(state)
