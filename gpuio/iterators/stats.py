"""Statistics of an iterator: who waited for whom, which stage took how long, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from gpuio import native
from gpuio.loading.cpus import cpu_count
from gpuio.storage.remote.statistics import Statistics

# A loop that waits for a smaller part of its time does not wait for its data.
KEEPS_UP = 0.05

# Threads that work for a smaller part of the time are not what batches wait for.
BUSY = 0.5


class Queue(NamedTuple):
    """Batches that are made ahead of the loop.

    Attributes
    ----------
    size : that may be finished when one is asked for, at most
    asked : how often a batch was asked for
    ready : how many were finished at these times, all together
    """

    size: int
    asked: int
    ready: int

    @property
    def mean(self) -> float:
        """How many batches were finished when one was asked for, on average."""
        return self.ready / max(self.asked, 1)


@dataclass(frozen=True, kw_only=True)
class Stats:
    """What an iterator has measured since it was created. Its string is a table.

    Attributes
    ----------
    iterator : the name of its class
    batches : that it has handed out
    batch_size : rows of a batch
    started : seconds until the first batch came
    waited : seconds for which the loop waited for data after that
    worked : seconds for which data waited for the loop: those between batches, without those in
        which `reset` or `load_state_dict` was called
    handed : seconds in which batches were converted for the loop, on its thread
    stages : seconds that each stage took, of all threads together, also for batches that are made
        ahead: "read": reading the records; "plan": reading headers, drawing the augmentation;
        "decode": decoding, resampling, and writing into the batch (with DALI, waiting for its
        graph); "finish": what is done once for a batch. Empty: the iterator has no stages
    executor : "host" or "dali"; None: there is none
    threads : that load; 0: the iterator does not say
    queue : batches made ahead; None: the iterator does not say
    bad_records : that `on_error` has left out or replaced
    remote : what remote files have cost the whole process since the iterator was created; None:
        there are none
    inner : the statistics of the iterators that this one takes batches from
    """

    iterator: str
    batches: int
    batch_size: int
    started: float
    waited: float
    worked: float
    handed: float
    stages: dict[str, float] = field(default_factory=dict)
    executor: str | None = None
    threads: int = 0
    queue: Queue | None = None
    bad_records: int = 0
    remote: Statistics | None = None
    inner: tuple[Stats, ...] = ()

    @property
    def seconds(self) -> float:
        """The time from the first batch on."""
        return self.waited + self.worked + self.handed

    @property
    def waiting(self) -> float:
        """The fraction of the time for which the loop waited, 0 to 1."""
        return self.waited / self.seconds if self.seconds else 0.0

    @property
    def rows_per_second(self) -> float:
        """Rows that were handed out in a second, from the first batch on."""
        return max(self.batches - 1, 0) * self.batch_size / self.seconds if self.seconds else 0.0

    @property
    def busy(self) -> float:
        """The fraction of the time for which the threads worked on stages, 0 to 1, about; 0 where
        DALI's threads work.
        """
        if not self.threads or self.executor != "host":
            return 0.0
        available = self.threads * (self.started + self.seconds)
        return min(sum(self.stages.values()) / available, 1.0) if available else 0.0

    @property
    def advice(self) -> str:
        """Whether the loop waits for its data, and what to do about that: one line."""
        if self.batches < 2:
            return "too few batches were handed out to say anything"
        share = f"the loop waited for data {self.waiting:.0%} of the time"
        if self.waiting < KEEPS_UP:
            return f"{share}: loading keeps up with it"
        return f"{share}: {_remedy(self)}"

    def since(self, before: Stats) -> Stats:
        """What has been added to earlier statistics of the same iterator, as those of an epoch."""
        queue = self.queue
        if queue is not None and before.queue is not None:
            asked, ready = queue.asked - before.queue.asked, queue.ready - before.queue.ready
            queue = Queue(queue.size, asked, ready)
        remote = self.remote
        if remote is not None and before.remote is not None:
            remote = remote.since(before.remote)
        return replace(
            self,
            batches=self.batches - before.batches,
            started=self.started - before.started,
            waited=self.waited - before.waited,
            worked=self.worked - before.worked,
            handed=self.handed - before.handed,
            stages={
                name: seconds - before.stages.get(name, 0.0)
                for name, seconds in self.stages.items()
            },
            queue=queue,
            bad_records=self.bad_records - before.bad_records,
            remote=remote,
            inner=tuple(
                each.since(other) for each, other in zip(self.inner, before.inner, strict=True)
            ),
        )

    def __str__(self) -> str:
        return "\n".join([*_table(self), f"advice: {self.advice}"])

    def prometheus(self) -> str:
        """The statistics in Prometheus' text format, for its textfile collector or a web server.

        Iterators that this one takes batches from are labeled by their numbers, as in
        ``iterator="MixIter/0/ImageRecordIter"``.
        """
        metrics: dict[str, list[str]] = {}
        for label, stats in _all(self, self.iterator):
            for name, kind, text, samples in _metrics(stats):
                lines = metrics.setdefault(name, [f"# HELP {name} {text}", f"# TYPE {name} {kind}"])
                for labels, value in samples:
                    given = {"iterator": label, **labels}
                    listed = ",".join(f'{key}="{_quoted(each)}"' for key, each in given.items())
                    lines.append(f"{name}{{{listed}}} {value}")
        return "".join(f"{line}\n" for lines in metrics.values() for line in lines)


def _quoted(label: str) -> str:
    """The value of a label, as Prometheus has it in quotes."""
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _all(stats: Stats, label: str) -> Iterator[tuple[str, Stats]]:
    """Statistics and those inside, with their labels."""
    yield label, stats
    for number, each in enumerate(stats.inner):
        yield from _all(each, f"{label}/{number}/{each.iterator}")


# Of a metric the name, type, description, and the samples: labels and value.
_Metric = tuple[str, str, str, list[tuple[dict[str, str], float]]]


def _metrics(stats: Stats) -> Iterator[_Metric]:
    def one(name: str, kind: str, text: str, value: float) -> _Metric:
        return f"gpuio_{name}", kind, text, [({}, value)]

    yield one("batches_total", "counter", "Batches handed out.", stats.batches)
    yield one("rows_total", "counter", "Rows handed out.", stats.batches * stats.batch_size)
    yield one(
        "wait_seconds_total", "counter", "Time for which the loop waited for data.", stats.waited
    )
    yield one(
        "loop_seconds_total", "counter", "Time for which data waited for the loop.", stats.worked
    )
    yield one(
        "hand_over_seconds_total", "counter", "Time in which batches were handed out.", stats.handed
    )
    yield one("startup_seconds", "gauge", "Time until the first batch came.", stats.started)
    if stats.stages:
        by_stage = [({"stage": name}, seconds) for name, seconds in stats.stages.items()]
        text = "Time that a stage took, of all threads together."
        yield "gpuio_stage_seconds_total", "counter", text, by_stage
        yield one("threads", "gauge", "Threads that load.", stats.threads)
        yield one("bad_records_total", "counter", "Records left out.", stats.bad_records)
    if (queue := stats.queue) is not None:
        yield one("queue_size", "gauge", "Batches made ahead at most.", queue.size)
        yield one("queue_asked_total", "counter", "Times a batch was asked for.", queue.asked)
        yield one("queue_ready_total", "counter", "Batches that were finished then.", queue.ready)
    if (remote := stats.remote) is not None:
        yield one("remote_requests_total", "counter", "Requests for data.", remote.requests)
        yield one(
            "remote_failed_requests_total", "counter", "Requests that failed and were repeated.",
            remote.failed,
        )  # fmt: skip
        yield one("remote_fetched_bytes_total", "counter", "Bytes fetched.", remote.fetched)
        yield one("remote_cached_bytes_total", "counter", "Bytes from the cache.", remote.cached)
        yield one(
            "remote_wait_seconds_total", "counter", "Time threads waited for data.", remote.waited
        )


def _table(stats: Stats) -> list[str]:
    """Lines of the table, without the advice."""
    total = stats.seconds
    lines = [
        f"{stats.iterator}: {stats.batches:,} batches of {stats.batch_size:,} rows in {total:,.1f} "
        f"s, {stats.rows_per_second:,.0f} rows a second"
    ]

    def line(name: str, value: float, note: str = "") -> None:
        lines.append(f"  {name:<26}{value:>10,.2f} s{note and f'  {note}'}".rstrip())

    for name, value in (
        ("loop waited for data", stats.waited),
        ("data waited for the loop", stats.worked),
        ("handing over", stats.handed),
    ):
        line(name, value, f"{value / total:>5.0%}" if total else "")
    line("until the first batch", stats.started)
    made = sum(stats.stages.values())
    for name, value in stats.stages.items():
        share = f"{value / made:>5.0%} of all threads' work" if made else ""
        line(name, value, share)
    if stats.executor == "host":
        line(f"{stats.threads} threads, busy", made, f"{stats.busy:>5.0%}")
    if (queue := stats.queue) is not None:
        lines.append(
            f"  {'batches ready when asked':<26}{queue.mean:>10,.1f} of {queue.size} made ahead"
        )
    if stats.bad_records:
        lines.append(f"  {'bad records':<26}{stats.bad_records:>10,}")
    if (remote := stats.remote) is not None:
        lines.append(f"  {describe_remote(remote)}")
    for number, each in enumerate(stats.inner):
        first, *others = _table(each)
        lines += [f"  {number}: {first}", *(f"  {other}" for other in others)]
    return lines


def describe_remote(cost: Statistics) -> str:
    """What reading remote files has cost, in words."""
    rate = cost.cached / max(cost.cached + cost.fetched, 1)
    failed = f"; {cost.failed:,} requests failed and were repeated" if cost.failed else ""
    return (
        f"remote: {cost.requests:,} requests for {cost.fetched / 1e6:,.1f} MB, {rate:.0%} of what "
        f"was read came from the cache, threads waited {cost.waited:.1f} s{failed}"
    )


def _remedy(stats: Stats, ahead: bool = False) -> str:
    """What to do where the loop waits.

    Parameters
    ----------
    ahead : an iterator that takes batches from this one has them made ahead
    """
    ahead = ahead or stats.queue is not None
    if stats.inner:
        number, slowest = max(enumerate(stats.inner), key=lambda each: each[1].waited)
        return f"mostly iterator {number}, {slowest.iterator}: {_remedy(slowest, ahead)}"
    total = sum(stats.stages.values())
    if not total:
        if ahead:
            return "one thread makes its batches ahead, and takes longer for them than the loop"
        return (
            "its batches are made when they are asked for; PrefetchingIter makes them ahead, in a "
            "thread"
        )
    slowest_stage = max(stats.stages, key=lambda name: stats.stages[name])
    part = f"{slowest_stage!r} is {stats.stages[slowest_stage] / total:.0%} of the work"
    if slowest_stage == "read":
        if stats.remote is not None:
            return (
                f"{part}: shuffle='blocks', a larger readahead, or 'gpuio cache fill' before "
                "training"
            )
        return f"{part}: a faster disk, a file that fits into memory, or shuffle='blocks'"
    if slowest_stage == "finish" and stats.bad_records:
        return f"{part}: leave bad records out by a list (gpuio verify --quarantine)"
    if stats.queue is not None and not stats.queue.size:
        return "no batch is made while the loop works: raise prefetch_buffer above 1"
    in_use, reason = native.state()
    if stats.executor == "host" and not in_use:
        return f"{part}, without the native module, which is not in use: {reason}"
    if stats.threads < (cpus := cpu_count()):
        return f"{part}: raise preprocess_threads above {stats.threads}, there are {cpus} CPUs"
    if stats.executor == "host" and stats.busy < BUSY:
        return (
            f"the threads worked {stats.busy:.0%} of the time: raise prefetch_buffer or "
            "batch_size; other programs may use the CPUs"
        )
    smaller = f"{part}: smaller images (gpuio im2rec --resize)"
    if stats.executor == "host":
        return f"{smaller}, dct_scaling=True for large ones, more CPUs, or a GPU (ctx='gpu:0')"
    return f"{smaller}, or more CPUs"
