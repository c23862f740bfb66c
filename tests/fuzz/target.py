"""What is fuzzed: a target makes inputs from random numbers, and gives them to gpuio."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from gpuio.errors import Error

# Bytes that are readable in JSON.
READABLE = frozenset(b"\t\n" + bytes(range(0x20, 0x7F)))

# The files or images of an input, in an order that its target knows.
Parts: TypeAlias = tuple[bytes, ...]


class Refused(Exception):  # noqa: N818  # not an error
    """gpuio refused an input, as a target allows it to."""


@dataclass(frozen=True)
class Target:
    """Something that reads files or values which may be anything.

    Attributes
    ----------
    name : the name of its module, a dot, and what is done
    make : makes an input
    check : gives an input to gpuio, in an empty folder, and raises `AssertionError` if the result
        is wrong. gpuio's own errors are right, and `Refused`; all others are findings
    size : how many damaged files, images or values an input has
    cost : how long an input takes, in comparison with those of other targets; a run has
        accordingly fewer of them
    default : whether it is fuzzed unless other targets are named
    """

    name: str
    make: Callable[[np.random.Generator], Parts]
    check: Callable[[Parts, Path], None]
    size: int = 1
    cost: float = 1.0
    default: bool = True

    def input(self, seed: int, number: int) -> Parts:
        """An input, by its number: the same at any time, and in any process."""
        return self.make(np.random.default_rng((seed, zlib.crc32(self.name.encode()), number)))


@contextmanager
def refusing(*kinds: type[Exception]) -> Iterator[None]:
    """Allow gpuio to refuse an input, also by other exceptions than its own.

    Raises
    ------
    Refused : it did.
    """
    try:
        yield
    except (Error, *kinds) as error:
        raise Refused(str(error)) from error


@contextmanager
def accepting() -> Iterator[None]:
    """Where gpuio must not refuse what is good.

    Raises
    ------
    AssertionError : it did.
    """
    try:
        yield
    except Error as error:
        raise AssertionError(f"what is good was refused: {error}") from error


def write_files(folder: Path, **contents: bytes) -> list[Path]:
    """Write files into a folder, ``x_rec`` as "x.rec"; the paths."""
    paths = [folder / name.replace("_", ".") for name in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        path.write_bytes(content)
    return paths


def encode_parts(parts: Parts) -> list[str]:
    """An input as strings, for JSON."""
    return [_encode(part) for part in parts]


def _encode(part: bytes) -> str:
    if len(part) < 1000 and READABLE.issuperset(part):
        return "text:" + part.decode("ascii")
    compressed = zlib.compress(part, 9)
    if len(compressed) < len(part):
        return "zlib:" + base64.b64encode(compressed).decode("ascii")
    return "base64:" + base64.b64encode(part).decode("ascii")


def decode_parts(strings: list[str]) -> Parts:
    """The inverse of `encode_parts`."""
    return tuple(_decode(string) for string in strings)


def _decode(string: str) -> bytes:
    kind, _, content = string.partition(":")
    if kind == "text":
        return content.encode("ascii")
    decoded = base64.b64decode(content)
    return zlib.decompress(decoded) if kind == "zlib" else decoded


def read_input(path: Path) -> tuple[str, Parts]:
    """The target and the input of a file that a run has kept."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return content["target"], decode_parts(content["parts"])
