"""Damaged lists of images and of records."""

from __future__ import annotations

from pathlib import Path

import gpuio as mx
from gpuio.errors import Error
from gpuio.recordio.lists import read_list
from gpuio.recordio.quarantine import quarantine_fingerprint, read_quarantine, write_quarantine
from gpuio.recordio.record_set import RecordSet
from tests.fuzz.mutators import TEXT_MUTATORS, Rng, mutate_one
from tests.fuzz.target import Parts, Target, refusing, write_files
from tests.io.records import GOLDEN, jpeg

QUARANTINES = [
    b"img.rec\t0\t0\tno image\nimg.rec\t1234\t3\tcut off at byte 7\nother.rec\t8\t1\t\n",
    b"/data/img.rec\t0\t0\twhy\n",
    "Jos\u00e9.rec\t8\t1\tbecause\n".encode("latin-1"),
    b"",
]
LISTS = [
    b"".join(b"%d\t%d\t%d.jpg\n" % (n, n % 3, n) for n in range(12)),
    b"".join(b"%d\t%d\t0.5\t-1.25\ta b/%d.jpg\n" % (n, n, n) for n in range(12)),
    b"".join(b"%d 1 %d.jpg\r\n" % (n, n) for n in range(12)),
    b"".join(b"%d\t2\t5\t%d\t0.1\t0.1\t0.6\t0.6\t%d.jpg\n" % (n, n, n) for n in range(12)),
    "3.0\t1\tJos\u00e9.jpg\n".encode("latin-1"),
]


def check_quarantine(parts: Parts, folder: Path) -> None:
    """Read a quarantine list, write it again, and load records without those that it names."""
    (path,) = write_files(folder, x_tsv=parts[0])
    with refusing():
        entries = read_quarantine(path)
    write_quarantine(folder / "y.tsv", entries)
    again = read_quarantine(folder / "y.tsv")
    assert [entry[:3] for entry in again] == [entry[:3] for entry in entries]
    assert quarantine_fingerprint(again) == quarantine_fingerprint(entries)
    with RecordSet(GOLDEN / "img.rec") as records:
        offsets = records.starts.tolist()
        listed = {entry.offset for entry in entries if entry.file == "img.rec"}
        kept = records.without(range(len(records)), entries)
        assert [offsets[n] for n in kept] == [each for each in offsets if each not in listed]


def check_list(parts: Parts, folder: Path) -> None:
    """Read a list in all ways, and load records with its labels."""
    (path,) = write_files(folder, x_lst=parts[0])
    refused = 0
    for width in (None, 1, 3):
        for whitespace in (False, True):
            try:
                items = list(read_list(path, width, whitespace))
            except Error:
                refused += 1
                continue
            assert all(width is None or len(item.labels) == width for item in items)
    for width in (1, 3):
        try:
            with mx.io.ImageRecordIter(
                path_imgrec=GOLDEN / "img.rec", path_imglist=path, label_width=width, batch_size=4,
                data_shape=(3, 8, 8), on_error="skip", preprocess_threads=1, verbose=False,
            ) as iterator:  # fmt: skip
                iterator.next()
        except (Error, StopIteration):
            refused += 1
    for number in range(0, 12, 2):
        (folder / f"{number}.jpg").write_bytes(jpeg(0, 9, 9))
    with (
        refusing(StopIteration),
        mx.image.ImageIter(
            4, (3, 8, 8), path_imglist=path, path_root=folder, on_error="skip", preprocess_threads=1
        ) as iterator,
    ):
        iterator.next()


def _make_quarantine(rng: Rng) -> Parts:
    return (mutate_one(rng, QUARANTINES, TEXT_MUTATORS),)


def _make_list(rng: Rng) -> Parts:
    return (mutate_one(rng, LISTS, TEXT_MUTATORS),)


TARGETS = [
    Target("lists.quarantine", _make_quarantine, check_quarantine),
    Target("lists.images", _make_list, check_list, cost=6),
]
