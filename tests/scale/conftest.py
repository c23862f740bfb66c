"""Fixtures of the tests of scale."""

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[Any]:
    """A Ray cluster of two nodes with one CPU each, to which the process is connected. Not for the
    session: modules have clusters of other kinds.
    """
    from tests.scale.ray_nodes import two_nodes

    with two_nodes() as cluster:
        yield cluster
