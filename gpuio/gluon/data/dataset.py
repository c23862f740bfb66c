"""MXNet's datasets: samples by index."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError, RecordError
from gpuio.gluon.data.sampler import FilterSampler, Sampler, SequentialSampler
from gpuio.iterators.arguments import as_int
from gpuio.loading.hand_over import hand_over_arrays
from gpuio.nd import NDArray as AnyArray
from gpuio.recordio import RecordSet
from gpuio.recordio.index import Index
from gpuio.storage.local import Path
from gpuio.storage.remote.opening import exists, location
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.pickling import check_picklable
from gpuio.storage.remote.url import is_remote, is_signed, shown, with_extension


class Dataset:
    """Base class of datasets, including user-defined ones: a subclass defines ``__getitem__``,
    which gives a sample, and ``__len__``. A sample of several parts is a tuple.

    Wherever a dataset is expected, a list or an array serves as well.

    Examples
    --------
    >>> train = dataset.shard(world_size, rank).transform_first(transforms.ToTensor())
    """

    def __getitem__(self, idx: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no __getitem__")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} has no __len__")

    def __iter__(self) -> Iterator[Any]:
        for index in range(len(self)):
            yield self[index]

    def filter(self, fn: Callable[[Any], Any]) -> Dataset:
        """The samples for which a function is true.

        Every sample is looked at now, and loaded again when it is used.

        Parameters
        ----------
        fn : takes a sample, such as a tuple (data, label)
        """
        return _SampledDataset(self, FilterSampler(fn, self))

    def shard(self, num_shards: int, index: int) -> Dataset:
        """One of several contiguous parts, whose sizes differ by at most 1.

        Shard before shuffling, so that every process reads its own samples.

        Parameters
        ----------
        num_shards : number of parts, at least 1
        index : which one, from 0

        Raises
        ------
        ArgumentError : the index is not that of a part.
        """
        as_int("num_shards", num_shards, 1)
        if not 0 <= as_int("index", index) < num_shards:
            raise ArgumentError(f"index must be from 0 to {num_shards - 1}, not {index}")
        each, extra = divmod(len(self), num_shards)
        begin = each * index + min(index, extra)
        return _SampledDataset(self, SequentialSampler(each + (index < extra), begin))

    def take(self, count: int | None) -> Dataset:
        """The first samples.

        Parameters
        ----------
        count : how many; None, or more than there are: all
        """
        if count is None or as_int("count", count, 0) > len(self):
            count = len(self)
        return _SampledDataset(self, SequentialSampler(count))

    def sample(self, sampler: Sampler) -> Dataset:
        """The samples that a sampler chooses, in its order, which is asked for once.

        Raises
        ------
        TypeError : it is not a Sampler.
        """
        if not isinstance(sampler, Sampler):
            raise TypeError(f"sample takes a gluon.data.Sampler, not {type(sampler).__name__}")
        return _SampledDataset(self, sampler)

    def transform(self, fn: Callable[..., Any], lazy: bool = True) -> Dataset:
        """The samples as a function returns them.

        Parameters
        ----------
        fn : takes the parts of a sample, each as an argument: ``fn(data, label)``
        lazy : call it whenever a sample is used, with new random numbers; False: for all, now, and
            keep the results
        """
        transformed = _TransformedDataset(self, fn)
        return transformed if lazy else SimpleDataset(list(transformed))

    def transform_first(self, fn: Callable[[Any], Any], lazy: bool = True) -> Dataset:
        """The samples with their first part, the image, as a function returns it.

        Parameters
        ----------
        fn : takes the first part, such as a transform of `vision.transforms`
        lazy : see `transform`
        """
        return self.transform(_First(fn), lazy)


class SimpleDataset(Dataset):
    """A list, an array, or anything else with ``len()`` and ``[]``.

    Parameters
    ----------
    data : the samples
    """

    def __init__(self, data: Any) -> None:
        (self._data,) = hand_over_arrays([data])

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, idx: Any) -> Any:
        return self._data[idx]


class ArrayDataset(Dataset):
    """Several arrays, lists or datasets of one length: sample i is the tuple of their elements i.

    Parameters
    ----------
    args : the arrays; with only one, samples are its elements, not tuples

    Raises
    ------
    ArgumentError : there are none, or their lengths differ.

    Examples
    --------
    >>> image, label = ArrayDataset(images, labels)[0]  # images[0], labels[0]
    """

    def __init__(self, *args: Any) -> None:
        if not args:
            raise ArgumentError("ArrayDataset needs at least one array")
        lengths = [len(each) for each in args]
        if len(set(lengths)) > 1:
            raise ArgumentError(f"the arrays must have the same length, not {lengths}")
        # As in MXNet: an element of a one-dimensional NDArray is a number.
        self._data = hand_over_arrays(
            each.asnumpy() if isinstance(each, AnyArray) and each.ndim == 1 else each
            for each in args
        )

    def __len__(self) -> int:
        return len(self._data[0])

    def __getitem__(self, idx: Any) -> Any:
        if len(self._data) == 1:
            return self._data[0][idx]
        return tuple(each[idx] for each in self._data)


class RecordFileDataset(Dataset):
    """The records of a record file, undecoded, in the order of its index.

    Safe to use from several threads and forked processes; pickled by its paths.

    Parameters
    ----------
    filename : the record file, or its URL. Its index is beside it, with the ending .idx; without
        one the file is scanned, and so is that of a URL with a query, which signs this file only
    cache_dir, cache_limit, storage_options, retries, timeout, readahead : for remote files, as in
        mx.io.ImageRecordIter; a forked process can read them only if its parent has not

    Attributes
    ----------
    filename, idx_file : the files' paths, or their URLs without secrets

    Raises
    ------
    RecordFileNotFoundError : the file does not exist.
    RecordError : the index does not belong to the file, or a file without an index is damaged.
    RemoteError, FileChangedError : a remote file cannot be read, or has changed since it was
        opened.

    Examples
    --------
    >>> header, image = mx.recordio.unpack(RecordFileDataset("train.rec")[0])
    """

    def __init__(
        self,
        filename: Path,
        *,
        cache_dir: Path | None = None,
        cache_limit: int | str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        retries: int = 10,
        timeout: float = 60.0,
        readahead: int | str = "256MB",
    ) -> None:
        self._remote = RemoteOptions.create(
            cache_dir, cache_limit, readahead, storage_options, retries, timeout
        )
        self._location = location(filename)
        self._idx_location = index_of(self._location)
        self.filename, self.idx_file = shown(self._location), shown(self._idx_location)
        self._open()

    def _open(self) -> None:
        index: str | None = self._idx_location
        if is_signed(self._location) or not exists(self._idx_location, self._remote):
            index = None
        self._records = RecordSet([self._location], index and [index], self._remote)
        self._ordinals = (
            range(len(self._records)) if index is None else _ordinals_of_lines(index, self._remote)
        )

    def __len__(self) -> int:
        return len(self._ordinals)

    def __getitem__(self, idx: int) -> Any:
        """A record, as bytes.

        Raises
        ------
        IndexError : there is no such record.
        RecordError : it is damaged; the message has its location.
        """
        ordinal = self._ordinal(idx)
        try:
            return self._records.payload(ordinal).tobytes()
        except RecordError as error:
            raise RecordError(f"{self._records.location(ordinal)}: {error}") from error

    def _ordinal(self, idx: int) -> int:
        """The position in the record file of a record of this dataset."""
        try:
            return int(self._ordinals[operator.index(idx)])
        except IndexError:
            raise IndexError(f"index {idx} of {self.filename} with {len(self)} records") from None

    def __getstate__(self) -> dict[str, Any]:
        opened = ("_records", "_ordinals")
        state = {name: value for name, value in vars(self).items() if name not in opened}
        check_picklable(state, type(self).__name__)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()


def index_of(path: str) -> str:
    """The index beside a record file."""
    if is_remote(path):
        return with_extension(path, ".idx")
    return os.path.splitext(path)[0] + ".idx"


def _ordinals_of_lines(index: str, remote: RemoteOptions) -> range | NDArray[np.int64]:
    """For each line of an index, the position in the file of the record that it names."""
    offsets = Index.load(index, remote=remote).offsets
    if (offsets[1:] > offsets[:-1]).all():
        return range(len(offsets))
    ordinals = np.empty(len(offsets), np.int64)
    ordinals[np.argsort(offsets, kind="stable")] = np.arange(len(offsets))
    return ordinals


class _SampledDataset(Dataset):
    """The samples of a dataset that a sampler chooses."""

    def __init__(self, dataset: Any, sampler: Iterable[Any]) -> None:
        self._dataset = dataset
        self._indices = list(sampler)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, idx: Any) -> Any:
        return self._dataset[self._indices[idx]]


class _TransformedDataset(Dataset):
    """A dataset whose samples are transformed when they are used."""

    def __init__(self, dataset: Any, fn: Callable[..., Any]) -> None:
        self._dataset = dataset
        self._fn = fn

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, idx: Any) -> Any:
        sample = self._dataset[idx]
        return self._fn(*sample) if isinstance(sample, tuple) else self._fn(sample)


class _First:
    """Applies a function to the first of several arguments; unlike a closure, it can be pickled."""

    def __init__(self, fn: Callable[[Any], Any]) -> None:
        self._fn = fn

    def __call__(self, first: Any, *others: Any) -> Any:
        return (self._fn(first), *others) if others else self._fn(first)
