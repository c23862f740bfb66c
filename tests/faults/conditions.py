"""Jobs under conditions that a `Setup` cannot make: little memory that is freed again, a full disk,
many files, processes that fork.
"""

from __future__ import annotations

import ctypes
import errno
import importlib
import os
import shutil
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import gpuio as mx
from gpuio.errors import Error
from tests.faults.journal import Entry, Journal
from tests.faults.processes import LAZY, set_limit
from tests.faults.training import CALLS, END, Training, take, train
from tests.faults.writers import place_given, run

# Flags of unshare(2) and mount(2).
NEW_MOUNTS, NEW_USERS = 0x20000, 0x10000000
PRIVATE, RECURSIVE = 1 << 18, 1 << 14


def train_in(training: list[Any], folder: str, journal: str, limit: str, value: int) -> None:
    """A training under a limit, which is lifted at the first error of gpuio, or MemoryError; the
    error is printed and the training goes on. No thread may be left of an iterator that could not
    be opened.
    """
    for name in LAZY:
        importlib.import_module(name)
    book, iterator, calls = Journal(Path(journal)), None, 0
    set_limit(limit, value)
    while calls < CALLS:
        try:
            if iterator is None:
                iterator = Training(*training).open(Path(folder))
            found = take(iterator)
        except (Error, MemoryError, OSError) as error:
            if isinstance(error, OSError) and error.errno != errno.ENOMEM:  # of mmap
                raise
            set_limit(limit, None)
            print(type(error).__name__, error)
            if iterator is None and len(threading.enumerate()) > 1:
                raise RuntimeError(f"left {threading.enumerate()}") from error
            continue
        book.append(Entry(found, None))
        calls += 1
        if found == END:
            iterator.reset()
    assert iterator is not None
    iterator.close()


def train_forked(training: list[Any], folder: str, journal: str) -> None:
    """A training whose process forks now and then. The child asks for the next batch, too, and must
    get the right one or an error of gpuio.
    """
    book = Journal(Path(journal))
    with Training(*training).open(Path(folder)) as iterator:
        for call in range(CALLS):
            child = _next_in_child(iterator) if call % 9 == 5 else None
            entry = Entry(take(iterator), None)
            if child not in (None, entry.batch):
                raise RuntimeError(f"call {call} gave the child {child}, expected {entry.batch}")
            book.append(entry)
            if entry.batch == END:
                iterator.reset()


def _next_in_child(iterator: mx.io.DataIter) -> str | None:
    """What a forked process gets for the next batch; None: an error of gpuio."""
    reading, writing = os.pipe()
    if not (pid := os.fork()):
        with suppress(Error):
            os.write(writing, take(iterator).encode())
        os._exit(0)
    os.close(writing)
    with open(reading, encoding="utf-8") as file:
        found = file.read()
    if status := os.waitpid(pid, 0)[1]:
        raise RuntimeError(f"the child ended with {os.waitstatus_to_exitcode(status)}")
    return found or None


def train_nowhere(training: list[Any], folder: str, journal: str) -> None:
    """A training whose current folder has been removed."""
    gone = f"{journal}.folder"
    os.mkdir(gone)
    os.chdir(gone)
    os.rmdir(gone)
    train(training, folder, journal)


def mount_tmpfs(path: str, size: int) -> None:
    """Mount a file system of some bytes, which only this process sees, and which ends with it.

    Raises
    ------
    OSError : that is not allowed here.
    """
    users = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(NEW_MOUNTS | (NEW_USERS if users[0] else 0)):
        raise OSError(ctypes.get_errno(), "no file systems of its own")
    if users[0]:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {users[0]} 1")
        Path("/proc/self/gid_map").write_text(f"0 {users[1]} 1")
    for source, target, kind, flags, data in (
        (b"none", b"/", None, PRIVATE | RECURSIVE, None),
        (b"tmpfs", path.encode(), b"tmpfs", 0, b"size=%d" % size),
    ):
        if libc.mount(source, target, kind, ctypes.c_ulong(flags), data):
            raise OSError(ctypes.get_errno(), f"{path} cannot be mounted")


def run_on_full_disk(name: str, free: int) -> int:
    """Run a writer on a disk with some free bytes, then again on one with enough.

    The first run's files are copied to ``after``, its exit status is written to ``status``, and its
    errors are followed by the line "again"; the files of the second are copied to ``again``.
    """
    mount_tmpfs("out", 2 << 20)
    place_given(name, Path())
    with open("out/.filler", "wb", buffering=0) as filler:
        disk = os.statvfs("out")
        filler.write(bytes(disk.f_bavail * disk.f_frsize - free))
    Path("status").write_text(str(run(name)))
    shutil.copytree("out", "after", ignore=shutil.ignore_patterns(".filler"))
    os.remove("out/.filler")
    print("again", file=sys.stderr)
    status = run(name)
    shutil.copytree("out", "again")
    return status


def open_text(folder: str) -> int:
    """Open a CSV file where no thread can be started, twice, and print the errors."""
    path = Path(folder, "x.csv")
    path.write_text("1,2\n3,4\n")
    set_limit("RLIMIT_NPROC", 1)
    for _ in range(2):
        try:
            mx.io.CSVIter(data_csv=str(path), data_shape=(2,), batch_size=1)
        except Error as error:
            print(error)
    return 0


def can_mount() -> int:
    """Whether `mount_tmpfs` is allowed: 0 if so."""
    mount_tmpfs("/tmp", 1 << 20)
    return 0


def open_many(folder: str, files: int) -> int:
    """Open an iterator over more files than may be open; print its error and the descriptors before
    and after, and open it again without a limit.
    """
    paths = [f"{folder}/{number}.rec" for number in range(files)]
    options: dict[str, Any] = {
        "path_imgrec": paths,
        "path_imgidx": [f"{path[:-4]}.idx" for path in paths],
        "data_shape": (3, 24, 24),
        "batch_size": 4,
        "preprocess_threads": 2,
    }
    before = len(os.listdir("/proc/self/fd"))
    set_limit("RLIMIT_NOFILE", before + 2)
    try:
        mx.io.ImageRecordIter(**options).close()
    except Error as error:
        print(error)
    set_limit("RLIMIT_NOFILE", None)
    after = len(os.listdir("/proc/self/fd"))
    print(before, after)
    with mx.io.ImageRecordIter(**options) as iterator:
        return 0 if len(iterator.next().index) == 4 else 1
