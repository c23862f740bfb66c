"""Prints what gpuio's functions and methods make on a GPU: of which class, shape, dtype and
strides, and where, for everything that `tests.nd.test_devices` calls.

Run by `test_installed.py`: with CuPy's substitute (``simulated``), and with the installed CuPy over
a substitute for CUDA (``installed``), where the values mean nothing.
"""

import inspect
import json
import operator
import sys
from typing import Any

if __name__ == "__main__":
    if sys.argv[1] == "installed":
        import tests.simulated.installed  # noqa: F401
    else:
        from tests import simulated

        simulated.activate()

import cupy
import numpy as np

import gpuio as mx
from tests.nd import test_devices as cases

GPU = mx.gpu(1)
# Of layouts that are not C-contiguous, too.
SHAPED = {
    "dense": lambda x: x,
    "transposed": lambda x: x.T.copy().T,
    "sliced": lambda x: mx.nd.concat(x, x, dim=1)[:, :3],
}


def calls() -> dict[str, Any]:
    """What is called with one array, by name."""
    kind = type(mx.nd.ones(1, GPU))
    names = {name for name in dir(kind) if not name.startswith("_")} - cases.NOT_COMPARED
    found = {f"x.{name}": cases.METHODS.get(name, operator.methodcaller(name)) for name in names}
    for name in {*mx.nd.__all__} - cases.CREATE - cases.ALIASES - {"imdecode"}:
        function = getattr(mx.nd, name)
        two = [*inspect.signature(function).parameters][:2] in (["lhs", "rhs"], ["base", "exp"])
        call = (lambda x, f=function: f(x, x)) if two else function
        found[f"nd.{name}"] = cases.FUNCTIONS.get(name, call)
    for name in (*cases.ARITHMETIC, *cases.COMPARISONS):
        apply = getattr(operator, name)
        for other, make in cases.OTHERS.items():
            found[f"{name}, {other}"] = lambda x, f=apply, make=make: f(x, make(x.context))
            found[f"{other}, {name}"] = lambda x, f=apply, make=make: f(make(x.context), x)
    for name, create in cases.CREATED.items():
        found[f"creation: {name}"] = lambda x, create=create: create(x.context)
    return found


def describe(made: Any) -> Any:
    if isinstance(made, (list, tuple)):
        return [describe(each) for each in made]
    if hasattr(made, "indptr"):
        # The number of stored values depends on values.
        parts = (made.data, made.indices, made.indptr)
        return ["CSR", list(made.shape), *(str(each.dtype) for each in parts)]
    if not hasattr(made, "strides"):
        return type(made).__name__
    strides = list(made.strides) if made.size else None
    where = made.data.device_id if isinstance(made, cupy.ndarray) else "host"
    return [type(made).__name__, list(made.shape), str(made.dtype), strides, where]


def outcome(call: Any, x: Any) -> Any:
    try:
        made = call(x)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return describe(made)


if __name__ == "__main__":
    values = np.array(cases.VALUES)
    print(
        json.dumps(
            {
                f"{name} of a {layout} array": outcome(call, change(mx.nd.array(values, GPU)))
                for name, call in sorted(calls().items())
                for layout, change in SHAPED.items()
            }
        )
    )
