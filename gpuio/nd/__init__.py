"""MXNet's ``mx.nd``: NDArray, and the functions that data scripts use on it.

Sparse matrices are in `sparse`, random arrays in `random`, operations on images in `image`. The
operators of neural networks are not here: gpuio is MXNet's data part.
"""

# ruff: noqa: F403  # Each module lists its names.

from importlib import import_module
from typing import Any

from gpuio.nd import (
    arithmetic,  # noqa: F401  # adds the operators of NDArray
    binary,
    creation,
    files,
    indexing,
    joining,
    methods,  # noqa: F401  # adds the methods of NDArray
    products,
    random,
    reductions,
    shaping,
    sorting,
    sparse,
    unary,
)
from gpuio.nd.binary import *
from gpuio.nd.creation import *
from gpuio.nd.files import *
from gpuio.nd.indexing import *
from gpuio.nd.joining import *
from gpuio.nd.ndarray import NDArray, wrap
from gpuio.nd.products import *
from gpuio.nd.random import exponential as random_exponential
from gpuio.nd.random import gamma as random_gamma
from gpuio.nd.random import multinomial as sample_multinomial
from gpuio.nd.random import normal, shuffle, uniform
from gpuio.nd.random import normal as random_normal
from gpuio.nd.random import poisson as random_poisson
from gpuio.nd.random import randint as random_randint
from gpuio.nd.random import uniform as random_uniform
from gpuio.nd.reductions import *
from gpuio.nd.shaping import *
from gpuio.nd.sorting import *
from gpuio.nd.unary import *

__all__ = [  # noqa: PLE0604  # all are strings
    "NDArray",
    *binary.__all__,
    *creation.__all__,
    *files.__all__,
    *indexing.__all__,
    *joining.__all__,
    "normal",
    *products.__all__,
    "random",
    "random_exponential",
    "random_gamma",
    "random_normal",
    "random_poisson",
    "random_randint",
    "random_uniform",
    *reductions.__all__,
    "sample_multinomial",
    *shaping.__all__,
    "shuffle",
    *sorting.__all__,
    "sparse",
    *unary.__all__,
    "uniform",
    "wrap",
]

# What scripts call here in MXNet and gpuio does not have.
_NETWORKS = {
    *("Activation", "BatchNorm", "BilinearSampler", "CTCLoss", "Convolution", "Correlation"),
    *("Crop", "Custom", "Deconvolution", "Dropout", "Embedding", "FullyConnected", "GroupNorm"),
    *("GridGenerator", "InstanceNorm", "L2Normalization", "LRN", "LayerNorm", "LeakyReLU"),
    *("LinearRegressionOutput", "LogisticRegressionOutput", "MAERegressionOutput", "MakeLoss"),
    *("Pooling", "RNN", "ROIPooling", "SVMOutput", "SequenceLast", "SequenceMask"),
    *("SequenceReverse", "Softmax", "SoftmaxActivation", "SoftmaxOutput", "SpatialTransformer"),
    *("UpSampling", "adam_update", "contrib", "ctc_loss", "ftrl_update", "linalg", "make_loss"),
    *("rmsprop_update", "sgd_mom_update", "sgd_update", "smooth_l1", "softmax_cross_entropy"),
}


def __getattr__(name: str) -> Any:
    # Images are decoded and resized above this package, which only gives the names.
    if name == "image":
        return import_module("gpuio.image.operators")
    if name == "imdecode":
        return import_module("gpuio.image").imdecode
    if name in _NETWORKS:
        raise AttributeError(
            f"gpuio has no mx.nd.{name}: it is MXNet's data part, without networks and training. "
            "PyTorch and JAX have this; torch.from_dlpack(x) and jax.dlpack.from_dlpack(x) share "
            "an NDArray's memory"
        )
    raise AttributeError(f"module 'gpuio.nd' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "image", "imdecode"])
