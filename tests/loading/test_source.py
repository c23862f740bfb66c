"""Sources of encoded images: record files, and files that a list names."""

import os
from pathlib import Path

import numpy as np
import pytest

from gpuio.errors import FILE_ERRORS, Error, RecordError
from gpuio.loading.labels import LabelTable
from gpuio.loading.source import Encoded, FileSource, RecordSource, read_or_error
from gpuio.recordio import IRHeader, MXIndexedRecordIO, RecordSet, pack
from gpuio.recordio.lists import ListItem
from tests.io.records import write_records

PAYLOADS = [b"zero", b"one", b"two!"]


def record_source(folder: Path, labels: list[object] | None = None) -> RecordSource:
    files = write_records(folder / "x", PAYLOADS, labels)
    return RecordSource(RecordSet(files["path_imgrec"], files["path_imgidx"]))


def file_source(folder: Path, labels: list[tuple[float, ...]] | None = None) -> FileSource:
    for number, payload in enumerate(PAYLOADS):
        (folder / f"{number}.jpg").write_bytes(payload)
    numbers = [(float(n),) for n in range(len(PAYLOADS))] if labels is None else labels
    items = [ListItem(10 * n, label, f"{n}.jpg") for n, label in enumerate(numbers)]
    return FileSource(items, str(folder))


@pytest.mark.parametrize("make", [record_source, file_source])
def test_records_are_read_by_index(make: object, tmp_path: Path) -> None:
    source = make(tmp_path)  # type: ignore[operator]
    assert len(source) == 3 and source.keys.tolist() == [0, 10, 20]
    assert list(source.images) == [0, 1, 2] and source.fingerprint
    for index in (2, 0, 1):
        label, data = source.read(index)
        assert np.ravel(label).tolist() == [index] and bytes(data) == PAYLOADS[index]
        assert data.dtype == np.uint8
        location = source.location(index)
        assert location.key == 10 * index and str(tmp_path) in location.file
    source.close()
    source.close()


@pytest.mark.parametrize("make", [record_source, file_source])
def test_a_fingerprint_tells_data_apart(make: object, tmp_path: Path) -> None:
    first, other = tmp_path / "first", tmp_path / "other"
    first.mkdir()
    other.mkdir()
    once = make(first)  # type: ignore[operator]
    fingerprint = once.fingerprint
    assert make(other).fingerprint == fingerprint  # type: ignore[operator]
    with_labels = [(0.0,), (1.0,), (9.0, 9.0)]
    changed = tmp_path / "changed"
    changed.mkdir()
    assert make(changed, with_labels).fingerprint != fingerprint  # type: ignore[operator]


def test_a_list_may_replace_the_labels(tmp_path: Path) -> None:
    files = write_records(tmp_path / "x", PAYLOADS)
    items = [ListItem(10, (1.0, 2.0), "b"), ListItem(0, (3.0,), "a")]
    for by_id, missing in ((False, "key 20"), (True, "the record's id 20")):
        records = RecordSet(files["path_imgrec"], files["path_imgidx"])
        source = RecordSource(records, LabelTable(items, "x.lst"), by_id)
        assert source.read(1).label.tolist() == [1, 2]
        with pytest.raises(RecordError, match=rf"x\.lst has no line for {missing}"):
            source.read(2)
        with pytest.raises(
            RecordError, match=rf"x\.rec, key 20, byte \d+: x\.lst has no line for {missing}"
        ):
            list(source.label_blocks())
        source.close()
        table = LabelTable([*items, ListItem(20, (4.0,), "c")], "x.lst")
        records = RecordSet(files["path_imgrec"], files["path_imgidx"])
        source = RecordSource(records, table, by_id)
        blocks = [(indices.tolist(), labels.tolist()) for indices, labels in source.label_blocks()]
        assert blocks == [([0, 2], [[3], [4]]), ([1], [[1, 2]])]
        source.close()


@pytest.mark.parametrize("make", [record_source, file_source])
def test_labels_come_in_blocks_of_one_length(make: object, tmp_path: Path) -> None:
    source = make(tmp_path, [(1.0, 2.0), (3.0,), (4.0, 5.0)])  # type: ignore[operator]
    found: dict[int, list[float]] = {}
    for indices, labels in source.label_blocks():
        assert labels.dtype == np.float32 and labels.shape[0] == len(indices)
        for index, label in zip(indices.tolist(), labels.tolist(), strict=True):
            found[index] = label
    assert found == {0: [1, 2], 1: [3], 2: [4, 5]}
    source.close()


def test_records_that_hold_no_image_are_left_out(tmp_path: Path) -> None:
    """As the header and the identities of face data sets."""
    files = tmp_path / "x.idx", tmp_path / "x.rec"
    with MXIndexedRecordIO(*files, "w") as writer:
        writer.write_idx(0, pack(IRHeader(0, [3.0, 4.0], 0, 0), b""))
        for key in (1, 2):
            writer.write_idx(key, pack(IRHeader(0, 5.0, key, 0), b"image"))
        writer.write_idx(3, pack(IRHeader(0, [1.0, 3.0], 3, 0), b""))
    source = RecordSource(RecordSet(files[1], files[0]))
    assert len(source) == 4 and list(source.images) == [1, 2]
    assert [indices.tolist() for indices, _ in source.label_blocks()] == [[1, 2]]
    source.close()


@pytest.mark.parametrize("make", [record_source, file_source])
def test_several_records_are_what_single_ones_are(make: object, tmp_path: Path) -> None:
    source = make(tmp_path, [(1.0, 2.0), (3.0,), (4.0, 5.0)])  # type: ignore[operator]
    assert source.immutable == isinstance(source, RecordSource)
    wanted = np.array([2, 0, 1, 2])
    for index, found in zip(wanted.tolist(), source.read_batch(wanted), strict=True):
        expected = source.read(index)
        assert type(found.label) is type(expected.label)
        np.testing.assert_array_equal(found.label, expected.label)
        assert bytes(found.data) == bytes(expected.data)
    with pytest.raises(IndexError):
        source.read_batch(np.array([0, 3]))


@pytest.mark.parametrize("by_id", [False, True])
def test_records_without_a_label_in_the_list(by_id: bool, tmp_path: Path) -> None:
    files = write_records(tmp_path / "x", PAYLOADS)
    items = [ListItem(10, (1.0, 2.0), "b"), ListItem(0, (3.0,), "a")]
    records = RecordSet(files["path_imgrec"], files["path_imgidx"])
    for table in (LabelTable(items, "x.lst"), LabelTable([], "x.lst")):
        source = RecordSource(records, table, by_id)
        for index, found in enumerate(source.read_batch(np.arange(3))):
            try:
                expected = source.read(index)
            except RecordError as error:
                assert type(found) is RecordError and str(found) == str(error)
            else:
                assert isinstance(found, Encoded)
                assert found.label.tolist() == expected.label.tolist()  # type: ignore[union-attr]
                assert bytes(found.data) == bytes(expected.data)


def test_damaged_records_are_errors_in_their_places(tmp_path: Path) -> None:
    files = write_records(tmp_path / "x", PAYLOADS)
    content = bytearray(files["path_imgrec"].read_bytes())
    content[content.index(b"one") - 32] ^= 1  # the magic number
    files["path_imgrec"].write_bytes(content)
    source = RecordSource(RecordSet(files["path_imgrec"], files["path_imgidx"]))
    first, second, third = source.read_batch(np.arange(3))
    assert isinstance(first, Encoded) and isinstance(third, Encoded)
    with pytest.raises(RecordError) as raised:
        source.read(1)
    assert type(second) is raised.type and str(second) == str(raised.value)


def test_records_of_several_parts_are_read_once(tmp_path: Path) -> None:
    class Noting(RecordSource):
        def read(self, index: int) -> Encoded:
            read.append(index)
            return super().read(index)

    read: list[int] = []
    parts = b"one" + b"\0" * 5 + b"\x0a\x23\xd7\xce" * 2  # the format's magic number
    files = write_records(tmp_path / "x", [b"zero", parts, b"two"])
    source = Noting(RecordSet(files["path_imgrec"], files["path_imgidx"]))
    found = source.read_batch(np.array([2, 1, 0, 1]))
    assert [bytes(each.data) for each in found if isinstance(each, Encoded)] == [
        b"two", parts, b"zero", parts,
    ]  # fmt: skip
    assert read == [1, 1]


def test_a_records_data_is_read_only(tmp_path: Path) -> None:
    source = record_source(tmp_path)
    (encoded,) = source.read_batch(np.array([1]))
    assert isinstance(encoded, Encoded)
    for data in (source.read(1).data, encoded.data):
        assert data.base is not None and not data.flags.writeable
    source.close()


def test_files_are_read_by_another_function(tmp_path: Path) -> None:
    read: list[str] = []

    def read_file(name: str) -> bytes:
        read.append(name)
        return b"content"

    source = FileSource([ListItem(1, (2.0,), "a.jpg")], "", read_file)
    assert bytes(source.read(0).data) == b"content" and read == ["a.jpg"]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    source = file_source(tmp_path)
    (tmp_path / "1.jpg").unlink()
    with pytest.raises(RecordError, match="the file cannot be read: No such file"):
        source.read(1)
    with pytest.raises(RecordError, match="the file cannot be read"):
        source.read_file("none.jpg")


def test_names_that_are_no_unicode(tmp_path: Path) -> None:
    name = b"\xff.jpg".decode(errors="surrogateescape")
    (tmp_path / name).write_bytes(b"content")
    source = FileSource([ListItem(1, (2.0,), name)], str(tmp_path))
    assert bytes(source.read(0).data) == b"content" and source.fingerprint


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    names = {
        "pipe.jpg": "a pipe or a device, not a regular file",
        "/dev/zero": "a pipe or a device, not a regular file",
        "folder.jpg": "the file cannot be read: Is a directory",
        "a\0b.jpg": "the file cannot be read: embedded null byte",
    }
    items = [ListItem(number, (0.0,), name) for number, name in enumerate(names)]
    found = FileSource(items, str(tmp_path)).read_batch(np.arange(len(names)))
    for error, message in zip(found, names.values(), strict=True):
        assert isinstance(error, RecordError) and str(error) == message


def test_errors_of_records_are_returned_and_those_of_files_raised() -> None:
    def read(error: Error) -> Encoded:
        raise error

    bad = RecordError("damaged")
    assert read_or_error(read, bad) is bad
    for kind in FILE_ERRORS:
        with pytest.raises(kind, match="not the record"):
            read_or_error(read, kind("not the record"))
