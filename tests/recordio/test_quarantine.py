"""Quarantine lists: writing, reading, their fingerprint and their errors."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuio.errors import RecordError, RecordFileNotFoundError
from gpuio.recordio.quarantine import (
    Entry,
    quarantine_fingerprint,
    read_quarantine,
    write_quarantine,
)

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
