"""Split, merge, shuffle and filter record files.

Records are copied one by one from the inputs, so memory use grows with the number of
records, by some hundred bytes each, not with their size. Outputs and their indexes get their names
only when they are complete.

Files may be URLs. Remote records are read ahead, in the order in which they are written.

Of a face dataset only the images are copied, with their labels: its header and identity records
would be meaningless in another order, so the outputs are plain record files.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError
from gpuio.sampling.permutation import permute
from gpuio.storage.local import Path
from gpuio.storage.remote.opening import location
from gpuio.storage.remote.options import RemoteOptions
from gpuio.terminal import counted, echo
from gpuio.tools.commands.common import (
    add_on,
    add_parser,
    add_remote,
    add_selection,
    cluster_option,
    remote_options,
)
from gpuio.tools.commands.copying import Copied, Inputs
from gpuio.tools.commands.selection import Conditions, select, select_in_tasks
from gpuio.tools.files import check_outputs, index_of
from gpuio.tools.labels import label_strings
from gpuio.tools.on_ray import running
from gpuio.tools.ray_cluster import RayCluster

# Positions of a permutation that are computed at once.
BLOCK = 1 << 15


def split(
    rec: Path,
    prefix: Path,
    ratios: Sequence[float] | None = None,
    *,
    parts: int | None = None,
    shuffle: bool = False,
    seed: int = 0,
    remote: RemoteOptions | None = None,
    on: RayCluster | str | None = None,
) -> list[Copied]:
    """Split a record file into ``PREFIX_0.rec``, ``PREFIX_1.rec``, …

    Parameters
    ----------
    rec : the record file; FILE.idx is used if it exists
    prefix : common prefix of the outputs' paths or URLs
    ratios : relative size of each output
    parts : number of equal outputs, instead of ratios; their sizes differ by one record at most
    shuffle : assign records at random; False: each output is a contiguous range
    seed : of the random order
    remote : how remote files are reached and cached; None: by the default options
    on : "ray" or a RayCluster: in tasks of a Ray cluster. The result is the same

    Returns
    -------
    one Copied per output

    Raises
    ------
    ArgumentError : there are no ratios, one is not positive and finite, parts is less than 1 or
        given as well, or an output would overwrite the input.
    RecordError : the file is damaged, or an output cannot be written.
    RemoteError : a remote file cannot be read or written.
    """
    if (ratios is None) == (parts is None):
        raise ArgumentError("give either the ratios of the outputs or the number of equal parts")
    if parts is not None and parts < 1:
        raise ArgumentError(f"parts must be at least 1, not {parts!r}")
    ratios = ratios if parts is None else [1.0] * parts
    assert ratios is not None
    total = sum(ratios)
    if not ratios or not all(ratio > 0 for ratio in ratios) or not math.isfinite(total):
        raise ArgumentError(f"ratios must be numbers above 0, not {list(ratios)}")
    outs = [f"{location(prefix)}_{number}.rec" for number in range(len(ratios))]
    with Inputs([rec], remote) as inputs, running(on) as tasks:
        paths = [path for out in outs for path in (out, index_of(out))]
        check_outputs(paths, inputs.locations, remote=remote)
        count = len(inputs.images)
        ends = np.rint(np.cumsum(ratios) / total * count).astype(np.int64)
        outputs = []
        for out, first, last in zip(outs, [0, *ends[:-1]], ends, strict=True):
            positions = np.arange(first, last, dtype=np.int64)
            chosen = _permuted(positions, count, seed) if shuffle else positions
            outputs.append(inputs.copy(inputs.images[chosen], out, tasks=tasks))
    return outputs


def shuffle(
    rec: Path,
    out: Path,
    *,
    seed: int = 0,
    remote: RemoteOptions | None = None,
    on: RayCluster | str | None = None,
) -> Copied:
    """Write the records of a file in a random order, with their keys.

    Parameters
    ----------
    remote : how remote files are reached and cached; None: by the default options
    on : "ray" or a RayCluster: in tasks of a Ray cluster. The result is the same

    Raises
    ------
    ArgumentError : the output would overwrite the file or its index.
    RecordError : the file is damaged, or the output cannot be written.
    RemoteError : a remote file cannot be read or written.
    """
    with Inputs([rec], remote) as inputs, running(on) as tasks:
        positions = np.arange(len(inputs.images), dtype=np.int64)
        order = inputs.images[_permuted(positions, len(positions), seed)]
        return inputs.copy(order, out, tasks=tasks)


def merge(
    recs: Sequence[Path],
    out: Path,
    *,
    renumber: bool = False,
    remote: RemoteOptions | None = None,
    on: RayCluster | str | None = None,
) -> Copied:
    """Concatenate record files.

    Parameters
    ----------
    recs : the record files; their FILE.idx are used if all exist
    renumber : assign the keys 0, 1, 2, …; False: records keep their keys
    remote : how remote files are reached and cached; None: by the default options
    on : "ray" or a RayCluster: in tasks of a Ray cluster. The result is the same

    Raises
    ------
    ArgumentError : two records have the same key, some of the files have an index and others do
        not, or the output would overwrite an input.
    RecordError : a file is damaged, or the output cannot be written.
    RemoteError : a remote file cannot be read or written.
    """
    with Inputs(recs, remote) as inputs, running(on) as tasks:
        if renumber:
            keys = np.arange(len(inputs.images), dtype=np.int64)
            return inputs.copy(inputs.images, out, keys, tasks=tasks)
        if inputs.without_index and inputs.records.has_index is False and len(recs) > 1:
            with_index = [path for path in inputs.paths if path not in inputs.without_index]
            if with_index:
                raise ArgumentError(
                    f"{with_index[0]} has an index and {inputs.without_index[0]} has none; make it "
                    "with 'gpuio index', or assign new keys to all records with renumber"
                )
        keys = inputs.records.keys[inputs.images]
        if len(np.unique(keys)) < len(keys):
            values, counts = np.unique(keys, return_counts=True)
            raise ArgumentError(
                f"several records have the key {values[counts > 1][0]}; assign new keys with "
                "renumber"
            )
        return inputs.copy(inputs.images, out, tasks=tasks)


def filter_records(
    rec: Path,
    out: Path,
    *,
    keys: Iterable[int] | None = None,
    labels: Iterable[float] | None = None,
    least: int = 0,
    most: int | None = None,
    remote: RemoteOptions | None = None,
    on: RayCluster | str | None = None,
) -> Copied:
    """Write the records of a file that meet all conditions.

    Parameters
    ----------
    keys : only these keys
    labels : only records whose first label is one of these, as float32
    least, most : limits of an image's shorter side, in pixels
    remote : how remote files are reached and cached; None: by the default options
    on : "ray" or a RayCluster: in tasks of a Ray cluster. The result is the same

    Raises
    ------
    ArgumentError : no record has one of the keys, none meets the conditions, or the output would
        overwrite the file or its index.
    RecordError : the file is damaged, or the output cannot be written.
    RemoteError : a remote file cannot be read or written.
    """
    with Inputs([rec], remote) as inputs, running(on) as tasks:
        chosen = inputs.images
        if keys is not None:
            wanted = list(keys)
            known = inputs.records.keys[chosen]
            missing = set(wanted) - set(known.tolist())
            if missing:
                raise ArgumentError(
                    f"there is no record with key {min(missing)} in {inputs.paths[0]}"
                )
            chosen = chosen[np.isin(known, np.array(wanted, np.int64))]
        conditions = Conditions(None if labels is None else label_strings(labels), least, most)
        if tasks is None:
            selected = select(inputs.records, chosen, conditions)
        else:
            selected = select_in_tasks(inputs.shared(), chosen, conditions, tasks)
        if not len(selected.ordinals):
            raise ArgumentError(f"no record of {inputs.paths[0]} meets the conditions")
        copied = inputs.copy(selected.ordinals, out, tasks=tasks)
        return copied._replace(unreadable=selected.unreadable)


def _permuted(positions: NDArray[np.int64], size: int, seed: int) -> NDArray[np.int64]:
    blocks = [
        permute(positions[first : first + BLOCK], size, seed, 0)
        for first in range(0, len(positions), BLOCK)
    ]
    return np.concatenate(blocks) if blocks else positions


def add_commands(commands: Any) -> None:
    """Add ``split``, ``merge``, ``shuffle`` and ``filter`` to the command line."""

    def add(name: str, summary: str, example: str, run: Callable[[argparse.Namespace], int]) -> Any:
        outputs = "Each output gets" if name == "split" else "The output gets"
        description = f"{summary[0].upper()}{summary[1:]}. {outputs} an index."
        parser = add_parser(
            commands, name, run, summary=summary, description=description, example=example
        )
        add_remote(parser)
        add_on(parser)
        return parser

    def add_seed(parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--seed", type=int, default=0, metavar="N", help="of the random order; default: 0"
        )

    parser = add(
        "split", "split a record file into several", "all.rec part --ratio 8 --ratio 2", _split
    )
    parser.add_argument("rec", metavar="FILE.rec", help="the record file: a path or a URL")
    parser.add_argument("prefix", metavar="PREFIX", help="outputs are PREFIX_0.rec, PREFIX_1.rec …")
    sizes = parser.add_mutually_exclusive_group(required=True)
    sizes.add_argument("--parts", type=int, metavar="N", help="write N equal outputs")
    sizes.add_argument(
        "--ratio",
        type=float,
        action="append",
        metavar="R",
        help="relative size of an output; once for each",
    )
    parser.add_argument("--shuffle", action="store_true", help="assign records at random")
    add_seed(parser)
    parser = add("merge", "concatenate record files", "all.rec a.rec b.rec", _merge)
    parser.add_argument("out", metavar="OUT.rec", help="the output: a path or a URL")
    parser.add_argument("recs", metavar="FILE.rec", nargs="+", help="the record files, in order")
    parser.add_argument("--renumber", action="store_true", help="assign the keys 0, 1, 2, …")
    parser = add(
        "shuffle", "write the records of a file in a random order", "a.rec b.rec", _shuffle
    )
    parser.add_argument("rec", metavar="FILE.rec", help="the record file: a path or a URL")
    parser.add_argument("out", metavar="OUT.rec", help="the output: a path or a URL")
    add_seed(parser)
    parser = add(
        "filter", "write the records of a file that meet all conditions",
        "a.rec cats.rec --label 3 --least 64", _filter,
    )  # fmt: skip
    parser.add_argument("rec", metavar="FILE.rec", help="the record file: a path or a URL")
    parser.add_argument("out", metavar="OUT.rec", help="the output: a path or a URL")
    add_selection(parser)
    parser.add_argument(
        "--least", type=int, default=0, metavar="N", help="minimum shorter side, in pixels"
    )
    parser.add_argument("--most", type=int, metavar="N", help="maximum shorter side, in pixels")


def _split(args: argparse.Namespace) -> int:
    outputs = split(
        args.rec,
        args.prefix,
        args.ratio,
        parts=args.parts,
        shuffle=args.shuffle,
        seed=args.seed,
        remote=remote_options(args),
        on=cluster_option(args),
    )
    for copied in outputs:
        echo(f"{copied.rec}: {counted(copied.records, 'record')}")
    return _report_omissions(outputs[0])


def _merge(args: argparse.Namespace) -> int:
    remote, on = remote_options(args), cluster_option(args)
    return _report(merge(args.recs, args.out, renumber=args.renumber, remote=remote, on=on))


def _shuffle(args: argparse.Namespace) -> int:
    remote, on = remote_options(args), cluster_option(args)
    return _report(shuffle(args.rec, args.out, seed=args.seed, remote=remote, on=on))


def _filter(args: argparse.Namespace) -> int:
    conditions = {"keys": args.key, "labels": args.label, "least": args.least, "most": args.most}
    remote, on = remote_options(args), cluster_option(args)
    return _report(filter_records(args.rec, args.out, **conditions, remote=remote, on=on))


def _report(copied: Copied) -> int:
    echo(f"{copied.rec}: {counted(copied.records, 'record')}")
    return _report_omissions(copied)


def _report_omissions(copied: Copied) -> int:
    if copied.left_out:
        echo(f"left out: {copied.left_out:,} header and identity records of face data")
    if copied.unreadable:
        records = counted(copied.unreadable, "record")
        echo(f"left out: {records} that cannot be read; see gpuio verify")
    return 1 if copied.unreadable else 0
