"""Pack listed images into record files: in threads, in the order of the list, and resumable."""

from __future__ import annotations

import hashlib
import json
import os
from array import array
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import NamedTuple

import numpy as np

from gpuio.decoding.limits import resolve_max_pixels
from gpuio.errors import ArgumentError, RecordError
from gpuio.loading.cpus import cpu_count
from gpuio.progress import progress
from gpuio.recordio import unpack
from gpuio.recordio.framing import parse
from gpuio.recordio.lists import ListItem
from gpuio.storage.local import LocalFile, Path
from gpuio.storage.locked_file import open_exclusive
from gpuio.storage.output_file import write_error
from gpuio.storage.remote.opening import exists, location
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.url import is_remote, shown
from gpuio.storage.writing import PART, unfinished
from gpuio.tools.commands.im2rec.folder import ImageFolder
from gpuio.tools.commands.im2rec.lists import BadImage, check_inside, count_items, read_list
from gpuio.tools.commands.im2rec.packer import READERS, ImagePacker, Record, make_records
from gpuio.tools.commands.im2rec.shards import pack_in_tasks
from gpuio.tools.files import renamed
from gpuio.tools.on_ray import running
from gpuio.tools.pieces import Tasks
from gpuio.tools.ray_cluster import RayCluster
from gpuio.tools.record_output import ExistingRecords, RecordOutput, RemoteRecordOutput


class Packed(NamedTuple):
    """Result of `write_records`.

    Attributes
    ----------
    rec, idx : the files
    records : number of records in them
    bad : images and lines of the list that were left out
    doubtful : files that were stored unchanged but do not look like images
    kept : number of records taken over from an interrupted run
    """

    rec: str
    idx: str
    records: int
    bad: list[BadImage]
    doubtful: list[BadImage]
    kept: int


def write_records(
    lst: Path,
    root: Path,
    *,
    pass_through: bool = False,
    resize: int = 0,
    center_crop: bool = False,
    quality: int = 95,
    encoding: str = ".jpg",
    color: int = 1,
    pack_label: bool = False,
    max_pixels: int | None = None,
    num_thread: int | None = None,
    resume: bool = True,
    allow_outside: bool = False,
    remote: RemoteOptions | None = None,
    on: RayCluster | str | None = None,
) -> Packed:
    """Pack the images of a list, in its order, into a .rec and an .idx file next to it.

    Files get their names, and replace existing ones, only when they are complete; until then they
    carry the suffix ``.part``. An interrupted run, even a killed one, leaves the unfinished file,
    and the next run with the same list and options resumes it. The result is the same as that of an
    uninterrupted run. On Ray, or where the images or the outputs are remote, each run starts anew,
    and one that fails leaves nothing.

    Parameters
    ----------
    lst : the list: a path or a URL
    root : the folder that its paths are relative to: a path or a URL
    pass_through : store the files unchanged, images or not; the options from `resize` to `color`
        then have no effect
    resize : length of the shorter side in pixels, bilinear; 0: no resizing
    center_crop : first crop images to centered squares
    quality : of a JPEG, 1 to 100; or compression of a PNG, 0 to 9 (more counts as 9)
    encoding : ".jpg" or ".png"
    color : 1: color, 0: grayscale, -1: as in the file
    pack_label : store all labels of a line, not only the first
    max_pixels : the most pixels of an image, before and after it is resized. None: what the
        environment variable GPUIO_MAX_PIXELS says, else 2**28
    num_thread : threads that read and encode; None: one per CPU, and READERS more where images are
        remote. Does not change the result
    resume : resume an interrupted run; False: start over
    allow_outside : pack files outside `root`, too, where the list has absolute paths or "..";
        False: refuse the list. Links below `root` are followed in any case
    remote : how remote files are reached and cached; None: by the default options
    on : "ray" or a RayCluster: in tasks of a Ray cluster. The result is the same

    Raises
    ------
    ArgumentError : an option is out of range, or the list names files outside `root`.
    RecordFileNotFoundError : the list or folder does not exist.
    RecordError : a file cannot be written, or another run is writing it; or no image can be used,
        and there is a record file already.
    RemoteError : a remote file cannot be read or written.
    """
    packer = ImagePacker(
        pass_through,
        resize,
        center_crop,
        quality,
        encoding,
        color,
        pack_label,
        resolve_max_pixels(max_pixels),
    )
    with running(on) as tasks:
        return pack_list(
            location(lst),
            ImageFolder.at(root, remote),
            packer,
            num_thread=num_thread,
            resume=resume,
            allow_outside=allow_outside,
            tasks=tasks,
        )


def pack_list(
    lst: str,
    images: ImageFolder,
    packer: ImagePacker,
    *,
    num_thread: int | None,
    resume: bool,
    allow_outside: bool,
    tasks: Tasks | None,
) -> Packed:
    """Write the record file and index of a list.

    Parameters
    ----------
    lst, num_thread, resume, allow_outside : see `write_records`
    images : the folder
    packer : the other options
    tasks : make the records; None: threads of this process do
    """
    remote = images.remote
    readers = READERS if images.is_remote else 0
    threads = cpu_count() + readers if num_thread is None else num_thread
    if threads < 1:
        raise ArgumentError(f"num_thread must be at least 1, not {num_thread!r}")
    images.check()
    if not allow_outside:
        check_inside(lst, images)
    total = count_items(lst, remote)
    rec = renamed(lst, ".rec")
    resumable = tasks is None and not images.is_remote
    with _locked_job(rec, lst, images, packer) as begun:
        state = _RunState()
        if begun is not None and resume and resumable:
            state.take_over(rec, lst, images, packer, begun)
        with (
            progress(
                f"packing {os.path.basename(shown(rec))}", "images", total, initial=state.items
            ) as bar,
            _open_output(rec, state.existing, resumable, remote) as output,
        ):
            remaining = islice(read_list(lst, remote), state.items, None)
            if tasks is None:
                with closing(make_records(packer, remaining, images, threads)) as records:
                    for made in records:
                        state.report(made)
                        if isinstance(made, Record):
                            output.append(made.key, made.framed)
                        bar.update()
            else:
                with closing(pack_in_tasks(rec, remaining, total, images, packer, tasks)) as shards:
                    for shard in shards:
                        state.bad += shard.bad
                        state.doubtful += shard.doubtful
                        output.append_file(shard.path, shard.keys, shard.sizes)
                        bar.update(len(shard.keys) + len(shard.bad))
            if state.bad and not output.keys and exists(rec, remote):
                if isinstance(output, RecordOutput):
                    output.keep_part = False
                raise _nothing_usable(shown(rec), shown(lst), state.bad)
    return Packed(output.rec, output.idx, len(output.keys), state.bad, state.doubtful, state.kept)


def _locked_job(
    rec: str, lst: str, images: ImageFolder, packer: ImagePacker
) -> AbstractContextManager[float | None]:
    """Lock the job of a local record file; see `_job_file`."""
    if is_remote(rec):
        return nullcontext()
    return _job_file(rec, job_identity(lst, images, packer))


def _open_output(
    rec: str, existing: ExistingRecords | None, keep_part: bool, remote: RemoteOptions | None
) -> RecordOutput | RemoteRecordOutput:
    if is_remote(rec):
        return RemoteRecordOutput(rec, remote=remote)
    return RecordOutput(rec, existing=existing, keep_part=keep_part)


def _nothing_usable(rec: str, lst: str, bad: list[BadImage]) -> RecordError:
    """The error of a list that would replace a record file by an empty one."""
    return RecordError(
        f"none of the {len(bad):,} lines of {lst} can be used; {rec} stays as it is. The first is "
        f"{bad[0].path}: {bad[0].reason}"
    )


@dataclass
class _RunState:
    """Progress through a list.

    Attributes
    ----------
    items : number of the list's items that the unfinished file covers
    existing : its records; None: there are none
    kept : number of these
    bad, doubtful : see Packed
    """

    items: int = 0
    existing: ExistingRecords | None = None
    kept: int = 0
    bad: list[BadImage] = field(default_factory=list)
    doubtful: list[BadImage] = field(default_factory=list)

    def take_over(
        self, rec: str, lst: str, images: ImageFolder, packer: ImagePacker, begun: float
    ) -> None:
        """Take over the records of an interrupted run.

        These are the longest prefix of the list whose records are intact, and whose image files
        have not changed since that run began.
        """
        keys = np.array([item.key for item in read_list(lst) if isinstance(item, ListItem)], object)
        part = unfinished(rec)
        if not os.path.exists(part) or len(set(keys)) < len(keys):
            return  # a record whose key occurs twice could belong to either line
        data = LocalFile(part)
        offset, kept = 0, ExistingRecords(array("q"), array("q"), 0)
        for item in read_list(lst):
            try:
                payload, end = parse(data, offset, rec)
                key = unpack(payload)[0].id
            except RecordError:
                break  # after the last intact record
            if isinstance(item, ListItem) and item.key == key:
                path = images.path(item.path)
                if not is_older(path, begun):
                    break
                kept.keys.append(key)
                kept.offsets.append(offset)
                offset = end
                self.report(Record(path, key, [], packer.doubt(payload)))
            elif isinstance(made := packer.make_record(item, images), BadImage):
                self.report(made)
            else:
                break  # it was left out then, but can be used now
            self.items += 1
        self.existing, self.kept = kept._replace(end=offset), len(kept.keys)

    def report(self, made: Record | BadImage) -> None:
        """Add to `bad` or `doubtful` if necessary."""
        if isinstance(made, BadImage):
            self.bad.append(made)
        elif made.doubt:
            self.doubtful.append(BadImage(made.path, made.doubt))


def job_identity(lst: str, images: ImageFolder, packer: ImagePacker) -> str:
    """JSON of all that determines a list's records, except for the images themselves."""
    with open(lst, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    root = images.shown if images.is_remote else os.path.abspath(images.root)
    identity = {"list": digest, "root": root, **asdict(packer)}
    if not packer.pass_through:
        import cv2

        identity["cv2"] = cv2.__version__
    return json.dumps(identity)


@contextmanager
def _job_file(rec: str, identity: str) -> Iterator[float | None]:
    """Lock the job by a file next to the unfinished record file, which is removed on success.

    The file holds the job's identity. Yields the time at which an interrupted run of the same
    identity began, as in `os.stat`; None if there was none.
    """
    path, part = unfinished(rec, f"{PART}.json"), unfinished(rec)
    with open_exclusive(path) as file:
        file.seek(0)
        begun = os.fstat(file.fileno()).st_mtime if file.read() == identity.encode() else None
        try:
            if begun is None:
                # First, so that records never stand next to another job's identity.
                try:
                    with suppress(FileNotFoundError):
                        os.remove(part)
                except OSError as error:
                    raise write_error(part, error) from error
                file.truncate(0)
                file.write(identity.encode())
                file.flush()
            yield begun
        finally:
            if not os.path.exists(part):
                os.remove(path)


def is_older(path: str, time: float) -> bool:
    """Whether a file was last modified, and last moved or created, before a time."""
    try:
        status = os.stat(path)
    except OSError:
        return False
    return max(status.st_mtime, status.st_ctime) < time
