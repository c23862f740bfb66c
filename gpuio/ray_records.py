"""Ray Data's interfaces to record files: a Datasource and a Datasink."""

from __future__ import annotations

import itertools
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ray.data import Datasink, Datasource, ReadTask
from ray.data.block import BlockAccessor, BlockMetadata

from gpuio.context import cpu
from gpuio.decoding.limits import call_with_max_pixels, resolve_max_pixels
from gpuio.errors import ArgumentError, DecodeError, RecordError, RecordFileNotFoundError
from gpuio.image.codec import imdecode
from gpuio.iterators.arguments import as_bool, as_int
from gpuio.recordio import Index, IRHeader, MXIndexedRecordIO, RecordSet, pack, unpack
from gpuio.recordio.file_names import find_files
from gpuio.storage.local import Path
from gpuio.storage.output_file import write_error
from gpuio.storage.remote.opening import exists, list_files, location
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.replacing import remove_object
from gpuio.storage.remote.url import is_remote, join, shown, with_extension
from gpuio.storage.writing import PART

COLUMNS = ("key", "label", "payload")

# Bytes of records in a block.
BLOCK = 32 << 20

# How many times as many bytes as it has as a JPEG a decoded image may have.
DECODED = 10

# Names of files that a data sink writes: local ones before all are complete, and after that.
WRITTEN = re.compile(rf"part-\d{{5,}}(\.[0-9a-f]{{16}}{re.escape(PART)})?\.(idx|rec)")


@dataclass(frozen=True)
class _Format:
    """The columns of blocks; see `read_records`."""

    columns: tuple[str, ...]
    decode: bool
    label_width: int | None
    max_pixels: int

    def block(self, records: RecordSet, ordinals: NDArray[np.int64]) -> Any:
        """Read a block of records.

        Raises
        ------
        RecordError, DecodeError : one is damaged or no image; the message has its location.
        """
        labels, payloads = [], []
        read = records.payloads(ordinals)
        for ordinal, known in zip(ordinals.tolist(), read, strict=True):
            try:
                whole = records.payload(ordinal) if known is None else known
                header, payload = unpack(whole)
                labels.append(self._label(header.label))
                payloads.append(self._decoded(payload) if self.decode else payload.tobytes())
            except (RecordError, DecodeError) as error:
                raise type(error)(f"{records.location(ordinal)}: {error}") from error
        values = {
            "key": records.keys[ordinals],
            "label": np.array(labels, np.float32) if self.label_width else _objects(labels),
            "payload": _objects(payloads),
        }
        names = {"payload": "image" if self.decode else "payload"}
        return BlockAccessor.batch_to_block(
            {names.get(name, name): values[name] for name in self.columns}
        )

    def _label(self, label: Any) -> Any:
        numbers = np.array(label, np.float32).ravel()
        if self.label_width is None:
            return numbers
        if len(numbers) < self.label_width:
            raise RecordError(
                f"its label has {len(numbers)} numbers, label_width is {self.label_width}"
            )
        return numbers[0] if self.label_width == 1 else numbers[: self.label_width]

    def _decoded(self, payload: NDArray[np.uint8]) -> NDArray[np.uint8]:
        def decode() -> Any:
            return imdecode(payload, 1, ctx=cpu()).asnumpy()

        found: NDArray[np.uint8] = call_with_max_pixels(self.max_pixels, decode)
        return found


def _payload(value: Any, key: int) -> bytes:
    """The payload of a row that is written.

    Raises
    ------
    ArgumentError : it is not bytes. Of numbers, `bytes` would make others.
    """
    pixels = isinstance(value, np.ndarray) and value.dtype == np.uint8
    if not (pixels or isinstance(value, (bytes, bytearray, memoryview))):
        raise ArgumentError(
            f"the payload of key {key} is {type(value).__name__}, not bytes, as of an image file"
        )
    return bytes(value)


def _objects(values: list[Any]) -> NDArray[Any]:
    found = np.empty(len(values), object)
    found[:] = values
    return found


@dataclass(frozen=True)
class _Range:
    """Consecutive records that a task reads.

    Attributes
    ----------
    locations : the files in which they are
    sizes : of these files, in bytes
    indexes : of each file, of these records and the one after them
    ordinals : int64 (n,), of the records among those
    nbytes : int64 (n,), of each
    """

    locations: tuple[str, ...]
    sizes: tuple[int, ...]
    indexes: tuple[Index, ...]
    ordinals: NDArray[np.int64]
    nbytes: NDArray[np.int64]


def _read(
    part: _Range, layout: _Format, remote: RemoteOptions | None, limit: int | None
) -> Iterator[Any]:
    """The blocks of a range, in a task."""
    with RecordSet(part.locations, part.indexes, remote) as records:
        sizes = np.diff([*records.file_starts.tolist(), records.nbytes]).tolist()
        if tuple(sizes) != part.sizes:
            raise RecordFileNotFoundError(
                f"{', '.join(records.paths)}: sizes {sizes}, expected {list(part.sizes)}: they "
                "have changed, or another machine of the cluster has other files by these paths; "
                "all must see the same ones, in a shared file system, or as URLs"
            )
        ordinals = part.ordinals[:limit]
        groups = np.cumsum(part.nbytes[: len(ordinals)]) // BLOCK
        for group in np.split(ordinals, np.flatnonzero(np.diff(groups)) + 1):
            records.read_ahead(group)
            yield layout.block(records, group)


class RecordDatasource(Datasource):  # type: ignore[misc]
    """Reads record files; the parameters are those of `read_records`."""

    def __init__(
        self,
        paths: Path | Sequence[Path],
        index_paths: Path | Sequence[Path] | None,
        columns: tuple[str, ...],
        decode: bool,
        label_width: int | None,
        max_pixels: int | None,
        remote: RemoteOptions | None,
    ) -> None:
        super().__init__()
        unknown = [name for name in columns if name not in COLUMNS]
        if unknown or not columns or len(set(columns)) < len(columns):
            raise ArgumentError(
                f"columns must be some of {', '.join(COLUMNS)}, each once, not {list(columns)}"
            )
        width = label_width if label_width is None else as_int("label_width", label_width, 1)
        decodes = as_bool("decode", decode) and "payload" in columns
        self._format = _Format(columns, decodes, width, resolve_max_pixels(max_pixels))
        self._remote = remote
        self._locations = find_files(paths, ".rec", remote)
        if index_paths is None:
            index_paths = _default_indexes(self._locations, remote)
        with RecordSet(self._locations, index_paths, remote) as records:
            self._indexes = records.indexes()
            self._images = np.asarray(records.image_ordinals(), np.int64)
            self._nbytes = np.diff(records.starts, append=records.nbytes)
            self._sizes = np.diff([*records.file_starts.tolist(), records.nbytes]).tolist()

    def estimate_inmemory_data_size(self) -> int:
        """Bytes of the data set, roughly."""
        total = int(self._nbytes[self._images].sum())
        return total * DECODED if self._format.decode else total

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[ReadTask]:
        """Tasks that read equally many bytes each, or as nearly as whole records allow."""
        if not len(self._images):
            return []
        ends = np.cumsum(self._nbytes[self._images])
        limits = ends[-1] * np.arange(1, parallelism + 1) // max(parallelism, 1)
        bounds = np.unique(np.searchsorted(ends, limits, side="right"))
        bounds[-1] = len(self._images)
        return [
            self._task(self._images[first:end], per_task_row_limit)
            for first, end in zip([0, *bounds[:-1].tolist()], bounds.tolist(), strict=True)
            if first < end
        ]

    def _task(self, images: NDArray[np.int64], limit: int | None) -> ReadTask:
        part = self._part(images)
        count = len(images) if limit is None else min(limit, len(images))
        metadata = BlockMetadata(
            num_rows=count,
            size_bytes=int(part.nbytes[:count].sum()) * (DECODED if self._format.decode else 1),
            exec_stats=None,
            input_files=[shown(path) for path in part.locations],
        )
        read: Callable[[], Iterable[Any]] = partial(_read, part, self._format, self._remote, limit)
        return ReadTask(read, metadata, per_task_row_limit=limit)

    def _part(self, images: NDArray[np.int64]) -> _Range:
        """What a task needs to read some records, which are consecutive."""
        begin, end = int(images[0]), int(images[-1]) + 1
        firsts = np.cumsum([0, *map(len, self._indexes)]).tolist()
        chosen = [
            number
            for number in range(len(self._indexes))
            if firsts[number] < end and begin < firsts[number + 1]
        ]
        indexes, before = [], max(begin, firsts[chosen[0]])
        for number in chosen:
            # And the next record, which tells where the last one ends.
            rows = slice(max(begin - firsts[number], 0), end - firsts[number] + 1)
            index = self._indexes[number]
            indexes.append(Index(index.keys[rows], index.offsets[rows]))
        return _Range(
            tuple(self._locations[number] for number in chosen),
            tuple(self._sizes[number] for number in chosen),
            tuple(indexes),
            images - before,
            self._nbytes[images],
        )


def _default_indexes(locations: Sequence[str], remote: RemoteOptions | None) -> list[str] | None:
    """FILE.idx of each file, if all exist."""
    found = [
        with_extension(path, ".idx") if is_remote(path) else f"{os.path.splitext(path)[0]}.idx"
        for path in locations
    ]
    return found if all(exists(path, remote) for path in found) else None


class RecordDatasink(Datasink):  # type: ignore[misc]
    """Writes record files; the parameters are those of `write_records`.

    Attributes
    ----------
    written : the record files, when all are complete
    """

    def __init__(self, folder: Path, remote: RemoteOptions | None) -> None:
        super().__init__()
        self._folder = location(folder)
        self._remote = remote
        self.written: list[str] = []
        if not is_remote(self._folder):
            self._folder = os.path.abspath(self._folder)
        names = self._names()
        if any(name.endswith(".rec") for name in names):
            raise ArgumentError(
                f"{shown(self._folder)} has record files already; choose another folder"
            )
        self._others = {name for name in names if WRITTEN.fullmatch(name)}  # an index, left over

    def _names(self) -> list[str]:
        """The names in the folder."""
        if is_remote(self._folder):
            return [name for name in list_files(self._folder, self._remote) if "/" not in name]
        try:
            return os.listdir(self._folder)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise write_error(self._folder, error) from error

    def on_write_start(self, schema: Any = None) -> None:
        """Create the folder."""
        if not is_remote(self._folder):
            try:
                os.makedirs(self._folder, exist_ok=True)
            except OSError as error:
                raise write_error(self._folder, error) from error

    def write(self, blocks: Iterable[Any], ctx: Any) -> list[tuple[int, str]]:
        """Write a file, in a task.

        Returns
        -------
        the task's number and the record file, without its extension; nothing if there are no rows
        """
        rows = (row for block in blocks for row in BlockAccessor.for_block(block).iter_rows(True))
        first = next(rows, None)
        if first is None:
            return []
        if lacking := set(COLUMNS) - set(first):
            raise ArgumentError(
                f"the data set has the columns {', '.join(first)}, and not "
                f"{', '.join(sorted(lacking))}, which a record needs"
            )
        name = f"part-{ctx.task_idx:05}"
        if is_remote(self._folder):
            stem = join(self._folder, name)
        else:
            stem = os.path.join(self._folder, f"{name}.{secrets.token_hex(8)}{PART}")
        options = {} if self._remote is None else self._remote.arguments()
        with MXIndexedRecordIO(f"{stem}.idx", f"{stem}.rec", "w", **options) as file:
            for row in itertools.chain([first], rows):
                key = int(row["key"])
                header = IRHeader(0, row["label"], key, 0)
                file.write_idx(key, pack(header, _payload(row["payload"], key)))
        return [(ctx.task_idx, stem)]

    def on_write_complete(self, write_result: Any) -> None:
        """Give local files their names."""
        stems = sorted(each for written in write_result.write_returns for each in written)
        if is_remote(self._folder):
            self.written = [f"{stem}.rec" for _, stem in stems]
            return
        for number, (_, stem) in enumerate(stems):
            name = os.path.join(self._folder, f"part-{number:05}")
            for ending in (".idx", ".rec"):
                os.replace(f"{stem}{ending}", f"{name}{ending}")
            self.written.append(f"{name}.rec")
        # What is left is of tasks that were lost, and that Ray has run again.
        self._remove([name for name in self._written() if PART in name])

    def remove(self) -> None:
        """Remove what tasks have written, and nothing else: other programs, too, name what they
        write part-00000 and so on.
        """
        self._remove(self._written())

    def _written(self) -> list[str]:
        """The names of the files that tasks have written."""
        return [name for name in {*self._names()} - self._others if WRITTEN.fullmatch(name)]

    def _remove(self, names: Iterable[str]) -> None:
        for name in names:
            if is_remote(self._folder):
                remove_object(join(self._folder, name), self._remote)
            else:
                with suppress(OSError):
                    os.remove(os.path.join(self._folder, name))
