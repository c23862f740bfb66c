"""What to write in place of an argument that an iterator does not have."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NamedTuple


class _Instead(NamedTuple):
    """What takes the place of another library's argument.

    Attributes
    ----------
    arguments : advice, by the name of an argument that the iterator must have for it; the first
        that fits is given
    otherwise : advice for all other iterators
    """

    arguments: dict[str, str]
    otherwise: str = ""


_WORKERS = _Instead(
    {
        "preprocess_threads": "use preprocess_threads: threads decode, not processes",
        "prefetch_buffer": "use prefetch_buffer: a thread works ahead, not processes",
        "num_workers": "use num_workers, a number of threads",
    },
    "leave it out; PrefetchingIter takes any iterator and works ahead in a thread",
)
_DEVICE = _Instead(
    {
        "ctx": "use ctx, such as ctx='gpu:0'",
        "dataset": "move each batch's arrays with as_in_context(ctx)",
    },
    "it delivers on its iterators' devices",
)
_TRANSFORM = _Instead(
    {
        "aug_list": "use aug_list, a list of augmenters such as those of mx.image.CreateAugmenter",
        "dataset": "use dataset.transform or dataset.transform_first, which give a dataset",
    },
    "change the batches as they come, derive from IndexedIter, whose load may do anything to a "
    "batch, or use mx.image.ImageIter, which takes augmenters as aug_list",
)
_AUGMENTERS = _Instead(
    {
        "aug_list": "use aug_list, a list of augmenters such as those of mx.image.CreateAugmenter",
        "augmenters": "use augmenters, such as [mx.image.RandAugment()]",
    },
    "mx.io.ImageRecordIter takes augmenters, and mx.image.ImageIter an aug_list",
)
_BATCH_AUGMENT = _Instead(
    {"batch_augment": "use batch_augment, such as mx.image.MixUp()"},
    "mx.io.ImageRecordIter and mx.image.ImageIter mix the images of batches and their labels; "
    "boxes cannot be mixed",
)
_SAMPLER = _Instead(
    {
        "shuffle": "use shuffle and seed (num_parts and part_index divide the data, where there "
        "are such arguments); an order of your own needs mx.gluon.data.DataLoader"
    },
    "an order of your own needs mx.gluon.data.DataLoader",
)
_COLLATE = _Instead(
    {"batchify_fn": "use batchify_fn, which makes a batch of a list of samples"},
    "batches are made of whole arrays; derive from IndexedIter, whose load returns a batch, "
    "to put them together yourself",
)
_RANK = _Instead(
    {
        "num_parts": "use num_parts (the number of processes) and part_index (this one), or "
        "num_parts='auto', which asks the launcher",
        "dataset": "give it the process's share, dataset.shard(count, index)",
    },
    "give each process its own share of the data",
)
_PROCESSES = _Instead({}, "leave it out: batches are made by threads of this process")
_SHAPE = _Instead({"data_shape": "use data_shape, such as (3, 224, 224)"})
_RECORDS = _Instead({"path_imgrec": "use path_imgrec"})
_SEED = _Instead({"seed": "use seed"}, "use np.random.seed or mx.random.seed")
_INPUT = _Instead({"data": "use data"})
_TARGET = _Instead({"label": "use label"})
_FLIP = _Instead({"rand_mirror": "use rand_mirror"})

# Names of PyTorch, TensorFlow, DALI and others, and of other functions of MXNet.
INSTEAD = {
    **dict.fromkeys(
        ("num_workers", "workers", "num_threads", "num_thread", "n_jobs", "thread_num"), _WORKERS
    ),
    **dict.fromkeys(("device", "devices", "context", "place"), _DEVICE),
    **dict.fromkeys(
        ("transform", "transforms", "target_transform", "preprocess", "augmentation"), _TRANSFORM
    ),
    **dict.fromkeys(("augmenters", "aug_list", "auglist"), _AUGMENTERS),
    **dict.fromkeys(("batch_augment", "mixup", "cutmix"), _BATCH_AUGMENT),
    **dict.fromkeys(("sampler", "batch_sampler"), _SAMPLER),
    **dict.fromkeys(("collate_fn", "batchify_fn"), _COLLATE),
    **dict.fromkeys(
        ("rank", "world_size", "local_rank", "num_replicas", "shard_id", "num_shards"), _RANK
    ),
    **dict.fromkeys(
        ("persistent_workers", "worker_init_fn", "multiprocessing_context", "timeout"), _PROCESSES
    ),
    **dict.fromkeys(("image_size", "img_size", "image_shape"), _SHAPE),
    **dict.fromkeys(("path_rec", "rec_path", "rec_file", "path_record", "root", "path"), _RECORDS),
    **dict.fromkeys(("random_seed", "random_state", "generator"), _SEED),
    **dict.fromkeys(("x", "X", "inputs", "dataset"), _INPUT),
    **dict.fromkeys(("y", "Y", "targets", "target", "labels"), _TARGET),
    **dict.fromkeys(("flip", "hflip", "horizontal_flip", "random_flip"), _FLIP),
    **dict.fromkeys(
        ("probabilities", "probs", "proportions"), _Instead({"weights": "use weights"})
    ),
    "drop_last": _Instead(
        {
            "last_batch_handle": "use last_batch_handle='discard'",
            "last_batch": "use last_batch='discard'",
        },
        "leave it out: it has no incomplete batches, or takes them as they come",
    ),
    "drop_remainder": _Instead(
        {
            "last_batch_handle": "use last_batch_handle='discard'",
            "last_batch": "use last_batch='discard'",
        }
    ),
    "last_batch": _Instead({"last_batch_handle": "use last_batch_handle"}),
    "pin_memory": _Instead({}, "leave it out: batches for a GPU go through pinned memory anyway"),
    "prefetch_factor": _Instead(
        {
            "prefetch_buffer": "use prefetch_buffer",
            "prefetch": "use prefetch, the number of batches that may wait",
        },
        "PrefetchingIter takes any iterator and works ahead in a thread",
    ),
    "interpolation": _Instead(
        {"inter_method": "use inter_method: 0 nearest, 1 bilinear, 2 bicubic, 3 area, 4 Lanczos"}
    ),
}


def suggestion(name: str, known: Iterable[str]) -> str:
    """What to write instead of an unknown argument; empty if there is no suggestion.

    Parameters
    ----------
    name : the unknown argument
    known : the arguments that there are
    """
    names = sorted(known)
    instead = INSTEAD.get(name)
    if instead is not None:
        for argument, advice in instead.arguments.items():
            if argument in names:
                return advice
        if instead.otherwise:
            return instead.otherwise
    close = difflib.get_close_matches(name, names, 1)
    return f"did you mean {close[0]}?" if close else ""
