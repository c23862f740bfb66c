"""Ray Data, where Ray is missing; with it, see test_ray_records and ``tests/scale``."""

import sys
from pathlib import Path

import pytest

import gpuio.ray
from gpuio.errors import MissingPackageError


def test_without_ray(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'gpuio\[ray\]'"):
        gpuio.ray.read_records(tmp_path / "a.rec")
    with pytest.raises(MissingPackageError, match=r"pip install 'gpuio\[ray\]'"):
        gpuio.ray.write_records(None, tmp_path)


def test_the_package_has_its_own_name() -> None:
    """Ray's is another one."""
    assert gpuio.ray.__name__ == "gpuio.ray"
    assert gpuio.ray.__all__ == ["read_records", "write_records"]
