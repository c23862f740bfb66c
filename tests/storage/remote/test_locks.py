"""Locks on ranges of files, between descriptions and processes."""

import fcntl
import os
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuio.storage.remote.locks import lock_free_parts, try_lock, unlock

pytestmark = [
    pytest.mark.skipif(not hasattr(fcntl, "F_OFD_SETLK"), reason="the system has no such locks"),
    # Python 3.12 and later warn about forks of processes with threads.
    pytest.mark.filterwarnings("ignore:.*fork"),
]


def opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT)


def test_descriptions_exclude_each_other(tmp_path: Path) -> None:
    one, other = opened(tmp_path / "x"), opened(tmp_path / "x")
    assert try_lock(one, 10, 20)
    assert not try_lock(other, 19, 30)
    assert try_lock(other, 20, 30)
    unlock(one, 10, 20)
    assert try_lock(other, 10, 30)
    os.close(other)
    assert try_lock(one, 0, 100)
    os.close(one)


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 10)), max_size=5),
    st.integers(0, 40),
    st.integers(1, 30),
)
def test_free_parts_are_locked(
    tmp_path_factory: pytest.TempPathFactory, taken: list[tuple[int, int]], begin: int, length: int
) -> None:
    path = tmp_path_factory.mktemp("locks") / "x"
    one, other = opened(path), opened(path)
    try:
        for first, count in taken:
            assert try_lock(one, first, first + count)
        used = {byte for first, count in taken for byte in range(first, first + count)}
        parts = list(lock_free_parts(other, begin, begin + length))
        found = [(byte, is_mine) for is_mine, *part in parts for byte in range(*part)]
        assert found == [(byte, byte not in used) for byte in range(begin, begin + length)]
    finally:
        os.close(one)
        os.close(other)


def test_a_killed_process_has_no_locks(tmp_path: Path) -> None:
    one = opened(tmp_path / "x")
    reading, writing = os.pipe()
    if not (pid := os.fork()):
        other = opened(tmp_path / "x")
        os.write(writing, b"1" if try_lock(other, 0, 10) else b"0")
        signal.pause()
    assert os.read(reading, 1) == b"1"
    assert not try_lock(one, 0, 10)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert try_lock(one, 0, 10)
    for each in (one, reading, writing):
        os.close(each)


def test_without_such_locks_everything_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpuio.storage.remote.locks._SET", None)
    one, other = opened(tmp_path / "x"), opened(tmp_path / "x")
    for each in (one, other):
        assert list(lock_free_parts(each, 3, 10)) == [(True, 3, 10)]
        unlock(each, 3, 10)
        os.close(each)
