"""The package Ray, where it is installed and new enough."""

from __future__ import annotations

import importlib
from typing import Any

from gpuio.errors import MissingPackageError

# The oldest version of Ray, and those that the tests have run with.
OLDEST, TESTED = (2, 50), "2.50 and 2.60"


def import_ray(module: str = "ray") -> Any:
    """The package ray, or one of its modules.

    Raises
    ------
    MissingPackageError : it is not installed, or too old.
    """
    try:
        ray = importlib.import_module("ray")
        found = importlib.import_module(module)
    except ImportError as error:
        raise MissingPackageError(
            f"Ray is not installed, or not all of it ({error}); install it with: pip install "
            "'gpuio[ray]'"
        ) from error
    if tuple(int(number) for number in ray.__version__.split(".")[:2]) < OLDEST:
        raise MissingPackageError(
            f"Ray {ray.__version__} is too old; gpuio needs {'.'.join(map(str, OLDEST))} or later, "
            f"and is tested with {TESTED}: pip install --upgrade 'gpuio[ray]'"
        )
    return found
