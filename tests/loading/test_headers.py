"""Headers of batches: read once where records do not change, and each time where they do."""

import subprocess
import sys

import numpy as np
import pytest

from gpuio.decoding.header import read_header
from gpuio.decoding.header_codes import decode_header, structures_of
from gpuio.decoding.structure import Structure, check_structure
from gpuio.errors import FILE_ERRORS, DecodeError, Error
from gpuio.loading.batch import EncodedRows
from gpuio.loading.headers import HeaderReader
from gpuio.loading.source import Encoded, EncodedBatch
from tests.decoding.bombs import claiming, with_scans
from tests.decoding.samples import HOST_ONLY, NVIMAGECODEC, WHOLE

IMAGES = [np.frombuffer(each, np.uint8) for each in (*NVIMAGECODEC.values(), *HOST_ONLY.values())]
RECORDS = np.random.default_rng(0).permutation(len(IMAGES))
BAD = np.frombuffer(b"no image", np.uint8)


def encoded(images: list[np.ndarray], *, bad: int = 0) -> EncodedRows:
    """Records with these images, and behind them some that cannot be read."""
    found: list[Encoded | Error] = [Encoded(0.0, image) for image in images]
    return EncodedRows(EncodedBatch.of([*found, *[Error("damaged")] * bad]))


def batch() -> EncodedRows:
    return encoded([IMAGES[record] for record in RECORDS])


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("keep", [False, True])
def test_headers_are_those_of_single_images(keep: bool, strict: bool) -> None:
    reader = HeaderReader(len(IMAGES))
    for _ in range(2):
        codes, errors = reader.read(RECORDS, batch(), strict, keep)
        assert not errors
        for record, code, structure in zip(
            RECORDS, codes.tolist(), structures_of(codes).tolist(), strict=True
        ):
            assert decode_header(code) == read_header(IMAGES[record])
            if strict or structure != Structure.UNKNOWN:
                assert structure == check_structure(IMAGES[record])


def test_structures_are_checked_when_they_are_asked_for() -> None:
    reader = HeaderReader(len(IMAGES))
    first, _ = reader.read(RECORDS, batch(), strict=False, keep=True)
    assert (structures_of(first) == Structure.UNKNOWN).any()
    second, _ = reader.read(RECORDS, batch(), strict=True, keep=True)
    assert (structures_of(second) != Structure.UNKNOWN).all()


def test_what_is_kept_is_not_read_again() -> None:
    others = encoded([IMAGES[0]] * len(IMAGES))
    for keep in (True, False):
        reader = HeaderReader(len(IMAGES))
        before, _ = reader.read(RECORDS, batch(), strict=True, keep=True)
        after, _ = reader.read(RECORDS, others, strict=True, keep=keep)
        assert np.array_equal(before, after) == keep


def test_records_may_be_read_in_parts_and_repeatedly() -> None:
    reader = HeaderReader(4)
    some = encoded([IMAGES[1], IMAGES[3], IMAGES[1]])
    first, _ = reader.read(np.array([1, 3, 1]), some, strict=True, keep=True)
    second, _ = reader.read(np.arange(4), encoded(IMAGES[:4]), strict=True, keep=True)
    assert first.tolist() == [second[1], second[3], second[1]]


def test_errors_are_found_each_time() -> None:
    reader = HeaderReader(3)
    for _ in range(2):
        some = encoded([IMAGES[0], BAD], bad=1)
        codes, errors = reader.read(np.arange(3), some, strict=True, keep=True)
        assert list(errors) == [1] and isinstance(errors[1], DecodeError)
        assert "not an image" in str(errors[1])
        assert codes[0] and codes[1:].tolist() == [0, 0]


def test_records_beyond_those_that_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpuio.loading.headers.MOST_KEPT", 2)
    reader = HeaderReader(len(IMAGES))
    for _ in range(2):
        codes, _ = reader.read(RECORDS, batch(), strict=True, keep=True)
        assert [decode_header(code) for code in codes.tolist()] == [
            read_header(IMAGES[record]) for record in RECORDS
        ]


def test_nothing_is_imported_by_threads() -> None:
    """Headers of other formats than JPEG and PNG are read by Pillow, whose plugins come late."""
    code = """
import sys
import numpy as np
from gpuio.decoding.header import read_header
from gpuio.errors import DecodeError
from gpuio.loading.headers import HeaderReader
HeaderReader(1)
before = set(sys.modules)
try:
    read_header(np.frombuffer(b"neither this nor that", np.uint8))
except DecodeError:
    print(sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_images_over_a_limit_are_errors_each_time() -> None:
    """Also where their headers are kept, and with the structure checked."""
    images = [
        np.frombuffer(each, np.uint8)
        for each in (WHOLE, claiming("JPEG", 16384, 16384), with_scans(300, progressive=True))
    ]
    for strict in (False, True):
        reader = HeaderReader(3)
        for _ in range(2):
            codes, errors = reader.read(np.arange(3), encoded(images), strict, keep=True)
            assert sorted(errors) == [1, 2] and (codes > 0).all()
            assert "claims" in str(errors[1]) and "scans" in str(errors[2])
    reader = HeaderReader(3, max_pixels=10)
    assert sorted(reader.read(np.arange(3), encoded(images), False, keep=True)[1]) == [0, 1, 2]


@pytest.mark.parametrize("kind", FILE_ERRORS)
def test_errors_of_files_are_raised(kind: type[Error]) -> None:
    class Unreadable(Encoded):
        """Its beginning tells no size, and the rest cannot be read."""

        @property
        def data(self) -> np.ndarray:
            raise kind("not the record")

    unreadable = EncodedRows(EncodedBatch.of([Unreadable(0.0, BAD)]))
    with pytest.raises(kind, match="not the record"):
        HeaderReader(1).read(np.array([0]), unreadable, strict=False, keep=True)
