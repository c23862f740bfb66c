"""Small files of the kinds that public scripts load."""

from pathlib import Path
from typing import Any

import numpy as np

import gpuio as mx
from tests.io.records import jpeg

IDENTITIES = [[1, 2, 3], [4, 5], [6, 7, 8, 9]]  # keys of each identity's images


def write(path: Path, records: list[tuple[int, object, bytes]]) -> dict[str, str]:
    """A record file with its index, of (key, label, payload)."""
    rec, idx = str(path.with_suffix(".rec")), str(path.with_suffix(".idx"))
    writer = mx.recordio.MXIndexedRecordIO(idx, rec, "w")
    for key, label, payload in records:
        writer.write_idx(key, mx.recordio.pack(mx.recordio.IRHeader(0, label, key, 0), payload))
    writer.close()
    return {"path_imgrec": rec, "path_imgidx": idx}


def images(folder: Path, count: int = 10) -> dict[str, str]:
    """One label each: 0, 1, 2, 0, 1, …"""
    records = [(key, key % 3, jpeg(key, 100 + key, 90)) for key in range(count)]
    return write(folder / "train", records)


def faces(folder: Path) -> dict[str, str]:
    """As insightface packs them: record 0 says where the identities' records are, each of which
    says where its images are; an image's label is its identity and a second number."""
    count = sum(map(len, IDENTITIES))
    records: list[tuple[int, object, bytes]] = [(0, [count + 1, count + 1 + len(IDENTITIES)], b"")]
    for identity, keys in enumerate(IDENTITIES):
        records += [(key, [identity, 0], jpeg(key, 112, 112)) for key in keys]
    for number, keys in enumerate(IDENTITIES):
        records.append((count + 1 + number, [keys[0], keys[-1] + 1], b""))
    return write(folder / "faces", records)


def detection(folder: Path, count: int = 6) -> dict[str, str]:
    """One to three objects each, with class, left, top, right, bottom."""
    rng = np.random.default_rng(0)
    records = []
    for key in range(count):
        objects = [[key % 2, *rng.uniform(0, 0.4, 2), *rng.uniform(0.6, 1, 2)]] * (1 + key % 3)
        records.append((key, [2, 5, *np.ravel(objects)], jpeg(key, 120, 100)))
    return write(folder / "det", records)


def class_folders(folder: Path, per_class: int = 5) -> Path:
    """A folder of images for each class."""
    for number, name in enumerate(["cat", "dog"]):
        (folder / name).mkdir(parents=True)
        for image in range(per_class):
            (folder / name / f"{image}.jpg").write_bytes(jpeg(10 * number + image))
    return folder


def record_iter(folder: Path, **options: Any) -> mx.io.ImageRecordIter:
    """Over 10 images of at least 100 x 90 pixels."""
    values = {"data_shape": (3, 64, 64), "batch_size": 4, **images(folder), **options}
    return mx.io.ImageRecordIter(**values)
