"""Rebuild the index of a record file."""

from __future__ import annotations

import argparse
from typing import Any

from gpuio.recordio import Index
from gpuio.storage.local import Path, local_path
from gpuio.tools.commands.common import add_parser
from gpuio.tools.files import check_outputs, index_of, replacing


def index(rec: Path, idx: Path | None = None) -> tuple[str, int]:
    """Write the index of a record file by walking through its records; the keys are 0, 1, 2, …

    An existing index is replaced only when the new one is complete.

    Parameters
    ----------
    rec : the record file
    idx : the index; None: next to the file, with the extension .idx

    Returns
    -------
    path of the index, and the number of records it lists

    Raises
    ------
    RecordFileNotFoundError : the file does not exist.
    RecordError : it is damaged; the message says where.
    """
    path = index_of(rec) if idx is None else local_path(idx)
    check_outputs([path], [rec], indexes=False)
    built = Index.build(rec)
    with replacing(path) as name:
        built.save(name)
    return path, len(built)


def add_command(commands: Any) -> None:
    """Add ``index`` to the command line."""
    parser = add_parser(
        commands,
        "index",
        _run,
        summary="rebuild the index of a record file",
        description="Walk through the records of FILE.rec and write FILE.idx. The keys are 0, 1, "
        "2, …",
        example="train.rec",
    )
    parser.add_argument("rec", metavar="FILE.rec", help="the record file")
    parser.add_argument("--idx", metavar="FILE", help="the index; default: FILE.idx")


def _run(args: argparse.Namespace) -> int:
    path, records = index(args.rec, args.idx)
    print(f"{path}: {records:,} records")
    return 0
