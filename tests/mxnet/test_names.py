"""Names of MXNet: other names of what is there, and messages for what is not."""

import importlib
import subprocess
import sys

import pytest

import gpuio as mx


@pytest.mark.parametrize(
    ("module", "name", "same"),
    [
        ("image.image", "imread", lambda: mx.image.imread),
        ("image.image", "ImageIter", lambda: mx.image.ImageIter),
        ("image.detection", "ImageDetIter", lambda: mx.image.ImageDetIter),
        ("io.io", "DataDesc", lambda: mx.io.DataDesc),
        ("io.io", "NDArrayIter", lambda: mx.io.NDArrayIter),
    ],
)
def test_modules_that_mxnet_defines_them_in(module: str, name: str, same) -> None:
    """As attributes, and as modules to import."""
    package, _, child = module.partition(".")
    assert getattr(getattr(getattr(mx, package), child), name) is same()
    assert getattr(importlib.import_module(f"gpuio.{module}"), name) is same()


def test_import_of_an_inner_module_alone() -> None:
    """Without anything else of gpuio imported before."""
    code = "from gpuio.image.image import imread; from gpuio.io.io import DataBatch"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)


def test_short_name_of_image() -> None:
    assert mx.img.image.imdecode is mx.image.imdecode


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("sym", "train models with PyTorch or JAX"),
        ("mod", "train models with PyTorch or JAX"),
        ("autograd", "train models with PyTorch or JAX"),
        ("metric", "train models with PyTorch or JAX"),
        ("np", "use NumPy or CuPy itself"),
    ],
)
def test_what_is_not_data_loading(name: str, advice: str) -> None:
    assert not hasattr(mx, name)
    with pytest.raises(AttributeError, match=rf"mx\.{name} is not in gpuio.*{advice}"):
        getattr(mx, name)


def test_names_that_mxnet_does_not_have() -> None:
    with pytest.raises(AttributeError, match="module 'gpuio' has no attribute 'nothing'"):
        mx.nothing  # noqa: B018
