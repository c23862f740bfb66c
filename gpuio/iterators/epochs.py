"""The rows of an epoch, and going to the beginning of any epoch."""

from __future__ import annotations

from gpuio.errors import ArgumentError
from gpuio.iterators.data_iter import DataIter
from gpuio.iterators.stream_iter import order_of
from gpuio.loading.states import LARGEST


def rows_in_epoch(iterator: DataIter) -> int:
    """The number of rows in an epoch of an iterator, of all ranks that share its order.

    Of users' own iterators it is their attribute `num_data`, which MXNet's NDArrayIter has.

    Raises
    ------
    TypeError : the iterator does not know it.
    """
    order = order_of(iterator)
    rows = getattr(iterator, "num_data", None) if order is None else order.size
    if not isinstance(rows, int):
        raise TypeError(f"{type(iterator).__name__} does not know the number of its rows")
    return rows


def go_to_epoch(iterator: DataIter, epoch: int) -> bool:
    """Let an iterator go on at the beginning of an epoch, as if it had given all those before it.

    Threads that wait for a batch raise an Error.

    Parameters
    ----------
    epoch : its number, from 0

    Returns
    -------
    Whether it does. Iterators over text files and those over other iterators do not know where
    epochs begin: nothing is done

    Raises
    ------
    ArgumentError : there is no such epoch.
    Error : the iterator is closed.
    """
    order = order_of(iterator)
    if order is None:
        return False
    start = order.epoch_start(epoch)
    if not 0 <= start <= LARGEST:
        raise ArgumentError(f"there is no epoch {epoch}")
    state = iterator.state_dict()
    iterator.load_state_dict({**state, "position": start, "start": start, "ended": False})
    return True
