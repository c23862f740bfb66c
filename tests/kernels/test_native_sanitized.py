"""The native module under the address and the undefined-behavior sanitizer, on hostile input."""

import math
import os
import random
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpuio.decoding.header import read_header
from gpuio.decoding.header_codes import encode_header
from gpuio.decoding.structure import Structure
from gpuio.errors import Error
from gpuio.execution.output import DTYPES
from gpuio.native_structs import OUTPUT, SAMPLE
from gpuio.planning.plan import LINEAR
from gpuio.planning.policies import (
    ColorJitterPolicy,
    Policy,
    RandAugmentPolicy,
    RandomErasingPolicy,
    TrivialAugmentPolicy,
    plan_operations,
)
from tests.decoding.pngs import DEPTHS, joined, png, split
from tests.decoding.samples import image, oriented, sampled, saved
from tests.io.records import jpeg
from tests.kernels.sanitized import compile_program

MAIN = Path(__file__).with_name("native_main.c")
# struct row of native_main.c.
ROW = np.dtype(
    [
        ("window", np.float64, 4),
        ("light", np.float64, 2),
        ("bounds", np.int64, 4),
        ("inside", np.int64, 4),
        ("method", np.int64),
        ("code", np.uint64),
        ("fill", np.uint8, 4),
        ("antialias", np.int32),
        ("dct_scaling", np.int32),
        ("is_lit", np.int32),
        ("has_border", np.int32),
        ("flip", np.uint8),
    ],
    align=True,
)

IMAGES = [
    jpeg(0, 61, 53),
    jpeg(1, 3, 2),
    jpeg(2, 40, 40, mode="L"),
    jpeg(3, 33, 70, progressive=True),
    jpeg(4, 50, 30, restart_marker_blocks=1),
    *map(oriented, (6, 8)),
    *map(sampled, ("444", "422", "420", "440", "411")),
    saved(image("CMYK")),
]
PNGS = [png(5, 30, 40, depth, color, parts=3) for color in DEPTHS for depth in DEPTHS[color]]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of native_main.c."""
    return compile_program(MAIN, tmp_path_factory.mktemp("native"))


def case(
    rng: random.Random,
    content: bytes,
    size: tuple[int, int],
    policies: Sequence[Policy] = (),
    row: np.ndarray | None = None,
    **changes: Any,
) -> bytes:
    """A window of an image of a size, in pixels, for native_main.c, the operations of some
    policies, and the row of a plan.
    """
    output, sample = np.zeros(1, OUTPUT), np.zeros(1, SAMPLE)
    output["width"], output["height"] = wide, high = rng.randint(1, 40), rng.randint(1, 40)
    output["channels"], output["type"] = rng.choice([1, 3]), rng.randrange(len(DTYPES))
    output["interleaved"], output["light"] = rng.randrange(2), rng.randrange(2)
    x0, y0 = (rng.randrange(side) for side in size)
    sample["bounds"] = x0, y0, rng.randint(x0 + 1, size[0]), rng.randint(y0 + 1, size[1])
    left, top = rng.randrange(wide), rng.randrange(high)
    sample["inside"] = left, top, rng.randint(left + 1, wide), rng.randint(top + 1, high)
    sample["corner"] = rng.randint(0, 9), rng.randint(0, 9)
    sample["scaled"] = sample["corner"] + (wide, high) + (rng.randint(0, 50), rng.randint(0, 50))
    sample["method"], sample["flip"] = rng.randrange(2), rng.randrange(2)
    sample["shrink"], sample["orientation"] = rng.choice([1, 1, 2, 4, 8]), rng.choice([1, 1, 4, 3])
    sample["width"], sample["height"] = size
    place = sample["place"]
    place["end"], place["known_size"], place["file"] = len(content), len(content), -1
    for name, value in changes.items():
        (place if name in place.dtype.names else sample)[name] = value
    operations = b""
    if policies:
        seed = np.array([rng.getrandbits(32)])
        channels = int(output["channels"][0])
        drawn = plan_operations(policies, (wide, high), channels, 0, seed, seed)
        assert drawn is not None
        sample["operations"], sample["operation_count"] = 1, drawn.size
        operations = drawn.tobytes()
    row = row_of(rng, content, (wide, high)) if row is None else row
    parts = [each.tobytes() for each in (output, sample, row)]
    return b"".join([*parts, struct.pack("<q", len(content)), content, operations])


def row_of(rng: random.Random, content: bytes, size: tuple[int, int]) -> np.ndarray:
    """The row of a plan that makes an output of a size, in pixels, of an image; sometimes with
    numbers that no planner makes.
    """
    row = np.zeros(1, ROW)
    row["code"] = code = native_code(content)
    width, height = int(code) & 0xFFFF, int(code) >> 16 & 0xFFFF
    row["bounds"] = 0, 0, width, height
    # The image enlarged by whole numbers, of which a part is shown.
    window = []
    for side, output in zip((width, height), size, strict=True):
        factor = -(-output // max(side, 1)) * rng.randint(1, 2)
        shown = output / factor
        window.append((rng.randint(0, max(side * factor - output, 0)) / factor, shown))
    row["window"] = [at for at, _ in window] + [shown for _, shown in window]
    row["inside"] = 0, 0, rng.randint(1, size[0]), rng.randint(1, size[1])
    for name in ("antialias", "dct_scaling", "is_lit", "has_border", "flip"):
        row[name] = rng.randrange(2)
    row["method"] = rng.choice([0, 1, 1, 1, 2, 3, 4])
    for name, numbers in (
        ("window", [0.0, -1.0, 0.5, 1e9, 1e300, -1e300, 1e-300, math.inf, -math.inf, math.nan]),
        ("bounds", [-(2**40), -1, 0, 1, 70, 65535, 2**31, 2**40]),
        ("inside", [-(2**40), -1, 0, 1, 39, 40, 2**31, 2**40]),
        ("light", [0.0, 1e300, math.inf, math.nan]),
    ):
        for at in range(ROW[name].shape[0]):
            if rng.random() < 0.05:
                row[name][0, at] = rng.choice(numbers)
    if rng.random() < 0.1:
        row["code"] = rng.randrange(2**63)
    return row


def native_code(content: bytes) -> int:
    """The code of an image's header; 0 if that is damaged."""
    try:
        return encode_header(read_header(np.frombuffer(content, np.uint8)), Structure.UNKNOWN)
    except Error:
        return 0


def test_operations(program: Path, tmp_path: Path) -> None:
    rng = random.Random(0)
    content, size = IMAGES[0], (61, 53)
    policies = (
        RandAugmentPolicy(3, 30),
        RandAugmentPolicy(2, 30, interpolation=LINEAR, fill=(7,)),
        TrivialAugmentPolicy(),
        ColorJitterPolicy((0, 2), (0, 2), (0, 2), (-0.5, 0.5)),
        RandomErasingPolicy(0.9),
    )
    cases = [
        case(rng, content, size, rng.sample(policies, rng.randint(1, 5)), shrink=1, orientation=1)
        for _ in range(500)
    ]
    made, _, count = run(program, cases, tmp_path)
    assert made == count


def damaged(rng: random.Random, content: bytes) -> bytes:
    """Some bytes of an image changed, removed or repeated; or its end."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        if not data:
            break
        at = rng.randrange(len(data))
        what = rng.randrange(5)
        if what == 0:
            data[at] = rng.randrange(256)
        elif what == 1:
            data[at : at + 2] = bytes([0xFF, rng.randint(0xC0, 0xFE)])
        elif what == 2:
            del data[at : at + rng.randint(1, 20)]
        elif what == 3:
            data[at:at] = data[at : at + rng.randint(1, 50)]
        else:
            del data[max(at, 1) :]
    return bytes(data)


def damaged_chunk(rng: random.Random, content: bytes) -> bytes:
    """A PNG with a chunk changed, removed or repeated, whose checksums fit."""
    chunks = split(content)
    at = rng.randrange(len(chunks))
    name, data = chunks[at]
    what = rng.randrange(4)
    if what == 0:
        del chunks[at]
    elif what == 1:
        chunks.insert(rng.randrange(len(chunks)), chunks[at])
    elif data:
        chunks[at] = name, damaged(rng, data)
    return joined(chunks)


def run(program: Path, cases: list[bytes], folder: Path) -> tuple[int, int, int]:
    """How many samples are made, how many rows are selected, and of how many."""
    path = folder / "cases"
    path.write_bytes(b"".join(cases))
    # As without sanitizers: memory that is too large is not there.
    environment = {**os.environ, "ASAN_OPTIONS": "allocator_may_return_null=1"}
    result = subprocess.run([program, path], capture_output=True, text=True, env=environment)
    assert not result.returncode, result.stderr[-4000:]
    made, selected, count = map(int, result.stdout.split())
    assert count == len(cases)
    return made, selected, count


def size_of(content: bytes) -> tuple[int, int]:
    header = read_header(np.frombuffer(content, np.uint8)).without_orientation()
    return header.width, header.height


def test_windows_and_damage(program: Path, tmp_path: Path) -> None:
    rng = random.Random(0)
    sizes = list(map(size_of, IMAGES))
    cases = []
    for _ in range(2000):
        which = rng.randrange(len(IMAGES))
        content = IMAGES[which]
        if rng.random() < 0.7:
            content = damaged(rng, content)
        cases.append(case(rng, content, sizes[which]))
    made, selected, count = run(program, cases, tmp_path)
    assert count / 8 < selected < count
    assert count / 4 < made < count, "most of the intact images are made, and not all damaged ones"


def test_pngs(program: Path, tmp_path: Path) -> None:
    rng = random.Random(0)
    sizes = list(map(size_of, PNGS))
    cases = []
    for number in range(2000):
        which = number % len(PNGS)
        content = PNGS[which]
        if rng.random() < 0.7:
            content = rng.choice([damaged, damaged_chunk])(rng, content)
        cases.append(case(rng, content, sizes[which]))
    made, selected, count = run(program, cases, tmp_path)
    assert 100 < selected < count
    assert 100 < made < count, "some of the intact images are made, and not all damaged ones"


def test_headers_that_end_anywhere(program: Path, tmp_path: Path) -> None:
    """Among them EXIF blocks, whose entries end at the end of memory."""
    rng = random.Random(0)
    turned = oriented(6)
    first, *rest = split(PNGS[0])
    turned_png = joined([first, (b"eXIf", turned[turned.index(b"Exif") + 6 :][:60]), *rest])
    cases = [
        case(rng, content[:end], size_of(content))
        for content in (turned, turned_png)
        for end in range(1, min(len(content), 400))
    ]
    run(program, cases, tmp_path)


def test_samples_that_no_caller_makes(program: Path, tmp_path: Path) -> None:
    """What is wrong with a sample is found before anything is read or written."""
    rng = random.Random(0)
    content, size = IMAGES[0], (61, 53)
    numbers = [-(2**31), -1, 0, 1, 60, 61, 62, 2**26, 2**31 - 1]
    given = ("place", "row", "light", "fill", "operations")
    fields = [name for name in SAMPLE.names or () if name not in given]
    cases = []
    for _ in range(2000):
        changes = {}
        for name in rng.sample(fields, rng.randint(1, 2)):
            shape = SAMPLE[name].shape
            changes[name] = (
                [rng.choice(numbers) for _ in range(shape[0])] if shape else rng.choice(numbers)
            )
        if rng.random() < 0.3:
            changes[rng.choice(["begin", "end", "known_size"])] = rng.choice(
                [-1, 0, 1, 10**6, 2**62]
            )
        if rng.random() < 0.1:
            changes["file"] = rng.choice([99, 2**31 - 1])
        cases.append(case(rng, content, size, **changes))
    made, _, count = run(program, cases, tmp_path)
    assert made < count / 2
