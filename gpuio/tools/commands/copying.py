"""Records that are copied from record files into a new one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import RecordError
from gpuio.progress import progress
from gpuio.recordio import RecordSet
from gpuio.storage.local import Path
from gpuio.storage.remote.opening import any_remote, location, open_each
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.url import shown
from gpuio.tools.commands.copying_in_tasks import copy_in_tasks
from gpuio.tools.files import find_index
from gpuio.tools.payloads import read_payloads
from gpuio.tools.pieces import Tasks
from gpuio.tools.record_output import RecordOutput, open_output
from gpuio.tools.shared_files import SharedRecords, for_workers

if TYPE_CHECKING:
    from typing_extensions import Self


class Copied(NamedTuple):
    """One output file.

    Attributes
    ----------
    rec, idx : the files
    records : number of records written
    left_out : number of header and identity records of face datasets, which are not copied
    unreadable : number of records whose header or image cannot be read, so that they meet no
        condition
    """

    rec: str
    idx: str
    records: int
    left_out: int
    unreadable: int = 0


class Inputs:
    """Record files to copy from, with their indexes if all have one.

    Attributes
    ----------
    locations : the files
    paths : the same, without secrets
    without_index : those without an index
    records : the records of all files
    images : ordinals of the records that hold images: int64 (n,)
    """

    def __init__(self, recs: Sequence[Path], remote: RemoteOptions | None) -> None:
        self._remote = remote
        self.locations = [location(rec) for rec in recs]
        self.paths = [shown(path) for path in self.locations]
        indexes = open_each(
            lambda path: find_index(path, remote=remote),
            self.locations,
            any_remote(self.locations),
        )
        found = [index for index in indexes if index is not None]
        self.without_index = [
            path for path, index in zip(self.paths, indexes, strict=True) if index is None
        ]
        self.records = RecordSet(self.locations, None if self.without_index else found, remote)
        self.images = np.asarray(self.records.image_ordinals(), np.int64)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.records.close()

    def copy(
        self,
        chosen: NDArray[np.int64],
        out: Path,
        keys: NDArray[np.int64] | None = None,
        *,
        tasks: Tasks | None = None,
    ) -> Copied:
        """Write records.

        Parameters
        ----------
        chosen : their ordinals: int64 (n,)
        out : the new record file
        keys : int64 (n,); None: their own
        tasks : write it, if it is local. One in a store is written by this process, through which
            all its bytes would have to pass anyway. None: this process writes
        """
        keys_out = self.records.keys[chosen] if keys is None else keys
        size = int(np.diff(self.records.starts, append=self.records.nbytes)[chosen].sum())
        with (
            open_output(out, self.locations, self._remote, size) as output,
            progress(f"writing {os.path.basename(output.rec)}", "records", len(chosen)) as bar,
        ):
            if tasks is not None and isinstance(output, RecordOutput):
                copy_in_tasks(output, self.shared(), chosen, keys_out, tasks, bar)
            else:
                payloads = read_payloads(self.records, chosen)
                for payload, key in zip(payloads, keys_out.tolist(), strict=True):
                    if isinstance(payload, RecordError):
                        raise payload
                    output.write(key, payload)
                    bar.update()
        left_out = len(self.records) - len(self.images)
        return Copied(output.rec, output.idx, len(chosen), left_out)

    def shared(self) -> SharedRecords:
        """What tasks need to open the same files."""
        records = self.records
        return SharedRecords(
            self.locations,
            records.indexes(),
            np.diff(records.starts, append=records.nbytes),
            records.nbytes,
            for_workers(self._remote),
        )
