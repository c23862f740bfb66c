"""A process that draws batches until a signal ends it; see test_interruptions.py.

Arguments: the executor, the record file without its ending, and what the consumer does: "draw"
without end, or "open" one iterator after another.
"""

import itertools
import sys

import gpuio as mx


def main() -> None:
    executor, prefix, what = sys.argv[1:]
    for number in itertools.count():
        iterator = mx.io.ImageRecordIter(
            path_imgrec=prefix + ".rec", path_imgidx=prefix + ".idx", data_shape=(3, 24, 28),
            batch_size=4, executor=executor, preprocess_threads=2,
        )  # fmt: skip
        if number == 0:
            print("begun", flush=True)
        for _ in range(1 if what == "open" else sys.maxsize):
            if next(iterator, None) is None:
                iterator.reset()


if __name__ == "__main__":
    main()
