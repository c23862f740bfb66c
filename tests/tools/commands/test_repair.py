"""gpuio repair: intact records in a new file, the original unchanged."""

import json
from pathlib import Path

import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, RecordError, RecordFileNotFoundError
from gpuio.tools.cli import main
from tests.io.records import jpeg, write_records


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """Ten records with keys 0, 10, …; the fifth has a broken magic, the last is cut off."""
    files = write_records(tmp_path / "x", [jpeg(number) for number in range(10)])
    offsets = mx.recordio.Index.load(files["path_imgidx"]).offsets.tolist()
    content = bytearray(files["path_imgrec"].read_bytes())
    content[offsets[4]] ^= 1
    files["path_imgrec"].write_bytes(content[:-20])
    return files["path_imgrec"]


def records(rec: Path | str, idx: Path | str) -> dict[int, bytes]:
    with mx.recordio.MXIndexedRecordIO(idx, rec, "r") as reader:
        return {key: reader.read_idx(key) for key in reader.keys}


def test_intact_records_keep_their_keys_and_bytes(damaged: Path, tmp_path: Path) -> None:
    before = damaged.read_bytes()
    good = write_records(tmp_path / "good", [jpeg(number) for number in range(10)])
    expected = records(good["path_imgrec"], good["path_imgidx"])
    done = mx.tools.repair(damaged, damaged=tmp_path / "lost")
    assert (done.rec, done.idx) == (
        str(tmp_path / "x.repaired.rec"),
        str(tmp_path / "x.repaired.idx"),
    )
    assert records(done.rec, done.idx) == {
        key: payload for key, payload in expected.items() if key not in (40, 90)
    }
    assert done.records == 8 and [span.reason is not None for span in done.lost] == [True, True]
    assert damaged.read_bytes() == before
    lost = b"".join(before[span.begin : span.end] for span in done.lost)
    assert (tmp_path / "lost").read_bytes() == lost
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "good.idx", "good.rec", "lost", "x.idx", "x.rec", "x.repaired.idx", "x.repaired.rec",
    ]  # fmt: skip


def test_without_an_index_keys_are_the_headers_ids(damaged: Path, tmp_path: Path) -> None:
    damaged.with_suffix(".idx").unlink()
    done = mx.tools.repair(damaged, tmp_path / "out.rec")
    assert list(records(done.rec, done.idx)) == [0, 10, 20, 30, 50, 60, 70, 80]
    damaged.with_suffix(".idx").write_text("nonsense\n")  # a bad default index is ignored
    assert list(records(*mx.tools.repair(damaged, tmp_path / "out.rec")[:2])) == [
        0,
        10,
        20,
        30,
        50,
        60,
        70,
        80,
    ]
    with pytest.raises(RecordError):
        mx.tools.repair(damaged, tmp_path / "out.rec", idx=damaged.with_suffix(".idx"))


def test_keys_are_never_given_twice(tmp_path: Path) -> None:
    files = write_records(tmp_path / "x", [b"a", b"b"])
    content = files["path_imgrec"].read_bytes()
    (tmp_path / "two.rec").write_bytes(content + content)
    with mx.recordio.MXRecordIO(tmp_path / "plain.rec", "w") as writer:
        for payload in (b"short", b"x"):
            writer.write(payload)
    done = mx.tools.repair(tmp_path / "two.rec")
    assert list(records(done.rec, done.idx)) == [0, 10, 1, 2] and done.lost == []
    done = mx.tools.repair(tmp_path / "plain.rec")
    assert records(done.rec, done.idx) == {0: b"short", 1: b"x"}


def test_invalid_arguments(damaged: Path, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="would overwrite the original"):
        mx.tools.repair(damaged, damaged)
    with pytest.raises(RecordFileNotFoundError):
        mx.tools.repair(tmp_path / "none.rec")
    with pytest.raises(RecordError, match="directory does not exist"):
        mx.tools.repair(damaged, tmp_path / "no" / "out.rec")


def test_the_command(damaged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.rec"
    assert main(["repair", str(damaged), str(out)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"{out}: 8 records" and len(lines) == 3
    assert main(["repair", str(out), "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["records"], done["lost"]) == (8, [])
    assert main(["repair", str(tmp_path / "none.rec")]) == 2
    assert "does not exist" in capsys.readouterr().err
