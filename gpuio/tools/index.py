"""The index of a record file, made anew from the file itself."""

from __future__ import annotations

import argparse
from typing import Any

from gpuio.recordio import Index
from gpuio.storage.local import Path, local_path
from gpuio.tools.command import add_parser
from gpuio.tools.files import check_outputs, index_of, replacing


def index(rec: Path, idx: Path | None = None) -> tuple[str, int]:
    """Write the index of a record file by walking over its records; their keys are 0, 1, 2, …

    An older index is replaced only when the new one is complete.

    Parameters
    ----------
    rec : the record file
    idx : the index; None: beside the file, with the ending .idx

    Returns
    -------
    path of the index, and how many records it lists

    Raises
    ------
    RecordFileNotFoundError : there is no such file.
    RecordError : it is damaged; the text says where.
    """
    path = index_of(rec) if idx is None else local_path(idx)
    check_outputs([path], [rec], indexes=False)
    built = Index.build(rec)
    with replacing(path) as name:
        built.save(name)
    return path, len(built)


def add_command(commands: Any) -> None:
    """Add ``index`` to the commands of `gpuio.tools.cli`."""
    parser = add_parser(
        commands,
        "index",
        _command,
        text="make the index of a record file anew",
        description="Walk over the records of FILE.rec and write FILE.idx. The keys are 0, 1, 2, …",
        example="train.rec",
    )
    parser.add_argument("rec", metavar="FILE.rec", help="the record file")
    parser.add_argument("--idx", metavar="FILE", help="the index; default: beside the record file")


def _command(args: argparse.Namespace) -> int:
    path, records = index(args.rec, args.idx)
    print(f"{path}: {records:,} records")
    return 0
