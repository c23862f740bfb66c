"""A process that gives inputs to gpuio, under limits; the other half of `runner`.

Each line of standard input is a request as JSON: a target, and either inputs by seed and numbers,
or one by its parts. The answers are lines of JSON too: "started" with the number of each input,
"found" for findings, "peak" where an input needs more memory than all before, and at the end "done"
with how many inputs were refused. A request may also be for an input itself: "make".
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import shutil
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gpuio.errors import Error
from tests.fuzz.target import Refused, Target, decode_parts, encode_parts
from tests.fuzz.targets import find_target

ROOT = Path(__file__).parents[2]

# Bytes that an input may take, in addition to what the process has or of physical memory with it,
# and seconds of CPU time.
MEMORY, CPU_SECONDS = 1 << 31, 10


def main() -> None:
    """Answer all requests; the argument is an empty folder for the inputs."""
    faulthandler.enable()
    # What C libraries or commands print must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    folder = Path(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        for answer in _answers(json.loads(line), folder):
            print(json.dumps(answer), file=answers, flush=True)


def _virtual_memory() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * resource.getpagesize()


def _answers(request: dict[str, Any], folder: Path) -> Iterator[dict[str, Any]]:
    target = find_target(request["target"])
    limit = _virtual_memory() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    if "make" in request:
        yield {"done": encode_parts(target.input(request["seed"], request["make"]))}
        return
    refused = 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(*request.get("numbers", (0, 1))):
        yield {"started": number}
        parts = (
            decode_parts(request["parts"])
            if "parts" in request
            else target.input(request["seed"], number)
        )
        began = time.process_time()
        found = _check(target, parts, folder)
        seconds = time.process_time() - began
        if found is None and seconds > CPU_SECONDS:
            found = {"kind": "slow", "where": "", "text": f"took {seconds:.0f} s of CPU time"}
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if used > peak:
            yield {"peak": used >> 10, "more": used - peak >> 10, "number": number}
            if used << 10 > MEMORY and peak << 10 <= MEMORY:
                text = f"the process has taken {used >> 10} MiB, {used - peak >> 10} MiB more"
                found = {"kind": "memory", "where": "", "text": text}
            peak = used
        if found is not None and found["kind"] == "refused":
            refused += 1
        elif found is not None:
            yield {"found": found, "number": number}
    yield {"done": refused}


def _check(target: Target, parts: tuple[bytes, ...], folder: Path) -> dict[str, str] | None:
    """What a target finds, if not nothing."""
    shutil.rmtree(folder, ignore_errors=True)  # of a worker that has died
    folder.mkdir()
    try:
        target.check(parts, folder)
    except (Error, Refused):
        return {"kind": "refused"}
    except BaseException as error:
        return {
            "kind": type(error).__name__,
            "where": _innermost(error, isinstance(error, AssertionError)),
            "text": "".join(traceback.format_exception(error))[-3000:],
        }
    return None


def _innermost(error: BaseException, with_line: bool) -> str:
    """File and function of this project in which an exception was raised, perhaps with the line."""
    where = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(ROOT):
            where = f"{path.relative_to(ROOT)}:{frame.f_code.co_name}"
            where += f":{line}" if with_line else ""
    return where


if __name__ == "__main__":
    main()
