"""Labels of a list that replace those in the records."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuio.errors import ArgumentError, RecordError
from gpuio.loading.labels import LabelTable, read_label_table
from gpuio.recordio.lists import ListItem

KEYS = st.integers(-(2**63), 2**64 - 1)
LABELS = st.lists(st.floats(-9, 9, width=32), max_size=3)


def table(lines: list[tuple[int, list[float]]]) -> LabelTable:
    return LabelTable((ListItem(key, tuple(label), "x") for key, label in lines), "some.lst")


@given(st.lists(st.tuples(KEYS, LABELS), max_size=20))
def test_labels_are_found_by_key(lines: list[tuple[int, list[float]]]) -> None:
    made = table(lines)
    by_key = {key % 2**64: label for key, label in lines}  # the last line counts
    for key, label in by_key.items():
        found = made.find(key, "key")
        assert found.dtype == np.float32 and found.tolist() == label
    for key, _ in lines:  # the ids of records are unsigned, their keys are not
        assert made.find(key, "key").tolist() == by_key[key % 2**64]
    several = made.find_many(np.array([key % 2**64 for key, _ in lines], np.uint64))
    assert [None if each is None else each.tolist() for each in several] == [
        by_key[key % 2**64] for key, _ in lines
    ]
    assert made.longest(100) == max((len(label) for _, label in lines), default=0)


@given(st.sets(st.integers(0, 50)), st.integers(0, 50))
def test_other_keys_are_errors(keys: set[int], key: int) -> None:
    made = table([(each, [1.0]) for each in keys])
    (one,) = made.find_many(np.array([key], np.uint64))
    assert (one is not None) == (key in keys)
    if key in keys:
        assert made.find(key, "the id").tolist() == [1]
        return
    with pytest.raises(RecordError, match=re.escape(f"some.lst has no line for the id {key}")):
        made.find(key, "the id")


@given(
    st.dictionaries(st.integers(-(2**63), 2**63 - 1), LABELS, min_size=1, max_size=12), st.data()
)
def test_many_labels_come_in_blocks_of_one_length(
    by_key: dict[int, list[float]], data: st.DataObject
) -> None:
    keys = data.draw(st.lists(st.sampled_from(sorted(by_key)), max_size=12))
    found: dict[int, list[float]] = {}
    lengths = []
    for indices, labels in table(list(by_key.items())).blocks(np.array(keys, np.int64)):
        assert labels.dtype == np.float32 and len(labels) == len(indices)
        lengths.append(labels.shape[1])
        for index, label in zip(indices.tolist(), labels.tolist(), strict=True):
            assert index not in found
            found[index] = label
    assert found == {index: by_key[key] for index, key in enumerate(keys)}
    assert len(set(lengths)) == len(lengths)


def test_which_keys_have_a_label_is_known() -> None:
    made = table([(1, [1.0]), (3, [2.0])])
    assert made.known(np.array([1, 2, 3, 4])).tolist() == [True, False, True, False]
    assert made.known(np.array([3, 1, 3])).all()
    assert not table([]).known(np.array([3])).any()


def test_an_empty_list() -> None:
    assert table([]).longest(100) == 0
    with pytest.raises(RecordError, match="no line for key 0"):
        table([]).find(0, "key")


def test_a_table_is_read_from_a_list(tmp_path: Path) -> None:
    path = tmp_path / "some.lst"
    path.write_text("7\t1.5\t2.5\ta b.jpg\n\n9\t3\t4\tc.jpg\n")
    table = read_label_table(path)
    assert (
        table.find(7, "key").tolist() == [1.5, 2.5]
        and table.longest(2) == 2
        and table.longest(1) == 0
    )
    with pytest.raises(RecordError, match=re.escape(f"{path} has no line for key 8")):
        table.find(8, "key")
    path.write_text("7 1.5 2.5 a b.jpg\n")
    assert read_label_table(path, 2, whitespace=True).find(7, "id").tolist() == [1.5, 2.5]
    with pytest.raises(ArgumentError, match=re.escape(f"{path}, line 1")):
        read_label_table(path)
    with pytest.raises(ArgumentError, match=r"none\.lst"):
        read_label_table(tmp_path / "none.lst")
