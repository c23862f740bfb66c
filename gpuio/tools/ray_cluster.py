"""Ray clusters: which one tasks run on, and the connection to it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gpuio.errors import ArgumentError, Error
from gpuio.ray_package import import_ray

# Bytes of the object store of a local cluster: results are small.
OBJECT_STORE = 100 * 10**6


@dataclass(frozen=True)
class RayCluster:
    """Where tasks run.

    Attributes
    ----------
    address : of a cluster, "auto" or "HOST:PORT" as ``ray start`` prints it; None: what the
        environment variable RAY_ADDRESS says, or else a local cluster that ends with the command.
        Where the process is connected to a cluster already, that one is used
    num_cpus : the most tasks that run at once; None: one for each CPU of the cluster
    """

    address: str | None = None
    num_cpus: int | None = None

    def __post_init__(self) -> None:
        if self.num_cpus is not None and self.num_cpus < 1:
            raise ArgumentError(f"num_cpus must be at least 1, not {self.num_cpus!r}")
        if self.address is not None and "://" in self.address:
            raise ArgumentError(
                f"the address {self.address} is that of a Ray client, which does not see the "
                "cluster's files; run the command on a machine of the cluster, with HOST:PORT or "
                "auto, or send it there with 'ray job submit'"
            )


def as_cluster(on: RayCluster | str | None) -> RayCluster | None:
    """The cluster that an argument `on` names: "ray" for one with the default options; None: this
    process does the work.

    Raises
    ------
    ArgumentError : it is something else.
    """
    if on is None or isinstance(on, RayCluster):
        return on
    if on == "ray":
        return RayCluster()
    raise ArgumentError(f"on must be 'ray', a RayCluster or None, not {on!r}")


@contextmanager
def connected(cluster: RayCluster) -> Iterator[int]:
    """Connect to a cluster, within a ``with`` statement; yields the number of its CPUs.

    Raises
    ------
    ArgumentError : the cluster has no CPUs, or the process is connected to another one.
    MissingPackageError : Ray is not installed, or too old.
    Error : the cluster cannot be reached.
    """
    with _own_sigterm():
        ray = import_ray()
    if ray.is_initialized():
        if cluster.address is not None:
            raise ArgumentError(
                "this process is connected to a Ray cluster already; leave out the address"
            )
        yield _cpus(ray)
        return
    try:
        _connect(ray, cluster)
        yield _cpus(ray)
    finally:
        ray.shutdown()


def _connect(ray: Any, cluster: RayCluster) -> None:
    address = cluster.address or os.environ.get("RAY_ADDRESS") or "local"
    options: dict[str, Any] = {"address": address}
    if address == "local":
        options |= {
            "num_cpus": cluster.num_cpus,
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE,
        }
    try:
        with (
            _own_sigterm(),
            _variable("RAY_USAGE_STATS_ENABLED", "0"),
            # What later versions of Ray do; without it Ray 2.50 warns.
            _variable("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0"),
        ):
            ray.init(**options, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise Error(
            f"the Ray cluster at {address} cannot be reached: {first_line(error)}; see 'ray "
            "status' there"
        ) from error


def _cpus(ray: Any) -> int:
    cpus = int(ray.cluster_resources().get("CPU", 0))
    if cpus < 1:
        raise ArgumentError("the Ray cluster has no CPUs; add a machine with CPUs to it")
    return cpus


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, or else its name."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep the handler of SIGTERM, which Ray replaces."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if handler is not None:  # else it is not one of Python's
            signal.signal(signal.SIGTERM, handler)


@contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    """Set an environment variable, unless it is set."""
    if name in os.environ:
        yield
        return
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
