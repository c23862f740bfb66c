"""TextStream: the last batch of an epoch, and positions, whatever the number of rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpuio import nd
from gpuio.errors import ArgumentError, DataFileError, Error
from gpuio.io.text.files import TextFiles
from gpuio.io.text.rows import Columns, RowReader
from gpuio.io.text.stream import TextStream


def parse(text: bytes) -> Columns:
    return (np.array([int(line) for line in text.split()]),)


def assemble(columns: Columns) -> Any:
    return [nd.wrap(columns[0])], [nd.wrap(column) for column in columns[1:]]


def stream(
    folder: Path, rows: int, batch_size: int, last_batch: str, labels: int | None = None
) -> TextStream:
    readers = {}
    for name, count in (("data", rows), ("label", labels)):
        if count is not None:
            (folder / name).write_text("".join(f"{number}\n" for number in range(count)))
            readers[name] = RowReader(TextFiles(folder / name, name), parse)
    return TextStream(readers, assemble, batch_size, last_batch)


def epoch(made: TextStream) -> list[list[int]]:
    found = []
    while (batch := made.next()) is not None:
        rows = batch.data[0].tolist()
        assert batch.keys.tolist() == rows
        found.append(rows[: len(rows) - batch.pad] + [-1] * batch.pad)
    assert made.ended
    return found


@pytest.mark.parametrize(
    ("last_batch", "first", "second"),
    [
        ("pad", [[0, 1, 2], [3, 4, -1]], [[0, 1, 2], [3, 4, -1]]),
        ("wrap", [[0, 1, 2], [3, 4, -1]], [[1, 2, 3], [4, -1, -1]]),
        ("discard", [[0, 1, 2]], [[0, 1, 2]]),
        ("roll_over", [[0, 1, 2]], [[3, 4, 0], [1, 2, 3]]),
    ],
)
def test_the_last_batch(
    last_batch: str, first: list[list[int]], second: list[list[int]], tmp_path: Path
) -> None:
    made = stream(tmp_path, 5, 3, last_batch)
    assert epoch(made) == first and made.next() is None and made.epoch == 0
    made.reset()
    made.reset()  # at the beginning of an epoch there is nothing to do
    assert made.epoch == 1 and epoch(made) == second


@pytest.mark.parametrize("last_batch", ["pad", "wrap", "discard", "roll_over"])
def test_every_position_can_be_restored(last_batch: str, tmp_path: Path) -> None:
    made = stream(tmp_path, 8, 3, last_batch)
    states, batches = [], []
    for _ in range(12):
        states.append(made.state())
        batch = made.next()
        batches.append(None if batch is None else batch.data[0].tolist())
        if batch is None:
            made.reset()
    for start in (7, 0, 11, 3):
        made.restore(states[start])
        for expected in batches[start:]:
            batch = made.next()
            assert (None if batch is None else batch.data[0].tolist()) == expected
            if batch is None:
                made.reset()


def test_files_must_have_rows_and_as_many_of_each(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"data: .* has no rows"):
        stream(tmp_path, 0, 3, "pad")
    made = stream(tmp_path, 5, 3, "pad", labels=4)
    assert made.next() is not None
    for _ in range(2):  # asking again changes nothing
        with pytest.raises(DataFileError, match=r"label: .* ends after 4 rows, and data has more"):
            made.next()
    made = stream(tmp_path, 5, 3, "pad", labels=6)
    made.next()
    with pytest.raises(DataFileError, match=r"label: .* has more than the 5 rows of data"):
        made.next()


def test_batch_sizes_that_do_not_suit_the_rows(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="never full with 2 rows"):
        stream(tmp_path, 2, 3, "discard").next()
    with pytest.raises(ArgumentError, match="at least half as many"):
        stream(tmp_path, 2, 5, "wrap").next()
    batch = stream(tmp_path, 2, 5, "pad").next()
    assert batch is not None and batch.pad == 3 and batch.data[0].tolist() == [0, 1, 0, 1, 0]


def test_a_closed_stream_says_so(tmp_path: Path) -> None:
    made = stream(tmp_path, 5, 3, "pad")
    made.close()
    made.close()
    with pytest.raises(Error, match="closed"):
        made.next()


class Failing:
    """Calls a function, but fails at one of the calls."""

    def __init__(self, function: Any) -> None:
        self.function, self.calls, self.fail_at = function, 0, -1

    def __call__(self, argument: Any) -> Any:
        self.calls += 1
        if self.calls == self.fail_at:
            raise OSError("not now")
        return self.function(argument)


def results(made: TextStream, count: int) -> list[Any]:
    """What the next calls of `next` give, with a reset after each epoch; what fails is repeated."""
    found: list[Any] = []
    while len(found) < count:
        before = made.state()
        try:
            batch = made.next()
            if batch is None:
                made.reset()
        except OSError:
            assert made.state() == before or made.ended
            continue
        found.append(
            (made.epoch,)
            if batch is None
            else (batch.data[0].tolist(), batch.label[0].tolist(), batch.pad, batch.keys.tolist())
        )
    return found


@pytest.mark.parametrize("last_batch", ["pad", "wrap", "discard", "roll_over"])
@pytest.mark.parametrize("stage", [0, 1, 2])
def test_whatever_fails_is_tried_again(
    last_batch: str, stage: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each call of the parsers of data and labels, and of what puts a batch together."""
    monkeypatch.setattr("gpuio.io.text.files.BLOCK", 6)
    for name in ("data", "label"):
        (tmp_path / name).write_text("".join(f"{number}\n" for number in range(8)))

    def opened(fail_at: int) -> tuple[TextStream, Failing]:
        functions = [Failing(parse), Failing(parse), Failing(assemble)]
        readers = {
            name: RowReader(TextFiles(tmp_path / name, name), function)
            for name, function in zip(("data", "label"), functions[:2], strict=True)
        }
        made = TextStream(readers, functions[2], 3, last_batch)
        functions[stage].fail_at = functions[stage].calls + fail_at
        return made, functions[stage]

    made, function = opened(-1)
    whole = results(made, 12)
    assert function.calls >= 8
    for fail_at in range(1, function.calls + 1):
        made, _ = opened(fail_at)
        assert results(made, 12) == whole, fail_at


def test_what_fails_because_it_is_closed_meanwhile(tmp_path: Path) -> None:
    def assemble_late(columns: Columns) -> Any:
        made.close()  # as another thread or a signal handler may
        raise ValueError("nothing to unpack")

    (tmp_path / "data").write_text("1\n2\n")
    reader = RowReader(TextFiles(tmp_path / "data", "data"), parse)
    made = TextStream({"data": reader}, assemble_late, 2, "pad")
    with pytest.raises(Error, match="closed while a batch was awaited"):
        made.next()
