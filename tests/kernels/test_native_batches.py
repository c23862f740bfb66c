"""The native module's functions for whole batches, under the address and the undefined-behavior
sanitizer; what they find is what Python finds.
"""

import random
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpuio import native
from gpuio.planning.crop_geometry import plan_crops
from gpuio.planning.crop_options import CropOptions
from gpuio.planning.native_crops import CROP, MOST_LENGTH, crop_of
from gpuio.recordio.framing import LENGTH_MASK, MAGIC
from gpuio.recordio.record_headers import read_record_headers
from gpuio.sampling import philox
from gpuio.storage.parts import join
from tests.kernels.sanitized import compile_program

MAIN = Path(__file__).with_name("native_batches.c")
READ, PHILOX, CROPS, JOIN, RECORDS = range(5)

# struct batch of native_batches.c.
BATCH = np.dtype(
    [
        *((name, np.int64) for name in ("kind", "count", "first", "size", "columns", "length")),
        ("crop", CROP),
        ("bordered", np.int32),
        ("file", np.int32),
    ],
    align=True,
)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of native_batches.c."""
    return compile_program(MAIN, tmp_path_factory.mktemp("batches"))


@pytest.fixture(autouse=True)
def python_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compared with is Python's arithmetic."""
    monkeypatch.setenv(native.VARIABLE, "0")


def batch(kind: int, columns: list[np.ndarray], data: bytes = b"", **numbers: Any) -> bytes:
    """A case for native_batches.c."""
    made = np.zeros(1, BATCH)
    made["kind"], made["count"], made["columns"] = kind, len(columns[0]), len(columns)
    made["length"] = len(data)
    for name, value in numbers.items():
        made[name] = value
    arrays = [np.ascontiguousarray(each, np.int64).tobytes() for each in columns]
    return b"".join([made.tobytes(), *arrays, data])


class Output:
    """What native_batches.c has written, which is taken piece by piece."""

    def __init__(
        self, program: Path, cases: list[bytes], folder: Path, content: bytes = b""
    ) -> None:
        (folder / "cases").write_bytes(b"".join(cases))
        (folder / "file").write_bytes(content)
        command = [program, folder / "cases", folder / "file"]
        result = subprocess.run(command, capture_output=True)
        assert not result.returncode, result.stderr[-4000:]
        self.left = result.stdout

    def take(self, dtype: Any, *shape: int) -> np.ndarray:
        count = int(np.prod(shape, dtype=np.int64))
        found = np.frombuffer(self.left, dtype, count).reshape(shape)
        self.left = self.left[found.nbytes :]
        return found

    def number(self) -> int:
        return int(self.take(np.int64, 1)[0])


def test_reading(program: Path, tmp_path: Path) -> None:
    """Also parts that the file does not have, and such as are empty or negative."""
    rng = np.random.default_rng(0)
    content = rng.bytes(1000)
    cases, sizes, expected = [], [], []
    for _ in range(300):
        count = int(rng.integers(0, 5))
        begins = (
            rng.integers(-1, 1100, count) if rng.random() < 0.2 else rng.integers(0, 900, count)
        )
        lengths = rng.integers(0, 100, count)
        places = lengths.cumsum() - lengths
        size = int(lengths.sum())
        cases.append(batch(READ, [begins, begins + lengths, places], bytes(size)))
        sizes.append(size)
        sound = ((begins >= 0) & (begins + lengths <= 1000) | (lengths == 0)).all()
        parts = [content[begin : begin + n] for begin, n in zip(begins, lengths, strict=True)]
        expected.append(b"".join(parts) if sound else None)
    output = Output(program, cases, tmp_path, content)
    for size, each in zip(sizes, expected, strict=True):
        assert output.number() == (each is not None)
        found = output.take(np.uint8, size).tobytes()
        assert each is None or found == each
    assert not output.left and None in expected


def test_random_words(program: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    given = []
    for _ in range(100):
        numbers = rng.integers(-(2**62), 2**62, (2, int(rng.integers(0, 9))))
        given.append((int(rng.integers(-(2**63), 2**63)), *numbers, int(rng.integers(0, 14))))
    cases = [batch(PHILOX, [*at], first=seed, size=blocks) for seed, *at, blocks in given]
    output = Output(program, cases, tmp_path)
    for seed, epoch, record, blocks in given:
        found = output.take(np.uint64, len(epoch), 4 * blocks)
        assert (found == philox.words(seed, epoch, record, philox.MIRROR, 4 * blocks)).all()
    assert not output.left


def crop_options(rng: random.Random) -> CropOptions:
    def length() -> int:
        return rng.choice([1, 2, rng.randint(1, 40), 224, MOST_LENGTH])

    more: dict[str, Any] = {}
    kind = rng.randrange(4)
    if kind == 0:
        more["resized_crop"] = True
        more["area"] = rng.choice([(0.08, 1.0), (1e-300, 1.0), (1.0, 1.0)])
        more["ratio"] = rng.choice([(0.75, 1.5), (1e-6, 1e6), (1e6, 1e6)])
    elif kind == 1:
        more["crop_size"] = tuple(sorted((length(), length())))
    if kind:
        more["rand_crop"] = rng.random() < 0.5
    return CropOptions(
        length(), length(), resize=rng.choice([None, length()]), pad=rng.choice([0, length()]),
        rand_mirror=rng.random() < 0.5, method=rng.choice([0, 1, 9, 10]), **more,
    )  # fmt: skip


def test_crops(program: Path, tmp_path: Path) -> None:
    """Also of sizes that no image has."""
    rng = random.Random(0)
    sides = [1, 2, 31, 65535, MOST_LENGTH]
    cases, given = [], []
    for _ in range(500):
        options = crop_options(rng)
        hostile = rng.random() < 0.2
        choices = [-(2**63), -1, 0, MOST_LENGTH + 1, 2**63 - 1] if hostile else sides
        sizes = np.array([rng.choices(choices, k=2) for _ in range(rng.randint(1, 5))])
        epoch, record = rng.choices(range(2**40), k=len(sizes)), np.arange(len(sizes))
        at = np.array(epoch), record
        crop = crop_of(options)
        assert crop is not None
        columns = [*sizes.T, *at]
        cases.append(batch(CROPS, columns, first=9, crop=crop, bordered=options.bordered))
        given.append((options, None if hostile else sizes, at))
    output = Output(program, cases, tmp_path)
    for options, chosen, at in given:
        assert output.number() == (chosen is not None)
        if chosen is None:
            continue
        count = len(chosen)
        plan, padded, largest = plan_crops(options, chosen, 9, *at)
        for each in (plan.window, plan.bounds, plan.method, padded, largest):
            assert (output.take(each.dtype, *each.shape) == each).all()
        assert (output.take(np.bool_, count) == plan.flip).all()
    assert not output.left


def test_joined_parts(program: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    given = []
    for _ in range(300):
        begins = rng.integers(0, 2 ** int(rng.integers(1, 61)), int(rng.integers(1, 30)))
        given.append((begins, begins + rng.integers(1, 99, len(begins)), int(rng.integers(0, 99))))
    cases = [batch(JOIN, [begins, ends], first=gap) for begins, ends, gap in given]
    cases.append(batch(JOIN, [np.empty(0)] * 2))
    output = Output(program, cases, tmp_path)
    for begins, ends, gap in given:
        ranges, _, places = join(begins, ends, gap)
        count = output.number()
        found = output.take(np.int64, 4, len(begins))
        assert (found[:3, :count] == np.stack(ranges)).all() and (found[3] == places).all()
    assert output.number() == 0 and not output.left


def test_headers_of_records(program: Path, tmp_path: Path) -> None:
    """Damaged ones, and such as end anywhere."""
    rng = random.Random(0)
    cases, given = [], []
    for _ in range(1000):
        magic = rng.choice([MAGIC] * 9 + [0])
        part = rng.choice([0] * 8 + [1, 7]) << 29 | rng.choice([*range(20, 60), LENGTH_MASK])
        flag = rng.choice([0, 0, 0, 1, 2**30, 2**32 - 1])
        data = struct.pack("<IIIfQQ", magic, part, flag, 1.5, rng.getrandbits(64), 0) + bytes(20)
        data = data[: rng.choice([len(data)] * 3 + [*range(len(data))])]
        start, size = rng.choice([(0, 52), (4, 2**62), (2**62, 2**62 + 50)])
        columns = [np.array([number]) for number in (0, len(data), start)]
        cases.append(batch(RECORDS, columns, data, size=size, file=1))
        given.append((np.frombuffer(data, np.uint8), *columns, np.array([size - start])))
    output = Output(program, cases, tmp_path)
    counts = [0, 0]
    for data, begin, known, _, left in given:
        headers = read_record_headers(data, begin, known, left)
        whole = bool(headers.whole[0])
        assert output.number() == (whole and headers.flag[0] == 0)
        assert output.take(np.uint64, 1)[0] == (headers.head["id"][0] if whole else 0)
        assert output.take(np.bool_, 1)[0] == whole
        counts[whole] += 1
    assert not output.left and min(counts) > 100
