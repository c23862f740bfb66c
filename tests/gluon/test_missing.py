"""Names of MXNet's Gluon that gpuio does not have: the message of both ways to ask for one."""

import importlib

import pytest

import gpuio as mx
from gpuio import gluon
from gpuio.gluon.missing import NETWORKS, missing_name


@pytest.mark.parametrize("name", ["nn", "Trainer", "loss", "model_zoo", "Parameter", "contrib"])
def test_networks_are_left_to_others(name: str) -> None:
    with pytest.raises(AttributeError, match=f"has no '{name}'.*PyTorch"):
        getattr(mx.gluon, name)


def test_an_import_has_the_message_too() -> None:
    """Python would say "cannot import name" alone."""
    with pytest.raises(ImportError, match=r"has no 'nn'.*PyTorch"):
        from gpuio.gluon import nn  # noqa: F401
    with pytest.raises(ImportError, match=r"has no 'Trainer'.*PyTorch"):
        from gpuio.gluon import Trainer  # noqa: F401


@pytest.mark.parametrize(
    ("module", "hint"),
    [
        ("gluon.data", "MXNet 1.9.1"),
        ("gluon.data.vision", "im2rec"),
        ("gluon.data.vision.transforms", "any function of an image"),
        ("gluon.utils", "gluon.utils"),
    ],
)
def test_every_module_says_what_it_has(module: str, hint: str) -> None:
    found = importlib.import_module(f"gpuio.{module}")
    with pytest.raises(AttributeError, match=f"module 'gpuio.{module}' has no 'Nothing'.*{hint}"):
        found.Nothing  # noqa: B018


def test_asking_whether_a_name_exists_raises_nothing() -> None:
    assert not hasattr(gluon, "nn") and not hasattr(gluon, "__wrapped__")
    assert getattr(gluon, "Trainer", None) is None
    assert hasattr(gluon, "data")


def test_everything_listed_exists() -> None:
    for module in (gluon, gluon.data, gluon.data.vision, gluon.data.vision.transforms, gluon.utils):
        assert {name for name in module.__all__ if not hasattr(module, name)} == set()


def test_the_error_is_an_attribute_error() -> None:
    error = missing_name("a.b", "c", NETWORKS, ["d", "e"])
    assert isinstance(error, AttributeError)
    assert str(error) == f"module 'a.b' has no 'c': {NETWORKS}; it has d, e"
