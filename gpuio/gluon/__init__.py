"""MXNet's ``mx.gluon``, as far as it loads data: datasets, samplers, DataLoader and transforms in
`data`, splitting batches in `utils`.
"""

from typing import Any

from gpuio.gluon import data, utils
from gpuio.gluon.block import Block, HybridBlock
from gpuio.gluon.missing import NETWORKS, missing_name

__all__ = ["Block", "HybridBlock", "data", "utils"]


def __getattr__(name: str) -> Any:
    raise missing_name(__name__, name, NETWORKS, __all__)
