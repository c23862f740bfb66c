"""Extract the images of a record file."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gpuio.decoding.header import read_header
from gpuio.errors import ArgumentError, DecodeError, RecordError
from gpuio.progress import progress
from gpuio.recordio import RecordSet
from gpuio.recordio.lists import ListItem
from gpuio.storage.local import Path, local_path
from gpuio.tools.commands.common import add_parser, add_record_file, add_selection
from gpuio.tools.commands.im2rec.lists import BadImage, write_list
from gpuio.tools.files import open_records
from gpuio.tools.labels import label_strings, starts_with_label

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
) -> Extraction:
    """Write the images of a record file to folders, unchanged, with a list for im2rec.

    An image whose label is a single integer is written to a folder of that name, and an image of a
    face dataset to the folder of its identity, the first number of its label; any other is written
    to ``images``. The file name is the record's key. The list, ``FOLDER/records.lst``, holds keys,
    labels and paths: ``gpuio im2rec FOLDER/records FOLDER --pass-through --pack-label`` packs the
    same records again, provided that im2rec can make them: keys are at least 0 and equal to the
    headers' ids, and single labels are not stored as arrays.

    Parameters
    ----------
    rec : the record file
    folder : where to write, created if missing
    idx : the index; None: FILE.idx if it exists, else keys are 0, 1, 2, …
    keys : only these records; None: all
    labels : only records whose first label is one of these; None: all

    Raises
    ------
    RecordFileNotFoundError : a file does not exist.
    RecordError : the record file is damaged, or the index belongs to another file.
    ArgumentError : no record has one of the keys.
    """
    path, root = local_path(rec), local_path(folder)
    wanted = None if labels is None else label_strings(labels)
    items: list[ListItem] = []
    taken: set[str] = set()
    bad: list[BadImage] = []
    with open_records(path, idx) as records:
        ordinals = _ordinals(records, keys)
        with progress(f"extracting {os.path.basename(path)}", "images", len(ordinals)) as bar:
            for ordinal in ordinals:
                bar.update()
                try:
                    if wanted is not None and not starts_with_label(
                        records.header(ordinal).label, wanted
                    ):
                        continue
                    header, image = records.record(ordinal)
                    found = read_header(image)
                except (RecordError, DecodeError) as error:
                    bad.append(BadImage(str(records.location(ordinal)), str(error)))
                    continue
                label = tuple(np.atleast_1d(np.asarray(header.label, np.float32)).tolist())
                extension = EXTENSIONS.get(found.format, f".{found.format}")
                subfolder = _subfolder(label, records.has_faces)
                name = _unique_name(f"{subfolder}/{records.keys[ordinal]}", extension, taken)
                os.makedirs(os.path.join(root, subfolder), exist_ok=True)
                with open(os.path.join(root, name), "wb") as file:
                    file.write(image)
                items.append(ListItem(int(records.keys[ordinal]), label, name))
    list_path = os.path.join(root, "records.lst")
    os.makedirs(root, exist_ok=True)
    write_list(list_path, items)
    return Extraction(root, list_path, len(items), bad)


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
        "FOLDER/records.lst, from which im2rec packs the same records. The exit status is 1 if "
        "a record has no recognizable image.",
        example="train.rec images --label 3",
    )
    add_record_file(parser)
    parser.add_argument("folder", metavar="FOLDER", help="where to write the images")
    add_selection(parser)


def _run(args: argparse.Namespace) -> int:
    keys = list(dict.fromkeys(args.key)) if args.key else None
    extraction = extract(args.rec, args.folder, args.idx, keys=keys, labels=args.label)
    for path, reason in extraction.bad:
        print(f"left out {path}: {reason}")
    print(f"{extraction.folder}: {extraction.images:,} images; {extraction.lst} lists them")
    return 1 if extraction.bad else 0
