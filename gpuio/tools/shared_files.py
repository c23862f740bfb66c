"""Files that tasks on other machines open as the driver has."""

from __future__ import annotations

import socket
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import Error
from gpuio.recordio import Index, RecordSet
from gpuio.storage.local import LocalFile
from gpuio.storage.remote.file import RemoteFile
from gpuio.storage.remote.opening import open_file
from gpuio.storage.remote.options import RemoteOptions, cache_folder


def machine() -> str:
    """Name of this machine, in messages that are read on another one."""
    return f"the machine {socket.gethostname()}"


def open_shared(path: str, size: int, remote: RemoteOptions | None) -> LocalFile | RemoteFile:
    """Open a file that the driver has opened, on a worker.

    Parameters
    ----------
    path : a path, or a URL
    size : the file's bytes, as the driver has found them
    remote : as `for_workers` gives them

    Raises
    ------
    Error : the file has another size.
    """
    file = open_file(path, remote)
    check_shared(file.path, len(file), size)
    return file


def check_shared(path: str, size: int, expected: int) -> None:
    """Check that a worker sees the file that the driver has opened, by its size.

    Raises
    ------
    Error : it is another one.
    """
    if size != expected:
        raise Error(
            f"{path} has {size:,} bytes on {machine()} of the cluster, expected {expected:,}: "
            "it is another file, or it has changed; all machines must see the same files, in a "
            "shared file system, or as URLs"
        )


def for_workers(remote: RemoteOptions | None) -> RemoteOptions | None:
    """Options of remote files for tasks: each machine has its own default folder for the cache.
    Secrets do not travel; workers take them from their environment.
    """
    if remote is None or remote.cache_dir != cache_folder(None):
        return remote
    return replace(remote, cache_dir=None)


@dataclass(frozen=True)
class SharedRecords:
    """Record files that tasks open as the driver has.

    Attributes
    ----------
    locations : the files
    indexes : their indexes' content
    sizes : int64 (n,), the bytes of each record, if the indexes list all records
    nbytes : the files' total size
    remote : how remote files are reached and cached
    """

    locations: list[str]
    indexes: list[Index]
    sizes: NDArray[np.int64]
    nbytes: int
    remote: RemoteOptions | None

    def open(self) -> RecordSet:
        """Open them, on a worker.

        Raises
        ------
        RecordFileNotFoundError : a file does not exist there.
        Error : it is another file there.
        """
        records = RecordSet(self.locations, self.indexes, self.remote)
        check_shared(", ".join(records.paths), records.nbytes, self.nbytes)
        return records
