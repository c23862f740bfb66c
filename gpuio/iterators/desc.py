"""MXNet's DataBatch, and DataDesc, which describes its arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike


class _NameAndShape(NamedTuple):
    name: str
    shape: Any


class DataDesc(_NameAndShape):
    """Name, shape, dtype and layout of one array of a batch.

    A named tuple of (name, shape), as in MXNet: equality and hash are those of the pair; dtype and
    layout are additional attributes.

    Parameters
    ----------
    name : of the array, such as "data" or "softmax_label"
    shape : its shape, with the batch axis; kept as given
    dtype : its type
    layout : the meaning of its axes; "N" is the batch axis

    Examples
    --------
    >>> DataDesc("data", (32, 3, 224, 224))
    DataDesc[data,(32, 3, 224, 224),<class 'numpy.float32'>,NCHW]
    """

    dtype: DTypeLike
    layout: str | None

    def __new__(
        cls,
        name: str,
        shape: Any,
        dtype: DTypeLike = np.float32,
        layout: str | None = "NCHW",
    ) -> DataDesc:
        """Create a description."""
        desc = super().__new__(cls, name, shape)
        desc.dtype = dtype
        desc.layout = layout
        return desc

    def __repr__(self) -> str:
        return f"DataDesc[{self.name},{self.shape},{self.dtype},{self.layout}]"

    __str__ = __repr__

    def __reduce__(self) -> tuple[type[DataDesc], tuple[str, Any, DTypeLike, str | None]]:
        return type(self), (self.name, self.shape, self.dtype, self.layout)

    @staticmethod
    def get_batch_axis(layout: str | None) -> int:
        """The position of "N" in the layout: 0 for None, -1 if it is missing."""
        return 0 if layout is None else layout.find("N")

    @staticmethod
    def get_list(
        shapes: Iterable[tuple[str, Any]], types: Iterable[tuple[str, DTypeLike]] | None = None
    ) -> list[DataDesc]:
        """Create descriptions from (name, shape) pairs and, if given, (name, dtype) pairs.

        Raises
        ------
        KeyError : `types` lacks one of the names.
        """
        if types is None:
            return [DataDesc(name, shape) for name, shape in shapes]
        by_name = dict(types)
        return [DataDesc(name, shape, by_name[name]) for name, shape in shapes]


class DataBatch:
    """One batch.

    Parameters
    ----------
    data, label, pad, index, bucket_key, provide_data, provide_label : as the attributes
    padding : as the attribute; None: `pad`

    Attributes
    ----------
    data : list of arrays, on the iterator's device
    label : list of arrays, or None
    pad : MXNet's number: of the rows at the end that only fill the batch. But in the batch that
        begins with rows that rolled over, NDArrayIter counts these, and ImageIter those that
        follow, as MXNet does, although all rows are valid
    padding : number of rows at the end that only fill the batch, and should not be counted
    index : uint64 (N,) on the host, the records' keys; None if the iterator has none
    bucket_key : the bucket of the batch, for iterators with buckets
    provide_data, provide_label : descriptions, for batches that differ from their iterator's

    Raises
    ------
    AssertionError : data or label is neither a list nor a tuple.
    """

    _padding: int | None = None  # where it differs from `pad`

    def __init__(
        self,
        data: Sequence[Any] | None,
        label: Sequence[Any] | None = None,
        pad: int | None = None,
        index: Any = None,
        bucket_key: Any = None,
        provide_data: list[DataDesc] | None = None,
        provide_label: list[DataDesc] | None = None,
        *,
        padding: int | None = None,
    ) -> None:
        if data is not None and not isinstance(data, (list, tuple)):
            raise AssertionError(f"Data must be list of NDArrays, not {type(data).__name__}")
        if label is not None and not isinstance(label, (list, tuple)):
            raise AssertionError(f"Label must be list of NDArrays, not {type(label).__name__}")
        self.data: Any = data
        self.label: Any = label
        self.pad: Any = pad
        self.index = index
        self.bucket_key = bucket_key
        self.provide_data = provide_data
        self.provide_label = provide_label
        if padding is not None and padding != (pad or 0):
            self._padding = padding

    @property
    def padding(self) -> int:
        """Number of rows at the end that only fill the batch."""
        return (self.pad or 0) if self._padding is None else self._padding

    def __str__(self) -> str:
        data = [tuple(array.shape) for array in self.data or ()]
        label = [tuple(array.shape) for array in self.label] if self.label else None
        return f"DataBatch: data shapes: {data} label shapes: {label}"


def as_batch(batch: Any) -> DataBatch:
    """A batch of any iterator as a DataBatch; users' own may give objects with some of its
    attributes.
    """
    if isinstance(batch, DataBatch):
        return batch
    names = ("data", "label", "pad", "index", "bucket_key", "provide_data", "provide_label")
    return DataBatch(*(getattr(batch, name, None) for name in names))
