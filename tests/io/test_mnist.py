"""MNISTIter: MXNet's results, packed files, broken files."""

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, DataFileError, DataFileNotFoundError
from tests.io.golden import CASES, DATA, arrays, assert_described, assert_epoch

FILES = {"image": DATA / "mnist-images", "label": DATA / "mnist-labels"}
GOLDEN = {
    "plain": {"batch_size": 4},
    "flat": {"batch_size": 4, "flat": True},
    "part1of3": {"batch_size": 3, "num_parts": 3, "part_index": 1},
    "part2of3": {"batch_size": 3, "num_parts": 3, "part_index": 2},
}


@pytest.mark.parametrize("case", GOLDEN)
@pytest.mark.parametrize("packed", [False, True])
def test_golden(case: str, packed: bool, tmp_path: Path, ctx: mx.Context) -> None:
    files = FILES
    if packed:
        files = {name: tmp_path / name for name in FILES}
        for name, path in files.items():
            path.write_bytes(gzip.compress(FILES[name].read_bytes()))
    with mx.io.MNISTIter(**files, **GOLDEN[case], shuffle=False, silent=True, ctx=ctx) as iterator:
        assert_described(iterator, f"MNISTIter_{case}")
        for epoch in range(2):
            assert_epoch(list(iterator), arrays(f"mnist_{case}"), epoch)
            iterator.reset()


def test_every_golden_case_is_looked_at() -> None:
    assert {name for name in CASES if name.startswith("MNIST")} == {
        f"MNISTIter_{c}" for c in GOLDEN
    }


def test_shuffling_pairs_images_with_labels(ctx: mx.Context) -> None:
    with mx.io.MNISTIter(**FILES, batch_size=10, shuffle=False, ctx=ctx) as ordered:
        (everything,) = list(ordered)
    pixels = everything.data[0].asnumpy()
    orders = []
    for seed in (0, 1):
        with mx.io.MNISTIter(**FILES, batch_size=10, seed=seed, ctx=ctx) as shuffled:
            for _ in range(2):
                (batch,) = list(shuffled)
                found = batch.data[0].asnumpy()
                order = [int(np.flatnonzero((pixels == one).all((1, 2, 3)))[0]) for one in found]
                assert sorted(order) == list(range(10))
                np.testing.assert_array_equal(
                    batch.label[0].asnumpy(), everything.label[0].asnumpy()[order]
                )
                orders.append(order)
                shuffled.reset()
    assert len(set(map(str, orders))) == 4  # by seed, and by epoch


def test_ranks_share_global_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = mx.io.MNISTIter(**FILES, batch_size=4, seed=2)
    seen = []
    for rank in range(2):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "2")
        with mx.io.MNISTIter(**FILES, batch_size=2, seed=2, num_parts="auto") as part:
            seen.append([batch.data[0] for batch in part])
    for number, batch in enumerate(whole):
        np.testing.assert_array_equal(
            batch.data[0], np.concatenate([seen[0][number], seen[1][number]])
        )


def write(path: Path, magic: int, shape: tuple[int, ...], size: int | None = None) -> Path:
    content = struct.pack(f">{1 + len(shape)}I", magic, *shape)
    path.write_bytes(content + bytes(int(np.prod(shape)) if size is None else size))
    return path


def test_broken_files(tmp_path: Path) -> None:
    image = write(tmp_path / "i", 2051, (5, 3, 2))
    label = write(tmp_path / "l", 2049, (5,))
    mx.io.MNISTIter(image=image, label=label, batch_size=5).close()
    for wrong, text in (
        (label, r"begins with 0x00000801, expected 0x00000803"),
        (
            write(tmp_path / "a", 2051, (5, 3, 2), 29),
            r"45 bytes.*5 x 3 x 2 bytes after the first 16",
        ),
        (write(tmp_path / "b", 2051, (5, 3, 2), 31), r"47 bytes"),
        (write(tmp_path / "c", 2051, (5,), 0), r"8 bytes"),
    ):
        with pytest.raises(DataFileError, match=f"{wrong.name} .*{text}"):
            mx.io.MNISTIter(image=wrong, label=label, batch_size=5)
    with pytest.raises(DataFileError, match=r"5 images, but .* 4 labels"):
        mx.io.MNISTIter(image=image, label=write(tmp_path / "d", 2049, (4,)), batch_size=2)
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    with pytest.raises(DataFileError, match="begins with nothing"):
        mx.io.MNISTIter(image=image, label=empty)
    empty.write_bytes(gzip.compress(image.read_bytes())[:-4])
    with pytest.raises(DataFileError, match="cannot be read"):
        mx.io.MNISTIter(image=empty, label=label)
    with pytest.raises(DataFileNotFoundError, match="train-images-idx3-ubyte does not exist"):
        mx.io.MNISTIter(image=tmp_path / "train-images-idx3-ubyte", label=label)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"batch_size": 11}, "never full with 10 records"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"flat": 2}, "flat must be True or False"),
        ({"num_parts": 0}, "num_parts must be at least 1"),
        ({"num_parts": 2, "part_index": 2}, "part_index"),
        ({"num_parts": 4, "batch_size": 3}, "never full with"),
        ({"seed": 1.5}, "seed must be an integer"),
    ],
    ids=str,
)
def test_options_that_cannot_be(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ArgumentError, match=text):
        mx.io.MNISTIter(**{**FILES, "batch_size": 2, **options})
