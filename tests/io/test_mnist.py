"""MNISTIter: MXNet's results, packed files, broken files."""

import gzip
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import (
    ArgumentError,
    DataFileError,
    DataFileNotFoundError,
    StateError,
    UnsupportedError,
)
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


@pytest.mark.parametrize("reshuffle", [False, True])
def test_shuffling_pairs_images_with_labels(reshuffle: bool, ctx: mx.Context) -> None:
    with mx.io.MNISTIter(**FILES, batch_size=10, shuffle=False, ctx=ctx) as ordered:
        (everything,) = list(ordered)
    pixels = everything.data[0].asnumpy()
    orders = []
    for seed in (0, 1):
        with mx.io.MNISTIter(
            **FILES, batch_size=10, seed=seed, reshuffle=reshuffle, ctx=ctx
        ) as shuffled:
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
    assert len(set(map(str, orders))) == (4 if reshuffle else 2)  # by seed, and by epoch


def test_one_order_for_all_epochs(caplog: pytest.LogCaptureFixture) -> None:
    """What MXNet's own test of MNISTIter asks for."""
    with (
        caplog.at_level("INFO", "gpuio"),
        mx.io.MNISTIter(
            **FILES, data_shape=(784,), batch_size=5, shuffle=1, flat=1, silent=0, seed=10
        ) as iterator,
    ):
        assert sum(1 for _ in iterator) == 2
        iterator.reset()
        assert iterator.iter_next()
        first = iterator.getlabel().asnumpy().flatten()
        for _ in range(3):
            iterator.iter_next()
        iterator.reset()
        assert iterator.iter_next()
        np.testing.assert_array_equal(iterator.getlabel().asnumpy().flatten(), first)
    said = [record.getMessage() for record in caplog.records]
    assert (
        said[0]
        == "MNISTIter: data_shape has no effect because the file has the shape of the images"
    )
    assert "10 images of shape (20,), 10 in this part, on cpu(0)" in said[1]


@pytest.mark.parametrize("mode", ["reshuffle", "in one order"])
def test_states_know_the_order(mode: str) -> None:
    options = {**FILES, "batch_size": 4, "reshuffle": mode == "reshuffle"}
    with mx.io.MNISTIter(**options, seed=1) as iterator:
        iterator.next()
        state = iterator.state_dict()
        expected = iterator.next().label[0].tolist()
    with mx.io.MNISTIter(**options, seed=1) as same:
        same.load_state_dict(state)
        assert same.next().label[0].tolist() == expected
    for other in ({"seed": 2}, {"shuffle": False}, {"reshuffle": mode != "reshuffle"}):
        with (
            mx.io.MNISTIter(**{**options, "seed": 1, **other}) as wrong,
            pytest.raises(StateError),
        ):
            wrong.load_state_dict(state)


@pytest.mark.parametrize(
    "options",
    [
        {"data_shape": (1, 28, 28)},
        {"input_shape": (784,)},
        {"data_shape": 5, "input_shape": None},
        {"prefetch_buffer": 1, "preprocess_threads": 4, "dtype": "float32", "verbose": True},
        {"round_batch": False},
    ],
    ids=str,
)
def test_options_without_effect(options: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "gpuio"):
        plain = mx.io.MNISTIter(**FILES, batch_size=4, silent=True)
        assert not caplog.records
        iterator = mx.io.MNISTIter(**FILES, batch_size=4, silent=True, **options)
    (record,) = caplog.records
    assert record.levelname == "INFO" and all(name in record.getMessage() for name in options)
    assert iterator.provide_data == plain.provide_data
    np.testing.assert_array_equal(iterator.next().data[0], plain.next().data[0])


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


def test_what_a_compressed_file_takes_is_known_from_its_header(tmp_path: Path) -> None:
    label = write(tmp_path / "l", 2049, (5,))

    def image(content: bytes) -> Path:
        path = tmp_path / "i.gz"
        path.write_bytes(gzip.compress(content))
        return path

    for shape, size, text in (
        ((5, 3, 2), 29, "has 45 bytes, but its header declares 5 x 3 x 2"),
        ((5, 3, 2), 31, "has more than 46 bytes, but its header declares 5 x 3 x 2"),
        ((3, 2, 0), 0, "declares images without pixels, of 2 x 0"),
        ((1 << 31, 28, 28), 9, "declares 2147483648 x 28 x 28 bytes: more than 67108864 are not"),
        ((2**32 - 1,) * 3, 9, "are not unpacked of so few"),
    ):
        content = struct.pack(">4I", 2051, *shape) + bytes(size)
        with pytest.raises(DataFileError, match=text):
            mx.io.MNISTIter(image=image(content), label=label, batch_size=5)
    # What follows is not unpacked: 40 MB for 30 bytes of values.
    bomb = image(struct.pack(">4I", 2051, 5, 3, 2) + bytes(40 << 20))
    tracemalloc.start()
    with pytest.raises(DataFileError, match="has more than 46 bytes"):
        mx.io.MNISTIter(image=bomb, label=label, batch_size=5)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


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


def test_other_arguments() -> None:
    with pytest.raises(UnsupportedError, match=r"cannot do dtype='uint8'.* are float32; leave it"):
        mx.io.MNISTIter(**FILES, batch_size=2, dtype="uint8")
    with pytest.raises(TypeError, match="MNISTIter has no argument 'batchsize'; did you mean batc"):
        mx.io.MNISTIter(**FILES, batchsize=2)
    with pytest.raises(TypeError, match=r"MNISTIter can only accept keyword arguments.* image='x'"):
        mx.io.MNISTIter("x")  # type: ignore[misc]
