"""The journal that killed trainings leave, and how it is compared."""

import json
from pathlib import Path

import pytest

from tests.faults.journal import Entry, Journal, difference, left_out


def test_entries_come_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    assert journal.read() == journal.resume() == []
    entries = [Entry("a", {"position": 1}), Entry("end", None)]
    for entry in entries:
        journal.append(entry)
    assert journal.read() == entries


def test_an_incomplete_entry_is_removed(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.append(Entry("a", 1))
    with open(tmp_path / "journal", "a") as file:
        file.write(json.dumps(Entry("b", 2)))
    assert journal.resume() == [Entry("a", 1)]
    journal.append(Entry("b", 3))
    assert journal.read() == [Entry("a", 1), Entry("b", 3)]


@pytest.mark.parametrize("found", ["acb", "abb", "ab", "abcd", "bc"])
def test_lost_repeated_and_exchanged_batches_are_differences(found: str) -> None:
    assert difference(found, "abc")


def test_equal_batches_are_no_difference() -> None:
    assert difference("abc", "abc") == ""


@pytest.mark.parametrize(
    ("found", "missing"),
    [("abcd", 0), ("acd", 1), ("cd", 2), ("ab", 0), ("abb", None), ("ba", None), ("abx", None)],
)
def test_batches_left_out_are_counted(found: str, missing: int | None) -> None:
    assert left_out(found, "abcd") == missing
