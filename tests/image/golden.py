"""The golden images by name, and the calls whose results are stored."""

import ast
import json
from pathlib import Path
from typing import Any

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


def call_of(case: dict[str, Any]) -> tuple[str, list[Any], dict[str, Any], int]:
    """The call of a case: the iterator's name, its arguments, with paths of the golden data, and
    the number of epochs.
    """
    text, _, rest = case["call"].rpartition(")")
    call = ast.parse(f"{text})", mode="eval").body
    assert isinstance(call, ast.Call)
    name = ast.unparse(call.func).rpartition(".")[2]
    arguments = [ast.literal_eval(each) for each in call.args]
    named = {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
    for argument, value in named.items():
        if argument.startswith("path_") or argument == "mean_img":
            named[argument] = str(DATA / value)
    return name, arguments, named, int(rest.split()[1]) if "epochs" in rest else 1
