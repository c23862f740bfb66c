"""What MXNet 1.9.1 returned (tests/golden), beside what an iterator gives."""

import json
from pathlib import Path
from typing import Any

import numpy as np

import gpuio as mx

GOLDEN = Path(__file__).parents[1] / "golden"
DATA = GOLDEN / "data"
CASES = {case["case"]: case for case in json.loads((GOLDEN / "manifest.json").read_text())["cases"]}


def arrays(name: str) -> dict[str, np.ndarray]:
    with np.load(DATA / f"{name}.npz") as file:
        return dict(file)


def assert_described(iterator: mx.io.DataIter, case: str) -> None:
    """Names, shapes, types and layouts are MXNet's."""
    for argument in ("provide_data", "provide_label"):
        if argument in CASES[case]:
            found = [repr(desc) for desc in getattr(iterator, argument)]
            assert found == [desc["repr"] for desc in CASES[case][argument]]


def assert_epoch(
    batches: list[mx.io.DataBatch],
    expected: dict[str, np.ndarray],
    epoch: int,
    pads: list[int] | None = None,
    proper_rows_only: bool = False,
) -> None:
    """The batches of an epoch are MXNet's.

    Parameters
    ----------
    pads : the right ones, where MXNet's are not
    proper_rows_only : leave out the rows that only fill a batch, where MXNet's are whatever the
        memory held
    """
    pads = expected[f"pad{epoch}"].tolist() if pads is None else pads
    assert [batch.pad for batch in batches] == pads
    for number, batch in enumerate(batches):
        rows = slice(0, batch.data[0].shape[0] - (pads[number] if proper_rows_only else 0))
        for letter, found in (("d", batch.data), ("l", batch.label)):
            for place, array in enumerate(found):
                ending = f"_{place}" if place else ""
                values = expected[f"{letter}{epoch}_{number}{ending}"]
                assert array.shape == values.shape
                np.testing.assert_array_equal(array.asnumpy()[rows], values[rows])


def tables() -> tuple[Any, Any]:
    """The data and labels of the NDArrayIter cases."""
    inputs = arrays("ndarray_in")
    return inputs["X"], inputs["Y"]
