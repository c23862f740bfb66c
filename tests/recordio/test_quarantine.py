"""Quarantine lists: writing, reading, their fingerprint and their errors."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuio.errors import RecordError, RecordFileNotFoundError
from gpuio.recordio import MXRecordIO, RecordSet
from gpuio.recordio.quarantine import (
    Entry,
    quarantine_fingerprint,
    read_quarantine,
    write_quarantine,
)
from gpuio.storage.local import LONGEST_LINE

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\t\n\r/"), min_size=1)
ENTRIES = st.lists(st.builds(Entry, NAMES, st.integers(0), st.integers(), st.text()), max_size=5)


@given(ENTRIES)
def test_what_is_written_reads_back(
    tmp_path_factory: pytest.TempPathFactory, entries: list[Entry]
) -> None:
    path = tmp_path_factory.mktemp("quarantine") / "bad.tsv"
    write_quarantine(path, entries)
    # A reason becomes one line; blanks are collapsed.
    assert read_quarantine(path) == [
        entry._replace(reason=" ".join(entry.reason.split())) for entry in entries
    ]


def test_the_file_is_tab_separated(tmp_path: Path) -> None:
    path = tmp_path / "bad.tsv"
    write_quarantine(path, [Entry("a.rec", 8, 1, "no\timage\nat all"), Entry("b.rec", 0, 2, "")])
    assert path.read_bytes() == b"a.rec\t8\t1\tno image at all\nb.rec\t0\t2\t\n"
    write_quarantine(path, [])
    assert path.read_bytes() == b"" and read_quarantine(path) == []


def test_folders_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "bad.tsv").write_text("/data/a.rec\t8\t1\twhy\n")
    assert read_quarantine(f"file://{tmp_path}/bad.tsv") == [Entry("a.rec", 8, 1, "why")]


def test_file_names_that_are_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "bad.tsv"
    path.write_bytes(b"Jos\xe9.rec\t8\t1\twhy\n")
    entries = read_quarantine(path)
    write_quarantine(tmp_path / "copy.tsv", entries)
    assert (tmp_path / "copy.tsv").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "line",
    ["a.rec\t0", "a.rec\tzero\t0\twhy", "a.rec\t0\tkey\twhy", "a\t1\t2\t3\t4", "", "a 1 2 3"],
)
def test_a_malformed_line_is_named(line: str, tmp_path: Path) -> None:
    (tmp_path / "bad.tsv").write_text(f"a.rec\t8\t1\twhy\n{line}\n")
    with pytest.raises(RecordError, match="line 2: expected file, offset, key and reason"):
        read_quarantine(tmp_path / "bad.tsv")


def test_a_missing_list(tmp_path: Path) -> None:
    with pytest.raises(RecordFileNotFoundError, match=r"quarantine list .*none\.tsv does not"):
        read_quarantine(tmp_path / "none.tsv")
    with pytest.raises(RecordError, match=r"quarantine list .* cannot be read: Is a directory"):
        read_quarantine(tmp_path)
    with pytest.raises(RecordFileNotFoundError, match="its directory does not exist"):
        write_quarantine(tmp_path / "none" / "bad.tsv", [])


@given(ENTRIES, ENTRIES)
def test_the_fingerprint_depends_on_the_records_only(one: list[Entry], two: list[Entry]) -> None:
    assert quarantine_fingerprint([]) == ""
    assert quarantine_fingerprint(one) == quarantine_fingerprint(
        [entry._replace(key=0, reason="other") for entry in reversed(one)] + one
    )
    records = [{(entry.file, entry.offset) for entry in entries} for entries in (one, two)]
    assert (quarantine_fingerprint(one) == quarantine_fingerprint(two)) == (
        records[0] == records[1]
    )


FIELDS = st.sampled_from(
    [b"a.rec", b"8", b"-1", b"1e3", b"", b" 7 ", "\u0663".encode(), b"\xe9", b"9" * 30, b"\0", b"/"]
)
LINES = st.lists(st.lists(FIELDS, max_size=5).map(b"\t".join), max_size=4)


@given(st.one_of(st.binary(max_size=60), LINES.map(b"\n".join)))
def test_any_bytes_are_entries_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("quarantine") / "bad.tsv"
    path.write_bytes(content)
    try:
        entries = read_quarantine(path)
    except RecordError as error:
        assert str(path) in str(error)
        return
    write_quarantine(path, entries)
    assert read_quarantine(path) == [
        entry._replace(reason=" ".join(entry.reason.split())) for entry in entries
    ]


def test_a_line_without_an_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.tsv"
    path.write_bytes(b"a.rec\t0\t0\twhy\n" + b"0" * (LONGEST_LINE + 9))
    with pytest.raises(RecordError, match=r"bad\.tsv, line 2: the line has more than"):
        read_quarantine(path)


@pytest.mark.parametrize("offset", [10**30, -(10**30), -8, 2**63])
def test_offsets_that_no_file_has_are_ignored(offset: int, tmp_path: Path) -> None:
    path = tmp_path / "x.rec"
    with MXRecordIO(path, "w") as writer:
        writer.write(b"one")
    with RecordSet(path) as records:
        assert records.without(range(1), [Entry("x.rec", offset, 0, "why")]) == range(1)
