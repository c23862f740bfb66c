"""What counts as wrong of the files that an interrupted writer leaves."""

import pytest

from tests.faults.writers import Files, Writer, wrong_files

PAIR = Writer("", ("x.rec", "x.idx"))
OLD: Files = {"x.rec": b"old", "x.idx": b"o"}
NEW: Files = {"x.rec": b"new records", "x.idx": b"n"}


@pytest.mark.parametrize(
    "found",
    [OLD, NEW, {"x.rec": b"old"}, {"x.rec": b"new records"}, {**OLD, "x.rec.part": b"new"}],
    ids=str,
)
def test_old_files_and_new_ones_are_right(found: Files) -> None:
    assert wrong_files(PAIR, found, OLD, NEW) == ""


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        ({**OLD, "x.rec": b"new"}, "x.rec is incomplete, but has its final name"),
        ({**OLD, "x.rec": b"new records"}, "x.idx is not the index of x.rec"),
        ({**OLD, "x.idx": b"n"}, "x.idx is not the index of x.rec"),
        ({**OLD, "y": b""}, "y is left behind"),
        ({}, "x.rec is gone"),
    ],
    ids=str,
)
def test_others_are_wrong(found: Files, wrong: str) -> None:
    assert wrong_files(PAIR, found, OLD, NEW) == wrong
