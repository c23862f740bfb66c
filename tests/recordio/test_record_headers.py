"""Headers of many records: labels, ids and images, read together."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuio.errors import RecordError
from gpuio.recordio import IRHeader, MXIndexedRecordIO, pack
from gpuio.recordio.framing import MAGIC_BYTES, WHOLE, frame, part_kind
from gpuio.recordio.record_headers import read_record_headers
from gpuio.recordio.record_set import RecordSet
from gpuio.recordio.stored_image import StoredImage
from gpuio.storage.local import LocalFile

RECORDS = [
    (3.5, 7, b"an image"),
    ([1.0, 2.0, 3.0], 2**64 - 1, b""),
    (4.5, 9, b"in two ." + MAGIC_BYTES + b"parts"),
    ([0.25], 11, b"x" * 1000),
]


def written(folder: Path) -> RecordSet:
    files = folder / "x.idx", folder / "x.rec"
    with MXIndexedRecordIO(*files, "w") as writer:
        for key, (label, number, content) in enumerate(RECORDS):
            writer.write_idx(key, pack(IRHeader(0, label, number, 0), content))
    return RecordSet(files[1], files[0])


def test_what_whole_records_contain(tmp_path: Path) -> None:
    records = written(tmp_path)
    data = np.fromfile(records.paths[0], np.uint8)
    headers = read_record_headers(data, records.starts)
    assert headers.intact.all() and headers.whole.tolist() == [True, True, False, True]
    assert headers.flag.tolist() == [0, 3, 0, 1]
    file = LocalFile(records.paths[0])
    labels, views, ids = headers.contents(file, records.starts)
    assert labels[0] == 3.5 and isinstance(labels[0], float) and labels[2] is None
    assert np.array_equal(labels[1], [1, 2, 3]) and np.array_equal(labels[3], [0.25])
    assert ids.tolist() == [7, 2**64 - 1, 0, 11]
    images = [None if each is None else bytes(each) for each in views]
    assert images == [b"an image", b"", None, b"x" * 1000]
    assert headers.labels(np.array([1, 1]), 3).tolist() == [[1, 2, 3]] * 2
    assert headers.labels(np.array([0, 3]), 1).tolist() == [[3.5], [0.25]]


def test_damaged_records_are_not_whole(tmp_path: Path) -> None:
    records = written(tmp_path)
    data = np.fromfile(records.paths[0], np.uint8)
    starts = records.starts
    for damaged in (data[:20], data[: starts[3] + 100], np.empty(0, np.uint8)):
        inside = starts + 32 <= len(damaged)
        headers = read_record_headers(damaged, starts)
        assert not headers.whole[~inside].any() and not headers.whole[3]
        labels, images, ids = headers.contents(LocalFile(records.paths[0]), starts)
        assert labels[3] is None and images[3] is None and ids[3] == 0
    for at in (starts[0], starts[1] + 8):  # the magic number, the length of the label
        changed = data.copy()
        changed[at + 1] ^= 1
        assert read_record_headers(changed, starts).whole.sum() == 2


@given(st.data())
def test_bulk_and_single_records_agree_about_damage(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content, starts = bytearray(), []
    for label, number, image in RECORDS:
        starts.append(len(content))
        for piece in frame(pack(IRHeader(0, label, number, 0), image[:40])):
            content += piece
    for _ in range(data.draw(st.integers(0, 4))):
        # Mostly in the header of a record.
        at = data.draw(st.sampled_from(starts)) + data.draw(st.integers(0, 50))
        if at < len(content):
            content[at] = data.draw(st.sampled_from([0, 1, 2, 3, 8, 0x20, 0x7F, 0xFF]))
    end = data.draw(st.integers(starts[-1] + 1, len(content)) | st.just(len(content)))
    files = [tmp_path_factory.mktemp("headers") / name for name in ("x.rec", "x.idx")]
    files[0].write_bytes(content[:end])
    files[1].write_text("".join(f"{key}\t{start}\n" for key, start in enumerate(starts)))
    file = np.frombuffer(bytes(content[:end]), np.uint8)
    with RecordSet(*files) as records:
        labels, images, ids = records.read_many(np.arange(len(records)))
        for row, start in enumerate(starts):
            try:
                header, image = records.record(row)
            except RecordError:
                assert images[row] is None and labels[row] is None
                continue
            assert (images[row] is not None) == (part_kind(file, start) == WHOLE)
            if (found := images[row]) is not None:
                found = found.read() if isinstance(found, StoredImage) else found
                np.testing.assert_array_equal(labels[row], header.label)
                assert np.array_equal(found, image) and ids[row] == header.id
