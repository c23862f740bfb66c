"""Record files with the same images and labels of every kind."""

from pathlib import Path
from typing import Any

from gpuio.recordio import IRHeader, MXIndexedRecordIO, pack
from tests.io.records import jpeg

COUNT = 6

BOXES = [1.0, 0.25, 0.2, 0.75, 0.6, 3.0, 0.0, 0.5, 0.5, 1.0]

# Labels of the images with keys 1, 2, …
LABELS: dict[str, list[Any]] = {
    "plain": [0, 0, 1, 1, 2, 2],
    "multi-label": [[number, 0.5, -1] for number in range(COUNT)],
    "detection": [[2.0, 5.0, *BOXES[: 5 * (number % 3)]] for number in range(COUNT)],
    "face identity": [0, 0, 0, 1, 1, 1],
    "face identity, two numbers": [[number // 3, 7.0] for number in range(COUNT)],
    "different lengths": [1, [2, 3], [4, 5, 6], 7, [8, 9], 10],
}
LAYOUTS = {
    "face identity, two numbers": "face identity",
    "different lengths": "multi-label",
}


def write_layout(kind: str, path: Path) -> Path:
    """Write PATH.rec and PATH.idx; returns the record file."""
    rec = path.with_suffix(".rec")
    with MXIndexedRecordIO(path.with_suffix(".idx"), rec, "w") as writer:

        def write(key: int, label: Any, image: bytes) -> None:
            writer.write_idx(key, pack(IRHeader(0, label, key, 0), image))

        if kind.startswith("face"):
            write(0, [COUNT + 1.0, COUNT + 3.0], b"")
        for key, label in enumerate(LABELS[kind], 1):
            write(key, label, jpeg(key, 60 + key, 50))
        if kind.startswith("face"):
            write(COUNT + 1, [1.0, 4.0], b"")
            write(COUNT + 2, [4.0, 7.0], b"")
    return rec
