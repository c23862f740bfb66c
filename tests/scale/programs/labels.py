"""Reads some epochs, and writes which labels it got: FOLDER RECORDS INDEX [FRAMEWORK ADDRESS RANK].

The file in FOLDER has the rank's number. With a framework, "torch" or "jax", the process joins its
group of two first, and no environment variable says which rank it is.
"""

import json
import sys
from pathlib import Path

import gpuio as mx

EPOCHS = 2
BATCH_SIZE = 3


def read(path_imgrec: str, path_imgidx: str, rank: int, size: int) -> list[list[list[int]]]:
    """The labels of all epochs, batch by batch."""
    found = []
    with mx.io.ImageRecordIter(
        path_imgrec=path_imgrec,
        path_imgidx=path_imgidx,
        data_shape=(3, 8, 8),
        batch_size=BATCH_SIZE,
        shuffle=True,
        seed=3,
        num_parts="auto",
        preprocess_threads=1,
        verbose=False,
    ) as train:
        assert mx.io.rank_and_size() == (rank, size)
        for _ in range(EPOCHS):
            expected = len(train)
            found.append([batch.label[0].astype(int).tolist() for batch in train])
            assert len(found[-1]) == expected
            train.reset()
    return found


def write(folder: str, path_imgrec: str, path_imgidx: str) -> None:
    """Write what this process reads."""
    rank, size = mx.io.rank_and_size()
    found = {"size": size, "epochs": read(path_imgrec, path_imgidx, rank, size)}
    Path(folder, f"{rank}.json").write_text(json.dumps(found))


def main() -> None:
    folder, path_imgrec, path_imgidx, *group = sys.argv[1:]
    if group and group[0] == "torch":
        from torch import distributed

        address = f"tcp://{group[1]}"
        distributed.init_process_group("gloo", address, world_size=2, rank=int(group[2]))
    elif group:
        import jax

        jax.distributed.initialize(group[1], 2, int(group[2]))
    write(folder, path_imgrec, path_imgidx)
    if group and group[0] == "torch":
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
