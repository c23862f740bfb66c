"""Damaged files of numbers: CSV, LibSVM, MNIST, and files of arrays."""

from __future__ import annotations

import gzip
import hashlib
import re
import struct
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import gpuio as mx
from gpuio.errors import Error
from tests.fuzz.formats import deflate_bomb
from tests.fuzz.mutators import BYTE_MUTATORS, TEXT_MUTATORS, Rng, mutate, mutate_one, pick
from tests.fuzz.target import Parts, Refused, Target, refusing, write_files
from tests.io.conformance import parts_of

COLUMNS, BATCH = 3, 4

ROWS = np.round(np.random.default_rng(0).normal(size=(11, COLUMNS)) * 100, 3)
CSVS = [
    b"".join(b",".join(b"%g" % number for number in row) + b"\n" for row in ROWS),
    b"".join(b",".join(b"%d" % number for number in row) + b"\r\n" for row in ROWS),
    b'"1", 2.5e-3 ,-inf\n\n 4,nan,6,\n7,8,9',
    b"\xef\xbb\xbf1,2,3\n0x10,-5,6\n",
]
LABELS = [b"".join(b"%d\n" % n for n in range(11)), b"0.5\n1.5\n2.5\n"]
SVMS = [
    b"".join(b"%d 0:%g 2:%g # row\n" % (n, row[0], row[1]) for n, row in enumerate(ROWS)),
    b"1\n0 1:2.5\n-1 0:1 1:2 2:3\n\n 2\t2:nan\r\n",
]

PLAIN_FLOAT = re.compile(
    r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|[+-]?(?:nan|inf|infinity)", re.I | re.A
)
PLAIN_CSV = re.compile(rb"[\n\r\t -!#-~]*")


def epoch(open_iter: Callable[..., Any], **options: Any) -> list[list[np.ndarray]]:
    """The arrays of the batches of an epoch, without the rows that only fill the last one."""
    found = []
    with open_iter(batch_size=BATCH, round_batch=False, **options) as iterator:
        for batch in iterator:
            rows = BATCH - batch.pad
            arrays = [*batch.data, *batch.label]
            found.append(
                [
                    np.array(part)[:rows] if not hasattr(array, "indptr") else np.array(part)
                    for array in arrays
                    for part in parts_of(array)
                ]
            )
    return found


def _epoch_or_error(open_iter: Callable[..., Any], **options: Any) -> list[list[np.ndarray]] | str:
    try:
        return epoch(open_iter, **options)
    except Error as error:
        return f"{type(error).__name__}: {error}"


def compare_prefetching(open_iter: Callable[..., Any], **options: Any) -> list[list[np.ndarray]]:
    """Read an epoch in a thread and without one, which must be the same, or fail in the same way.

    Raises
    ------
    Refused : both are refused.
    """
    one = _epoch_or_error(open_iter, prefetch_buffer=0, **options)
    other = _epoch_or_error(open_iter, prefetch_buffer=3, **options)
    if isinstance(one, str) or isinstance(other, str):
        assert one == other, f"without a thread: {one}, with one: {other}"
        raise Refused(one)
    assert len(one) == len(other)
    for arrays, others in zip(one, other, strict=True):
        for array, same in zip(arrays, others, strict=True):
            np.testing.assert_array_equal(array, same)
    return one


def make_csv(rng: Rng) -> Parts:
    """A number of options, a data file, and a label file or none."""
    labels = mutate_one(rng, LABELS, TEXT_MUTATORS) if not rng.integers(3) else b""
    data = mutate_one(rng, CSVS, TEXT_MUTATORS)
    if not rng.integers(20):
        data = gzip.compress(data, mtime=0)
        data = mutate(rng, data) if rng.integers(2) else data
    return bytes([int(rng.integers(8))]), data, labels


def check_csv(parts: Parts, folder: Path) -> None:
    """Read CSV files; numbers must be those that Python reads in them."""
    number = parts[0][0] if parts[0] else 0
    dtype = ("float32", "float32", "int32", "int64")[number % 4]
    name = "x_csv_gz" if parts[1][:2] == b"\x1f\x8b" else "x_csv"
    path, labels = write_files(folder, **{name: parts[1], "l_csv": parts[2]})
    options = {"data_csv": path, "data_shape": (COLUMNS,), "dtype": dtype}
    if parts[2]:
        options["label_csv"] = labels
    options["skip_header"] = number // 4
    batches = compare_prefetching(mx.io.CSVIter, **options)
    if name == "x_csv" and dtype == "float32" and not number // 4 and PLAIN_CSV.fullmatch(parts[1]):
        found = np.concatenate([batch[0] for batch in batches])
        expected = _plain_rows(parts[1].decode("ascii"))
        assert expected is not None, "a malformed file was read"
        np.testing.assert_allclose(found, expected, rtol=2e-7, atol=1e-44)


def _plain_rows(content: str) -> np.ndarray | None:
    """The numbers of a CSV file without quotes, as Python reads them; None if there are others."""
    rows = []
    for line in content.split("\n"):
        fields = [field.strip(" \t\r") for field in line.split(",")]
        if len(fields) == COLUMNS + 1 and not fields[-1]:
            del fields[-1]
        if fields == [""]:
            continue
        if len(fields) != COLUMNS or not all(map(PLAIN_FLOAT.fullmatch, fields)):
            return None
        rows.append([float(field) for field in fields])
    with np.errstate(over="ignore"):
        return np.array(rows, np.float64).astype(np.float32)


def make_svm(rng: Rng) -> Parts:
    """A number of options, a data file, and a file of sparse labels or none."""
    labels = mutate_one(rng, SVMS, TEXT_MUTATORS) if not rng.integers(3) else b""
    return bytes([int(rng.integers(4))]), mutate_one(rng, SVMS, TEXT_MUTATORS), labels


def check_svm(parts: Parts, folder: Path) -> None:
    """Read LibSVM files; the matrices must be what their shape says."""
    number = parts[0][0] if parts[0] else 0
    path, labels = write_files(folder, x_svm=parts[1], l_svm=parts[2])
    options: dict[str, Any] = {"data_libsvm": path, "data_shape": (COLUMNS,)}
    if parts[2]:
        options |= {"label_libsvm": labels, "label_shape": (COLUMNS,)}
    if number % 4 == 3 and not parts[2]:
        options |= {"num_parts": 2, "part_index": 1}
    for values, indices, indptr, *_ in compare_prefetching(mx.io.LibSVMIter, **options):
        assert len(values) == len(indices) == indptr[-1] and len(indptr) == BATCH + 1
        assert not len(indices) or (indices.min() >= 0 and indices.max() < COLUMNS)


def text_bomb(rng: Rng) -> Parts:
    """A number of options, and a file that costs more than what is expected of it."""
    kind = int(rng.integers(9))
    size = int(rng.integers(1, 21)) << 20
    data = [
        lambda: b"1," * (size // 2) + b"1\n",
        lambda: b"1" * size + b"\n",
        lambda: b" " * size + b"1,2,3\n",
        lambda: b"\n" * size,
        lambda: b"1,2,3\r" * (size // 6),
        lambda: b'"' + b"1,2,3\n" * (size // 6),
        lambda: bytes(size),
        lambda: b"1 " + b"0:1 " * (size // 4) + b"\n",
        lambda: b"1 0:1 #" + b"x" * size + b"\n",
    ][kind]()
    return bytes([int(rng.integers(4))]), data, b""


def check_text_bomb(parts: Parts, folder: Path) -> None:
    """Read a file that costs much as CSV or LibSVM."""
    (path,) = write_files(folder, x_csv=parts[1])
    if parts[0] and parts[0][0] % 2:
        options: dict[str, Any] = {"data_libsvm": path, "data_shape": (COLUMNS,)}
        open_iter: Any = mx.io.LibSVMIter
    else:
        options = {"data_csv": path, "data_shape": (1,)}
        open_iter = mx.io.CSVIter
    with refusing(StopIteration), open_iter(batch_size=BATCH, **options) as iterator:
        for _ in range(3):
            iterator.next()


@cache
def mnist_files() -> list[Parts]:
    """Good files of images and labels."""
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 4), np.uint8)
    images = struct.pack(">4I", 2051, *pixels.shape) + pixels.tobytes()
    labels = struct.pack(">2I", 2049, 6) + bytes(range(6))
    empty = struct.pack(">4I", 2051, 0, 5, 4), struct.pack(">2I", 2049, 0)
    return [
        (images, labels), empty,
        (gzip.compress(images, mtime=0), gzip.compress(labels, mtime=0)),
        (gzip.compress(images[:40], mtime=0) + gzip.compress(images[40:], mtime=0), labels),
    ]  # fmt: skip


def make_mnist(rng: Rng) -> Parts:
    """A file of images and one of labels; a damaged one may be compressed after it was damaged."""
    files = list(pick(rng, mnist_files()))
    which = int(rng.integers(2))
    if files[which][:2] == b"\x1f\x8b" and rng.integers(2):
        files[which] = gzip.compress(mutate(rng, gzip.decompress(files[which])), mtime=0)
    else:
        files[which] = mutate(rng, files[which])
    return tuple(files)


def mnist_bomb(rng: Rng) -> Parts:
    """Compressed files that become very long."""
    count = pick(rng, [6, 10**6, 2**32 - 1])
    zeros = deflate_bomb(pick(rng, [500, 3000]))[2:-4]
    header = struct.pack(">4I", 2051, count, 5, 4)
    head = zlib.compressobj(wbits=-15)
    body = head.compress(header) + head.flush(zlib.Z_FULL_FLUSH) + zeros
    images = b"\x1f\x8b\x08" + bytes(7) + body + bytes(8)
    return images, mnist_files()[0][1]


def check_mnist(parts: Parts, folder: Path) -> None:
    """Read files of MNIST's format; pixels must be those in the file."""
    image, label = write_files(folder, images=parts[0], labels=parts[1])
    with refusing():
        iterator = mx.io.MNISTIter(
            image=image, label=label, batch_size=2, shuffle=False, flat=True, silent=True
        )
    with iterator:
        rows = [batch.data[0].asnumpy() for batch in iterator]
    content = gzip.decompress(parts[0]) if parts[0][:2] == b"\x1f\x8b" else parts[0]
    magic, count, height, width = struct.unpack_from(">4I", content)
    assert magic == 2051 and len(content) == 16 + count * height * width
    found = np.concatenate(rows).ravel()
    expected = np.frombuffer(content, np.uint8, offset=16)[: len(found)] / np.float32(256)
    np.testing.assert_array_equal(found, expected)
    assert sum(map(len, rows)) == count // 2 * 2


@cache
def array_files() -> list[bytes]:
    """Files of arrays: dense and sparse, with names and without, of several types."""
    import tempfile

    matrix = mx.nd.sparse.csr_matrix(np.float32([[0, 1, 0], [2, 0, 3]]))
    kinds: list[Any] = [
        [mx.nd.array(ROWS)],
        {"a": mx.nd.array([1, 2, 3], dtype="int32"), "b\u00f6": mx.nd.zeros((2, 0, 3))},
        [mx.nd.array([[1.5]], dtype="float16"), matrix],
        {"csr": matrix, "u": mx.nd.array([7], dtype="uint8"), "d": mx.nd.array(2.5)},
        [],
    ]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.params"
        for kind in kinds:
            mx.nd.save(path, kind)
            found.append(path.read_bytes())
    return found


def make_arrays(rng: Rng) -> Parts:
    """A damaged file of arrays."""
    return (mutate_one(rng, array_files(), BYTE_MUTATORS),)


def check_arrays(parts: Parts, folder: Path) -> None:
    """Load arrays from a file and from memory; saved again, they must be the same."""
    (path,) = write_files(folder, x_params=parts[0])
    with refusing():
        loaded = mx.nd.load(path)
    same = mx.nd.load_frombuffer(parts[0])
    digest = _digest(loaded)
    assert _digest(same) == digest
    with refusing():  # such as dtypes that can only be read
        mx.nd.save(folder / "y.params", loaded)
    assert _digest(mx.nd.load(folder / "y.params")) == digest


def _digest(loaded: Any) -> str:
    hashed = hashlib.sha256()
    items = loaded.items() if isinstance(loaded, dict) else enumerate(loaded)
    for name, array in items:
        hashed.update(f"{name} {type(array).__name__} {array.shape} {array.dtype}\n".encode())
        for part in parts_of(array):
            hashed.update(np.ascontiguousarray(part).tobytes())
    return hashed.hexdigest()


TARGETS = [
    Target("tables.csv", make_csv, check_csv, cost=2),
    Target("tables.libsvm", make_svm, check_svm, cost=2),
    Target("tables.text_bomb", text_bomb, check_text_bomb, cost=400),
    Target("tables.mnist", make_mnist, check_mnist),
    Target("tables.mnist_bomb", mnist_bomb, check_mnist, cost=400),
    Target("tables.arrays", make_arrays, check_arrays),
]
