"""Block and HybridBlock as bases of transforms."""

import pickle
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio import gluon
from gpuio.gluon.data.vision import transforms


class Shift(gluon.Block):
    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def forward(self, x: Any) -> Any:
        return x + self.by


class Double(gluon.HybridBlock):
    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803
        assert F is mx.nd
        return F.concat(x, x, dim=0)


class Pair(gluon.Block):
    def forward(self, image: Any, label: Any) -> Any:
        return image, label + 1


def test_a_block_is_a_function() -> None:
    assert Shift(2)(mx.nd.ones((2,))).tolist() == [3, 3]
    assert Double()(mx.nd.ones((2,))).shape == (4,)
    assert gluon.data.SimpleDataset([(1, 2)]).transform(Pair())[0] == (1, 3)
    assert isinstance(transforms.Resize(3), gluon.HybridBlock)
    assert issubclass(gluon.HybridBlock, gluon.Block) and transforms.Block is gluon.Block


def test_hybridize_changes_nothing() -> None:
    block = Double()
    block.hybridize(static_alloc=True)
    assert block(mx.nd.ones((1,))).shape == (2,)


def test_repr_and_pickle() -> None:
    assert repr(Shift(2)) == "Shift(by=2)"
    assert repr(pickle.loads(pickle.dumps(Shift(2)))) == "Shift(by=2)"


@pytest.mark.parametrize("name", ["collect_params", "initialize", "save_parameters"])
def test_a_block_is_not_a_network(name: str) -> None:
    with pytest.raises(AttributeError, match=f"'Shift' has no attribute '{name}'.*PyTorch"):
        getattr(Shift(1), name)
    with pytest.raises(AttributeError, match=r"'Shift' has no attribute 'other'$"):
        Shift(1).other  # noqa: B018


def test_a_subclass_without_forward() -> None:
    with pytest.raises(NotImplementedError, match="Block has no forward"):
        gluon.Block()(1)
    with pytest.raises(NotImplementedError, match="neither forward nor hybrid_forward"):
        gluon.HybridBlock(prefix="x_")(np.ones(1))
