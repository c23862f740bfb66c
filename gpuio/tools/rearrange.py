"""Record files out of record files: split, merge, shuffle, filter.

Records are copied one by one from the mapped originals, so memory grows with the number of records,
by some hundred bytes for each, and not with their size. Each output and its index appear under
their names when they are complete.

Of a face data set the images are taken, with their labels, and neither its header nor the identity
records, which would mean nothing in another order: the outputs are plain record files.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.decoding.header import probe
from gpuio.errors import ArgumentError, DecodeError, RecordError
from gpuio.progress import progress
from gpuio.recordio import RecordSet
from gpuio.sampling.order import permute
from gpuio.storage.local import Path, local_path
from gpuio.tools.command import add_parser
from gpuio.tools.files import RecordOutput, check_outputs, index_of
from gpuio.tools.labels import LabelChoice

if TYPE_CHECKING:
    from typing_extensions import Self

# Places of a permutation that are worked out at once.
BLOCK = 1 << 15


class Copied(NamedTuple):
    """What was written.

    Attributes
    ----------
    rec, idx : the files
    records : how many records are in them
    left_out : header and identity records of face data sets, which are in none of the outputs
    unreadable : records whose header or image could not be read, and that fulfil no condition
        therefore
    """

    rec: str
    idx: str
    records: int
    left_out: int
    unreadable: int = 0


def split(
    rec: Path, prefix: Path, ratios: Sequence[float], *, shuffle: bool = False, seed: int = 0
) -> list[Copied]:
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
    one Copied for each output

    Raises
    ------
    ArgumentError : there are no ratios, one is not above 0, or an output would be an original.
    RecordError : the file is damaged, or an output cannot be written.
    """
    total = sum(ratios)
    if not ratios or not all(ratio > 0 for ratio in ratios) or not math.isfinite(total):
        raise ArgumentError(f"ratios must be numbers above 0, not {list(ratios)}")
    outs = [f"{local_path(prefix)}_{number}.rec" for number in range(len(ratios))]
    with _Source([rec]) as source:
        check_outputs([path for out in outs for path in (out, index_of(out))], source.files)
        count = len(source.images)
        ends = np.rint(np.cumsum(ratios) / total * count).astype(np.int64)
        outputs = []
        for out, first, last in zip(outs, [0, *ends[:-1]], ends, strict=True):
            places = np.arange(first, last, dtype=np.int64)
            chosen = _permuted(places, count, seed) if shuffle else places
            outputs.append(source.copy(source.images[chosen], out))
    return outputs


def shuffle(rec: Path, out: Path, *, seed: int = 0) -> Copied:
    """Write the records of a file in a random order, with their keys.

    Raises
    ------
    ArgumentError : the output would be the file itself, or its index.
    RecordError : the file is damaged, or the output cannot be written.
    """
    with _Source([rec]) as source:
        places = np.arange(len(source.images), dtype=np.int64)
        return source.copy(source.images[_permuted(places, len(places), seed)], out)


def merge(recs: Sequence[Path], out: Path, *, renumber: bool = False) -> Copied:
    """Write the records of several files one after another into one.

    Parameters
    ----------
    recs : the record files, with the indexes beside them
    renumber : new keys, 0, 1, 2, …; else records keep theirs

    Raises
    ------
    ArgumentError : two records have the same key, some of the files have an index and others have
        not, or the output would be one of the files.
    RecordError : a file is damaged, or the output cannot be written.
    """
    with _Source(recs) as source:
        if renumber:
            keys = np.arange(len(source.images), dtype=np.int64)
            return source.copy(source.images, out, keys)
        if source.without_index and source.records.has_index is False and len(recs) > 1:
            found = [path for path in source.paths if path not in source.without_index]
            if found:
                raise ArgumentError(
                    f"{found[0]} has an index and {source.without_index[0]} has none; make it with "
                    "'gpuio index', or give all records new keys with renumber"
                )
        keys = source.records.keys[source.images]
        if len(np.unique(keys)) < len(keys):
            values, counts = np.unique(keys, return_counts=True)
            raise ArgumentError(
                f"several records have the key {values[counts > 1][0]}; give them new ones with "
                "renumber"
            )
        return source.copy(source.images, out)


def filter_records(
    rec: Path,
    out: Path,
    *,
    keys: Iterable[int] | None = None,
    labels: Iterable[float] | None = None,
    least: int = 0,
    most: int | None = None,
) -> Copied:
    """Write the records of a file that fulfil all conditions.

    Parameters
    ----------
    keys : only these
    labels : only those whose first label is one of these, as float32
    least, most : only images whose shorter side has so many pixels

    Raises
    ------
    ArgumentError : there is no record with one of the keys, no record fulfils the conditions, or
        the output would be the file itself, or its index.
    RecordError : the file is damaged, or the output cannot be written.
    """
    with _Source([rec]) as source:
        chosen = source.images
        if keys is not None:
            wanted = list(keys)
            known = source.records.keys[chosen]
            missing = set(wanted) - set(known.tolist())
            if missing:
                raise ArgumentError(
                    f"there is no record with key {min(missing)} in {source.paths[0]}"
                )
            chosen = chosen[np.isin(known, np.array(wanted, np.int64))]
        unreadable = 0
        if labels is not None or least > 0 or most is not None:
            choice = None if labels is None else LabelChoice(labels)
            fits = [_fits(source.records, int(one), choice, least, most) for one in chosen]
            unreadable = fits.count(None)
            chosen = chosen[np.array([bool(one) for one in fits], bool)]
        if not len(chosen):
            raise ArgumentError(f"no record of {source.paths[0]} fulfils the conditions")
        return source.copy(chosen, out)._replace(unreadable=unreadable)


def _fits(
    records: RecordSet, ordinal: int, labels: LabelChoice | None, least: int, most: int | None
) -> bool | None:
    """Whether a record fulfils the conditions; None: it cannot be read."""
    try:
        header, image = records.record(ordinal)
        if labels is not None and header.label not in labels:
            return False
        if least <= 0 and most is None:
            return True
        found = probe(image)
    except (RecordError, DecodeError):
        return None
    side = min(found.width, found.height)
    return side >= least and (most is None or side <= most)


class _Source:
    """Record files to copy from, with the indexes beside them if all have one.

    Attributes
    ----------
    paths : the files
    without_index : those that have no index beside them
    files : all that must not be written to
    records, images : the records, and which of them hold images: int64 (n,)
    """

    def __init__(self, recs: Sequence[Path]) -> None:
        self.paths = [local_path(rec) for rec in recs]
        indexes = [index_of(path) for path in self.paths]
        self.without_index = [
            path
            for path, index in zip(self.paths, indexes, strict=True)
            if not os.path.exists(index)
        ]
        self.files = self.paths
        self.records = RecordSet(self.paths, None if self.without_index else indexes)
        self.images = np.asarray(self.records.image_ordinals(), np.int64)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.records.close()

    def copy(
        self, chosen: NDArray[np.int64], out: Path, keys: NDArray[np.int64] | None = None
    ) -> Copied:
        """Write some records, with their keys or with others."""
        given = self.records.keys[chosen] if keys is None else keys
        with (
            RecordOutput(out, self.files) as output,
            progress(f"writing {os.path.basename(output.rec)}", "records", len(chosen)) as bar,
        ):
            for ordinal, key in zip(chosen, given, strict=True):
                output.write(int(key), self.records.payload(int(ordinal)))
                bar.update()
        left_out = len(self.records) - len(self.images)
        return Copied(output.rec, output.idx, len(chosen), left_out)


def _permuted(places: NDArray[np.int64], size: int, seed: int) -> NDArray[np.int64]:
    pieces = [
        permute(places[first : first + BLOCK], size, seed, 0)
        for first in range(0, len(places), BLOCK)
    ]
    return np.concatenate(pieces) if pieces else places


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
    done = split(args.rec, args.prefix, args.ratio, shuffle=args.shuffle, seed=args.seed)
    for copied in done:
        print(f"{copied.rec}: {copied.records:,} records")
    return _note(done[0])


def _merge(args: argparse.Namespace) -> int:
    return _say(merge(args.recs, args.out, renumber=args.renumber))


def _shuffle(args: argparse.Namespace) -> int:
    return _say(shuffle(args.rec, args.out, seed=args.seed))


def _filter(args: argparse.Namespace) -> int:
    conditions = {"keys": args.key, "labels": args.label, "least": args.least, "most": args.most}
    return _say(filter_records(args.rec, args.out, **conditions))


def _say(copied: Copied) -> int:
    print(f"{copied.rec}: {copied.records:,} records")
    return _note(copied)


def _note(copied: Copied) -> int:
    if copied.left_out:
        print(f"left out: {copied.left_out:,} header and identity records of face data")
    if copied.unreadable:
        print(f"left out: {copied.unreadable:,} records that cannot be read; see gpuio verify")
    return 1 if copied.unreadable else 0
