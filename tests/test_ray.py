"""Ray Data, where Ray is missing; with it, see test_ray_records and ``tests/scale``."""

import sys
from pathlib import Path
from typing import Any

import pytest

import gpuio.ray
from gpuio.errors import ArgumentError, MissingPackageError


def test_without_ray(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'gpuio\[ray\]'"):
        gpuio.ray.read_records(tmp_path / "a.rec")
    with pytest.raises(MissingPackageError, match=r"pip install 'gpuio\[ray\]'"):
        gpuio.ray.write_records(None, tmp_path)


@pytest.mark.parametrize("blocks", [0, -1, 1.5, "2"])
def test_wrong_numbers_of_blocks(blocks: Any, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="override_num_blocks must be"):
        gpuio.ray.read_records(tmp_path / "a.rec", override_num_blocks=blocks)


def test_the_package_has_its_own_name() -> None:
    """Ray's is another one."""
    assert gpuio.ray.__name__ == "gpuio.ray"
    assert gpuio.ray.__all__ == ["read_records", "write_records"]
