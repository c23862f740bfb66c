"""What is suggested in place of arguments of other libraries."""

from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.iterators.suggestions import INSTEAD, suggestion

TABLE = np.zeros((4, 3), np.float32)

# Calls that lack nothing; the files need not exist, as names are checked first.
CALLS: dict[str, Any] = {
    "ImageRecordIter": lambda **more: mx.io.ImageRecordIter(
        path_imgrec="x.rec", data_shape=(3, 8, 8), batch_size=2, **more
    ),
    "ImageDetRecordIter": lambda **more: mx.io.ImageDetRecordIter(
        path_imgrec="x.rec", data_shape=(3, 8, 8), batch_size=2, **more
    ),
    "ImageIter": lambda **more: mx.image.ImageIter(2, (3, 8, 8), path_imgrec="x.rec", **more),
    "ImageDetIter": lambda **more: mx.image.ImageDetIter(2, (3, 8, 8), path_imgrec="x.rec", **more),
    "NDArrayIter": lambda **more: mx.io.NDArrayIter(TABLE, **more),
    "CSVIter": lambda **more: mx.io.CSVIter(
        data_csv="x.csv", data_shape=(3,), batch_size=2, **more
    ),
    "LibSVMIter": lambda **more: mx.io.LibSVMIter(
        data_libsvm="x", data_shape=(3,), batch_size=2, **more
    ),
    "MNISTIter": mx.io.MNISTIter,
    "IndexedIter": lambda **more: mx.io.IndexedIter(4, 2, **more),
    "PrefetchingIter": lambda **more: mx.io.PrefetchingIter(mx.io.NDArrayIter(TABLE), **more),
    "ResizeIter": lambda **more: mx.io.ResizeIter(mx.io.NDArrayIter(TABLE), 3, **more),
    "BucketSentenceIter": lambda **more: mx.rnn.BucketSentenceIter([[1, 2]], 1, **more),
}

# Iterators without an argument `timeout`, for remote files.
TAKES_NO_FILES = {"NDArrayIter", "IndexedIter", "PrefetchingIter", "ResizeIter",
                  "BucketSentenceIter"}  # fmt: skip

# What other iterators are advised to do without is an argument of these.
OWN = {
    "ImageRecordIter": {"augmenters", "batch_augment"},
    "ImageDetRecordIter": {"augmenters"},
    "ImageIter": {"aug_list", "batch_augment"},
    "ImageDetIter": {"aug_list"},
}

# Not among CALLS, as it has several of these arguments itself.
LOADER = {"DataLoader": lambda **more: mx.gluon.data.DataLoader(TABLE, 1, **more)}


@pytest.mark.parametrize("kind", CALLS)
def test_every_iterator_has_an_answer(kind: str) -> None:
    reads_files = kind not in TAKES_NO_FILES
    for name in set(INSTEAD) - ({"timeout"} if reads_files else set()) - OWN.get(kind, set()):
        with pytest.raises(TypeError, match=f"^{kind} has no argument {name!r}"):
            CALLS[kind](**{name: 1})


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("ImageRecordIter", "num_workers", "use preprocess_threads"),
        ("ImageIter", "workers", "use preprocess_threads"),
        ("NDArrayIter", "num_workers", "PrefetchingIter takes any iterator"),
        ("CSVIter", "num_workers", "use prefetch_buffer"),
        ("ImageRecordIter", "drop_last", "use last_batch_handle='discard'"),
        ("NDArrayIter", "drop_last", "use last_batch_handle='discard'"),
        ("MNISTIter", "drop_last", "leave it out"),
        ("PrefetchingIter", "drop_last", "leave it out"),
        ("NDArrayIter", "device", "use ctx, such as ctx='gpu:0'"),
        ("ImageDetRecordIter", "device", "use ctx"),
        ("PrefetchingIter", "device", "delivers on its iterators' devices"),
        ("ImageIter", "transform", "use aug_list"),
        ("ImageRecordIter", "transform", "mx.image.ImageIter, which takes augmenters as aug_list"),
        ("NDArrayIter", "transform", "derive from IndexedIter"),
        ("ImageIter", "augmenters", "use aug_list"),
        ("ImageRecordIter", "aug_list", "use augmenters"),
        ("NDArrayIter", "augmenters", "mx.image.ImageIter an aug_list"),
        ("ImageDetIter", "batch_augment", "boxes cannot be mixed"),
        ("ImageDetRecordIter", "batch_augment", "boxes cannot be mixed"),
        ("ImageRecordIter", "mixup", "use batch_augment, such as mx.image.MixUp()"),
        ("ImageRecordIter", "pin_memory", "leave it out"),
        ("ImageRecordIter", "sampler", "use shuffle and seed"),
        ("ResizeIter", "batch_sampler", "mx.gluon.data.DataLoader"),
        ("NDArrayIter", "collate_fn", "IndexedIter, whose load returns a batch"),
        ("ImageRecordIter", "world_size", "num_parts='auto'"),
        ("NDArrayIter", "rank", "its own share"),
        ("ImageRecordIter", "path_rec", "use path_imgrec"),
        ("ImageIter", "bach_size", None),
        ("NDArrayIter", "labels", "use label"),
        ("NDArrayIter", "random_state", "use seed"),
        ("NDArrayIter", "shuffel", "did you mean shuffle"),
        ("ImageIter", "rand_miror", "did you mean rand_mirror"),
        ("ImageDetIter", "rand_miror", "did you mean rand_mirror"),
        ("ImageDetIter", "label_width", "labels say their width"),
        ("DataLoader", "drop_last", "use last_batch='discard'"),
        ("DataLoader", "drop_remainder", "use last_batch='discard'"),
        ("DataLoader", "collate_fn", "use batchify_fn"),
        ("DataLoader", "transform", "use dataset.transform"),
        ("DataLoader", "workers", "use num_workers"),
        ("DataLoader", "prefetch_factor", "use prefetch,"),
        ("DataLoader", "device", "as_in_context"),
        ("DataLoader", "world_size", "dataset.shard(count, index)"),
        ("DataLoader", "worker_init_fn", "threads of this process"),
        ("DataLoader", "shufffle", "did you mean shuffle"),
    ],
)
def test_what_is_suggested(kind: str, name: str, said: str | None) -> None:
    with pytest.raises(TypeError, match=name) as caught:
        (CALLS | LOADER)[kind](**{name: 1})
    assert (said or "did you mean batch_size") in caught.value.args[0]


def test_nothing_comes_to_mind() -> None:
    assert suggestion("zzz", ["data"]) == ""
    assert suggestion("interpolation", ["data"]) == "" == suggestion("x", [])
