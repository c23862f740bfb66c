"""PNGs of every kind, written chunk by chunk."""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Iterable

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# By color type: the depths that it may have, and its channels.
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}

Chunk = tuple[bytes, bytes]


def header(width: int, height: int, depth: int, color: int, interlaced: int = 0) -> Chunk:
    """IHDR."""
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced)


def joined(chunks: Iterable[Chunk]) -> bytes:
    """A file of these chunks, with their lengths and checksums."""
    parts = [SIGNATURE]
    for name, content in chunks:
        checksum = zlib.crc32(name + content)
        parts += [struct.pack(">I", len(content)), name, content, struct.pack(">I", checksum)]
    return b"".join(parts)


def split(data: bytes) -> list[Chunk]:
    """The chunks of a sound file."""
    chunks, at = [], len(SIGNATURE)
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return chunks


def png(
    seed: int, width: int, height: int, depth: int = 8, color: int = 2, parts: int = 1
) -> bytes:
    """A random image, of rows with all filters; a palette has all colors that the depth allows.

    Parameters
    ----------
    parts : number of IDAT chunks, of which some may be empty
    """
    rng = np.random.default_rng(seed)
    row_bytes = (width * depth * CHANNELS[color] + 7) // 8
    rows = rng.integers(0, 256, (height, 1 + row_bytes), np.uint8)
    rows[:, 0] = rng.integers(0, 5, height)
    content = zlib.compress(rows.tobytes())
    cuts = [0, *sorted(rng.integers(0, len(content) + 1, parts - 1).tolist()), len(content)]
    chunks = [header(width, height, depth, color)]
    if color == 3:
        chunks.append((b"PLTE", rng.bytes(3 << depth)))
    chunks += [(b"IDAT", content[a:b]) for a, b in itertools.pairwise(cuts)]
    return joined([*chunks, (b"IEND", b"")])
