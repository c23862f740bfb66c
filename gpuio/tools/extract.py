"""The images of a record file as files again."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from gpuio.decoding.header import probe
from gpuio.errors import ArgumentError, DecodeError, RecordError
from gpuio.progress import progress
from gpuio.recordio import RecordSet
from gpuio.storage.local import Path, local_path
from gpuio.tools.command import add_parser, add_record_file
from gpuio.tools.files import open_records
from gpuio.tools.im2rec.lists import BadImage, ListItem, write_list
from gpuio.tools.labels import LabelChoice

# Endings of the files' names, by format.
EXTENSIONS = {"jpeg": ".jpg"}


class Extraction(NamedTuple):
    """What was written.

    Attributes
    ----------
    folder : where the images are
    lst : the list of them, for im2rec
    images : their number
    bad : records that hold no image that can be recognised
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
    """Write the images of a record file into folders, as they are stored, with a list for im2rec.

    Images with one whole number as their label go into a folder of that name, others into
    ``images``; a file is named by its record's key. The list, ``FOLDER/records.lst``, has keys,
    labels and paths: ``gpuio im2rec FOLDER/records FOLDER --pass-through --pack-label`` packs the
    same records, as far as im2rec makes such: with keys of at least 0, which are the headers' ids,
    and a single number as a label that is no array.

    Parameters
    ----------
    rec : the record file
    folder : where the images go; made if it is missing
    idx : the index; None: that beside the file, if there is one; else keys are 0, 1, 2, …
    keys : only these records; None: all
    labels : only records whose first label is one of these; None: all

    Raises
    ------
    RecordFileNotFoundError : a file does not exist.
    RecordError : the record file is damaged, or the index is not its own.
    ArgumentError : there is no record with one of the keys.
    """
    path, root = local_path(rec), local_path(folder)
    wanted = None if labels is None else LabelChoice(labels)
    items: list[ListItem] = []
    taken: set[str] = set()
    bad: list[BadImage] = []
    with open_records(path, idx) as records:
        chosen = _chosen(records, keys)
        with progress(f"extracting {os.path.basename(path)}", "images", len(chosen)) as bar:
            for ordinal in chosen:
                bar.update()
                try:
                    header, image = records.record(ordinal)
                    if wanted is not None and header.label not in wanted:
                        continue
                    found = probe(image)
                except (RecordError, DecodeError) as error:
                    bad.append(BadImage(records.locate(ordinal), str(error)))
                    continue
                label = tuple(np.atleast_1d(np.asarray(header.label, np.float32)).tolist())
                ending = EXTENSIONS.get(found.format, f".{found.format}")
                inside = f"{label[0]:.0f}" if len(label) == 1 and label[0] % 1 == 0 else "images"
                name = _new_name(f"{inside}/{records.keys[ordinal]}", ending, taken)
                os.makedirs(os.path.join(root, inside), exist_ok=True)
                with open(os.path.join(root, name), "wb") as file:
                    file.write(image)
                items.append(ListItem(int(records.keys[ordinal]), label, name))
    list_path = os.path.join(root, "records.lst")
    os.makedirs(root, exist_ok=True)
    write_list(list_path, items)
    return Extraction(root, list_path, len(items), bad)


def _new_name(stem: str, ending: str, taken: set[str]) -> str:
    """A file's name that no record has yet: several may have the same key."""
    name, more = f"{stem}{ending}", 1
    while name in taken:
        more += 1
        name = f"{stem}-{more}{ending}"
    taken.add(name)
    return name


def _chosen(records: RecordSet, keys: Iterable[int] | None) -> list[int]:
    """The records with some keys; all that hold images, without."""
    images: list[int] = np.asarray(records.image_ordinals(), np.int64).tolist()
    if keys is None:
        return images
    places = {int(records.keys[ordinal]): ordinal for ordinal in images}
    keys = list(keys)
    missing = [key for key in keys if key not in places]
    if missing:
        raise ArgumentError(f"there is no image with key {missing[0]} in {records.paths[0]}")
    return [places[key] for key in keys]


def add_command(commands: Any) -> None:
    """Add ``extract`` to the commands of `gpuio.tools.cli`."""
    parser = add_parser(
        commands,
        "extract",
        _command,
        text="write the images of a record file into folders",
        description="Write the images of FILE.rec into FOLDER/LABEL/KEY.jpg, as they are stored, "
        "and FOLDER/records.lst, from which im2rec packs the same records. The exit status is 1 "
        "where records hold no image that can be recognised.",
        example="train.rec pictures --label 3",
    )
    add_record_file(parser)
    parser.add_argument("folder", metavar="FOLDER", help="where the images go")
    parser.add_argument("--key", type=int, action="append", metavar="K", help="only this record")
    parser.add_argument(
        "--label", type=float, action="append", metavar="L", help="only records with this label"
    )


def _command(args: argparse.Namespace) -> int:
    keys = list(dict.fromkeys(args.key)) if args.key else None
    done = extract(args.rec, args.folder, args.idx, keys=keys, labels=args.label)
    for path, reason in done.bad:
        print(f"left out {path}: {reason}")
    print(f"{done.folder}: {done.images:,} images; {done.lst} lists them")
    return 1 if done.bad else 0
