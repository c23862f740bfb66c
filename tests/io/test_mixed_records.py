"""ImageRecordIter and ImageDetRecordIter with `weights` and `epoch_size`."""

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, StateError
from gpuio.io.mixed_records import mixture_options, mixture_shard, source_files
from gpuio.recordio.quarantine import Entry, write_quarantine
from tests.io.conformance import digest, trace
from tests.io.records import RUNS, jpeg, write_records
from tests.io.threads import gpuio_threads
from tests.servers.faulty import faulty_server

SHAPE = (3, 8, 8)
COUNTS = {"a": 20, "b": 5, "c": 9}
# Three or so of the images in a block.
BLOCKS: dict[str, Any] = {"shuffle": "blocks", "block_size": "3kB", "pool_blocks": 2}
FIRST = {"a": 0, "b": 20, "c": 25}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three record files whose labels number all records, and a folder with two of them."""
    folder = tmp_path_factory.mktemp("sources")
    (folder / "both").mkdir()
    for name, count in COUNTS.items():
        labels = [float(FIRST[name] + number) for number in range(count)]
        images = [jpeg(number % 7, 20, 16) for number in range(count)]
        write_records(folder / name, images, labels)
        if name != "a":
            write_records(folder / "both" / name, images, labels)
    return folder


def open_mixed(folder: Path, names: str = "abc", **options: Any) -> mx.io.ImageRecordIter:
    values: dict[str, Any] = {
        "path_imgrec": [folder / f"{name}.rec" for name in names],
        "path_imgidx": [folder / f"{name}.idx" for name in names],
        "data_shape": SHAPE, "batch_size": 6, "shuffle": True, "preprocess_threads": 1,
        "weights": [2, 1, 1][: len(names)], "verbose": False,
    }  # fmt: skip
    return mx.io.ImageRecordIter(**{**values, **options})


def labels_of(iterator: Any, epochs: int = 1) -> list[int]:
    """The labels of some epochs, without rows that only fill a batch."""
    found: list[int] = []
    for _ in range(epochs):
        for batch in iterator:
            rows = batch.label[0].asnumpy().astype(int).tolist()
            found += rows[: iterator.batch_size - batch.padding]
        iterator.reset()
    return found


def names_of(labels: list[int]) -> list[str]:
    return ["a" if label < 20 else "b" if label < 25 else "c" for label in labels]


@pytest.mark.parametrize("run", ["host", "dali"])
def test_samples_come_in_the_proportions_of_the_weights(run: str, folder: Path) -> None:
    if run == "dali":
        pytest.importorskip("nvidia.dali", reason="DALI is not installed")
    with open_mixed(folder, round_batch=False, **RUNS[run]) as iterator:
        assert iterator.num_data == 34 and len(iterator) == 6
        epochs = [labels_of(iterator) for _ in range(2)]
    assert epochs[0] != epochs[1]
    for labels in epochs:
        assert Counter(names_of(labels)) in ({"a": 17, "b": 9, "c": 8}, {"a": 17, "b": 8, "c": 9})
        for first in range(0, 30, 6):
            assert Counter(names_of(labels[first : first + 6]))["a"] in (2, 3, 4)
    often = Counter(epochs[0] + epochs[1])
    for name, count in COUNTS.items():  # a source goes on where it was
        seen = [often[FIRST[name] + number] for number in range(count)]
        assert max(seen) - min(seen) <= 1


def test_sources_in_blocks_come_in_the_same_proportions(folder: Path) -> None:
    found = []
    for options in ({}, BLOCKS):
        with open_mixed(folder, round_batch=False, **options) as iterator:
            found.append(labels_of(iterator, 3))
    permuted, in_blocks = found
    assert names_of(permuted) == names_of(in_blocks) and permuted != in_blocks
    own = [label for label in in_blocks if label < 20]
    assert sorted(own[:20]) == sorted(own[20:40]) == list(range(20))
    near = [abs(a - b) <= 3 for a, b in pairwise(own)]
    assert sum(near) > 1.3 * sum(
        abs(a - b) <= 3 for a, b in pairwise([label for label in permuted if label < 20])
    )


def test_an_epoch_has_the_size_that_is_asked_for(folder: Path) -> None:
    with open_mixed(folder, epoch_size=60, batch_size=10) as iterator:
        assert len(iterator) == 6 and iterator.num_data == 60
        assert Counter(names_of(labels_of(iterator))) == {"a": 30, "b": 15, "c": 15}


def test_epochs_of_part_of_a_data_set(folder: Path) -> None:
    with (
        open_mixed(folder, weights=None, epoch_size=17, round_batch=False) as short,
        open_mixed(folder, weights=None, round_batch=False) as whole,
    ):
        assert labels_of(short, 4) == labels_of(whole, 2)


def test_a_record_that_comes_again_is_augmented_anew(folder: Path) -> None:
    """As in the later epochs of an iterator over its source alone, which has the same order."""
    options: dict[str, Any] = {"rand_crop": True, "rand_mirror": True, "seed": 3}
    found: dict[tuple[int, int], list[np.ndarray]] = {}
    for names, weights in (("b", [1]), ("ba", [4, 1])):
        with open_mixed(folder, names, weights=weights, round_batch=False, **options) as iterator:
            often: Counter[int] = Counter()
            for _ in range(4 if names == "b" else 1):
                for batch in iterator:
                    rows = iterator.batch_size - batch.padding
                    labels = batch.label[0].asnumpy().astype(int).tolist()
                    for label, pixels in zip(labels[:rows], batch.data[0].asnumpy(), strict=False):
                        if label >= 20:
                            key = label, often[label]
                            found.setdefault(key, []).append(pixels)
                            often[label] += 1
                iterator.reset()
    assert len(found) == 20 and all(len(both) == 2 for both in found.values())
    for alone, mixed in found.values():
        np.testing.assert_array_equal(alone, mixed)
    assert any((found[20, 0][0] != found[20, times][0]).any() for times in (1, 2, 3))


def test_sources_of_several_files(folder: Path) -> None:
    both = f"{folder / 'b.rec'};{folder / 'c.rec'}"
    ways = [
        ([folder / "a.rec", both], [folder / "a.idx", both.replace(".rec", ".idx")]),
        ([folder / "a.rec", folder / "both"], [folder / "a.idx", folder / "both"]),
        ([folder / "a.rec", folder / "both"], None),
    ]
    found = []
    for records, indexes in ways:
        with open_mixed(
            folder, path_imgrec=records, path_imgidx=indexes, weights=[1, 2], epoch_size=42
        ) as iterator:
            found.append(labels_of(iterator, 2))
    assert found[0] == found[1] == found[2]
    assert Counter(names_of(found[0]))["a"] == 28
    often = Counter(label for label in found[0] if label >= 20)
    assert set(often.values()) == {4}  # of b and c alike


def test_a_string_names_a_source_by_each_of_its_files(folder: Path) -> None:
    joined = ";".join(str(folder / f"{name}.rec") for name in "ab")
    with open_mixed(
        folder, path_imgrec=joined, path_imgidx=None, weights=[1, 1], epoch_size=10
    ) as iterator:
        assert Counter(names_of(labels_of(iterator))) == {"a": 5, "b": 5}


@pytest.mark.parametrize("shuffle", [True, "blocks"])
@pytest.mark.parametrize("explicit", [False, True])
def test_ranks_share_one_order_and_resume_each_others_states(
    explicit: bool, shuffle: bool | str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(world: int, rank: int) -> Any:
        monkeypatch.setenv("WORLD_SIZE", str(world))
        monkeypatch.setenv("RANK", str(rank))
        parts = {"num_parts": world, "part_index": rank} if explicit else {"num_parts": "auto"}
        return open_mixed(
            folder, batch_size=12 // world, last_batch_handle="roll_over", seed=3,
            **{**parts, **BLOCKS, "shuffle": shuffle},
        )  # fmt: skip

    with opened(1, 0) as whole:
        expected = labels_of(whole, 3)
    with opened(2, 1) as iterator:
        iterator.next()
        state = iterator.state_dict()
    ranks = []
    for rank in range(3):
        with opened(3, rank) as iterator:
            iterator.load_state_dict(state)
            ranks.append(labels_of(iterator, 2))
    together = [
        label for at in range(0, len(ranks[0]), 4) for rank in ranks for label in rank[at : at + 4]
    ]
    assert together == expected[12 : 12 + len(together)] and len(together) == 48


@pytest.mark.parametrize("shuffle", [True, "blocks"])
def test_a_state_resumes_at_any_batch(shuffle: bool | str, folder: Path) -> None:
    options = {**BLOCKS, "shuffle": shuffle}
    with open_mixed(folder, rand_mirror=True, seed=2, **options) as iterator:
        states, whole = [], []
        for _ in range(14):
            states.append(iterator.state_dict())
            whole += trace(iterator, 1)
        for stop in (9, 0, 13, 6):
            iterator.load_state_dict(states[stop])
            assert trace(iterator, 14 - stop) == whole[stop:]


@pytest.mark.parametrize(
    "changes",
    [
        {"weights": [2, 1, 2]},
        {"weights": None},
        {"epoch_size": 35},
        {"seed": 1},
        {"shuffle": "blocks"},
        {"path_imgrec": None},
    ],
)
def test_a_state_of_another_mixture_is_refused(changes: dict[str, Any], folder: Path) -> None:
    with open_mixed(folder) as iterator:
        iterator.next()
        state = iterator.state_dict()
    if "path_imgrec" in changes:  # the same weights, and other sources
        changes = {
            name: [folder / f"{each}.{name[-3:]}" for each in "acb"] for name in ("path_imgrec",)
        }
        changes["path_imgidx"] = None
    with open_mixed(folder, **changes) as other:
        own = other.state_dict()
        with pytest.raises(StateError, match="not a state of ImageRecordIter"):
            other.load_state_dict(state)
        assert other.state_dict() == own


def test_the_same_weights_in_other_numbers_are_the_same_mixture(folder: Path) -> None:
    with open_mixed(folder) as iterator:
        iterator.next()
        state, following = iterator.state_dict(), digest(iterator.next())
    with open_mixed(folder, weights=(0.5, 0.25, 0.25)) as other:
        other.load_state_dict(state)
        assert digest(other.next()) == following


def test_records_of_a_quarantine_are_left_out(folder: Path, tmp_path: Path) -> None:
    with mx.recordio.RecordSet(folder / "b.rec", folder / "b.idx") as records:
        bad = [Entry("b.rec", int(start), 0, "bad") for start in records.starts.tolist()]
    write_quarantine(tmp_path / "some.tsv", bad[1:3])
    with open_mixed(folder, quarantine=tmp_path / "some.tsv", epoch_size=40) as iterator:
        labels = labels_of(iterator, 2)
    assert {21, 22} & set(labels) == set() and {20, 23, 24} < set(labels)
    write_quarantine(tmp_path / "all.tsv", bad)
    with pytest.raises(ArgumentError, match="source 1 of the mixture has no records"):
        open_mixed(folder, quarantine=tmp_path / "all.tsv")
    assert not gpuio_threads()


def test_boxes_are_mixed_too(tmp_path: Path) -> None:
    for name, kind in (("x", 1.0), ("y", 2.0)):
        boxes = [[2, 5, kind, 0.1, 0.1, 0.6, 0.6]] * 6
        write_records(tmp_path / name, [jpeg(1, 20, 16)] * 6, boxes)
    with mx.io.ImageDetRecordIter(
        path_imgrec=[tmp_path / "x.rec", tmp_path / "y.rec"], data_shape=SHAPE, batch_size=4,
        shuffle=True, weights=[3, 1], verbose=False,
    ) as iterator:  # fmt: skip
        kinds = [batch.label[0].asnumpy()[:, 6].tolist() for batch in iterator]
    assert [sorted(each) for each in kinds] == [[1, 1, 1, 2]] * 3


@pytest.mark.parametrize("shuffle", [True, "blocks"])
def test_remote_files_are_mixed_in_the_same_order(
    shuffle: bool | str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**BLOCKS, "shuffle": shuffle}
    monkeypatch.setenv("GPUIO_CACHE_DIR", str(tmp_path))
    with open_mixed(folder, "ab", **options) as iterator:
        expected = trace(iterator, 9)
    with faulty_server() as server:
        for path in [*folder.glob("[ab].*")]:
            server.put(f"b/{path.name}", path.read_bytes())
        urls = [f"{server.url}/b/{name}" for name in "ab"]
        with open_mixed(
            folder, path_imgrec=[f"{url}.rec" for url in urls],
            path_imgidx=[f"{url}.idx" for url in urls], weights=[2, 1], **options,
        ) as iterator:  # fmt: skip
            assert trace(iterator, 9) == expected
            sent = server.total()
            trace(iterator, 9)
            assert server.total() == sent


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weights": [1, 2]}, r"a number for each of 3 sources, as path_imgrec.*\[1, 2\]"),
        ({"weights": [1, 2, 0]}, "above 0"),
        ({"weights": [1, 1, 100]}, "weight 1 of source 1 is less than one of 34 samples"),
        ({"shuffle": False}, "weights needs shuffle=True or 'blocks', not False"),
        ({"shuffle": False, "weights": None, "epoch_size": 5}, "epoch_size needs shuffle=True"),
        ({"epoch_size": 0}, "epoch_size must be at least 1"),
        ({"epoch_size": 2.5}, "epoch_size must be an integer"),
        ({"epoch_size": 10**15}, "epoch_size must be at most"),
        ({"epoch_size": 5, "last_batch_handle": "discard"}, "never full"),
        ({"num_parts": 2, "partition": "contiguous"}, "does not go with weights"),
        ({"path_imgidx": ["one.idx"]}, "path_imgrec has 3 sources and path_imgidx 1"),
    ],
)
def test_wrong_options(options: dict[str, Any], words: str, folder: Path) -> None:
    with pytest.raises(ArgumentError, match=words):
        open_mixed(folder, **options)
    assert not gpuio_threads()


def test_blocks_of_all_sources_must_fit_into_the_cache(folder: Path, tmp_path: Path) -> None:
    with faulty_server() as server:
        for path in [*folder.glob("[abc].*")]:
            server.put(f"b/{path.name}", path.read_bytes())
        urls = [f"{server.url}/b/{name}" for name in "abc"]
        with pytest.raises(ArgumentError, match="6 pools of 2 blocks of 3000 bytes"):
            open_mixed(
                folder, path_imgrec=[f"{url}.rec" for url in urls],
                path_imgidx=[f"{url}.idx" for url in urls],
                cache_dir=tmp_path, cache_limit=20_000, **BLOCKS,
            )  # fmt: skip
    assert not gpuio_threads()


def test_a_source_with_too_few_indexes(folder: Path) -> None:
    with pytest.raises(ArgumentError, match="source 0 has 2 record files and 1 indexes"):
        source_files([folder / "both"], [folder / "a.idx"], None)


def test_nothing_is_mixed_unless_it_is_asked_for() -> None:
    assert mixture_options(None, None, False) is None
    assert mixture_shard(3, 1, None, None).mode == "contiguous"
    options = mixture_options([1, 2], None, True)
    assert mixture_shard(3, 1, None, options).mode == "global"


def test_options_may_be_strings_as_in_mxnet(folder: Path) -> None:
    with (
        open_mixed(folder) as iterator,
        open_mixed(folder, weights="(2, 1, 1)", epoch_size="34") as other,
    ):
        assert trace(iterator, 3) == trace(other, 3)
