"""Findings about an index, merged by cause."""

from array import array

from hypothesis import given
from hypothesis import strategies as st

from gpuio.tools.commands.mismatches import Finding, merge_mismatches


def merged(damage: list[int], listed: list[int], records: list[int]) -> list[tuple[str, int, list]]:
    """Kind, offset and lost offsets of each finding."""
    findings = [Finding("framing", offset, None, "damaged") for offset in damage]
    keys = {offset: offset + 1000 for offset in listed}
    found = merge_mismatches(findings, keys, array("q", records))
    return [(each.kind, each.offset, [at for at, _ in each.lost]) for each in found]


def test_nothing_is_found_where_all_matches() -> None:
    assert merged([], [0, 8, 16], [0, 8, 16]) == [] == merged([], [], [])


def test_damage_takes_along_what_follows() -> None:
    assert merged([8], [0, 8, 16, 24, 32], [0, 32]) == [("framing", 8, [8, 16, 24])]
    assert merged([8], [0, 8, 16, 24, 32], [0, 12, 20, 28]) == [("framing", 8, [8, 16, 24, 32])]


def test_each_damage_is_one_finding() -> None:
    assert merged([8, 24], [0, 8, 16, 24, 32], [0]) == [
        ("framing", 8, [8, 16]),
        ("framing", 24, [24, 32]),
    ]
    assert merged([8, 24], [], [0, 16]) == [
        ("index", 0, []),
        ("framing", 8, []),
        ("framing", 24, []),
    ]


def test_what_does_not_match_later_is_another_finding() -> None:
    assert merged([8], [0, 8, 16, 28], [0, 16, 24]) == [("framing", 8, [8]), ("index", 24, [28])]


def reason(listed: list[int], records: list[int]) -> str:
    (finding,) = merge_mismatches([], {at: at + 1 for at in listed}, array("q", records))
    assert finding.key == (finding.lost[0][1] if finding.lost else None)
    return finding.reason


def test_reasons() -> None:
    assert reason([4], []) == "no intact record begins at byte 4"
    assert reason([4, 8], []) == "2 records, with keys 5, 9, do not begin where the index says"
    assert reason(list(range(6)), []) == (
        "6 records, with keys 1, 2, 3, 4, … 6, do not begin where the index says"
    )
    assert reason([0], [0, 8]) == "record 1 is not in the index"
    assert reason([0], [0, 8, 16]) == (
        "2 records, the first of them number 1, are not in the index"
    )
    assert reason([4], [8]) == ("no intact record begins at byte 4; record 0 is not in the index")
    damage = [Finding("framing", 8, None, "damaged")]
    (found,) = merge_mismatches(damage, {8: 1, 16: 2}, array("q"))
    assert found.reason == "damaged; the record with key 2 does not begin where the index says"


OFFSETS = st.sets(st.integers(0, 30), max_size=12)


@given(OFFSETS, OFFSETS, OFFSETS)
def test_every_lost_record_is_in_one_finding(
    damage: set[int], listed: set[int], records: set[int]
) -> None:
    damage -= records
    found = merged(sorted(damage), list(listed), sorted(records))
    assert sorted(at for _, _, lost in found for at in lost) == sorted(listed - records)
    assert [at for kind, at, _ in found if kind == "framing"] == sorted(damage)
    assert [at for _, at, _ in found] == sorted(at for _, at, _ in found)
    assert bool(found) == (bool(damage) or listed != records)
