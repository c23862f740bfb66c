"""Compare ImageRecordIter with DALI's own pipeline and with decoding alone, on a GPU.

Run it with ``make bench-gpu`` on a machine with a GPU; it prints a report in Markdown, and takes
about five minutes. There are two tasks, those of `gpuio.tools.tasks`: *eval* (shorter side to 256,
center crop 224, mean and std, float32) and *train* (a random 8 to 100 % of the area, aspect ratio
3/4 to 4/3, to 224, flip, mean and std).

1. *Settings*: images per second for numbers of CPU threads and shares of the GPU's JPEG engines.
2. *Throughput*: each contestant with the settings that were best for it, in turns. DALI's reader
   shuffles in a buffer of 1,024 records; it is also measured with ``shuffle_after_epoch``, which
   permutes whole files only, so that it reads this one file in its order, the fastest way for it.
   *Decoding alone* is DALI's mixed decoder behind its reader, of whole images: what no loader of
   whole images surpasses.
3. *Layers*: DALI's graph of gpuio's, from decoding alone to all of it, fed with the same encoded
   images and windows again and again; what a layer costs is the difference to the one above.
4. *Training step*: matrix products that take 1.25 times as long as the loader's batches, alone and
   with batches: the time that loading takes from the step.
5. *Kernels*: bytes read and written per second, beside a copy on the device.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import itertools
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from gpuio.context import gpu, require
from gpuio.execution import dali
from gpuio.execution.assemble_cuda import CudaAssembler
from gpuio.execution.dali_graph import Feed, build_graph, make_feed
from gpuio.execution.output import OutputSpec
from gpuio.io import ImageRecordIter
from gpuio.loading.cpus import cpu_count
from gpuio.planning.plan import Jitter, Plan
from gpuio.tools.commands.bench.dali_reader import reader_pipeline
from gpuio.tools.commands.bench.measure import measure
from gpuio.tools.tasks import MEAN, SHAPE, STD, TASKS
from tests.benchmarks.photographs import record_files

GPUIO, READER = "gpuio", "DALI readers.mxnet"
IN_ORDER = "DALI readers.mxnet in the file's order, shuffle_after_epoch"
DECODING = "decoding alone"

# Shares of the images that are offered to the JPEG engines.
LOADS = (0.0, 0.12, 0.3, 0.65, 0.9)

# A training step, as a multiple of the time that loading its batch takes; and its matrices' size.
STEP, MATRIX = 1.25, 4096

# Parts of gpuio's graph; and batches that are fed to them.
FED, WINDOWS, GRAPH = "decoding, fed by gpuio", "decoding windows", "gpuio's graph"
PADDED = "decoding, padded to 64 bytes"  # DALI copies a batch densely, each image behind the other
LAYERS = (FED, PADDED, WINDOWS, GRAPH)
FEEDS = 6

Load = Callable[[], Any]  # starts one batch, and returns it or what keeps it


def gpuio_load(rec: Path, idx: Path, task: str, size: int, threads: int, load: float) -> Load:
    """Batches of ImageRecordIter, epoch after epoch."""
    iterator = ImageRecordIter(
        path_imgrec=rec, path_imgidx=idx, data_shape=SHAPE, batch_size=size, ctx=gpu(0),
        preprocess_threads=threads, hw_decoder_load=load, verbose=False, **TASKS[task],
    )  # fmt: skip

    def endless() -> Iterator[Any]:
        while True:
            yield from iterator
            iterator.reset()

    return partial(next, endless())


def reader_load(
    rec: Path, idx: Path, task: str, size: int, threads: int, load: float, in_order: bool = False
) -> Load:
    """Batches of DALI's own pipeline, three in flight."""
    import cupy

    train = task == "train"
    pipe = reader_pipeline(
        str(rec), str(idx), device_id=0, data_shape=SHAPE, batch_size=size, threads=threads,
        resize=-1 if train else 256, random_resized_crop=train, area=(0.08, 1.0),
        ratio=(3 / 4, 4 / 3), rand_mirror=train, mean=MEAN, std=STD,
        shuffle=train and not in_order, shuffle_after_epoch=train and in_order,
        depth=3, hw_decoder_load=load,
    )  # fmt: skip
    return lambda: pipe.run(cupy.cuda.get_current_stream())


def decoding_load(rec: Path, idx: Path, size: int, threads: int, load: float) -> Load:
    """Whole images of DALI's mixed decoder."""
    import cupy
    from nvidia.dali import Pipeline, fn

    pipe = Pipeline(batch_size=size, num_threads=threads, device_id=0, prefetch_queue_depth=3)
    with pipe:
        encoded, _ = fn.readers.mxnet(path=[str(rec)], index_path=[str(idx)])
        pipe.set_outputs(fn.decoders.image(encoded, device="mixed", hw_decoder_load=load))
    pipe.build()
    return lambda: pipe.run(cupy.cuda.get_current_stream())


def run_batches(load: Load, batches: int, size: int) -> int:
    """Load batches, and wait for the device; the number of images."""
    import cupy

    for _ in range(batches):
        load()
    cupy.cuda.Device(0).synchronize()
    return batches * size


def images_per_second(load: Load, batches: int, size: int) -> float:
    """Speed of one round, after one that warms up."""
    run_batches(load, batches, size)
    begun = time.perf_counter()
    count = run_batches(load, batches, size)
    return count / (time.perf_counter() - begun)


def prepared_feeds(rec: Path, idx: Path, task: str, size: int) -> list[Feed]:
    """What gpuio feeds to its graph for the first batches of an epoch."""
    feeds: list[Feed] = []

    def keep(*arguments: Any) -> Feed:
        feeds.append(make_feed(*arguments))
        return feeds[-1]

    with mock.patch.object(dali, "make_feed", keep):
        run_batches(gpuio_load(rec, idx, task, size, 4, 0.5), FEEDS, size)
    return feeds[:FEEDS]


def layer_load(feeds: list[Feed], layer: str, size: int, threads: int, load: float) -> Load:
    """A part of gpuio's graph, fed with these, again and again."""
    import cupy
    from nvidia.dali import Pipeline, fn, types

    if layer == PADDED:
        padded = [[np.pad(each, (0, -len(each) % 64)) for each in feed.encoded] for feed in feeds]
        feeds = [feed._replace(encoded=each) for feed, each in zip(feeds, padded, strict=True)]
    turns = itertools.cycle(feeds)
    stream = cupy.cuda.get_current_stream()
    if layer == GRAPH:
        output = OutputSpec(*SHAPE, np.dtype(np.float32), "NCHW", MEAN, STD)
        pipe = build_graph(
            lambda: [np.zeros(size, np.int64), *next(turns).arrays()], output, size, device_id=0,
            threads=threads, depth=3, antialias=False, hw_decoder_load=load,
            apply_orientation=True, borders=False, affine=None,
        )  # fmt: skip
        return lambda: pipe.run(stream)
    pipe = Pipeline(batch_size=size, num_threads=threads, device_id=0, prefetch_queue_depth=3)
    decoder = {"device": "mixed", "jpeg_fancy_upsampling": True, "hw_decoder_load": load}
    with pipe:
        encoded, anchor, shape = fn.external_source(
            source=lambda: next(turns).arrays()[:3], num_outputs=3, batch=True, no_copy=True,
            ndim=1, dtype=[types.UINT8, types.INT32, types.INT32],
        )  # fmt: skip
        if layer == WINDOWS:
            images = fn.decoders.image_slice(encoded, anchor, shape, axes=[0, 1], **decoder)
        else:
            images = fn.decoders.image(encoded, **decoder)
        pipe.set_outputs(images, anchor, shape)
    pipe.build()
    return lambda: pipe.run(stream)


def layers(
    rec: Path, idx: Path, task: str, setting: tuple[int, float], options: argparse.Namespace
) -> dict[str, float]:
    """Images per second of each layer; printed, too."""
    size, (threads, load) = options.batch_size, setting
    feeds = prepared_feeds(rec, idx, task, size)
    loads = {
        "decoding alone, from DALI's reader": decoding_load(rec, idx, size, threads, load),
        **{name: layer_load(feeds, name, size, threads, load) for name in LAYERS},
        "gpuio": gpuio_load(rec, idx, task, size, threads, load),
    }
    runs = {name: partial(run_batches, each, options.batches, size) for name, each in loads.items()}
    figures = measure(runs, options.rounds)
    rows = [
        [name, f"{each.per_second:,.0f}", f"{each.cpu * 1e6:.0f}"] for name, each in figures.items()
    ]
    print(f"\n{task}: layers, {threads} threads, hw_decoder_load={load}\n")
    print(table(["", "images/s", "CPU-us per image"], rows))
    return {name: each.per_second for name, each in figures.items()}


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine() -> dict[str, str]:
    """What the figures depend on."""
    import cupy

    runtime = cupy.cuda.runtime
    properties = runtime.getDeviceProperties(0)
    versions = {}
    for name in ("cupy-cuda13x", "cupy-cuda12x", "nvidia-dali-cuda130", "nvidia-dali-cuda120"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "GPU": f"{properties['name'].decode()}, {properties['totalGlobalMem'] / 2**30:.0f} GiB",
        "CPUs": f"{cpu_count()} ({platform.processor() or platform.machine()})",
        "CUDA": f"driver {runtime.driverGetVersion()}, runtime {runtime.runtimeGetVersion()}",
        "Python": platform.python_version(),
        **versions,
    }


def sweep(
    name: str, make: Callable[[int, float], Load], options: argparse.Namespace
) -> tuple[int, float]:
    """Measure a contestant with each setting, and print them; the best."""
    speeds = {}
    for threads in options.threads:
        for load in options.loads:
            loader = make(threads, load)
            speeds[threads, load] = images_per_second(loader, options.batches, options.batch_size)
            del loader
    best = max(speeds, key=lambda setting: speeds[setting])
    print(f"\n{name}, images/s; best: {best[0]} threads, hw_decoder_load={best[1]}\n")
    rows = [
        [str(threads), *(f"{speeds[threads, load]:,.0f}" for load in options.loads)]
        for threads in options.threads
    ]
    print(table(["threads \\ hw_decoder_load", *map(str, options.loads)], rows))
    return best


def throughput(
    rec: Path, idx: Path, task: str, options: argparse.Namespace
) -> tuple[dict[str, float], tuple[int, float]]:
    """Sweep, measure each contestant at its best, and print both; images per second by contestant,
    and gpuio's best setting.
    """
    size = options.batch_size
    makers: dict[str, Callable[[int, float], Load]] = {
        GPUIO: partial(gpuio_load, rec, idx, task, size),
        READER: partial(reader_load, rec, idx, task, size),
    }
    best = {name: sweep(f"{task}, {name}", make, options) for name, make in makers.items()}
    if task == "train":
        makers[IN_ORDER] = partial(reader_load, rec, idx, task, size, in_order=True)
        best[IN_ORDER] = best[READER]
    makers[DECODING] = partial(decoding_load, rec, idx, size)
    best[DECODING] = best[READER]
    runs = {
        name: partial(run_batches, make(*best[name]), options.batches, size)
        for name, make in makers.items()
    }
    figures = measure(runs, options.rounds)
    speeds = {name: each.per_second for name, each in figures.items()}
    print(f"\n{task}: medians of {options.rounds} rounds of {options.batches} batches, in turns\n")
    rows = [
        [name, f"{best[name][0]}, {best[name][1]}", f"{each.per_second:,.0f}",
         f"{each.cpu * 1e6:.0f}", f"{speeds[GPUIO] / each.per_second:.2f}"]
        for name, each in figures.items()
    ]  # fmt: skip
    head = [
        "",
        "threads, hw_decoder_load",
        "images/s",
        "CPU-us per image",
        "gpuio's, as a multiple",
    ]
    print(table(head, rows))
    return speeds, best[GPUIO]


def training_step(load: Load, images_per_second: float, options: argparse.Namespace) -> float:
    """Time that loading takes from a training step, as a fraction of it; printed, too.

    A step is a number of matrix products on CuPy's current stream, then a sum over the batch.
    """
    import cupy

    device = cupy.cuda.Device(0)
    matrix = cupy.ones((options.matrix, options.matrix), np.float16)

    def step(count: int, batch: Any) -> None:
        for _ in range(count):
            cupy.matmul(matrix, matrix)
        batch.data[0].sum()

    def seconds(run: Callable[[], None]) -> float:
        device.synchronize()
        begun = time.perf_counter()
        run()
        device.synchronize()
        return time.perf_counter() - begun

    held = load()
    step(3, held)
    product = seconds(lambda: step(20, held)) / 20
    count = max(1, round(STEP * options.batch_size / images_per_second / product))

    def alone() -> None:
        for _ in range(options.batches):
            step(count, held)

    def loading() -> None:
        for _ in range(options.batches):
            step(count, load())

    rounds = [(seconds(alone), seconds(loading)) for _ in range(1 + options.rounds)][1:]
    base, fed = (statistics.median(each) / options.batches for each in zip(*rounds, strict=True))
    print(
        f"\nA step of {base * 1e3:.2f} ms takes {fed * 1e3:.2f} ms with batches from gpuio: "
        f"{fed / base - 1:.1%} more ({options.rounds} rounds in turns)"
    )
    return fed / base - 1


def bandwidths(options: argparse.Namespace) -> dict[str, float]:
    """Bytes per second of the kernels, read and written, and of a copy; printed, too."""
    import cupy

    count, (channels, height, width) = options.batch_size, SHAPE
    pixels = cupy.zeros((count, height, width, channels), np.uint8)
    stream = cupy.cuda.get_current_stream()
    nothing, hls = np.zeros((count, 4)), np.full((count, 3), 20)
    flip = np.arange(count) % 2 == 0
    plain = Plan(nothing, nothing.astype(np.int64), np.ones(count, np.int64), flip)
    runs: dict[str, tuple[int, Callable[[], Any]]] = {}
    for dtype in ("float32", "float16"):
        output = OutputSpec(channels, height, width, np.dtype(dtype), "NCHW", MEAN, STD)
        assembler = CudaAssembler(output, gpu(0))
        moved = pixels.nbytes * (1 + output.dtype.itemsize)
        runs[f"assemble, {dtype}"] = moved, partial(assembler, pixels, plain, None, stream)
    jittered = replace(plain, jitter=Jitter(hls=hls))
    moved += 2 * pixels.nbytes
    runs["finish and assemble, float16"] = moved, partial(assembler, pixels, jittered, None, stream)
    source = cupy.zeros(pixels.nbytes * 4, np.uint8)
    target = cupy.empty_like(source)
    # Not `source.copy`, which is ten times slower on an H200.
    copy = partial(target.data.copy_from_device_async, source.data, source.nbytes, stream)
    runs["copy on the device"] = 2 * source.nbytes, copy
    speeds = {}
    for name, (moved, run) in runs.items():
        run()
        begun, ended = cupy.cuda.Event(), cupy.cuda.Event()
        begun.record()
        for _ in range(options.launches):
            run()
        ended.record()
        ended.synchronize()
        milliseconds = cupy.cuda.get_elapsed_time(begun, ended) / options.launches
        speeds[name] = moved / max(milliseconds, 1e-6) * 1e3
    rows = [[name, f"{speed / 1e9:,.0f}"] for name, speed in speeds.items()]
    print("\n" + table(["kernel", "GB/s"], rows))
    return speeds


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure, print the report, and return the figures."""
    counts = sorted({min(count, cpu_count()) for count in (4, 8, 16, cpu_count())})
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=8, help="batches per round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--threads", type=int, nargs="+", default=counts, help="to try")
    parser.add_argument("--loads", type=float, nargs="+", default=list(LOADS), help="to try")
    parser.add_argument("--copies", type=int, default=10, help="of each photograph in the file")
    parser.add_argument("--matrix", type=int, default=MATRIX, help="size of a step's matrices")
    parser.add_argument("--launches", type=int, default=100, help="of each kernel")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args(arguments)
    require(gpu(0))
    figures: dict[str, Any] = {"machine": machine()}
    with tempfile.TemporaryDirectory() as folder:
        rec, idx, figures["data"] = record_files(Path(folder), options.copies)
        print("\n".join(f"- {name}: {value}" for name, value in figures["machine"].items()))
        print(f"- data: {figures['data']}, {options.copies} times; batches of {options.batch_size}")
        for task in TASKS:
            figures[task], best = throughput(rec, idx, task, options)
            figures[f"{task}, layers"] = layers(rec, idx, task, best, options)
        load = gpuio_load(rec, idx, "train", options.batch_size, *best)
        figures["step"] = training_step(load, figures["train"][GPUIO], options)
    figures["kernels"] = bandwidths(options)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return figures


if __name__ == "__main__":
    main()
