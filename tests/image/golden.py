"""The golden pictures, by name, and the calls whose results are kept."""

import json
from pathlib import Path

import numpy as np

from gpuio.recordio import MXIndexedRecordIO, unpack

GOLDEN = Path(__file__).parents[1] / "golden"
DATA = GOLDEN / "data"


def manifest(name: str) -> dict:
    """A case of the golden data."""
    cases = json.loads((GOLDEN / "manifest.json").read_text())["cases"]
    (case,) = (case for case in cases if case["case"] == name)
    return case


def encoded(file: str, names: list[str]) -> dict[str, bytes]:
    """The image files in a record file, by name."""
    with MXIndexedRecordIO(DATA / f"{file}.idx", DATA / f"{file}.rec", "r") as reader:
        images = [unpack(reader.read_idx(key))[1] for key in reader.keys]
    return dict(zip(names, images, strict=True))


def results(file: str) -> dict[str, np.ndarray]:
    with np.load(DATA / file) as stored:
        return dict(stored)
