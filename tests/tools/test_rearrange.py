"""gpuio split, merge, shuffle and filter."""

from pathlib import Path
from typing import Any

import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, RecordError
from gpuio.tools.cli import main
from tests.io.records import jpeg, write_records


@pytest.fixture
def rec(tmp_path: Path) -> Path:
    """Ten records with keys 0, 10, …, labels 0 to 2, shorter sides of 30 to 39 pixels."""
    pictures = [jpeg(number, 30 + number, 60) for number in range(10)]
    return write_records(tmp_path / "all", pictures, [n % 3 for n in range(10)])["path_imgrec"]


def records(rec: Path | str) -> dict[int, bytes]:
    with mx.recordio.MXIndexedRecordIO(Path(rec).with_suffix(".idx"), rec, "r") as reader:
        return {key: reader.read_idx(key) for key in reader.keys}


@pytest.mark.parametrize("shuffle", [False, True])
def test_split_and_merge(shuffle: bool, rec: Path, tmp_path: Path) -> None:
    outputs = mx.tools.split(rec, tmp_path / "part", [5, 3, 2], shuffle=shuffle, seed=1)
    assert outputs == [str(tmp_path / f"part_{number}.rec") for number in range(3)]
    parts = [records(out) for out in outputs]
    assert [len(part) for part in parts] == [5, 3, 2]
    whole = records(rec)
    assert (list(parts[0]) == [0, 10, 20, 30, 40]) is not shuffle
    assert mx.tools.merge(outputs, tmp_path / "again.rec") == 10
    assert records(tmp_path / "again.rec") == whole
    if not shuffle:
        assert (tmp_path / "again.rec").read_bytes() == rec.read_bytes()
    assert not list(tmp_path.glob("*.part"))


def test_merge_minds_keys(rec: Path, tmp_path: Path) -> None:
    out = tmp_path / "two.rec"
    with pytest.raises(ArgumentError, match="renumber"):
        mx.tools.merge([rec, rec], out)
    assert mx.tools.merge([rec, rec], out, renumber=True) == 20
    assert list(records(out)) == list(range(20))
    assert [*records(out).values()] == [*records(rec).values()] * 2


def test_shuffle(rec: Path, tmp_path: Path) -> None:
    orders = []
    for seed in (0, 1, 1):
        assert mx.tools.shuffle(rec, tmp_path / "out.rec", seed=seed) == 10
        found = records(tmp_path / "out.rec")
        assert found == records(rec)
        orders.append(list(found))
    assert orders[0] != orders[1] == orders[2] and orders[0] != list(records(rec))


@pytest.mark.parametrize(
    ("conditions", "keys"),
    [
        ({"keys": [30, 10, 7]}, [10, 30]),
        ({"labels": [1]}, [10, 40, 70]),
        ({"labels": [1, 2], "keys": [0, 10, 20]}, [10, 20]),
        ({"least": 37}, [70, 80, 90]),
        ({"most": 31, "least": 31}, [10]),
    ],
    ids=str,
)
def test_filter(conditions: dict[str, Any], keys: list[int], rec: Path, tmp_path: Path) -> None:
    assert mx.tools.filter_records(rec, tmp_path / "out.rec", **conditions) == len(keys)
    whole = records(rec)
    assert records(tmp_path / "out.rec") == {key: whole[key] for key in keys}


def test_mistakes(rec: Path, tmp_path: Path) -> None:
    for call in (
        lambda: mx.tools.shuffle(rec, rec),
        lambda: mx.tools.merge([rec], rec),
        lambda: mx.tools.filter_records(rec, rec),
    ):
        with pytest.raises(ArgumentError, match="is an original"):
            call()
    with pytest.raises(ArgumentError, match="no record"):
        mx.tools.filter_records(rec, tmp_path / "out.rec", labels=[9])
    for ratios in ([], [1, 0], [-1, 2]):
        with pytest.raises(ArgumentError, match="above 0"):
            mx.tools.split(rec, tmp_path / "part", ratios)
    content = bytearray(rec.read_bytes())
    content[mx.recordio.Index.load(rec.with_suffix(".idx")).offsets[5]] ^= 1
    rec.write_bytes(content)
    with pytest.raises(RecordError, match="gpuio repair"):
        mx.tools.shuffle(rec, tmp_path / "out.rec")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.idx", "all.rec"]


def test_the_commands(rec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out.rec")
    for words, count in (
        (["split", str(rec), str(tmp_path / "part"), "--ratio", "1", "--ratio", "1"], None),
        (["merge", out, str(tmp_path / "part_0.rec"), str(tmp_path / "part_1.rec")], 10),
        (["shuffle", str(rec), out, "--seed", "3"], 10),
        (["filter", str(rec), out, "--label", "1", "--key", "10", "--key", "40"], 2),
    ):
        assert main(words) == 0
        printed = capsys.readouterr().out
        if count is not None:
            assert printed == f"{out}: {count} records\n"
    assert main(["merge", out, str(rec), str(rec)]) == 2
