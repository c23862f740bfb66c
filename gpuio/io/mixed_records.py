"""The arguments `weights` and `epoch_size`: record files mixed in given proportions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError
from gpuio.iterators.arguments import as_int
from gpuio.recordio import RecordSet
from gpuio.recordio.file_names import find_files
from gpuio.sampling.blocks import BlockOptions, cut_blocks
from gpuio.sampling.mixture import MOST_SAMPLES, Mixture, as_weights, mix
from gpuio.sampling.sharding import Shard, resolve_shard
from gpuio.storage.local import Path
from gpuio.storage.remote.options import RemoteOptions


class MixtureOptions(NamedTuple):
    """What an iterator is asked to mix.

    Attributes
    ----------
    weights : a weight for each source, unchecked; None: all records are one source
    epoch_size : samples in an epoch; None: as many as there are records
    blocks : the size of blocks and pools; None: each source is permuted as a whole
    """

    weights: object
    epoch_size: int | None
    blocks: BlockOptions | None


class SourceFiles(NamedTuple):
    """The record files of several sources.

    Attributes
    ----------
    records : all files
    indexes : their indexes; None: there are none
    counts : the number of files of each source
    """

    records: tuple[str, ...]
    indexes: tuple[str, ...] | None
    counts: tuple[int, ...]


def mixture_options(
    weights: object, epoch_size: Any, shuffle: bool | BlockOptions
) -> MixtureOptions | None:
    """Check what can be checked before the files are known; None: nothing is mixed.

    Raises
    ------
    ArgumentError : `epoch_size` is not an integer of at least 1, or the records are not shuffled.
    """
    if weights is None and epoch_size is None:
        return None
    name = "epoch_size" if weights is None else "weights"
    if shuffle is False:
        raise ArgumentError(
            f"{name} needs shuffle=True or 'blocks', not False: samples come in random order"
        )
    size = None if epoch_size is None else as_int("epoch_size", epoch_size, 1, MOST_SAMPLES)
    return MixtureOptions(weights, size, None if shuffle is True else shuffle)


def mixture_shard(
    num_parts: int | str, part_index: int, partition: str | None, options: MixtureOptions | None
) -> Shard:
    """The shard that the arguments of an iterator ask for; see `resolve_shard`. Of a mixture it is
    a slice of each global batch: a contiguous part might have no records of a source.

    Raises
    ------
    ArgumentError : as `resolve_shard`; or contiguous parts are asked for explicitly.
    """
    if options is None:
        return resolve_shard(num_parts, part_index, partition)
    shard = resolve_shard(num_parts, part_index, partition or "global")
    if shard.mode != "global":
        raise ArgumentError(
            f"partition={partition!r} does not go with weights or epoch_size; leave it out"
        )
    return shard


def source_files(
    path_imgrec: Path | Sequence[Path],
    path_imgidx: Path | Sequence[Path] | None,
    remote: RemoteOptions | None,
) -> SourceFiles:
    """The files of each source: of a sequence, each entry is a source, a file, several joined by
    ";", or a directory; of a single string, each file.

    Raises
    ------
    ArgumentError : there is not one index for each file, or one entry for each source.
    """
    records = _of_each(path_imgrec, ".rec", remote)
    if not path_imgidx:
        return SourceFiles(_joined(records), None, tuple(map(len, records)))
    indexes = _of_each(path_imgidx, ".idx", remote)
    if len(indexes) != len(records):
        raise ArgumentError(
            f"path_imgrec has {len(records)} sources and path_imgidx {len(indexes)}; give an entry "
            "for each, in the same order"
        )
    for number, (files, theirs) in enumerate(zip(records, indexes, strict=True)):
        if len(files) != len(theirs):
            raise ArgumentError(
                f"source {number} has {len(files)} record files and {len(theirs)} indexes: "
                f"{', '.join(files[:3])}; {', '.join(theirs[:3])}"
            )
    return SourceFiles(_joined(records), _joined(indexes), tuple(map(len, records)))


def mix_records(
    images: range | NDArray[np.int64],
    records: RecordSet,
    files: Sequence[int],
    options: MixtureOptions,
) -> Mixture:
    """The mixture of the images of some record files.

    Parameters
    ----------
    images : the indices of the images, ascending
    records : the files
    files : the number of files of each source

    Raises
    ------
    ArgumentError : the weights are wrong, or a source has no images, or too few of an epoch; or as
        `cut_blocks`.
    """
    bounds: list[int] = [0, len(images)]
    weights: tuple[float, ...] = (1.0,)
    if options.weights is not None:
        weights = as_weights(options.weights, len(files), "sources, as path_imgrec names them")
        firsts = np.cumsum([0, *files])[:-1]
        begins = np.searchsorted(records.starts, records.file_starts[firsts])
        bounds = np.searchsorted(np.asarray(images), [*begins, len(records)]).tolist()
    mixture = mix(np.diff(bounds).tolist(), weights, options.epoch_size)
    if options.blocks is None:
        return mixture
    parts = [images[begin:end] for begin, end in pairwise(bounds)]
    blocks = [cut_blocks(part, records, options.blocks, len(parts)) for part in parts]
    return replace(mixture, blocks=tuple(blocks))


def _of_each(
    paths: Path | Sequence[Path], ending: str, remote: RemoteOptions | None
) -> list[tuple[str, ...]]:
    if isinstance(paths, Sequence) and not isinstance(paths, str):
        return [find_files(path, ending, remote) for path in paths]
    return [(path,) for path in find_files(paths, ending, remote)]


def _joined(files: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(path for each in files for path in each)
