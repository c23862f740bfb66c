"""Extract the images of a record file."""

from __future__ import annotations

import argparse
import os
import stat
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gpuio.decoding.header import read_header
from gpuio.errors import ArgumentError, DecodeError, Error, RecordError
from gpuio.progress import progress
from gpuio.recordio import RecordSet, unpack
from gpuio.recordio.lists import ListItem
from gpuio.storage.local import Path, local_path
from gpuio.storage.output_file import write_error
from gpuio.storage.remote.opening import location
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.url import shown
from gpuio.storage.writing import remove_abandoned, replacing_in
from gpuio.terminal import counted, echo
from gpuio.tools.commands.common import (
    add_parser,
    add_record_file,
    add_selection,
    remote_options,
)
from gpuio.tools.commands.im2rec.lists import BadImage, list_lines
from gpuio.tools.files import open_records
from gpuio.tools.labels import label_strings, starts_with_label
from gpuio.tools.payloads import read_payloads

if TYPE_CHECKING:
    from typing_extensions import Self

# The list of the images.
LIST = "records.lst"

# How folders are opened.
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

# Extensions of the written files, by format, where the two differ.
EXTENSIONS = {"jpeg": ".jpg"}


class Extraction(NamedTuple):
    """What was written.

    Attributes
    ----------
    folder : where the images are
    lst : their list, for im2rec
    images : number of images
    bad : records without a recognizable image
    """

    folder: str
    lst: str
    images: int
    bad: list[BadImage]


def extract(
    rec: Path,
    folder: Path,
    idx: Path | None = None,
    *,
    keys: Iterable[int] | None = None,
    labels: Iterable[float] | None = None,
    force: bool = False,
    remote: RemoteOptions | None = None,
) -> Extraction:
    """Write the images of a record file to folders, unchanged, with a list for im2rec.

    An image whose label is a single integer is written to a folder of that name, and an image of a
    face dataset to the folder of its identity, the first number of its label; any other is written
    to ``images``. The file name is the record's key. The list, ``FOLDER/records.lst``, holds keys,
    labels and paths: ``gpuio im2rec FOLDER/records FOLDER --pass-through --pack-label`` packs the
    same records again, provided that im2rec can make them: keys are at least 0 and equal to the
    headers' ids, and single labels are not stored as arrays.

    All names are made of numbers, and links below `folder` are not followed, so nothing is written
    outside it. Each file appears when it is complete, the list last.

    Parameters
    ----------
    rec : the record file
    folder : where to write, on this machine; created if missing
    idx : the index; None: FILE.idx if it exists, else keys are 0, 1, 2, …
    keys : only these records; None: all
    labels : only records whose first label is one of these; None: all
    force : replace files that exist; False: refuse, before anything is written
    remote : how remote files are reached and cached; None: by the default options

    Raises
    ------
    RemoteError : a remote file cannot be read.
    RecordFileNotFoundError : a file does not exist.
    RecordError : the record file is damaged, or the index belongs to another file; or a file cannot
        be written.
    ArgumentError : no record has one of the keys; files exist, and `force` is False; or something
        in the folder is not a folder or a regular file where it should be, such as a link.
    """
    path, root = shown(location(rec)), local_path(folder, "the folder of images")
    wanted = None if labels is None else label_strings(labels)
    with open_records(rec, idx, remote) as records:
        found, bad = _find_images(records, _ordinals(records, keys), wanted)
        with _OutputFolder(root) as output:
            names = [item.path for item in found.values()]
            output.check_files([*names, LIST], force)
            with progress(f"extracting {os.path.basename(path)}", "images", len(found)) as bar:
                payloads = read_payloads(records, list(found))
                for item, payload in zip(found.values(), payloads, strict=True):
                    if isinstance(payload, RecordError):
                        raise payload
                    with output.create(item.path) as file:
                        file.write(unpack(payload)[1])
                    bar.update()
            with output.create(LIST) as file:
                file.writelines(list_lines(found.values()))
    return Extraction(root, os.path.join(root, LIST), len(found), bad)


def _find_images(
    records: RecordSet,
    ordinals: Sequence[int],
    wanted: Set[str] | None,
) -> tuple[dict[int, ListItem], list[BadImage]]:
    """Name the files of the images with a wanted label, by ordinal, and list bad records."""
    found: dict[int, ListItem] = {}
    bad: list[BadImage] = []
    taken: set[str] = set()
    title = f"reading the headers of {os.path.basename(records.paths[0])}"
    with progress(title, "records", len(ordinals)) as bar:
        payloads = read_payloads(records, ordinals)
        for ordinal, payload in zip(ordinals, payloads, strict=True):
            bar.update()
            try:
                if isinstance(payload, RecordError):
                    raise payload
                header, image = unpack(payload)
                if wanted is not None and not starts_with_label(header.label, wanted):
                    continue
                kind = read_header(image).format
            except (RecordError, DecodeError) as error:
                bad.append(BadImage(str(records.location(ordinal)), str(error)))
                continue
            label = tuple(np.atleast_1d(np.asarray(header.label, np.float32)).tolist())
            key = int(records.keys[ordinal])
            stem = f"{_subfolder(label, records.has_faces)}/{key}"
            name = _unique_name(stem, EXTENSIONS.get(kind, f".{kind}"), taken)
            found[ordinal] = ListItem(key, label, name)
    return found, bad


class _OutputFolder:
    """A folder to write to, and its subfolders, none of which is a link.

    Files are created relative to open folders, so that nobody can redirect what is written by
    putting a link in the place of one.

    Parameters
    ----------
    root : the folder; created if missing. It may be a link itself

    Raises
    ------
    ArgumentError : it is not a folder.
    RecordError : it cannot be created.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._cleared: set[str] = set()
        try:
            os.makedirs(root, exist_ok=True)
            self._descriptor = os.open(root, FOLDER)
        except (OSError, ValueError) as error:
            raise self._error(root, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self._descriptor)

    def check_files(self, names: Iterable[str], force: bool) -> None:
        """Check that files can be created, or with `force` also replaced, before any is.

        Raises
        ------
        ArgumentError : files exist, or something else is in their place.
        """
        existing: list[str] = []
        for name in names:
            try:
                with self._open(os.path.dirname(name)) as folder:
                    found = os.stat(os.path.basename(name), dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                continue
            path = os.path.join(self._root, name)
            if not stat.S_ISREG(found.st_mode):
                raise ArgumentError(
                    f"{path} exists and is not a regular file; remove it, or choose another folder"
                )
            existing.append(path)
        if existing and not force:
            raise ArgumentError(
                f"{len(existing):,} of the files to be written exist already, the first is "
                f"{existing[0]}; choose another folder, or replace them with --force"
            )

    @contextmanager
    def create(self, name: str) -> Iterator[IO[bytes]]:
        """Create or replace a file, whose name may have one subfolder, when it is complete.

        Raises
        ------
        RecordError, ArgumentError : it cannot be written.
        """
        subfolder, base = os.path.split(name)
        path = os.path.join(self._root, name)
        if subfolder and subfolder not in self._cleared:
            try:
                with suppress(FileExistsError):
                    os.mkdir(subfolder, dir_fd=self._descriptor)
            except OSError as error:
                raise self._error(path, error) from error
        with self._open(subfolder) as folder:
            if subfolder not in self._cleared:
                remove_abandoned(folder)
                self._cleared.add(subfolder)
            with replacing_in(folder, base, path) as file:
                yield file

    @contextmanager
    def _open(self, subfolder: str) -> Iterator[int]:
        """The descriptor of the root ("") or of a subfolder.

        Raises
        ------
        FileNotFoundError : there is no such subfolder.
        """
        if not subfolder:
            yield self._descriptor
            return
        try:
            descriptor = os.open(subfolder, FOLDER | os.O_NOFOLLOW, dir_fd=self._descriptor)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self._error(os.path.join(self._root, subfolder), error) from error
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _error(self, path: str, error: Exception) -> Error:
        if isinstance(error, (NotADirectoryError, FileExistsError)):
            return ArgumentError(
                f"{path} is a link or not a folder; remove it, or choose another folder"
            )
        return write_error(path, error)


def _subfolder(label: Sequence[float], faces: bool) -> str:
    """The folder for images with a label."""
    is_class = (len(label) == 1 or faces) and label[0] % 1 == 0
    return f"{label[0]:.0f}" if is_class else "images"


def _unique_name(stem: str, extension: str, taken: set[str]) -> str:
    """Make a file name unique, since records may share a key."""
    name, number = f"{stem}{extension}", 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}{extension}"
    taken.add(name)
    return name


def _ordinals(records: RecordSet, keys: Iterable[int] | None) -> list[int]:
    """The image records with the given keys; None: all."""
    images: list[int] = np.asarray(records.image_ordinals(), np.int64).tolist()
    if keys is None:
        return images
    by_key = {int(records.keys[ordinal]): ordinal for ordinal in images}
    keys = list(keys)
    missing = [key for key in keys if key not in by_key]
    if missing:
        raise ArgumentError(f"there is no image with key {missing[0]} in {records.paths[0]}")
    return [by_key[key] for key in keys]


def add_command(commands: Any) -> None:
    """Add ``extract`` to the command line."""
    parser = add_parser(
        commands,
        "extract",
        _run,
        summary="write the images of a record file to folders",
        description="Write the images of FILE.rec to FOLDER/LABEL/KEY.jpg, unchanged (faces: "
        "FOLDER/IDENTITY/KEY.jpg; images with several labels or boxes: FOLDER/images), and "
        "FOLDER/records.lst, from which im2rec packs the same records. Nothing is written if one "
        "of these files exists, unless --force is given. The exit status is 1 if a record has no "
        "recognizable image.",
        example="train.rec images --label 3",
    )
    add_record_file(parser)
    parser.add_argument("folder", metavar="FOLDER", help="where to write the images")
    add_selection(parser)
    parser.add_argument("--force", action="store_true", help="replace files that exist")


def _run(args: argparse.Namespace) -> int:
    keys = list(dict.fromkeys(args.key)) if args.key else None
    extraction = extract(
        args.rec,
        args.folder,
        args.idx,
        keys=keys,
        labels=args.label,
        force=args.force,
        remote=remote_options(args),
    )
    for path, reason in extraction.bad:
        echo(f"left out {path}: {reason}")
    echo(f"{extraction.folder}: {counted(extraction.images, 'image')}; {extraction.lst} lists them")
    return 1 if extraction.bad else 0
