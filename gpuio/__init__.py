"""gpuio: MXNet's data loading, reborn for today's Python and GPUs."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gpuio.context import (
    Context,
    cpu,
    cpu_pinned,
    cpu_shared,
    current_context,
    gpu,
    gpu_memory_info,
    num_gpus,
)
from gpuio.errors import ContextError, DecodeError, Error, MXNetError, RecordError
from gpuio.version import VERSION

if TYPE_CHECKING:
    from gpuio import (
        base,
        context,
        contrib,
        gluon,
        image,
        io,
        jax,
        nd,
        ndarray,
        random,
        recordio,
        rnn,
        test_utils,
        tools,
        torch,
        util,
    )

__version__ = VERSION

__all__ = [
    "Context",
    "ContextError",
    "DecodeError",
    "Error",
    "MXNetError",
    "RecordError",
    "__version__",
    "base",
    "context",
    "contrib",
    "cpu",
    "cpu_pinned",
    "cpu_shared",
    "current_context",
    "gluon",
    "gpu",
    "gpu_memory_info",
    "image",
    "img",
    "io",
    "jax",
    "nd",
    "ndarray",
    "num_gpus",
    "random",
    "recordio",
    "rnn",
    "test_utils",
    "tools",
    "torch",
    "util",
]

# What else MXNet has, and what to use for it.
_MODELS = "build and train models with PyTorch or JAX, whose arrays gpuio.torch and gpuio.jax give"
_ARRAYS = "use NumPy or CuPy itself, as an mx.nd.NDArray is an array of theirs"
_INSTEAD = {
    **dict.fromkeys(["AttrScope", "attribute", "autograd", "callback"], _MODELS),
    **dict.fromkeys(["engine", "executor", "executor_manager", "init", "initializer"], _MODELS),
    **dict.fromkeys(["kv", "kvstore", "lr_scheduler", "metric", "mod", "model"], _MODELS),
    **dict.fromkeys(["module", "mon", "monitor", "name", "onnx", "operator"], _MODELS),
    **dict.fromkeys(["optimizer", "profiler", "rtc", "runtime", "sym", "symbol"], _MODELS),
    **dict.fromkeys(["visualization", "viz"], _MODELS),
    **dict.fromkeys(["np", "npx", "numpy", "numpy_extension"], _ARRAYS),
}


_SUBMODULES = {
    *(
        "base",
        "contrib",
        "gluon",
        "image",
        "io",
        "jax",
        "nd",
        "ndarray",
        "random",
        "recordio",
        "rnn",
    ),
    *("test_utils", "tools", "torch", "util"),
}


def __getattr__(name: str) -> Any:
    # OpenCV and others are slow to import: a submodule is imported when it is first used.
    if name == "img":  # MXNet's short name
        name = "image"
    if name == "rnd":
        name = "random"
    if name in _SUBMODULES:
        return import_module(f"gpuio.{name}")
    if name in _INSTEAD:
        raise AttributeError(
            f"mx.{name} is not in gpuio, which is MXNet's data loading alone; {_INSTEAD[name]}"
        )
    raise AttributeError(f"module 'gpuio' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
