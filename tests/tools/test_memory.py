"""The command ``gpuio`` on huge files: its memory stays bounded."""

import struct
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gpuio.recordio import RecordSet
from tests.tools.process import start

# At most 400 MiB of private memory; mapped files do not count.
LIMITED = ("sh", "-c", 'ulimit -d 409600 && exec "$@"', "sh")

GIGABYTES_100 = 100 * 10**9

RECORD = 32 << 20


@pytest.fixture
def sparse(tmp_path: Path) -> Callable[[int], Path]:
    """Makes a record file of at least so many bytes that takes next to none on the disk."""

    def make(size: int) -> Path:
        path = tmp_path / "big.rec"
        count = -(-size // RECORD)
        with path.open("wb") as file, path.with_suffix(".idx").open("w") as index:
            for key in range(count):
                file.seek(key * RECORD)
                label = 77.0 if key == count // 2 else 1.0
                file.write(struct.pack("<IIIfQQ", 0xCED7230A, RECORD - 8, 0, label, key, 0))
                index.write(f"{key}\t{key * RECORD}\n")
            file.truncate(count * RECORD)
        return path

    return make


@pytest.mark.skipif(sys.platform != "linux", reason="a limit on memory that Linux has")
@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["index", "{rec}", "--idx", "{out}.idx"], 0),
        (["info", "{rec}", "--sample", "3"], 0),
        (["filter", "{rec}", "{out}.rec", "--key", "12", "--key", "2900"], 0),
        (["filter", "{rec}", "{out}.rec", "--label", "77"], 0),
        (["extract", "{rec}", "{out}", "--key", "5"], 1),
        (["show", "{rec}", "--key", "1", "--out", "{out}.html"], 0),
    ],
    ids=lambda arguments: " ".join(arguments[::3]) if isinstance(arguments, list) else None,
)
def test_a_hundred_gigabytes_in_bounded_memory(
    arguments: list[str], status: int, sparse: Callable[[int], Path], tmp_path: Path
) -> None:
    """A sparse file: records of 32 MiB, whose payload is a hole."""
    rec = sparse(GIGABYTES_100)
    filled = [argument.format(rec=rec, out=tmp_path / "out") for argument in arguments]
    run = start(*filled, limit=LIMITED)
    _, err = run.communicate(timeout=100)
    assert (run.returncode, err) == (status, "")
    if arguments[0] == "index":
        with RecordSet(rec, tmp_path / "out.idx") as records:
            assert records.nbytes >= GIGABYTES_100
            assert len(records) == -(-GIGABYTES_100 // RECORD)


def test_every_byte_is_looked_at_in_bounded_memory(
    sparse: Callable[[int], Path], tmp_path: Path
) -> None:
    rec = sparse(600 << 20)
    for arguments in (["verify", rec, "--framing"], ["shuffle", rec, tmp_path / "out.rec"]):
        run = start(*arguments, limit=LIMITED)
        out, err = run.communicate(timeout=100)
        assert (run.returncode, err) == (0, "")
        assert "19 records" in out
