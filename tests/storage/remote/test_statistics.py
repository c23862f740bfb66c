"""What remote files have cost."""

import os
import threading

import pytest

from gpuio.storage.remote.statistics import Statistics, count, statistics

# Python 3.12 and later warn about forks of processes with threads.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork")


def test_counts_of_several_threads_add_up() -> None:
    before = statistics()

    def add() -> None:
        for _ in range(1000):
            count(requests=1, fetched=10, cached=2, waited=0.5, failed=3)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    after = statistics()
    difference = [new - old for new, old in zip(after, before, strict=True)]
    assert difference == [4000, 40_000, 8000, 2000, 12_000]


def test_what_was_added_since() -> None:
    assert Statistics(5, 6, 7, 8.0, 9).since(Statistics(1, 1, 1, 1.0, 1)) == (4, 5, 6, 7.0, 8)


def test_a_forked_process_begins_anew() -> None:
    count(requests=1)
    if not (pid := os.fork()):
        os._exit(0 if statistics() == Statistics() else 1)
    assert os.waitpid(pid, 0)[1] == 0
