"""Which Ray cluster is used."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from gpuio.errors import ArgumentError, MissingPackageError
from gpuio.tools import RayCluster
from gpuio.tools.ray_cluster import OLDEST, as_cluster, import_ray


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


def test_ray_may_be_missing_or_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'gpuio\[ray\]'"):
        import_ray()
    oldest = ".".join(map(str, OLDEST))
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(__version__="2.9.3"))
    with pytest.raises(MissingPackageError, match=f"2.9.3 is too old; gpuio needs {oldest}"):
        import_ray()
    new = SimpleNamespace(__version__=f"{oldest}.0rc1")
    monkeypatch.setitem(sys.modules, "ray", new)
    assert import_ray() is new
