"""Errors for the names of MXNet's Gluon that gpuio does not have."""

from __future__ import annotations

import sys
from collections.abc import Iterable

NETWORKS = (
    "gpuio has the data part of MXNet's Gluon, gluon.data and gluon.utils; networks, losses and "
    "training are left to PyTorch (gpuio.torch.loader gives the batches) or JAX (gpuio.jax.loader)"
)


def missing_name(module: str, name: str, hint: str, known: Iterable[str]) -> Exception:
    """The error that a module's ``__getattr__`` raises for a name that it does not have.

    It is an AttributeError; but where the module's ``__getattr__`` is asked by a statement
    ``from module import name``, an ImportError, as Python replaces the message of the former by
    its own.

    Parameters
    ----------
    module : its full name
    name : what was asked for
    hint : what serves instead, as a clause
    known : the names that the module has
    """
    message = f"module {module!r} has no {name!r}: {hint}; it has {', '.join(known)}"
    # Frame 1 is __getattr__; behind it is the importer's own hasattr, or the user's expression.
    importing = sys._getframe(2).f_globals.get("__name__") == "importlib._bootstrap"
    if importing and not name.startswith("__"):
        return ImportError(message, name=module)
    return AttributeError(message, name=name)
