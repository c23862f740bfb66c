"""Kinds of files that are mistaken for record files or indexes, for error messages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from gpuio.recordio.framing import MAGIC_BYTES
from gpuio.storage.local import ByteSequence

# Bytes of text that are examined.
TEXT_BYTES = 4096

# Bytes in which records are looked for, and bytes that are searched at a time: a record file whose
# beginning is damaged has another record within them.
SEARCH_BYTES, PIECE = 1 << 24, 1 << 16


class FileKind(NamedTuple):
    """A kind of file.

    Attributes
    ----------
    name : with its article, such as "a JPEG image"
    advice : what to do with it where a record file is wanted
    """

    name: str
    advice: str

    def instead_of_records(self, path: str) -> str:
        """The message where a record file is expected."""
        return f"{path} is {self.name}, not a record file; {self.advice}"


RECORDS, RIGHT_FILE = "a record file", "give the file with the records"
UNPACK, PACK = "unpack it first", "'gpuio im2rec' packs images into record files"
ARRAYS = "NDArrayIter iterates over arrays"

# The bytes in which signatures are.
SIGNATURE_BYTES = 512

# Signatures by offset. Archives may contain record files.
ARCHIVES = (
    (0, b"\x1f\x8b", FileKind("a gzip archive", UNPACK)),
    (0, b"PK\x03\x04", FileKind("a zip archive", UNPACK)),
    (0, b"PK\x05\x06", FileKind("an empty zip archive", RIGHT_FILE)),
    (0, b"BZh", FileKind("a bzip2 archive", UNPACK)),
    (0, b"\xfd7zXZ\0", FileKind("an xz archive", UNPACK)),
    (0, b"\x28\xb5\x2f\xfd", FileKind("a Zstandard archive", UNPACK)),
    (0, b"7z\xbc\xaf\x27\x1c", FileKind("a 7z archive", UNPACK)),
    (257, b"ustar", FileKind("a tar archive", UNPACK)),
)
OTHERS = (
    (0, b"\xff\xd8\xff", FileKind("a JPEG image", PACK)),
    (0, b"\x89PNG\r\n\x1a\n", FileKind("a PNG image", PACK)),
    (0, b"GIF8", FileKind("a GIF image", PACK)),
    (8, b"WEBPVP8", FileKind("a WebP image", PACK)),
    (0, b"\x89HDF\r\n\x1a\n", FileKind("an HDF5 file", ARRAYS)),
    (0, b"\x93NUMPY", FileKind("a NumPy file", ARRAYS)),
    (0, b"PAR1", FileKind("a Parquet file", RIGHT_FILE)),
    (0, b"\x12\x01\0\0\0\0\0\0", FileKind("an NDArray file", "mx.nd.load reads it")),
)
INDEX = FileKind("an index", "give the .rec file that it belongs to")
LIST = FileKind("an im2rec list", "'gpuio im2rec' packs the images that it lists")
POINTER = FileKind("a pointer of Git LFS", "'git lfs pull' downloads the file itself")
HTML = FileKind("an HTML page", "a download may have failed")
TEXT = FileKind("a text file", RIGHT_FILE)

INDEX_LINE = re.compile(r"[^\t]+\t\d+\s*")
LIST_LINE = re.compile(r"-?[\d.]+(e[+-]?\d+)?(\t\s*[-+\d.einfa]+)+\t.*\S.*", re.IGNORECASE)
HTML_BEGIN = re.compile(r"\s*<(!doctype html|html)", re.IGNORECASE)


def foreign_kind(data: ByteSequence) -> FileKind | None:
    """The kind of a file without records; None if it may hold some, even if it is damaged.

    Parameters
    ----------
    data : the file
    """
    begin = bytes(data[:TEXT_BYTES])
    if begin.startswith(MAGIC_BYTES) or MAGIC_BYTES.startswith(begin):
        return None
    archive = _by_signature(begin, ARCHIVES)
    if archive is not None or _has_magic(data):
        return archive
    return _by_signature(begin, OTHERS) or _text_kind(begin, len(begin) == len(data))


def name_of_non_index(data: ByteSequence) -> str | None:
    """The kind of a file that is not an index, such as "a JPEG image"; None: unknown."""
    begin = bytes(data[:TEXT_BYTES])
    if begin.startswith(MAGIC_BYTES):
        return RECORDS
    kind = foreign_kind(data)
    return None if kind in (None, INDEX, TEXT) else kind.name


def name_of_binary(begin: bytes) -> str | None:
    """The kind of a file that is not text, by its first SIGNATURE_BYTES; None: unknown."""
    signatures = (
        (at, known, kind) for at, known, kind in (*ARCHIVES, *OTHERS) if _is_binary(known)
    )
    kind = _by_signature(begin, signatures)
    return None if kind is None else kind.name


def _is_binary(signature: bytes) -> bool:
    return not (signature.isascii() and signature.decode().isprintable())


def _has_magic(data: ByteSequence) -> bool:
    """Whether a record may begin not far from the beginning of a file."""
    return any(
        MAGIC_BYTES in bytes(data[first : first + PIECE + len(MAGIC_BYTES) - 1])
        for first in range(0, min(len(data), SEARCH_BYTES), PIECE)
    )


def _by_signature(begin: bytes, known: Iterable[tuple[int, bytes, FileKind]]) -> FileKind | None:
    return next((kind for at, signature, kind in known if begin.startswith(signature, at)), None)


def _text_kind(begin: bytes, complete: bool) -> FileKind | None:
    """The kind of a text file; None if it is not one.

    Parameters
    ----------
    begin : the first bytes of the file
    complete : these are all
    """
    lines = begin.splitlines()
    if not complete and len(lines) > 1:
        lines.pop()  # it may have been cut
    try:
        text = [line.decode() for line in lines]
    except UnicodeDecodeError:
        return None
    filled = [line for line in text if line.strip()]
    if not filled or not all(line.replace("\t", "").isprintable() for line in filled):
        return None
    if filled[0].startswith("version https://git-lfs."):
        return POINTER
    if HTML_BEGIN.match(filled[0]):
        return HTML
    for kind, pattern in ((INDEX, INDEX_LINE), (LIST, LIST_LINE)):
        if all(map(pattern.fullmatch, filled)):
            return kind
    return TEXT
