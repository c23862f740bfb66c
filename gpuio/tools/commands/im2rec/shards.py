"""Records of a list that are made in tasks: each task writes a file of its own, a shard,
which this process appends to the record file and removes.

Shards of a local record file are next to it, with temporary names that differ for each attempt of a
task. Those of a record file in a store are objects next to it; an attempt replaces that of the one
before it. Neither is left, whatever ends the run, unless this process is killed; then the next run
removes those of a local file.
"""

from __future__ import annotations

import errno
import io
import os
import secrets
from array import array
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import IO, NamedTuple

from gpuio.errors import Error, RecordFileNotFoundError
from gpuio.recordio.lists import ListItem
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.output import uploading
from gpuio.storage.remote.replacing import remove_object
from gpuio.storage.remote.url import is_remote
from gpuio.storage.writing import PART, followed, open_temporary, remove_abandoned, unfinished
from gpuio.tools.commands.im2rec.folder import ImageFolder
from gpuio.tools.commands.im2rec.lists import BadImage
from gpuio.tools.commands.im2rec.packer import READERS, ImagePacker, Record, make_records
from gpuio.tools.pieces import PER_CPU, Tasks
from gpuio.tools.shared_files import for_workers

# Images of a shard, if there are not fewer.
LEAST, MOST = 16, 256


class Shard(NamedTuple):
    """The records of consecutive lines of a list.

    Attributes
    ----------
    path : the file, or its URL
    keys : of its records
    sizes : of each record, in bytes
    bad, doubtful : see `Packed`
    """

    path: str
    keys: array[int]
    sizes: array[int]
    bad: list[BadImage]
    doubtful: list[BadImage]


@dataclass(frozen=True)
class _Job:
    """What all shards of a run have in common.

    Attributes
    ----------
    rec : the record file, which the driver has begun
    run : name of the run
    images, packer : see `pack_list`
    remote : how the store is reached where `rec` is a URL
    cv2 : the version of OpenCV that encodes; empty: none does
    """

    rec: str
    run: str
    images: ImageFolder
    packer: ImagePacker
    remote: RemoteOptions | None
    cv2: str


class _Piece(NamedTuple):
    number: int
    items: list[ListItem | BadImage]


def pack_in_tasks(
    rec: str,
    items: Iterable[ListItem | BadImage],
    total: int,
    images: ImageFolder,
    packer: ImagePacker,
    tasks: Tasks,
) -> Generator[Shard, None, None]:
    """Make the records of a list in tasks; yields the shards in the list's order. Each is removed
    when the next one is asked for.

    Parameters
    ----------
    rec : path or URL of the record file; a local one has been begun
    items : of `read_list`
    total : their number
    images : the folder
    packer : makes the records

    Raises
    ------
    Error : a machine of the cluster does not see the files, or has another OpenCV.
    """
    size = min(max(total // (PER_CPU * tasks.cpus), LEAST), MOST)
    remote = images.remote
    there = for_workers(remote)
    job = _Job(
        rec, secrets.token_hex(8), replace(images, remote=there), packer, there, _opencv(packer)
    )
    lines, submitted = iter(items), 0

    def pieces() -> Iterator[_Piece]:
        nonlocal submitted
        while some := list(islice(lines, size)):
            submitted += 1
            yield _Piece(submitted - 1, some)

    received = 0
    _remove_left(rec)
    try:
        with closing(tasks.map(partial(_pack, job), pieces(), "im2rec")) as shards:
            for shard in shards:
                _check_seen(shard, images)
                yield shard
                _remove(shard.path, remote)
                received += 1
    finally:
        _remove_left(rec)
        for number in range(received, submitted) if is_remote(rec) else ():
            _remove(_object(job, number), remote)


def _check_seen(shard: Shard, images: ImageFolder) -> None:
    """Check that files that a task has not found are missing here, too."""
    if images.is_remote:
        return
    missing = os.strerror(errno.ENOENT)
    for path, reason in shard.bad:
        if reason == missing and os.path.exists(path):
            raise RecordFileNotFoundError(
                f"{path} is here, but not on another machine of the cluster: all of them must "
                "see the images by the same paths, in a shared file system, or as URLs"
            )


def _remove(path: str, remote: RemoteOptions | None) -> None:
    if is_remote(path):
        remove_object(path, remote)
    else:
        with suppress(FileNotFoundError):
            os.remove(path)


def _remove_left(rec: str) -> None:
    """Remove what is left of a local record file's shards. No task is at work, and no other run:
    the file that was begun is locked.
    """
    if not is_remote(rec):
        target = followed(rec)
        remove_abandoned(os.path.dirname(target) or ".", os.path.basename(target))


def _object(job: _Job, number: int) -> str:
    return f"{job.rec}.{job.run}-{number}{PART}"


def _opencv(packer: ImagePacker) -> str:
    """The version of OpenCV, which determines the bytes of encoded images; empty: not used."""
    if packer.pass_through:
        return ""
    import cv2

    return str(cv2.__version__)


def _pack(job: _Job, piece: _Piece) -> Shard:
    """Write a shard, in a task."""
    job.images.check()
    if (version := _opencv(job.packer)) != job.cv2:
        raise Error(
            f"the machines of the cluster have OpenCV {version} and {job.cv2}, whose JPEGs may "
            "differ; install the same version on all, or store the files with pass_through"
        )
    if is_remote(job.rec):
        path = _object(job, piece.number)
        with uploading(path, "wb", job.remote) as file:
            return _write(job, piece, file, path)
    _check_begun(job)
    with open_temporary(job.rec) as raw:
        path = os.fspath(raw.name)
        try:
            with io.BufferedWriter(raw) as file:
                shard = _write(job, piece, file, path)
            _check_begun(job)  # Ray may not have cancelled a task that had just been started
            return shard
        except BaseException:
            with suppress(OSError):
                os.remove(path)
            raise


def _check_begun(job: _Job) -> None:
    """Check that the driver's unfinished record file is there."""
    if not os.path.exists(unfinished(job.rec)):
        raise FileNotFoundError(f"{job.rec} is not in the folder where it was begun")


@contextmanager
def _one_thread(packer: ImagePacker) -> Iterator[None]:
    """Have OpenCV use the one CPU that a task has, not all of the machine."""
    if packer.pass_through:
        yield
        return
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _write(job: _Job, piece: _Piece, file: IO[bytes], path: str) -> Shard:
    shard = Shard(path, array("q"), array("q"), [], [])
    threads = 1 + (READERS if job.images.is_remote else 0)
    with (
        _one_thread(job.packer),
        closing(make_records(job.packer, piece.items, job.images, threads)) as records,
    ):
        for made in records:
            if not isinstance(made, Record):
                shard.bad.append(made)
                continue
            if made.doubt:
                shard.doubtful.append(BadImage(made.path, made.doubt))
            file.writelines(made.framed)
            shard.keys.append(made.key)
            shard.sizes.append(sum(map(len, made.framed)))
    return shard
