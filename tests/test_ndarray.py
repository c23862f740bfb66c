"""The long name of mx.nd."""

import subprocess
import sys

import pytest

import gpuio as mx
import gpuio.ndarray as nd
from gpuio import ndarray
from gpuio.ndarray import NDArray, concat, zeros


def test_it_is_mx_nd() -> None:
    assert nd is ndarray is mx.ndarray and nd.zeros is zeros is mx.nd.zeros
    assert concat is mx.nd.concat and isinstance(zeros(2), NDArray)
    assert nd.sparse is mx.nd.sparse and nd.image is mx.nd.image and nd.random is mx.nd.random
    assert set(dir(nd)) == set(dir(mx.nd))


@pytest.mark.parametrize("name", ["Convolution", "FullyConnected", "SoftmaxOutput", "contrib"])
def test_networks_are_not_here(name: str) -> None:
    for module in (mx.nd, nd):
        with pytest.raises(AttributeError, match=f"no mx.nd.{name}.*data part.*torch.from_dlpack"):
            getattr(module, name)
    with pytest.raises(AttributeError, match=r"'gpuio\.nd' has no attribute 'nothing'"):
        nd.nothing  # noqa: B018


def test_importing_it_is_light() -> None:
    code = """
import sys, gpuio.ndarray, gpuio.random
print(sorted({"cv2", "scipy"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr
