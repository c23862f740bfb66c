"""Checks of a GPU for `gpuio doctor --gpu`: what no test without one can show."""

from __future__ import annotations

import contextlib
import importlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gpuio.context import Context, gpu_memory_info, require, require_cupy
from gpuio.errors import Error

if TYPE_CHECKING:
    from gpuio.io import DataBatch, ImageRecordIter
    from gpuio.planning.plan import Plan

# Images of the checks: their size, how many there are, and how many make a batch.
SIZE, COUNT, BATCH = (96, 128), 64, 8

# Size of the matrices that keep a stream busy.
MATRIX = 1024

# nvJPEG's inverse transform and conversion of colors are not libjpeg's: what they may differ by in
# pixel values, of the decoder alone and after resizing, which DALI does with other weights.
DECODER_TOLERANCE, RESIZE_TOLERANCE = 4, 8


def gpu_checks(ctx: Context) -> dict[str, Callable[[], str]]:
    """Checks by name; each returns what it found, or raises what is wrong. If the first fails, the
    others need not be tried.

    They take some seconds together.

    Parameters
    ----------
    ctx : the GPU to check
    """
    checks: dict[str, Callable[[Context], str]] = {
        "device": _device,
        "kernels equal the host": _kernels,
        "nvImageCodec's pixels": _codec_pixels,
        "DALI's pixels": _pixels,
        "truncated JPEGs": _truncated,
        "batches after a bad record": _after_bad_records,
        "held batches": _held,
        "batches on streams of their own": _own_streams,
        "batches in torch on the GPU": partial(_hand_over, framework="torch"),
        "batches in jax on the GPU": partial(_hand_over, framework="jax"),
    }
    return {name: partial(check, ctx) for name, check in checks.items()}


def _device(ctx: Context) -> str:
    """Describe the GPU and the libraries that work on it."""
    require(ctx)
    cupy = require_cupy()
    runtime = cupy.cuda.runtime
    properties = runtime.getDeviceProperties(ctx.device_id)
    free, total = (size / 2**30 for size in gpu_memory_info(ctx.device_id))
    major, minor = properties["major"], properties["minor"]
    return (
        f"{properties['name'].decode()}, compute capability {major}.{minor}, {free:.1f} of "
        f"{total:.1f} GiB free; driver {runtime.driverGetVersion()}, runtime "
        f"{runtime.runtimeGetVersion()}, NVRTC {'.'.join(map(str, cupy.cuda.nvrtc.getVersion()))}"
    )


def _kernels(ctx: Context) -> str:
    """Finish, augment, assemble and mix samples on the GPU and on the host, and compare them bit
    for bit.
    """
    from gpuio.execution.output import DTYPES, LAYOUTS, OutputSpec
    from gpuio.execution.postprocess import CudaPostprocess, HostPostprocess
    from gpuio.nd import wrap
    from gpuio.planning.mixing import CutMix, Mixer, MixUp

    rng = np.random.default_rng(0)
    height, width = 37, 53
    pixels = rng.integers(0, 256, (BATCH, height, width, 3), np.uint8)
    plans = {"plain": _plan(rng, height, width, plain=True), "full": _plan(rng, height, width)}
    samples = np.arange(BATCH)
    mix = Mixer((MixUp(), CutMix()), 0).draw(samples, samples, (width, height))
    for name, plan in plans.items():
        for dtype in DTYPES:
            for layout in LAYOUTS:
                scaling = (123.0,) * 3, (58.0,) * 3
                output = OutputSpec(3, height, width, np.dtype(dtype), layout, *scaling)
                mixed = mix if name == "full" else None
                expected = HostPostprocess(output).assemble(pixels, plan, None, mixed)
                on_gpu = CudaPostprocess(output, ctx)
                made = wrap(on_gpu.assemble(on_gpu.upload(pixels), plan, None, mixed)).asnumpy()
                if made.tobytes() != expected.tobytes():
                    raise RuntimeError(f"{dtype} {layout}, {name} plan: differs from the host's")
    return f"bit for bit, with {len(plans)} plans in {len(DTYPES) * len(LAYOUTS)} kinds of batches"


def _plan(rng: np.random.Generator, height: int, width: int, *, plain: bool = False) -> Plan:
    """A plan with flips, and unless it is plain with everything that changes pixels."""
    from gpuio.planning.plan import LINEAR, Border, Jitter, Plan
    from gpuio.planning.policies import (
        ColorJitterPolicy,
        RandAugmentPolicy,
        RandomErasingPolicy,
        TrivialAugmentPolicy,
        plan_operations,
    )

    nothing = np.zeros((BATCH, 4))
    flip = rng.integers(0, 2, BATCH).astype(bool)
    plan = Plan(nothing, nothing.astype(np.int64), np.ones(BATCH, np.int64), flip)
    if plain:
        return plan

    def color() -> NDArray[np.float64]:
        return rng.normal(0, 0.5, (BATCH, 3, 7))

    inside = np.array([[2, 3, width - 5, height - 4]] * BATCH)
    jitter = Jitter(color(), rng.integers(-90, 90, (BATCH, 3)), True, rng.uniform(0.5, 2, BATCH))
    policies = (
        RandAugmentPolicy(3),
        TrivialAugmentPolicy(interpolation=LINEAR),
        ColorJitterPolicy((0.5, 1.5), (0.5, 1.5), (0.5, 1.5), (-0.5, 0.5)),
        RandomErasingPolicy(),
    )
    samples = np.arange(BATCH)
    return replace(
        plan,
        operations=plan_operations(policies, (width, height), 3, 0, samples, samples),
        borders=(Border(inside, rng.integers(0, 256, (BATCH, 3), np.uint8)),),
        jitter=jitter,
        color=color(),
        light=rng.uniform(0.5, 2, (BATCH, 2)),
    )


def _codec_pixels(ctx: Context) -> str:
    """Compare single decoded images with the host's."""
    from gpuio.image import imdecode

    worst = {}
    for name, image in _kinds().items():
        expected = imdecode(image, ctx="cpu").asnumpy().astype(int)
        found = imdecode(image, ctx=ctx).asnumpy().astype(int)
        worst[name] = int(abs(found - expected).max())
    return _within(worst, DECODER_TOLERANCE)


def _pixels(ctx: Context) -> str:
    """Compare batches of images of each kind with the host's."""
    kinds = _kinds()
    worst = {}
    for name, image in kinds.items():
        found, expected = (
            _first_batch([image], device, resize=64).astype(int) for device in (ctx, "cpu")
        )
        worst[name] = int(abs(found - expected).max())
    return _within(worst, RESIZE_TOLERANCE)


def _within(worst: dict[str, int], tolerance: int) -> str:
    found = ", ".join(f"{name} {value}" for name, value in worst.items())
    if max(worst.values()) > tolerance:
        raise RuntimeError(f"pixel values differ from the host's by more than {tolerance}: {found}")
    return f"differ from the host's by at most: {found}"


def _truncated(ctx: Context) -> str:
    """Load JPEGs that end before their end marker."""
    whole = _jpeg(1)
    for missing in (2, len(whole) // 3):
        _first_batch([whole[:-missing]], ctx)
    return "are decoded as far as they go, as on the host"


def _after_bad_records(ctx: Context) -> str:
    """Load a file with bad records, twice: each image comes with its own label."""
    images = [_marked(number) for number in range(COUNT)]
    bad = range(5, COUNT, 17)
    for number in bad:
        images[number] = images[number][:200] + bytes(100)
    with _records(images) as open_iterator, open_iterator(ctx, on_error="skip") as iterator:
        for _ in range(2):
            labels = [_check_marks(batch) for batch in iterator]
            seen = {int(label) for each in labels for label in each}
            if not set(range(COUNT)) - set(bad) <= seen:
                raise RuntimeError(f"records are missing: {set(range(COUNT)) - seen}")
            iterator.reset()
    return f"{len(bad)} of {COUNT} records were bad; all others came with their labels"


def _held(ctx: Context) -> str:
    """Hold all batches of an epoch while the next one is loaded."""
    with _records([_marked(number) for number in range(COUNT)]) as open_iterator:
        with open_iterator(ctx, shuffle=True) as iterator:
            held = list(iterator)
            iterator.reset()
            held += list(iterator)
        for batch in held:
            _check_marks(batch)
    return f"{len(held)} batches stayed as they were, after the iterator was closed, too"


def _own_streams(ctx: Context) -> str:
    """Queue long work on a stream, drop the batch at once, and compare the results."""
    cupy = require_cupy()
    results = []
    with _records([_marked(number) for number in range(COUNT)]) as open_iterator:
        with cupy.cuda.Device(ctx.device_id), open_iterator(ctx) as iterator:
            stream = cupy.cuda.Stream(non_blocking=True)
            with stream:
                busy = cupy.ones((MATRIX, MATRIX), np.float32)
                for _ in range(4):
                    for batch in iterator:
                        for _ in range(20):
                            busy = busy @ busy / MATRIX
                        results.append((batch.data[0].mean(axis=(1, 2, 3)), batch.label[0] * 1))
                        del batch
                    iterator.reset()
                stream.synchronize()
        for marks, labels in results:
            _compare_marks(marks.asnumpy(), labels.asnumpy())
    return f"{len(results)} batches were dropped while work on them was queued, and none changed"


def _hand_over(ctx: Context, framework: str) -> str:
    """Load batches as a framework's tensors, which must be on the GPU, and check their values."""
    if not _has_cuda(framework):
        raise Error(f"{framework} is installed without CUDA, or finds no GPU")
    loader = importlib.import_module(f"gpuio.{framework}").loader
    places = set()
    images = [_marked(number) for number in range(COUNT)]
    with _records(images) as open_iterator, open_iterator(ctx) as iterator:
        for data, label in loader(iterator):
            places.add(str(data.device))
            results = data.mean((1, 2, 3)), label
            if framework == "torch":
                results = tuple(each.cpu() for each in results)
            _compare_marks(*map(np.asarray, results))
    (place,) = places
    if "cuda" not in place.lower() and "gpu" not in place.lower():
        raise RuntimeError(f"the tensors are on {place}")
    return f"on {place}, with the right values"


def _has_cuda(framework: str) -> bool:
    """Whether a framework works on GPUs here."""
    module = importlib.import_module(framework)
    if framework == "torch":
        return bool(module.cuda.is_available())
    return any(device.platform == "gpu" for device in module.devices())


def _marked(number: int) -> bytes:
    """A gray JPEG that shows the number by its pixel value."""
    import cv2

    return cv2.imencode(".jpg", np.full((*SIZE, 3), 3 * number, np.uint8))[1].tobytes()


def _check_marks(batch: DataBatch) -> NDArray[np.float32]:
    """The labels of a batch, which its images must show."""
    data, label = (array[0].asnumpy() for array in (batch.data, batch.label))
    _compare_marks(data.mean(axis=(1, 2, 3)), label)
    return np.asarray(label)


def _compare_marks(marks: NDArray[np.float32], labels: NDArray[np.float32]) -> None:
    if abs(marks - 3 * labels).max() > 1:
        raise RuntimeError(
            f"images and labels do not belong together: {np.rint(marks / 3)} and {labels}"
        )


def _jpeg(seed: int, *options: int, gray: bool = False) -> bytes:
    """A JPEG of smooth colors."""
    import cv2

    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (6, 8, 3), np.uint8)
    image = cv2.resize(small, SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    image = image[..., 0] if gray else image
    return cv2.imencode(".jpg", image, list(options))[1].tobytes()


def _kinds() -> dict[str, bytes]:
    """JPEGs of the usual kinds."""
    import cv2

    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR
    return {
        "4:2:0": _jpeg(1, sampling, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420),
        "4:2:2": _jpeg(2, sampling, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422),
        "4:4:4": _jpeg(3, sampling, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
        "gray": _jpeg(4, gray=True),
        "progressive": _jpeg(5, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    }


def _first_batch(images: list[bytes], ctx: Context | str, **options: Any) -> NDArray[np.float32]:
    """The first batch of a file of images."""
    options = {"batch_size": len(images), **options}
    with _records(images) as open_iterator, open_iterator(ctx, **options) as iterator:
        return np.asarray(iterator.next().data[0].asnumpy())


@contextlib.contextmanager
def _records(images: list[bytes]) -> Iterator[Callable[..., ImageRecordIter]]:
    """Write a record file, labels counting from 0; yields what opens it on a device."""
    from gpuio.io import ImageRecordIter
    from gpuio.recordio import IRHeader, MXIndexedRecordIO, pack

    with tempfile.TemporaryDirectory() as folder:
        rec, idx = os.path.join(folder, "x.rec"), os.path.join(folder, "x.idx")
        with MXIndexedRecordIO(idx, rec, "w") as writer:
            for number, image in enumerate(images):
                writer.write_idx(number, pack(IRHeader(0, float(number), number, 0), image))

        def open_iterator(ctx: Context | str, **options: Any) -> ImageRecordIter:
            defaults = {"batch_size": BATCH, "data_shape": (3, 48, 48), "verbose": False}
            return ImageRecordIter(
                path_imgrec=rec, path_imgidx=idx, ctx=ctx, **{**defaults, **options}
            )

        yield open_iterator
