"""The names of gpuio's packages: none hides a module."""

import importlib
import importlib.machinery
import subprocess
import sys
from types import ModuleType

import pytest

import gpuio as mx
from tests.tools.process import ROOT

# ``python -m gpuio.tools.im2rec`` needs a module of that name; it refuses to be imported.
RUNNER = "gpuio.tools.im2rec"

PACKAGES = [
    "gpuio", "gpuio.contrib", "gpuio.gluon", "gpuio.image", "gpuio.io", "gpuio.nd",
    "gpuio.recordio", "gpuio.tools",
]  # fmt: skip

HIDDEN = {"gpuio.tools": [RUNNER]}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_public_name_hides_a_module(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__all__
    hidden = []
    for name in module.__all__:
        value, dotted = getattr(module, name), f"{package}.{name}"
        found = importlib.machinery.PathFinder.find_spec(dotted, module.__path__)
        if found and not isinstance(value, ModuleType):
            hidden.append(dotted)
    assert hidden == HIDDEN.get(package, [])


def test_these_are_all_public_packages() -> None:
    """Of the names in gpuio, these have names of their own."""
    values = [getattr(mx, name) for name in mx.__all__]
    packages = {value.__name__ for value in values if hasattr(value, "__path__")}
    assert packages == {*PACKAGES} - {"gpuio"}


def test_the_runner_does_not_replace_the_function() -> None:
    function = mx.tools.im2rec
    with pytest.raises(ImportError, match=r"gpuio\.tools\.im2rec is a function"):
        importlib.import_module(RUNNER)
    assert mx.tools.im2rec is function and callable(function)
    assert RUNNER not in sys.modules


def test_the_functions_are_there_in_a_fresh_process() -> None:
    code = """
import gpuio, gpuio.tools.cli
from gpuio.tools import im2rec, make_list, verify
assert gpuio.tools.verify is verify and callable(verify)
assert callable(im2rec) and callable(make_list) and callable(gpuio.tools.index)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)
