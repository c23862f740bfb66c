"""Packing of several lists in one run, which resumes at the list where it was interrupted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from gpuio.recordio.lists import ListItem
from gpuio.storage.locked_file import open_exclusive
from gpuio.storage.remote.opening import any_remote
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.writing import PART, unfinished, write_file
from gpuio.tools.commands.im2rec.folder import ImageFolder
from gpuio.tools.commands.im2rec.lists import BadImage, check_inside, read_list
from gpuio.tools.commands.im2rec.packer import ImagePacker
from gpuio.tools.commands.im2rec.packing import Packed, is_older, job_identity, pack_list
from gpuio.tools.on_ray import running
from gpuio.tools.ray_cluster import RayCluster


def pack_lists(
    lists: Sequence[str],
    root: str,
    packer: ImagePacker,
    *,
    num_thread: int | None = None,
    resume: bool = True,
    allow_outside: bool = False,
    remote: RemoteOptions | None = None,
    on: RayCluster | str | None = None,
) -> Iterator[Packed]:
    """Write the record file and index of each list.

    A list that an interrupted run of the same options has finished is not packed again, unless one
    of its images, or its record file, has changed since. For that, a file next to each finished
    record file remembers the run until it ends; where files are remote, all lists are packed.

    Parameters
    ----------
    lists, root, num_thread, resume, allow_outside, remote, on : see `write_records`; all lists are
        checked before the first is packed
    packer : its other options
    """
    images = ImageFolder.at(root, remote)
    if not allow_outside:
        for path in lists:
            check_inside(path, images)
    several = len(lists) > 1 and not any_remote([root, *lists])
    notes = [_Note(path, images, packer) for path in lists] if several else []
    with running(on) as tasks:
        for number, path in enumerate(lists):
            note = notes[number] if notes else None
            packed = note.finished() if note is not None and resume else None
            if packed is None:
                if note is not None:
                    note.begin()
                packed = pack_list(
                    path,
                    images,
                    packer,
                    num_thread=num_thread,
                    resume=resume,
                    allow_outside=True,
                    tasks=tasks,
                )
                if note is not None:
                    note.finish(packed)
            yield packed
    for note in notes:
        note.remove()


class _Note:
    """A file that remembers which list was packed, until the whole run ends."""

    def __init__(self, lst: str, images: ImageFolder, packer: ImagePacker) -> None:
        self._lst, self._images, self._packer = lst, images, packer
        self._path = unfinished(f"{os.path.splitext(lst)[0]}.rec", f"{PART}.done")
        self._begun = 0.0

    def begin(self) -> None:
        """Take the file system's time."""
        self.remove()
        with open_exclusive(self._path) as file:
            self._begun = os.fstat(file.fileno()).st_mtime
            self.remove()

    def finish(self, packed: Packed) -> None:
        """Remember a list that was packed completely."""
        content = {
            "identity": job_identity(self._lst, self._images, self._packer),
            "begun": self._begun,
            "files": _stamps(packed),
            "packed": packed,
        }
        write_file(self._path, json.dumps(content).encode())

    def finished(self) -> Packed | None:
        """The result of an interrupted run that has packed this list, if it would be the same."""
        if not os.path.exists(self._path):
            return None
        with open_exclusive(self._path) as file:
            file.seek(0)
            content = file.read()
        try:
            note: dict[str, Any] = json.loads(content)
            rec, idx, records, bad, doubtful, _ = note["packed"]
            packed = Packed(
                rec,
                idx,
                records,
                [BadImage(*each) for each in bad],
                [BadImage(*each) for each in doubtful],
                records,
            )
            identity, files, begun = note["identity"], note["files"], float(note["begun"])
        except (ValueError, TypeError, KeyError):  # it is another file
            return None
        same = (
            identity == job_identity(self._lst, self._images, self._packer)
            and files == _stamps(packed)
            and all(
                is_older(self._images.path(item.path), begun)
                for item in read_list(self._lst)
                if isinstance(item, ListItem)
            )
        )
        return packed if same else None

    def remove(self) -> None:
        """Forget it."""
        with suppress(FileNotFoundError):
            os.remove(self._path)


def _stamps(packed: Packed) -> list[list[int]]:
    """Sizes and times of a record file and its index; empty if one is missing."""
    try:
        found = [os.stat(path) for path in (packed.rec, packed.idx)]
    except OSError:
        return []
    return [[each.st_size, each.st_mtime_ns] for each in found]
