"""The order of samples: permutations, batches, epochs, ranks."""

from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gpuio.errors import ArgumentError
from gpuio.sampling.order import LAST_BATCH_MODES, Order


def num_batches(order: Order, count: int, position: int = 0) -> list[tuple[list[int], int, bool]]:
    """The next batches: records, pad and whether the epoch ends."""
    found = []
    for _ in range(count):
        take = order.batch_at(position)
        found.append((take.record.tolist(), take.pad, take.last))
        position = take.next_position
    return found


# What MXNet 1.9.1 gives for 12 records in batches of 5.
WRAP = [
    [0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11, 0, 1, 2],
    [3, 4, 5, 6, 7], [8, 9, 10, 11, 0],
    [1, 2, 3, 4, 5], [6, 7, 8, 9, 10], [11, 0, 1, 2, 3],
]  # fmt: skip


def test_wrap_goes_on_after_the_wrapped_samples() -> None:
    found = num_batches(Order(12, 5), 8)
    assert [records for records, _, _ in found] == WRAP
    assert [pad for _, pad, _ in found] == [0, 0, 3, 0, 1, 0, 0, 4]
    assert [last for _, _, last in found] == [False, False, True, False, True, False, False, True]


def test_pad_repeats_the_epochs_own_samples() -> None:
    found = num_batches(Order(10, 4, last_batch="pad"), 6)
    epoch = [([0, 1, 2, 3], 0, False), ([4, 5, 6, 7], 0, False), ([8, 9, 0, 1], 2, True)]
    assert found == epoch * 2


def test_pad_may_be_more_than_the_records() -> None:
    assert num_batches(Order(3, 8, last_batch="pad"), 1) == [([0, 1, 2, 0, 1, 2, 0, 1], 5, True)]


def test_discard_leaves_the_incomplete_batch_out() -> None:
    assert (
        num_batches(Order(10, 4, last_batch="discard"), 4)
        == [
            ([0, 1, 2, 3], 0, False),
            ([4, 5, 6, 7], 0, True),
        ]
        * 2
    )


def test_roll_over_begins_the_next_epoch_with_the_rest() -> None:
    assert num_batches(Order(10, 4, last_batch="roll_over"), 5) == [
        ([0, 1, 2, 3], 0, False),
        ([4, 5, 6, 7], 0, True),
        ([8, 9, 0, 1], 0, False),
        ([2, 3, 4, 5], 0, False),
        ([6, 7, 8, 9], 0, True),
    ]


SHAPES = st.tuples(st.integers(1, 60), st.integers(1, 20), st.integers(1, 4))


@given(SHAPES, st.sampled_from(LAST_BATCH_MODES), st.booleans())
def test_epochs_end_where_batches_says(
    shape: tuple[int, int, int], last_batch: str, shuffle: bool
) -> None:
    size, batch_size, world_size = shape
    try:
        order = Order(size, batch_size, shuffle, 5, last_batch, 0, world_size)
    except ArgumentError:
        return
    position = 0
    for _ in range(4):
        count = order.num_batches(position)
        assert count >= 1
        ends = []
        epoch = order.epoch(position)
        for _ in range(count):
            assert order.epoch(position) == epoch
            take = order.batch_at(position)
            ends.append(take.last)
            position = take.next_position
        assert ends == [False] * (count - 1) + [True]


@given(SHAPES, st.sampled_from(["wrap", "pad"]))
def test_an_epoch_shows_each_record_once(shape: tuple[int, int, int], last_batch: str) -> None:
    """Rows that are not padding, over all ranks: each record once an epoch of records."""
    size, batch_size, world_size = shape
    ranks = []
    try:
        ranks = [
            Order(size, batch_size, True, 9, last_batch, rank, world_size)
            for rank in range(world_size)
        ]
    except ArgumentError:
        return
    position, seen = 0, Counter[int]()
    for _ in range(ranks[0].num_batches(0)):
        takes = [rank.batch_at(position) for rank in ranks]
        for take in takes:
            seen.update(take.record[: batch_size - take.pad].tolist())
        assert len({take.next_position for take in takes}) == 1
        position = takes[0].next_position
    assert seen == Counter(range(size))


@pytest.mark.parametrize("last_batch", LAST_BATCH_MODES)
@pytest.mark.parametrize("world_size", [1, 2, 3, 6])
def test_the_global_batch_is_the_same_for_any_number_of_ranks(
    world_size: int, last_batch: str
) -> None:
    """Rows that only fill a batch included."""

    def stream(ranks_used: int) -> list[int]:
        batch_size = 12 // ranks_used
        ranks = [
            Order(50, batch_size, True, 4, last_batch, rank, ranks_used)
            for rank in range(ranks_used)
        ]
        position, records = 0, []
        for _ in range(9):
            takes = [rank.batch_at(position) for rank in ranks]
            records += [number for take in takes for number in take.record.tolist()]
            position = takes[0].next_position
        return records

    assert stream(world_size) == stream(1)


@pytest.mark.parametrize("shuffle", [False, True])
def test_ranks_fill_the_last_batch_alike(shuffle: bool) -> None:
    """With samples of the same epoch, also where a rank has no others."""
    found = []
    for ranks in (1, 2, 4):
        orders = [Order(17, 12 // ranks, shuffle, 3, "pad", rank, ranks) for rank in range(ranks)]
        batches = [order.batch_at(12) for order in orders]
        found.append([row for batch in batches for row in batch.record.tolist()])
        assert [batch.pad for batch in batches] == [[7], [1, 6], [0, 1, 3, 3]][len(found) - 1]
    assert found[0] == found[1] == found[2]
    first = Order(17, 12, shuffle, 3, "pad").batch_at(0).record.tolist()
    assert found[0][5:] == first[:7]


def test_each_epoch_and_each_seed_has_its_own_order() -> None:
    size = 40
    orders = [
        tuple(Order(size, size, True, seed).batch_at(epoch * size).record.tolist())
        for seed in (0, 1)
        for epoch in (0, 1)
    ]
    assert len(set(orders)) == 4
    assert Order(size, size, True, 1).batch_at(size).record.tolist() == list(orders[3])


def test_restart_is_the_next_epochs_first_record() -> None:
    order = Order(12, 5)
    assert order.batch_at(order.next_epoch_start(5)).record.tolist() == [0, 1, 2, 3, 4]
    assert order.next_epoch_start(15) == 24


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"size": 0, "batch_size": 1}, "no records"),
        ({"size": 5, "batch_size": 0}, "batch_size"),
        ({"size": 5, "batch_size": 11}, "round_batch=False"),
        ({"size": 5, "batch_size": 6, "last_batch": "discard"}, "never full"),
        ({"size": 5, "batch_size": 6, "last_batch": "roll_over"}, "never full"),
        ({"size": 5, "batch_size": 1, "last_batch": "drop"}, "last_batch_handle"),
        ({"size": 5, "batch_size": 1, "rank": 2, "world_size": 2}, "rank"),
        ({"size": 10**30, "batch_size": 1}, "at most"),
        ({"size": 5, "batch_size": 10**5000, "last_batch": "pad"}, "at most"),
        ({"size": 5, "batch_size": 2, "world_size": 2**62, "last_batch": "pad"}, "at most"),
    ],
)
def test_what_cannot_be_ordered_is_refused(arguments: dict[str, int], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        Order(**arguments)


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("size", [12, 13, 17, 24])
def test_rows_that_roll_over_are_counted(size: int, world_size: int) -> None:
    for last_batch in LAST_BATCH_MODES:
        for rank in range(world_size):
            order = Order(size, 4, False, 0, last_batch, rank, world_size)
            position = 0
            for _ in range(40):
                indices = order.batch_at(position)
                epochs = indices.epoch
                before = int((epochs < indices.order.epoch(position)).sum())
                assert indices.carried == (before if last_batch == "roll_over" else 0)
                position = indices.next_position


@given(
    st.integers(1, 40),
    st.integers(1, 9),
    st.integers(1, 4),
    st.sampled_from(LAST_BATCH_MODES),
    st.integers(0, 6),
)
def test_epochs_begin_where_those_before_them_end(
    size: int, batch_size: int, world_size: int, mode: str, epoch: int
) -> None:
    assume(batch_size * world_size <= size)
    order = Order(size, batch_size, last_batch=mode, world_size=world_size)
    position = 0
    for number in range(epoch):
        assert order.epoch(position) == number
        for _ in range(order.num_batches(position)):
            position = order.batch_at(position).next_position
    assert position == order.epoch_start(epoch) and order.epoch(position) == epoch


@given(
    st.integers(1, 60),
    st.integers(1, 9),
    st.integers(1, 5),
    st.sampled_from(LAST_BATCH_MODES),
    st.integers(0, 200),
)
def test_all_ranks_have_the_same_number_of_batches(
    size: int, batch_size: int, world_size: int, mode: str, position: int
) -> None:
    """Whatever the sizes, also where another number of ranks has left off."""
    enough = {"pad": size, "wrap": 2 * size}.get(mode, size)
    assume(mode == "pad" or batch_size * world_size <= enough)
    counts = set()
    for rank in range(world_size):
        order = Order(size, batch_size, last_batch=mode, rank=rank, world_size=world_size)
        place, count = position, 0
        while True:
            batch = order.batch_at(place)
            place, count = batch.next_position, count + 1
            if batch.last:
                break
        counts.add((count, place))
    assert len(counts) == 1
