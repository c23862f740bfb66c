"""Record files out of record files: split, merge, shuffle, filter.

Records are copied one by one from the mapped originals, so memory does not grow with the files.
Each output and its index appear under their names when they are complete.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError, DecodeError
from gpuio.pipeline.order import permute
from gpuio.pipeline.probe import probe
from gpuio.progress import progress
from gpuio.recordio import RecordSet
from gpuio.recordio.storage import Path, local_path
from gpuio.tools.command import add_parser
from gpuio.tools.files import RecordOutput, index_of

# Places of a permutation that are worked out at once.
BLOCK = 1 << 15


def split(
    rec: Path, prefix: Path, ratios: Sequence[float], *, shuffle: bool = False, seed: int = 0
) -> list[str]:
    """Cut a record file into several: ``PREFIX_0.rec``, ``PREFIX_1.rec``, …

    Parameters
    ----------
    rec : the record file; the index beside it is used if there is one
    prefix : the beginning of the outputs' paths
    ratios : the share of each output; they are scaled to make 1
    shuffle : deal the records out at random; else each output is a run of records
    seed : decides the order

    Returns
    -------
    the outputs' paths

    Raises
    ------
    ArgumentError : there are no ratios, or one is not above 0.
    RecordError : the file is damaged, or an output cannot be written.
    """
    if not ratios or not all(ratio > 0 for ratio in ratios):
        raise ArgumentError(f"ratios must be numbers above 0, not {list(ratios)}")
    outputs = []
    with _open(rec) as records:
        ends = np.rint(np.cumsum(ratios) / np.sum(ratios) * len(records)).astype(np.int64)
        for number, (first, last) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
            out = f"{local_path(prefix)}_{number}.rec"
            places = np.arange(first, last, dtype=np.int64)
            chosen = _permuted(places, len(records), seed) if shuffle else places
            _copy(records, chosen, out)
            outputs.append(out)
    return outputs


def shuffle(rec: Path, out: Path, *, seed: int = 0) -> int:
    """Write the records of a file in a random order, with their keys; gives their number.

    Raises
    ------
    ArgumentError : the output would be the file itself.
    RecordError : the file is damaged, or the output cannot be written.
    """
    with _open(rec, out) as records:
        places = np.arange(len(records), dtype=np.int64)
        return _copy(records, _permuted(places, len(records), seed), out)


def merge(recs: Sequence[Path], out: Path, *, renumber: bool = False) -> int:
    """Write the records of several files one after another into one; gives their number.

    Parameters
    ----------
    recs : the record files; the indexes beside them are used, or none of them
    renumber : new keys, 0, 1, 2, …; else records keep theirs

    Raises
    ------
    ArgumentError : two records have the same key, or the output would be one of the files.
    RecordError : a file is damaged, or the output cannot be written.
    """
    with _open(recs, out) as records:
        if not renumber and records.has_index and len(np.unique(records.keys)) < len(records):
            raise ArgumentError(
                "records of different files have the same key; give them new ones with renumber"
            )
        chosen = np.arange(len(records), dtype=np.int64)
        return _copy(records, chosen, out, chosen if renumber else None)


def filter_records(
    rec: Path,
    out: Path,
    *,
    keys: Iterable[int] | None = None,
    labels: Iterable[float] | None = None,
    least: int = 0,
    most: int | None = None,
) -> int:
    """Write the records of a file that fulfil all conditions; gives their number.

    Parameters
    ----------
    keys : only these
    labels : only those whose first label is one of these
    least, most : only images whose shorter side has so many pixels

    Raises
    ------
    ArgumentError : no record fulfils the conditions, or the output would be the file itself.
    RecordError : the file is damaged, or the output cannot be written.
    """
    wanted = None if labels is None else {float(label) for label in labels}
    with _open(rec, out) as records:
        chosen = np.arange(len(records), dtype=np.int64)
        if keys is not None:
            chosen = chosen[np.isin(records.keys, np.fromiter(keys, np.int64))]
        if wanted is not None or least > 0 or most is not None:
            fits = [_fits(records, int(one), wanted, least, most) for one in chosen]
            chosen = chosen[np.array(fits, bool)]
        if not len(chosen):
            raise ArgumentError(f"no record of {records.paths[0]} fulfils the conditions")
        return _copy(records, chosen, out)


def _fits(
    records: RecordSet, ordinal: int, labels: set[float] | None, least: int, most: int | None
) -> bool:
    header, image = records.record(ordinal)
    if labels is not None and float(np.ravel(header.label)[0]) not in labels:
        return False
    if least <= 0 and most is None:
        return True
    try:
        found = probe(image)
    except DecodeError:
        return False
    side = min(found.width, found.height)
    return side >= least and (most is None or side <= most)


def _open(recs: Path | Sequence[Path], out: Path | None = None) -> RecordSet:
    """Record files, with the indexes beside them if all have one."""
    paths = [local_path(rec) for rec in ([recs] if isinstance(recs, (str, os.PathLike)) else recs)]
    target = None if out is None else local_path(out)
    if target is not None and os.path.exists(target):
        for path in paths:
            if os.path.exists(path) and os.path.samefile(path, target):
                raise ArgumentError(f"{target} is an original; name another file to write to")
    indexes = [index_of(path) for path in paths]
    return RecordSet(paths, indexes if all(map(os.path.exists, indexes)) else None)


def _permuted(places: NDArray[np.int64], size: int, seed: int) -> NDArray[np.int64]:
    pieces = [
        permute(places[first : first + BLOCK], size, seed, 0)
        for first in range(0, len(places), BLOCK)
    ]
    return np.concatenate(pieces) if pieces else places


def _copy(
    records: RecordSet,
    chosen: NDArray[np.int64],
    out: Path,
    keys: NDArray[np.int64] | None = None,
) -> int:
    """Write some records, with their keys or with others."""
    given = records.keys[chosen] if keys is None else keys
    with (
        RecordOutput(out) as output,
        progress(f"writing {os.path.basename(output.rec)}", "records", len(chosen)) as bar,
    ):
        for ordinal, key in zip(chosen.tolist(), given.tolist(), strict=True):
            output.write(key, records.payload(ordinal))
            bar.update()
    return len(chosen)


def add_commands(commands: Any) -> None:
    """Add ``split``, ``merge``, ``shuffle`` and ``filter`` to the commands of `gpuio.tools.cli`."""

    def add(name: str, text: str, example: str, run: Callable[[argparse.Namespace], int]) -> Any:
        description = f"{text[0].upper()}{text[1:]}. Outputs get an index beside them."
        return add_parser(commands, name, run, text=text, description=description, example=example)

    parser = add(
        "split", "cut a record file into several", "all.rec part --ratio 8 --ratio 2", _split
    )
    parser.add_argument("rec", metavar="FILE.rec")
    parser.add_argument("prefix", metavar="PREFIX", help="outputs are PREFIX_0.rec, PREFIX_1.rec …")
    parser.add_argument("--ratio", type=float, action="append", required=True, metavar="R")
    parser.add_argument("--shuffle", action="store_true", help="deal the records out at random")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser = add("merge", "write several record files into one", "all.rec a.rec b.rec", _merge)
    parser.add_argument("out", metavar="OUT.rec")
    parser.add_argument("recs", metavar="FILE.rec", nargs="+")
    parser.add_argument("--renumber", action="store_true", help="new keys: 0, 1, 2, …")
    parser = add(
        "shuffle", "write the records of a file in a random order", "a.rec b.rec", _shuffle
    )
    parser.add_argument("rec", metavar="FILE.rec")
    parser.add_argument("out", metavar="OUT.rec")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser = add(
        "filter", "write the records of a file that fulfil all conditions",
        "a.rec cats.rec --label 3 --least 64", _filter,
    )  # fmt: skip
    parser.add_argument("rec", metavar="FILE.rec")
    parser.add_argument("out", metavar="OUT.rec")
    parser.add_argument("--key", type=int, action="append", metavar="K")
    parser.add_argument("--label", type=float, action="append", metavar="L")
    parser.add_argument("--least", type=int, default=0, metavar="N", help="pixels of shorter side")
    parser.add_argument("--most", type=int, metavar="N", help="pixels of the shorter side")


def _split(args: argparse.Namespace) -> int:
    for out in split(args.rec, args.prefix, args.ratio, shuffle=args.shuffle, seed=args.seed):
        print(out)
    return 0


def _merge(args: argparse.Namespace) -> int:
    return _say(args.out, merge(args.recs, args.out, renumber=args.renumber))


def _shuffle(args: argparse.Namespace) -> int:
    return _say(args.out, shuffle(args.rec, args.out, seed=args.seed))


def _filter(args: argparse.Namespace) -> int:
    conditions = {"keys": args.key, "labels": args.label, "least": args.least, "most": args.most}
    return _say(args.out, filter_records(args.rec, args.out, **conditions))


def _say(out: str, records: int) -> int:
    print(f"{out}: {records:,} records")
    return 0
