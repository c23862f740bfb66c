"""Every function, method and operator against the results of MXNet 1.9.1, by
tests/golden/make_nd.py.
"""

import json
import operator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "nd.json").read_text("utf-8"))


def identify(case: dict[str, Any]) -> str:
    options = [f"{name}={value}" for name, value in case["kwargs"].items()]
    return f"{case['function']}({', '.join([*map(str, case['args']), *options])})"


def filled(value: Any, ctx: mx.Context, index: bool = False) -> Any:
    """An argument of a case: "@x" is the array x."""
    if isinstance(value, str) and value.startswith("@"):
        given = GOLDEN["inputs"][value[1:]]
        return mx.nd.array(given["values"], ctx, given["dtype"])
    if isinstance(value, list):
        made = [filled(each, ctx) for each in value]
        arrays = any(isinstance(each, mx.nd.NDArray) for each in made)
        return made if arrays or index else tuple(made)
    return value


def call(case: dict[str, Any], ctx: mx.Context) -> Any:
    args = [filled(each, ctx, "item__" in case["function"]) for each in case["args"]]
    options = {name: filled(value, ctx) for name, value in case["kwargs"].items()}
    name = case["function"]
    if name in ("arange", "linspace", "eye", "full", "zeros", "ones"):
        options["ctx"] = ctx
    if not name.startswith("x."):
        return operator.attrgetter(name)(mx.nd)(*args, **options)
    found = getattr(args[0], name[2:])
    return found(*args[1:], **options) if callable(found) else found


def tolerance(function: str, dtype: Any) -> tuple[float, float]:
    """Relative and absolute tolerance."""
    if function == "image.random_hue":
        return 0, 1 if dtype == np.uint8 else 1e-3  # MXNet rounds hue, lightness and saturation
    if np.dtype(dtype).kind in "iub":
        return 0, 1 if function.startswith("image.r") else 0  # resizing, and random factors
    # Elementary functions of another library, and sums in another order.
    return (2e-3, 0) if dtype == np.float16 else (1e-5, 1e-5)


def compare(case: dict[str, Any], found: Any, wanted: Any, ctx: mx.Context) -> None:
    if isinstance(wanted, list):
        assert isinstance(found, list) and len(found) == len(wanted)
        for each, part in zip(found, wanted, strict=True):
            compare(case, each, part, ctx)
    elif isinstance(wanted, dict):
        assert isinstance(found, mx.nd.NDArray) and found.context == ctx
        assert found.flags.c_contiguous or "reshape" in case["function"]
        assert found.dtype == wanted["dtype"]
        assert list(found.shape) == wanted["shape"]
        values = np.array(wanted["values"], np.float64).reshape(wanted["shape"])
        got = found.asnumpy().astype(np.float64)
        np.testing.assert_allclose(got, values, *tolerance(case["function"], found.dtype))
    else:
        assert found == wanted and type(found) is type(wanted)


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=identify)
def test_as_mxnet(case: dict[str, Any], ctx: mx.Context) -> None:
    compare(case, call(case, ctx), case["result"], ctx)
