"""Whether Ray is installed, and new enough."""

import sys
from types import SimpleNamespace

import pytest

from gpuio.errors import MissingPackageError
from gpuio.ray_package import OLDEST, import_ray


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
