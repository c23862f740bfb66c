"""ImageRecordIter against what MXNet 1.9.1 returned for the same calls (tests/golden, made by
make_golden.py)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError
from tests.close import (
    AFFINE,
    CMYK,
    EXACT,
    GPU_DECODER,
    LEVELS,
    SHARP_BORDER,
    TWICE,
    assert_images_close,
)
from tests.image.golden import call_of
from tests.io.records import EXECUTORS, RUNS

GOLDEN = Path(__file__).parents[1] / "golden"
DATA = GOLDEN / "data"
MANIFEST = json.loads((GOLDEN / "manifest.json").read_text())
CASES = {
    case["case"]: case
    for case in MANIFEST["cases"]
    if case["case"].startswith("ImageRecord") and case["outputs"][0].endswith(".npz")
}

# Cases with affine maps, and those that MXNet resamples twice.
WITH_TOLERANCE = {
    "scale_fixed": AFFINE,
    "img_size_limits": SHARP_BORDER,
    "rotate30": TWICE,
    "rotate90": TWICE,
    "cropsize60": TWICE,
}


def run(case: dict[str, Any], executor: str) -> list[list[mx.io.DataBatch]]:
    name, _, values, epochs = call_of(case)
    found = []
    with getattr(mx.io, name)(**values, **RUNS[executor]) as iterator:
        assert [repr(desc) for desc in iterator.provide_data] == [
            d["repr"] for d in case["provide_data"]
        ]
        assert [repr(desc) for desc in iterator.provide_label] == [
            d["repr"] for d in case["provide_label"]
        ]
        for _ in range(epochs):
            found.append(list(iterator))
            iterator.reset()
    return found


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("name", sorted(CASES))
def test_golden(name: str, executor: str) -> None:
    case = CASES[name]
    expected = np.load(DATA / case["outputs"][0])
    _, _, values, _ = call_of(case)
    method = values.get("inter_method", 1)
    scale = values.get("scale", 1.0) / min(values.get(f"std_{c}", 1.0) for c in "rgb")
    if values.get("dtype") in ("uint8", "int8"):
        scale = 1.0
    tolerance = LEVELS[executor, method]
    if (own := WITH_TOLERANCE.get(name.split("_", 1)[1])) is not None:
        tolerance = own.widened(GPU_DECODER) if executor == "gpu" else own
    tolerance = tolerance.scaled(scale)
    for epoch, batches in enumerate(run(case, executor)):
        pads = expected[f"pad{epoch}"]
        assert len(batches) == len(pads)
        for number, batch in enumerate(batches):
            pixels = expected[f"d{epoch}_{number}"]
            rows = len(pixels)
            if values.get("round_batch") is False:
                # MXNet's pad is 0 there, and its rows beyond the data are whatever the memory held.
                rows -= 3 if number == 2 else 0
                assert batch.pad == (3 if number == 2 else 0)
            else:
                assert batch.pad == pads[number]
            assert_images_close(batch.data[0].asnumpy()[:rows], pixels[:rows], tolerance)
            np.testing.assert_array_equal(
                batch.label[0].asnumpy()[:rows], expected[f"l{epoch}_{number}"][:rows]
            )


@pytest.mark.parametrize("index", [{}, {"path_imgidx": str(DATA / "img.idx")}])
def test_parts_hold_the_records_that_mxnet_gives_them(index: dict[str, str]) -> None:
    expected = json.loads((DATA / ("parts_idx.json" if index else "parts.json")).read_text())
    for count, parts in expected.items():
        for part, labels in enumerate(parts):
            call = dict(
                path_imgrec=str(DATA / "img.rec"),
                data_shape=(3, 8, 8),
                batch_size=1,
                num_parts=int(count),
                part_index=part,
                **index,
            )
            if labels == "StopIteration in constructor":
                with pytest.raises(ArgumentError, match="has no records"):
                    mx.io.ImageRecordIter(**call)
                continue
            with mx.io.ImageRecordIter(**call) as iterator:
                assert [int(batch.label[0].asnumpy()[0]) for batch in iterator] == labels


SPECIAL = next(case for case in MANIFEST["cases"] if case["case"] == "special_encodings")


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("name", SPECIAL["names"])
def test_special_encodings(name: str, executor: str, tmp_path: Path) -> None:
    expected = np.load(DATA / "special.npz")[f"iter_{name}"]
    with mx.recordio.MXIndexedRecordIO(DATA / "special.idx", DATA / "special.rec", "r") as special:
        record = special.read_idx(SPECIAL["names"].index(name))
    path = tmp_path / "one.rec"
    with mx.recordio.MXRecordIO(path, "w") as one:
        one.write(record)
    with mx.io.ImageRecordIter(
        path_imgrec=path, data_shape=expected.shape, batch_size=1, **RUNS[executor]
    ) as iterator:
        pixels = iterator.next().data[0].asnumpy()[0]
    if name == "truncated_jpeg":
        # MXNet's decoder gives up some rows before the data ends; libjpeg-turbo gives all that is
        # there.
        pixels, expected = pixels[:, :12], expected[:, :12]
    tolerance = CMYK if name == "cmyk" and executor != "host" else EXACT
    if executor == "gpu":
        tolerance = tolerance.widened(GPU_DECODER)
    assert_images_close(pixels, expected, tolerance)
