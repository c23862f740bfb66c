"""Base classes of transforms: the part of MXNet's Block that they need."""

from __future__ import annotations

from typing import Any

from gpuio import nd
from gpuio.gluon.missing import NETWORKS


class Block:
    """Base class of transforms, including user-defined ones: a function with parameters.

    A subclass defines `forward`. A Block has no weights; it is not the Block of a network.

    Parameters
    ----------
    prefix, params : accepted as in MXNet; without effect

    Examples
    --------
    >>> class Invert(gluon.Block):
    ...     def forward(self, x):
    ...         return 255 - x
    >>> dataset = dataset.transform_first(Invert())
    """

    def __init__(self, prefix: str | None = None, params: Any = None) -> None:
        pass

    def __call__(self, *args: Any) -> Any:
        """Call `forward`."""
        return self.forward(*args)

    def forward(self, *args: Any) -> Any:
        """Apply the transform."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def hybridize(self, active: bool = True, **kwargs: Any) -> None:
        """Do nothing: there is no graph to compile."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"{type(self).__name__!r} has no attribute {name!r}"
            + (f": {NETWORKS}" if name in _OF_NETWORKS else ""),
            name=name,
        )

    def __repr__(self) -> str:
        options = [f"{k}={v!r}" for k, v in vars(self).items() if not k.startswith("_")]
        return f"{type(self).__name__}({', '.join(options)})"


class HybridBlock(Block):
    """A Block whose subclass defines `forward`, or MXNet's `hybrid_forward`, which is given
    `gpuio.nd` as its first argument.
    """

    def forward(self, *args: Any) -> Any:
        """Call `hybrid_forward`."""
        return self.hybrid_forward(nd, *args)

    def hybrid_forward(self, F: Any, *args: Any) -> Any:  # noqa: N803  # MXNet's name
        """Apply the transform.

        Parameters
        ----------
        F : the module with the functions of arrays, `gpuio.nd`
        """
        raise NotImplementedError(f"{type(self).__name__} has neither forward nor hybrid_forward")


# Attributes of MXNet's Block that only networks use.
_OF_NETWORKS = {
    "cast", "collect_params", "export", "infer_shape", "initialize", "load_parameters",
    "load_params", "name_scope", "params", "register_child", "save_parameters", "save_params",
    "summary",
}  # fmt: skip
