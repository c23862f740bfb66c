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
    images = [jpeg(number, 30 + number, 60) for number in range(10)]
    return write_records(tmp_path / "all", images, [n % 3 for n in range(10)])["path_imgrec"]


def records(rec: Path | str) -> dict[int, bytes]:
    with mx.recordio.MXIndexedRecordIO(Path(rec).with_suffix(".idx"), rec, "r") as reader:
        return {key: reader.read_idx(key) for key in reader.keys}


@pytest.mark.parametrize("shuffle", [False, True])
def test_split_and_merge(shuffle: bool, rec: Path, tmp_path: Path) -> None:
    made = mx.tools.split(rec, tmp_path / "part", [5, 3, 2], shuffle=shuffle, seed=1)
    outputs = [copied.rec for copied in made]
    assert [copied.records for copied in made] == [5, 3, 2]
    assert outputs == [str(tmp_path / f"part_{number}.rec") for number in range(3)]
    parts = [records(out) for out in outputs]
    assert [len(part) for part in parts] == [5, 3, 2]
    whole = records(rec)
    assert (list(parts[0]) == [0, 10, 20, 30, 40]) is not shuffle
    assert mx.tools.merge(outputs, tmp_path / "again.rec").records == 10
    assert records(tmp_path / "again.rec") == whole
    if not shuffle:
        assert (tmp_path / "again.rec").read_bytes() == rec.read_bytes()
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("parts", [1, 2, 3, 4, 7, 10, 13])
def test_equal_parts(parts: int, rec: Path, tmp_path: Path) -> None:
    made = mx.tools.split(rec, tmp_path / "part", parts=parts)
    sizes = [copied.records for copied in made]
    assert len(sizes) == parts and sum(sizes) == 10 and max(sizes) - min(sizes) <= 1
    together: dict[int, bytes] = {}
    for copied in made:
        together |= records(copied.rec)
    assert list(together.items()) == list(records(rec).items())


def test_merge_refuses_duplicate_keys(rec: Path, tmp_path: Path) -> None:
    out = tmp_path / "two.rec"
    with pytest.raises(ArgumentError, match="renumber"):
        mx.tools.merge([rec, rec], out)
    assert mx.tools.merge([rec, rec], out, renumber=True).records == 20
    assert list(records(out)) == list(range(20))
    assert [*records(out).values()] == [*records(rec).values()] * 2


def test_shuffle(rec: Path, tmp_path: Path) -> None:
    orders = []
    for seed in (0, 1, 1):
        assert mx.tools.shuffle(rec, tmp_path / "out.rec", seed=seed).records == 10
        found = records(tmp_path / "out.rec")
        assert found == records(rec)
        orders.append(list(found))
    assert orders[0] != orders[1] == orders[2] and orders[0] != list(records(rec))


@pytest.mark.parametrize(
    ("conditions", "keys"),
    [
        ({"keys": [30, 10]}, [10, 30]),
        ({"labels": [1]}, [10, 40, 70]),
        ({"labels": [1, 2], "keys": [0, 10, 20]}, [10, 20]),
        ({"least": 37}, [70, 80, 90]),
        ({"most": 31, "least": 31}, [10]),
    ],
    ids=str,
)
def test_filter(conditions: dict[str, Any], keys: list[int], rec: Path, tmp_path: Path) -> None:
    done = mx.tools.filter_records(rec, tmp_path / "out.rec", **conditions)
    assert (done.records, done.left_out, done.unreadable) == (len(keys), 0, 0)
    whole = records(rec)
    assert records(tmp_path / "out.rec") == {key: whole[key] for key in keys}


def test_invalid_arguments(rec: Path, tmp_path: Path) -> None:
    for call in (
        lambda: mx.tools.shuffle(rec, rec),
        lambda: mx.tools.merge([rec], rec),
        lambda: mx.tools.filter_records(rec, rec),
    ):
        with pytest.raises(ArgumentError, match="would overwrite the original"):
            call()
    with pytest.raises(ArgumentError, match="no record"):
        mx.tools.filter_records(rec, tmp_path / "out.rec", labels=[9])
    for key in (7, 2**63):
        with pytest.raises(ArgumentError, match=f"no record with key {key}"):
            mx.tools.filter_records(rec, tmp_path / "out.rec", keys=[10, key])
    for ratios in ([], [1, 0], [-1, 2], [float("inf"), 1], [float("nan")], [1e308, 1e308]):
        with pytest.raises(ArgumentError, match="above 0"):
            mx.tools.split(rec, tmp_path / "part", ratios)
    for sizes in ({}, {"ratios": [1], "parts": 2}):
        with pytest.raises(ArgumentError, match="either the ratios of the outputs or the number"):
            mx.tools.split(rec, tmp_path / "part", **sizes)
    with pytest.raises(ArgumentError, match="parts must be at least 1, not 0"):
        mx.tools.split(rec, tmp_path / "part", parts=0)
    content = bytearray(rec.read_bytes())
    content[mx.recordio.Index.load(rec.with_suffix(".idx")).offsets[5]] ^= 1
    rec.write_bytes(content)
    with pytest.raises(RecordError, match="gpuio repair"):
        mx.tools.shuffle(rec, tmp_path / "out.rec")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.idx", "all.rec"]


def test_the_commands(rec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out.rec")
    for arguments, count in (
        (["split", str(rec), str(tmp_path / "part"), "--ratio", "1", "--ratio", "1"], None),
        (["merge", out, str(tmp_path / "part_0.rec"), str(tmp_path / "part_1.rec")], 10),
        (["split", str(rec), str(tmp_path / "part"), "--parts", "3"], None),
        (["shuffle", str(rec), out, "--seed", "3"], 10),
        (["filter", str(rec), out, "--label", "1", "--key", "10", "--key", "40"], 2),
    ):
        assert main(arguments) == 0
        printed = capsys.readouterr().out
        if count is not None:
            assert printed == f"{out}: {count} records\n"
    assert main(["merge", out, str(rec), str(rec)]) == 2
    capsys.readouterr()
    for sizes in ([], ["--parts", "2", "--ratio", "1"]):
        with pytest.raises(SystemExit):
            main(["split", str(rec), str(tmp_path / "part"), *sizes])
        assert "--parts" in capsys.readouterr().err


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """A face data set: a header, five images with keys 1 to 5, two identity records."""
    path = tmp_path / "faces.rec"
    with mx.recordio.MXIndexedRecordIO(path.with_suffix(".idx"), path, "w") as writer:
        for key in range(8):
            label: Any = float(key % 2)
            image = jpeg(key)
            if key == 0:
                label, image = [6.0, 8.0], b""
            elif key > 5:
                label, image = [1.0, 3.0], b""
            header = mx.recordio.IRHeader(0, label, key, 0)
            writer.write_idx(key, mx.recordio.pack(header, image))
    return path


def test_only_the_images_of_face_data_are_copied(
    faces: Path, rec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.rec"
    done = mx.tools.shuffle(faces, out)
    assert (done.records, done.left_out) == (5, 3)
    assert sorted(records(out)) == [1, 2, 3, 4, 5]
    assert mx.tools.info(out).layout == "plain"
    halves = mx.tools.split(faces, tmp_path / "half", [1, 1])
    assert [half.records for half in halves] == [2, 3]
    assert mx.tools.filter_records(faces, out, labels=[1]).records == 3
    done = mx.tools.merge([faces, rec, faces], out, renumber=True)
    assert (done.records, done.left_out) == (20, 6)
    found = mx.tools.info(out)
    assert (found.layout, found.images, found.unreadable) == ("plain", 20, 0)
    assert main(["shuffle", str(faces), str(out)]) == 0
    assert "left out: 3 header and identity records" in capsys.readouterr().out


def test_labels_are_compared_as_they_are_stored(tmp_path: Path) -> None:
    images = [jpeg(number) for number in range(4)]
    labels = [0.1, float("nan"), [0.1, 7.0], 1234561]
    rec = write_records(tmp_path / "x", images, labels)["path_imgrec"]
    out = tmp_path / "out.rec"
    for label, keys in ((0.1, [0, 20]), (float("nan"), [10]), (1234561, [30])):
        mx.tools.filter_records(rec, out, labels=[label])
        assert list(records(out)) == keys
        assert mx.tools.extract(rec, tmp_path / str(label), labels=[label]).images == len(keys)
    assert mx.tools.info(rec).labels == {"0.1": 2, "nan": 1, "1234561": 1}


def test_unreadable_records_meet_no_condition(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rec = tmp_path / "x.rec"
    header = mx.recordio.IRHeader(0, 1.0, 0, 0)
    with mx.recordio.MXIndexedRecordIO(rec.with_suffix(".idx"), rec, "w") as writer:
        writer.write_idx(0, mx.recordio.pack(header, jpeg(0)))
        writer.write_idx(1, b"")
        writer.write_idx(2, mx.recordio.pack(header, b"no image"))
    done = mx.tools.filter_records(rec, tmp_path / "out.rec", labels=[1])
    assert (done.records, done.unreadable) == (2, 1)
    assert main(["filter", str(rec), str(tmp_path / "out.rec"), "--least", "10"]) == 1
    assert "left out: 2 records that cannot be read" in capsys.readouterr().out


def test_merge_with_some_of_the_indexes(rec: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.rec"
    other.write_bytes(rec.read_bytes())
    with pytest.raises(ArgumentError, match=r"all.rec has an index and .*other.rec has none"):
        mx.tools.merge([rec, other], tmp_path / "out.rec")
    assert mx.tools.merge([rec, other], tmp_path / "out.rec", renumber=True).records == 20
