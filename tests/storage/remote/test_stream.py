"""Remote files that are read forwards."""

import gzip
import io
import os
from pathlib import Path

import numpy as np
import pytest

from gpuio.storage.remote.stream import ForwardReader, RemoteStream
from tests.storage.remote.stores import (
    SEGMENT,
    BytesStore,
    open_file,
    random_bytes,
    small_cache,
)

CONTENT = random_bytes(40 * SEGMENT + 5)


def opened(folder: Path, content: bytes = CONTENT) -> tuple[BytesStore, io.BufferedReader]:
    store = BytesStore({"x.rec": content})
    reader = ForwardReader(open_file(store, small_cache(folder)))
    return store, io.BufferedReader(RemoteStream(reader))


def test_all_of_a_file(tmp_path: Path) -> None:
    _, stream = opened(tmp_path)
    with stream:
        assert stream.read() == CONTENT and stream.read() == b""
        assert stream.raw.name == "memory://x.rec"
    with pytest.raises(ValueError, match="closed"):
        stream.read()


def test_any_position(tmp_path: Path) -> None:
    _, stream = opened(tmp_path)
    with stream, io.BytesIO(CONTENT) as expected:
        rng = np.random.default_rng(0)
        for _ in range(50):
            where = int(rng.integers(0, len(CONTENT) + 20))
            for file in (stream, expected):
                file.seek(where)
            assert stream.read(300) == expected.read(300)
            assert stream.tell() == expected.tell()
        assert stream.seek(-5, os.SEEK_END) == len(CONTENT) - 5
        assert stream.read(2) == CONTENT[-5:-3] and stream.seek(1, os.SEEK_CUR) and stream.read()
        with pytest.raises(ValueError, match="before the beginning"):
            stream.raw.seek(-1)


def test_lines_and_gzip(tmp_path: Path) -> None:
    text = b"".join(b"line %d\n" % number for number in range(3000))
    _, stream = opened(tmp_path / "1", text)
    assert list(stream) == text.splitlines(keepends=True)
    _, stream = opened(tmp_path / "2", gzip.compress(text))
    with gzip.open(stream) as file:
        assert file.read() == text


def test_blocks_are_read_ahead_once(tmp_path: Path) -> None:
    store = BytesStore({"x.rec": CONTENT})
    reader = ForwardReader(open_file(store, small_cache(tmp_path)), block=2 * SEGMENT)
    for begin in range(0, len(CONTENT), 100):
        assert reader[begin : begin + 100].tobytes() == CONTENT[begin : begin + 100]
    assert len(reader) == len(CONTENT) and not len(reader[9:3])
    assert sum(end - begin for begin, end in store.reads) < len(CONTENT) * 1.1


def test_parts_larger_than_a_block(tmp_path: Path) -> None:
    file = open_file(BytesStore({"x.rec": CONTENT}), small_cache(tmp_path))
    reader = ForwardReader(file, block=SEGMENT)
    for part in (slice(5), slice(3, 5000), slice(4000, 9000), slice(10, 20), slice(None)):
        assert reader[part].tobytes() == CONTENT[part]
