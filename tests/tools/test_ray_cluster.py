"""Which Ray cluster is used."""

from typing import Any

import pytest

from gpuio.errors import ArgumentError
from gpuio.tools import RayCluster
from gpuio.tools.ray_cluster import as_cluster


def test_the_argument_on() -> None:
    assert as_cluster(None) is None
    assert as_cluster("ray") == RayCluster()
    cluster = RayCluster("10.0.0.1:6379", 4)
    assert as_cluster(cluster) is cluster


@pytest.mark.parametrize("on", ["dask", "", True, 3])
def test_other_values_are_refused(on: Any) -> None:
    with pytest.raises(ArgumentError, match="'ray', a RayCluster or None"):
        as_cluster(on)


def test_options_are_checked() -> None:
    with pytest.raises(ArgumentError, match="at least 1, not 0"):
        RayCluster(num_cpus=0)
    with pytest.raises(ArgumentError, match="ray job submit"):
        RayCluster("ray://head:10001")
