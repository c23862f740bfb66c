"""gpuio verify, and the quarantine lists it writes."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, RecordError, RecordFileNotFoundError, StateError
from gpuio.recordio.quarantine import read_quarantine
from gpuio.tools.cli import main
from tests.io.records import EXECUTORS, RUNS, jpeg, write_records

GOLDEN = Path(__file__).parents[2] / "golden" / "data"


def kinds(found: Any) -> list[tuple[str, int | None]]:
    return [(finding.kind, finding.key) for finding in found.findings]


@pytest.fixture
def bad(tmp_path: Path) -> dict[str, Path]:
    """Records: 10 is not an image, 30 is truncated, 40 is empty, and 50 has a damaged magic."""
    images = [jpeg(number) for number in range(7)]
    images[1] = b"this is not an image"
    images[3] = images[3][:-200]
    images[4] = b""
    files = write_records(tmp_path / "bad", images)
    content = bytearray(files["path_imgrec"].read_bytes())
    content[mx.recordio.Index.load(files["path_imgidx"]).offsets[5]] ^= 4
    files["path_imgrec"].write_bytes(content)
    return files


@pytest.mark.parametrize("level", ["framing", "headers", "deep"])
def test_intact_files(level: str) -> None:
    for name in ("img", "multi", "magic"):
        found = mx.tools.verify(GOLDEN / f"{name}.rec", level=level)
        expected = [] if name == "img" or level == "framing" else None
        assert found.idx == str(GOLDEN / f"{name}.idx")
        assert found.records == len(mx.recordio.Index.load(found.idx))
        if expected is not None:
            assert found.findings == expected


def test_findings_by_level(bad: dict[str, Path]) -> None:
    rec = bad["path_imgrec"]
    damaged = [("framing", 50)]
    assert kinds(mx.tools.verify(rec, level="framing")) == damaged
    assert kinds(mx.tools.verify(rec)) == [("image", 10), ("image", 40), *damaged]
    deep = mx.tools.verify(rec, level="deep", threads=2)
    assert kinds(deep) == [("image", 10), ("partial", 30), ("image", 40), *damaged]
    assert deep.records == 6 and deep.bytes == rec.stat().st_size
    assert "Premature end" in deep.findings[1].reason


def test_an_index_of_another_file(tmp_path: Path) -> None:
    files = write_records(tmp_path / "x", [jpeg(number) for number in range(3)])
    offsets = mx.recordio.Index.load(files["path_imgidx"]).offsets.tolist()
    other = tmp_path / "other.idx"
    other.write_text(f"7\t{offsets[0]}\n8\t4\n")
    found = mx.tools.verify(files["path_imgrec"], other)
    assert kinds(found) == [("index", 8)]
    assert found.findings[0].reason == (
        "no intact record begins at byte 4; 2 records, the first of them number 1, are not in the "
        "index"
    )
    other.write_text("what is this\n")
    (finding,) = mx.tools.verify(files["path_imgrec"], other).findings
    assert finding.kind == "index" and "line 1" in finding.reason


def test_records_of_face_data_sets_without_images_are_intact(tmp_path: Path) -> None:
    files = write_records(
        tmp_path / "faces", [b"", jpeg(1), jpeg(2), b""], [[3.0, 4.0], 0, 0, [1.0, 3.0]]
    )
    assert mx.tools.verify(files["path_imgrec"], level="deep").findings == []


def test_a_short_record_has_no_header(tmp_path: Path) -> None:
    with mx.recordio.MXRecordIO(tmp_path / "x.rec", "w") as writer:
        writer.write(b"short")
    (finding,) = mx.tools.verify(tmp_path / "x.rec").findings
    assert (finding.kind, finding.key) == ("header", 0)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_iterators_skip_quarantined_records(
    executor: str, bad: dict[str, Path], tmp_path: Path
) -> None:
    listed = tmp_path / "bad.tsv"
    good = write_records(tmp_path / "good", [b"no image" if n == 2 else jpeg(n) for n in range(7)])
    found = mx.tools.verify(good["path_imgrec"])
    assert mx.tools.quarantine(found, listed) == 1
    assert listed.read_text().startswith("good.rec\t")
    call = {**good, "data_shape": (3, 16, 16), "batch_size": 2, **RUNS[executor]}
    with mx.io.ImageRecordIter(**call, quarantine=listed) as iterator:
        keys = [key for batch in iterator for key in batch.index.tolist()]
        assert keys == [0, 10, 30, 40, 50, 60] and iterator.bad_records == []
        state = iterator.state_dict()
    with mx.io.ImageRecordIter(**call) as iterator, pytest.raises(StateError):
        iterator.load_state_dict(state)
    with mx.io.ImageRecordIter(**call, on_error="skip") as iterator:
        list(iterator)
        assert iterator.write_quarantine(tmp_path / "again.tsv") == 1
    first, second = (
        (tmp_path / name).read_text().split("\t")[:3] for name in ("bad.tsv", "again.tsv")
    )
    assert first == second


def test_invalid_quarantine_lists(tmp_path: Path) -> None:
    call: dict[str, Any] = dict(
        path_imgrec=GOLDEN / "img.rec",
        data_shape=(3, 8, 8),
        batch_size=2,
        quarantine=tmp_path / "x",
    )
    with pytest.raises(RecordFileNotFoundError, match="quarantine list"):
        mx.io.ImageRecordIter(**call)
    for text in ("img.rec\t0\n", "img.rec\tzero\t0\twhy\n", "a\t1\t2\t3\t4\n"):
        call["quarantine"].write_text(text)
        with pytest.raises(RecordError, match="line 1: expected file, offset, key and reason"):
            mx.io.ImageRecordIter(**call)
    call["quarantine"].write_text("other.rec\t0\t0\tnot of this file\n")
    with mx.io.ImageRecordIter(**call) as iterator:
        assert len(iterator) == 6
    with pytest.raises(ArgumentError, match="level must be one of"):
        mx.tools.verify(GOLDEN / "img.rec", level="thorough")


def test_the_command(
    bad: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rec, listed = str(bad["path_imgrec"]), tmp_path / "bad.tsv"
    assert main(["verify", str(GOLDEN / "img.rec"), "--deep"]) == 0
    assert "12 records" in capsys.readouterr().out
    assert main(["verify", rec, "--deep", "--quarantine", str(listed), "--most", "2"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("image at byte") and lines[2] == "… and 2 more"
    assert "findings: 1 framing, 2 image, 1 partial" in lines[3]
    assert lines[4] == f"'gpuio repair {rec}' copies the intact records"
    assert lines[5] == f"{listed}: 3 records" and len(listed.read_text().splitlines()) == 3
    assert main(["verify", rec, "--framing", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    (finding,) = found["findings"]
    begin = finding["offset"]
    assert finding["kind"] == "framing" and finding["lost"] == [[begin, 50]]
    assert finding["reason"] == "magic 0xced7230e, expected 0xced7230a"
    assert main(["verify", str(tmp_path / "none.rec")]) == 2


def test_a_quarantine_list_has_damaged_places(tmp_path: Path) -> None:
    """Where the index has a record, and the file has damage."""
    files = write_records(tmp_path / "x", [jpeg(number) for number in range(5)])
    rec = files["path_imgrec"]
    content = bytearray(rec.read_bytes())
    content[mx.recordio.Index.load(files["path_imgidx"]).offsets[2]] ^= 1
    rec.write_bytes(content)
    found = mx.tools.verify(rec)
    assert mx.tools.quarantine(found, tmp_path / "bad.tsv") == 1
    call = {**files, "data_shape": (3, 16, 16), "batch_size": 2}
    with mx.io.ImageRecordIter(**call, quarantine=tmp_path / "bad.tsv") as iterator:
        assert [key for batch in iterator for key in batch.index.tolist()] == [0, 10, 30, 40]


@pytest.mark.parametrize("size", [4, 5])
def test_two_faults_are_two_findings(
    size: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Although the index is wrong for all records behind missing bytes, which a quarantine list
    needs to name.
    """
    files = write_records(tmp_path / "x", [jpeg(number) for number in range(9)])
    rec, offsets = files["path_imgrec"], mx.recordio.Index.load(files["path_imgidx"]).offsets
    data = rec.read_bytes()
    first, second = int(offsets[2]) + 60, int(offsets[5]) + 70
    rec.write_bytes(data[:first] + data[first + size : second] + data[second + size :])
    found = mx.tools.verify(rec)
    assert [finding.kind for finding in found.findings] == ["framing", "framing"]
    assert [[key for _, key in finding.lost] for finding in found.findings] == [
        [20, 30, 40],
        [50, 60, 70, 80],
    ]
    assert found.records == 7
    assert mx.tools.quarantine(found, tmp_path / "bad.tsv") == 7
    listed = read_quarantine(tmp_path / "bad.tsv")
    assert [entry.offset for entry in listed] == offsets[2:].tolist()
    assert main(["verify", str(rec)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].endswith(
        "; 4 records, with keys 50, 60, 70, 80, do not begin where the index says"
    )
    assert lines[2].endswith("findings: 2 framing")
    assert lines[3] == f"'gpuio repair {rec}' copies the intact records"


def test_iterators_skip_what_damage_took_along(tmp_path: Path) -> None:
    files = write_records(tmp_path / "x", [jpeg(number) for number in range(5)])
    rec, offsets = files["path_imgrec"], mx.recordio.Index.load(files["path_imgidx"]).offsets
    data = bytearray(rec.read_bytes())
    data[offsets[1] : offsets[4]] = bytes(offsets[4] - offsets[1])
    rec.write_bytes(data)
    found = mx.tools.verify(rec)
    assert len(found.findings) == 1 and mx.tools.quarantine(found, tmp_path / "bad.tsv") == 3
    call = {**files, "data_shape": (3, 16, 16), "batch_size": 2}
    with mx.io.ImageRecordIter(**call, quarantine=tmp_path / "bad.tsv") as iterator:
        assert [key for batch in iterator for key in batch.index.tolist()] == [0, 40]


def test_an_index_that_does_not_match_is_one_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rec = write_records(tmp_path / "x", [jpeg(number) for number in range(9)])["path_imgrec"]
    images = [jpeg(number, 20 + number, 30) for number in range(9)]
    other = write_records(tmp_path / "y", images)["path_imgidx"]
    assert main(["verify", str(rec), "--idx", str(other)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(
        "8 records, with keys 10, 20, 30, 40, … 80, do not begin where the index says; 8 records, "
        "the first of them number 1, are not in the index"
    )
    assert lines[1].endswith("findings: 1 index")
    assert lines[2] == f"'gpuio index --force {rec}' makes a new index"


def test_without_an_index_keys_are_numbers(tmp_path: Path) -> None:
    files = write_records(tmp_path / "x", [jpeg(0), jpeg(1), b"no image"])
    files["path_imgidx"].unlink()
    found = mx.tools.verify(files["path_imgrec"])
    assert [finding.key for finding in found.findings] == [2]
    mx.tools.quarantine(found, tmp_path / "bad.tsv")
    assert "\t2\tnot an image" in (tmp_path / "bad.tsv").read_text()


def test_an_empty_image_is_bad_unless_it_is_of_face_data(tmp_path: Path) -> None:
    for labels in ([[1.0, 2.0, 3.0]] * 3, [[5.0, 2.0, 3.0], 0, 0], [[5.0, 2.0]] * 3):
        images = [b"", jpeg(1), b""]
        rec = write_records(tmp_path / "x", images, labels)["path_imgrec"]
        kinds = [finding.kind for finding in mx.tools.verify(rec).findings]
        assert kinds == ["image", "image"]
        assert mx.tools.info(rec).images == 3
    rec = write_records(tmp_path / "x", images, [[20.0, 30.0], 1, [1.0, 2.0]])["path_imgrec"]
    assert mx.tools.verify(rec).findings == []
    assert mx.tools.info(rec).images == 1


def test_duplicate_lines_of_an_index_are_found(tmp_path: Path) -> None:
    files = write_records(tmp_path / "x", [jpeg(0), jpeg(1)])
    index = files["path_imgidx"]
    lines = index.read_text().splitlines()
    index.write_text("\n".join([*lines, lines[1], "0\t99999"]) + "\n")
    reasons = [finding.reason for finding in mx.tools.verify(files["path_imgrec"]).findings]
    assert sorted(reasons) == [
        "no intact record begins at byte 99999",
        "the index has this key twice",
        "the index lists this record again",
    ]


def test_unusual_arguments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rec = write_records(tmp_path / "x", [b"no image"])["path_imgrec"]
    for threads in (0, -1):
        with pytest.raises(ArgumentError, match="threads must be at least 1"):
            mx.tools.verify(rec, threads=threads)
    for index in (tmp_path / "none.idx", tmp_path):
        with pytest.raises(RecordFileNotFoundError, match="does not exist"):
            mx.tools.verify(rec, index)
    assert main(["verify", str(rec), "--most", "-1"]) == 1
    assert "… and 1 more" in capsys.readouterr().out
    name = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.rec"))
    rec.rename(name)
    found = mx.tools.verify(name)
    mx.tools.quarantine(found, tmp_path / "bad.tsv")
    (entry,) = read_quarantine(tmp_path / "bad.tsv")
    assert entry.file == name.name
