"""Loops over global arrays of JAX: FOLDER RECORDS INDEX ADDRESS RANK SIZE.

Each process writes which labels its devices hold, and sums over the global arrays.
"""

import json
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

import gpuio as mx
import gpuio.jax

GLOBAL_BATCH = 8


@jax.jit
def sums(data: Any, label: Any) -> Any:
    """Over all processes; jitted, as the arrays are not on one of them."""
    places = jax.numpy.arange(1, GLOBAL_BATCH + 1)
    return data.sum(), (label * places).sum()


def main() -> None:
    folder, path_imgrec, path_imgidx, address, rank, size = sys.argv[1:]
    if int(size) > 1:
        jax.distributed.initialize(address, int(size), int(rank))
    mesh = jax.make_mesh((jax.device_count(),), ("data",))
    by_rows = NamedSharding(mesh, PartitionSpec("data"))
    found: dict[str, list[Any]] = {"sums": [], "labels": [], "pads": []}
    with mx.io.ImageRecordIter(
        path_imgrec=path_imgrec,
        path_imgidx=path_imgidx,
        data_shape=(3, 8, 8),
        batch_size=GLOBAL_BATCH // jax.process_count(),
        shuffle=True,
        seed=3,
        round_batch=False,
        num_parts="auto",
        preprocess_threads=1,
        verbose=False,
    ) as train:
        for batch in gpuio.jax.loader(train, sharding=by_rows):
            data, label = batch
            assert data.shape == (GLOBAL_BATCH, 3, 8, 8) and label.shape == (GLOBAL_BATCH,)
            assert data.sharding == label.sharding == by_rows
            shards = sorted(label.addressable_shards, key=lambda shard: shard.index[0].start)
            found["labels"].append(
                [np.asarray(shard.data).astype(int).tolist() for shard in shards]
            )
            found["sums"].append([float(each) for each in sums(data, label)])
            found["pads"].append(batch.pad)
    Path(folder, f"{rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
