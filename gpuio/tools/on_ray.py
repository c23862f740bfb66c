"""Pieces of work as tasks of a Ray cluster.

A piece is cut by index or by bytes, so that a task needs only its numbers: it reads and writes
files, and returns what is small. Nothing of the data passes through Ray's object store.

A task whose worker process or machine dies is run again, perhaps while the first attempt is still
running on a machine that only cannot be reached. So the attempts of a task never disturb each
other: they write the same bytes to the same place, or files with names of their own.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, TypeVar

from gpuio.errors import Error, MissingPackageError, RecordFileNotFoundError
from gpuio.ray_package import import_ray
from gpuio.tools.ray_cluster import RayCluster, as_cluster, connected, first_line
from gpuio.tools.shared_files import machine
from gpuio.version import VERSION

In = TypeVar("In")
Out = TypeVar("Out")

# How often a task is run again after its worker or machine has died.
RETRIES = 3

# Tasks that are submitted ahead of the one whose result is awaited, as a multiple of the CPUs.
AHEAD = 4

# Seconds in which tasks may end by themselves before they are cancelled. Ray up to 2.60 aborts this
# process where a task ends at the very moment of its cancellation ("Tried to complete task that was
# not pending"; see https://github.com/ray-project/ray/pull/54798), which happens with short ones.
PATIENCE = 0.5

# Seconds that cancelled tasks have to end before their workers are ended.
GRACE = 10.0


@dataclass(frozen=True)
class RayTasks:
    """Tasks of a cluster to which this process is connected; see `Tasks`.

    Attributes
    ----------
    cpus : how many tasks can run at once
    submitted : how many are handed to Ray at once
    """

    cpus: int
    submitted: int

    def map(
        self, function: Callable[[In], Out], pieces: Iterable[In], name: str
    ) -> Generator[Out, None, None]:
        """Call a function with each piece, in tasks, and yield the results in the order of the
        pieces.

        When the generator is closed, or something is raised, tasks that have not ended are
        cancelled, and waited for.

        Parameters
        ----------
        function : a function of a module, or a partial of one; may be run several times with a
            piece
        pieces : small ones; only some of them are taken before their results are consumed
        name : of the tasks, as Ray shows them

        Raises
        ------
        Error : a task cannot be run. Exceptions of the function come at the place of its result.
        """
        return _map(self, function, pieces, name)


@contextmanager
def running(on: RayCluster | str | None) -> Iterator[RayTasks | None]:
    """Connect to the cluster that an argument `on` names, within a ``with`` statement; None: to
    none.

    Raises
    ------
    ArgumentError, MissingPackageError, Error : see `as_cluster` and `connected`.
    """
    cluster = as_cluster(on)
    if cluster is None:
        yield None
    else:
        with connected(cluster) as cpus:
            used = min(cpus, cluster.num_cpus or cpus)
            # Ray starts the next task at once if it has one, but would start too many of them here.
            yield RayTasks(used, used if used < cpus else 2 * used)


def _map(
    tasks: RayTasks, function: Callable[[In], Out], pieces: Iterable[In], name: str
) -> Generator[Out, None, None]:
    ray = import_ray()
    run = _remote_call(ray).options(name=f"gpuio {name}")
    shared = ray.put(function)
    folder = os.getcwd()
    left = iter(pieces)
    pending: deque[Any] = deque()
    unfinished: set[Any] = set()
    exhausted = False
    try:
        while pending or not exhausted:
            while (
                not exhausted
                and len(pending) < AHEAD * tasks.cpus
                and len(unfinished) < tasks.submitted
            ):
                try:
                    task = run.remote(VERSION, folder, shared, next(left))
                except StopIteration:
                    exhausted = True
                else:
                    pending.append(task)
                    unfinished.add(task)
            if pending and pending[0] not in unfinished:
                yield _result(ray, pending.popleft(), name)
            elif unfinished:
                with _signals_pass():
                    done, _ = ray.wait(list(unfinished), num_returns=1, fetch_local=False)
                unfinished.difference_update(done)
    finally:
        _cancel(ray, list(unfinished))


class _Failed(NamedTuple):
    """What a task returns where its function raises."""

    error: Exception


def _call(version: str, folder: str, function: Callable[[In], Out], piece: In) -> Out | _Failed:
    """Run a piece, on a worker."""
    try:
        if version != VERSION:
            raise MissingPackageError(
                f"{machine()} of the Ray cluster has gpuio {VERSION}, this one has {version}; "
                "install the same version on all"
            )
        with _working_folder(folder):
            return function(piece)
    except FileNotFoundError as error:
        return _Failed(
            RecordFileNotFoundError(
                f"{error}. This was on {machine()} of the Ray cluster: all of them must see the "
                "files by the same paths, in a shared file system, or as URLs"
            )
        )
    except Exception as error:
        return _Failed(error)


@cache
def _remote_call(ray: Any) -> Any:
    """`_call` as a function of Ray's, which sends each to the cluster once."""
    return ray.remote(num_cpus=1, max_retries=RETRIES)(_call)


def _result(ray: Any, task: Any, name: str) -> Any:
    try:
        with _signals_pass():
            found = ray.get(task)
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None)
        if isinstance(cause, ImportError) or "ModuleNotFoundError" in str(error):
            raise MissingPackageError(
                f"a machine of the Ray cluster cannot import what the task {name} needs: "
                f"{_last_line(cause or error)}; install gpuio and its packages on all machines"
            ) from error
        raise Error(
            f"Ray could not finish a task of gpuio {name}, which it runs again {RETRIES} times "
            f"where a worker dies: {type(error).__name__}: {first_line(error)}"
        ) from error
    if isinstance(found, _Failed):
        raise found.error
    return found


@contextmanager
def _signals_pass() -> Iterator[None]:
    """Raise what a signal handler has raised within a function of Ray's. Ray does so with
    KeyboardInterrupt only; of others it makes a SystemError.
    """
    try:
        yield
    except SystemError as error:
        raise error.__cause__ or error from None


def _cancel(ray: Any, tasks: list[Any]) -> None:
    """Cancel tasks, and wait until they have ended."""
    if not tasks or not ray.is_initialized():
        return
    _, tasks = ray.wait(tasks, num_returns=len(tasks), timeout=PATIENCE, fetch_local=False)
    if not tasks:
        return
    for task in tasks:
        ray.cancel(task)
    _, left = ray.wait(tasks, num_returns=len(tasks), timeout=GRACE, fetch_local=False)
    for task in left:
        ray.cancel(task, force=True)
    if left:
        ray.wait(left, num_returns=len(left), timeout=GRACE, fetch_local=False)


def _last_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]


@contextmanager
def _working_folder(folder: str) -> Iterator[None]:
    """Work in the driver's folder, if this machine has it, so that relative paths are the same."""
    before = os.getcwd()
    with suppress(OSError):
        os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
