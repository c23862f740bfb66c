"""Files given in place of a record file or an index are named as what they are."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpuio as mx
from gpuio.errors import IndexFormatError, RecordError
from gpuio.recordio import Index, MXIndexedRecordIO, MXRecordIO, RecordSet
from gpuio.recordio.file_kind import INDEX, LIST, PIECE, foreign_kind, name_of_non_index
from gpuio.recordio.framing import frame
from gpuio.tools.cli import main

DATA = Path(__file__).parents[1] / "golden" / "data"
RECORDS = (DATA / "img.rec").read_bytes()


def encoded(extension: str) -> bytes:
    return cv2.imencode(extension, np.zeros((9, 9, 3), np.uint8))[1].tobytes()


def packed(kind: str) -> bytes:
    """A record file in an archive, not compressed where that is possible."""
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr("x.rec", RECORDS)
    else:
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            tar.addfile(member := tarfile.TarInfo("x.rec"))
            member.size = len(RECORDS)
            tar.addfile(member, io.BytesIO(RECORDS))
    return buffer.getvalue()


def saved(save: Callable[[io.BytesIO], object]) -> bytes:
    buffer = io.BytesIO()
    save(buffer)
    return buffer.getvalue()


FILES = {
    "a JPEG image": encoded(".jpg"),
    "a PNG image": encoded(".png"),
    "a WebP image": encoded(".webp"),
    "a gzip archive": gzip.compress(RECORDS),
    "a bzip2 archive": bz2.compress(RECORDS),
    "an xz archive": lzma.compress(RECORDS),
    "a zip archive": packed("zip"),
    "a tar archive": packed("tar"),
    "a NumPy file": saved(lambda file: np.save(file, np.zeros(3))),
    "an index": (DATA / "img.idx").read_bytes(),
    "an im2rec list": b"3\t1.000000\tcat/1.jpg\n1\t0.500000\tdog ears/2.jpg\n",
    "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 9\n",
    "an HTML page": b"<!DOCTYPE html>\n<title>404</title>\n",
    "a text file": "Einträge\n".encode(),
}


@pytest.fixture(params=FILES)
def foreign(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """The name of a kind of file, and such a file called x.rec."""
    path = tmp_path / "x.rec"
    path.write_bytes(FILES[request.param])
    return f"{path} is {request.param}, not a record file; ", path


def test_readers_name_it(foreign: tuple[str, Path], tmp_path: Path) -> None:
    message, path = foreign
    calls: list[Callable[[], object]] = [
        lambda: MXRecordIO(path, "r").read(),
        lambda: MXIndexedRecordIO(None, path, "r"),
        lambda: Index.build(path),
        lambda: RecordSet(path),
        lambda: mx.io.ImageRecordIter(path_imgrec=path, data_shape=(3, 8, 8), batch_size=1),
    ]
    for offsets in ("0\t0\n1\t1000000\n", "0\t0\n"):
        index = tmp_path / f"{len(offsets)}.idx"
        index.write_text(offsets)
        calls.append(lambda index=index: RecordSet(path, index).record(0))  # type: ignore[misc]
        calls.append(lambda index=index: MXIndexedRecordIO(index, path, "r").read_idx(0))  # type: ignore[misc]
    for call in calls:
        with pytest.raises(RecordError) as caught:
            call()
        assert message in str(caught.value)


@pytest.mark.parametrize(
    "command",
    ["bench", "extract", "filter", "index", "info", "merge", "repair", "show", "shuffle", "split",
     "stats", "verify"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["a JPEG image", "an im2rec list", "an index", "a zip archive"])
def test_tools_name_it(
    command: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.rec"
    path.write_bytes(FILES[kind])
    arguments = {
        "extract": [path, tmp_path / "out"],
        "filter": [path, tmp_path / "out.rec"],
        "merge": [tmp_path / "out.rec", path],
        "shuffle": [path, tmp_path / "out.rec"],
        "split": [path, tmp_path / "out", "--parts", 2],
    }.get(command, [path])
    assert main([command, *map(str, arguments)]) == 2
    assert capsys.readouterr().err.startswith(f"gpuio: {path} is {kind}, not a record file; ")
    assert [each.name for each in tmp_path.iterdir()] == ["x.rec"]


@pytest.mark.parametrize(
    "data",
    [RECORDS, RECORDS[4:], RECORDS[32:], b"text" + RECORDS[4:], b"", b"\0\1\2", b"\xff" * 99],
)
def test_a_record_file_is_not_foreign_however_damaged(data: bytes) -> None:
    assert foreign_kind(np.frombuffer(data, np.uint8)) is None


@pytest.mark.parametrize("place", [4, PIECE - 2, PIECE, 3 * PIECE + 5])
def test_records_are_found_behind_damage(place: int) -> None:
    data = b"\xff\xd8\xff" + bytes(place - 3) + RECORDS
    assert foreign_kind(np.frombuffer(data, np.uint8)) is None
    kind = foreign_kind(np.frombuffer(data[:place], np.uint8))
    assert kind is not None and kind.name == "a JPEG image"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a record file", RECORDS),
        ("an im2rec list", FILES["an im2rec list"]),
        ("a JPEG image", FILES["a JPEG image"]),
        ("a zip archive", FILES["a zip archive"]),
    ],
)
@pytest.mark.parametrize("key_type", [int, str])
def test_what_is_not_an_index_is_named(
    name: str, content: bytes, key_type: type, tmp_path: Path
) -> None:
    path = tmp_path / "x.idx"
    path.write_bytes(content)
    with pytest.raises(IndexFormatError, match=rf"x\.idx is {name}, not an index"):
        Index.load(path, key_type)


def test_an_index_with_a_bad_line_is_an_index(tmp_path: Path) -> None:
    path = tmp_path / "x.idx"
    path.write_text("0\t0\nsome words\n")
    with pytest.raises(IndexFormatError, match=r"line 2: .*gpuio index --force"):
        Index.load(path)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**40),
            st.floats(-1e3, 1e3),
            st.from_regex(r"[a-z/ ]+\.jpg", fullmatch=True),
        ),
        min_size=1,
    )
)
def test_lists_and_indexes_are_told_apart(items: list[tuple[int, float, str]]) -> None:
    lines = "".join(f"{key}\t{label:f}\t{path}\n" for key, label, path in items).encode()
    assert foreign_kind(np.frombuffer(lines, np.uint8)) == LIST
    index = "".join(f"{key}\t{key}\n" for key, _, _ in items).encode()
    assert foreign_kind(np.frombuffer(index, np.uint8)) == INDEX
    assert name_of_non_index(np.frombuffer(index, np.uint8)) is None


@given(st.binary(max_size=100), st.binary(max_size=60))
def test_any_bytes_may_come_first(junk: bytes, payload: bytes) -> None:
    """They never make an error of their own, and never hide records except in an archive."""
    data = np.frombuffer(junk + b"".join(map(bytes, frame(payload))), np.uint8)
    kind = foreign_kind(data)
    assert kind is None or "archive" in kind.name
    foreign_kind(np.frombuffer(junk, np.uint8))
