"""Batches made ahead of the caller by several threads."""

import gc
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gpuio.gluon.data.ahead import OrderedBatches

WAIT = 30


def threads() -> set[threading.Thread]:
    return {each for each in threading.enumerate() if each.name.startswith("gpuio-data")}


def batches(
    items: Any, make: Callable[[Any], Any], count: int = 2, ahead: int = 3, timeout: float = WAIT
) -> OrderedBatches[Any, Any]:
    return OrderedBatches(iter(items), lambda item, stopped: make(item), count, ahead, timeout)


def square(item: int) -> int:
    return item * item


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("ahead", [0, 1, 7])
def test_results_come_in_order(count: int, ahead: int) -> None:
    assert list(batches(range(20), square, count, ahead)) == [square(item) for item in range(20)]
    assert list(batches([], square, count, ahead)) == []
    assert not threads()


def test_order_is_kept_when_a_later_one_is_ready_first() -> None:
    later = threading.Event()

    def make(item: int) -> int:
        if item == 0:
            assert later.wait(WAIT)
        else:
            later.set()
        return item

    assert list(batches(range(2), make)) == [0, 1]


def test_items_are_taken_as_far_ahead_as_told() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    iterator = batches(items(), square, ahead=3)
    assert taken == [0, 1, 2]
    next(iterator)
    assert taken == [0, 1, 2, 3]
    iterator.close()
    assert list(iterator) == [] and len(taken) == 4


def test_an_error_comes_in_its_place_and_ends() -> None:
    def make(item: int) -> int:
        if item == 2:
            raise KeyError("two")
        return item

    iterator = batches(range(5), make)
    assert [next(iterator), next(iterator)] == [0, 1]
    with pytest.raises(KeyError, match="two"):
        next(iterator)
    assert list(iterator) == [] and not threads()


def test_an_error_of_the_items_comes_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyError("items")

    iterator = batches(items(), square)
    assert next(iterator) == 1
    with pytest.raises(KeyError, match="items"):
        next(iterator)
    assert not threads()


def test_stop_iteration_does_not_end_the_loop_silently() -> None:
    def make(item: int) -> int:
        raise StopIteration("inner")

    with pytest.raises(RuntimeError, match="the dataset raised StopIteration"):
        list(batches(range(3), make))


def test_leaving_a_loop_ends_the_threads() -> None:
    for item in batches(range(1000), square):
        if item == 9:
            break
    gc.collect()
    assert not threads()


def test_a_thread_that_is_told_to_stop_is_awaited() -> None:
    begun, ended = threading.Event(), threading.Event()

    def make(item: int, stopped: Callable[[], bool]) -> None:
        begun.set()
        while not stopped():
            ended.wait(0.001)
        ended.set()

    iterator = OrderedBatches(iter(range(4)), make, 1, 2, WAIT)
    assert begun.wait(WAIT)
    iterator.close()
    iterator.close()
    assert ended.is_set() and not threads()


def test_a_batch_that_hangs() -> None:
    release = threading.Event()

    def make(item: int) -> int:
        release.wait(WAIT)
        return item

    iterator = batches(range(3), make, timeout=0.01)
    with pytest.raises(TimeoutError, match=r"after 0\.01 seconds.*larger timeout"):
        next(iterator)
    del iterator  # does not wait for the thread
    gc.collect()
    release.set()
    for thread in threads():
        thread.join(WAIT)


def test_a_timeout_of_the_dataset_itself_is_passed_on() -> None:
    def make(item: int) -> int:
        raise TimeoutError("the server")

    with pytest.raises(TimeoutError, match="the server"):
        next(batches(range(3), make))


def test_closing_while_another_thread_waits() -> None:
    begun = threading.Event()

    def make(item: int, stopped: Callable[[], bool]) -> int:
        begun.set()
        while not stopped():
            pass
        return item

    iterator = OrderedBatches(iter(range(9)), make, 1, 0, WAIT)
    found: list[Any] = []

    def wait() -> None:
        try:
            found.append(next(iterator))
        except BaseException as error:
            found.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert begun.wait(WAIT)
    iterator.close()
    waiting.join(WAIT)
    assert found == [0]


# In a process of its own: forking one with threads of other libraries warns, or may hang.
FORK = """
import os
from gpuio.errors import Error
from gpuio.gluon.data.ahead import OrderedBatches
iterator = OrderedBatches(iter(range(9)), lambda item, stopped: item, 2, 3, 30)
assert next(iterator) == 0
if not os.fork():
    try:
        next(iterator)
    except Error as error:
        os._exit(7 if "another process" in str(error) else 2)
    os._exit(1)
assert os.waitstatus_to_exitcode(os.wait()[1]) == 7
assert list(iterator) == list(range(1, 9))
"""


def test_a_forked_process_is_told() -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORK]
    subprocess.run(command, check=True, timeout=100, cwd=Path(__file__).parents[3])
