"""A contestant in a process of its own, which reads requests and writes replies, a line each.

    python -m tests.benchmarks.images.worker MODULE OPTIONS

A request is a JSON list: ``["open", job]``; ``["save", batches, path]`` writes the next batches and
labels to a NumPy archive; ``["run", batches, seconds]`` takes the next batches, but none after so
many seconds, and with null any number until then; ``["end"]`` drops what was opened. A reply is a
JSON object, ``{"images": number}``, or ``{"error": reason}``.
"""

from __future__ import annotations

import gc
import importlib
import itertools
import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.benchmarks.images.job import Job


def save(stream: Iterator[Any], count: int, path: str) -> int:
    """Write batches to ``data`` and ``labels`` of an archive; number of images."""
    data, labels = [], []
    for _ in range(count):
        batch = next(stream)
        data.append(np.array(batch[0]))
        labels.append(np.array(batch[1]).reshape(-1))
    np.savez(path, data=np.concatenate(data), labels=np.concatenate(labels))
    return sum(map(len, labels))


def run(stream: Iterator[Any], count: int | None, seconds: float) -> int:
    """Take batches, `count` at most, until so many seconds are over; number of images."""
    until, images = time.perf_counter() + seconds, 0
    for _ in itertools.count() if count is None else range(count):
        images += len(next(stream)[1])
        if time.perf_counter() > until:
            break
    return images


def main(name: str, options: str) -> None:
    # What libraries print must not get between the replies.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    stream = iter(())
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        reply = {"images": 0}
        try:
            if command == "open":
                module = importlib.import_module(name)
                stream = module.batches(Job.from_json(arguments[0]), **json.loads(options))
                reply["versions"] = module.versions()
            elif command == "run":
                reply["images"] = run(stream, *arguments)
            elif command == "save":
                reply["images"] = save(stream, *arguments)
            else:
                stream = iter(())
                gc.collect()
        except Exception as error:
            traceback.print_exc()
            reply = {"error": f"{type(error).__name__}: {error}"}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
    os._exit(0)  # threads of a library that has not ended would keep the process
