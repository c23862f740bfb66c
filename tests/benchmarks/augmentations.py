"""CPU time of augmentations, beside torchvision's transforms v2 and DALI's auto_aug.

Run it with ``python -m tests.benchmarks.augmentations``, with what is installed of torchvision and
DALI. All contestants get the same decoded images, 224 x 224, uint8, one thread each; a round is one
pass over them, and the rounds of all contestants are interleaved. Columns are microseconds of CPU
time (of the whole process) for each image, the least of all rounds, as others' work adds to it:

- gpuio: drawing for a batch, then the operations of each image, as the executors without a GPU do
  with DALI's samples;
- in ImageRecordIter: what its CPU time for an image grows by with these ``augmenters``;
- torchvision, tensors: uint8 (3, 224, 224), which gpuio's results are equal to;
- torchvision, PIL: RGB images;
- DALI: its CPU operators, in batches.

Below, the same for batches of float32 that are mixed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from gpuio import image
from gpuio.execution.mixing import mix_batch
from gpuio.execution.operations import operate
from gpuio.execution.output import OutputSpec
from gpuio.io import ImageRecordIter
from gpuio.planning.mixing import Mixer
from gpuio.planning.policies import plan_operations
from gpuio.recordio import IRHeader, MXIndexedRecordIO, pack

SIZE = 224
JITTER = (0.4, 0.4, 0.4, 0.1)

# A round of a contestant; None: it is not installed, or does not have this augmentation.
Pass = Callable[[], Any] | None

AUGMENTERS: dict[str, list[Any]] = {
    "RandAugment": [image.RandAugment()],
    "RandAugment, bilinear": [image.RandAugment(interpolation="bilinear")],
    "RandAugment, erasing": [image.RandAugment(), image.RandomErasing()],
    "TrivialAugmentWide": [image.TrivialAugmentWide()],
    "ColorJitter": [image.ColorJitter(*JITTER)],
    "RandomErasing": [image.RandomErasing()],
}
MIXES = {"MixUp": image.MixUp(num_classes=1000), "CutMix": image.CutMix(num_classes=1000)}


def photographs(count: int) -> np.ndarray:
    """Smooth random images with some grain: uint8 (count, 224, 224, 3)."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(count):
        coarse = rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)
        smooth = cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
        grain = rng.normal(0, 4, smooth.shape)
        made.append((smooth + grain).clip(0, 255).astype(np.uint8))
    return np.array(made)


def gpuio_pass(augmenters: list[Any], pixels: np.ndarray) -> Pass:
    policies = [each.policy for each in augmenters]
    record = np.arange(len(pixels))

    def run() -> None:
        drawn = plan_operations(policies, (SIZE, SIZE), 3, 0, record, record)
        assert drawn is not None
        for sample, operations in zip(pixels, drawn, strict=True):
            operate(sample, operations)

    return run


def torchvision_pass(name: str, pixels: np.ndarray, pil: bool) -> Pass:
    try:
        import torch
        from PIL import Image
        from torchvision.transforms import v2
    except ImportError:
        return None
    torch.set_num_threads(1)
    transform = {
        "RandAugment": v2.RandAugment,
        "RandAugment, bilinear": lambda: v2.RandAugment(
            interpolation=v2.InterpolationMode.BILINEAR
        ),
        "RandAugment, erasing": lambda: v2.Compose([v2.RandAugment(), v2.RandomErasing()]),
        "TrivialAugmentWide": v2.TrivialAugmentWide,
        "ColorJitter": lambda: v2.ColorJitter(*JITTER),
        "RandomErasing": v2.RandomErasing,
    }[name]()
    if pil and "erasing" in name.lower():  # which takes tensors
        return None
    images: list[Any]
    if pil:
        images = [Image.fromarray(each) for each in pixels]
    else:
        images = [torch.from_numpy(each).permute(2, 0, 1).contiguous() for each in pixels]

    def run() -> None:
        for each in images:
            transform(each)

    return run


def dali_pass(name: str, pixels: np.ndarray) -> Pass:
    if name not in ("RandAugment", "TrivialAugmentWide"):
        return None
    try:
        from nvidia.dali import fn, pipeline_def, types
        from nvidia.dali.auto_aug import rand_augment, trivial_augment
    except ImportError:
        return None

    # What it made ahead, it would make during others' rounds.
    @pipeline_def(
        batch_size=len(pixels), num_threads=1, device_id=None, enable_conditionals=True, seed=0,
        exec_async=False, exec_pipelined=False, prefetch_queue_depth=1,
    )  # fmt: skip
    def graph() -> Any:
        data = fn.external_source(
            source=lambda: pixels, batch=True, no_copy=True, layout="HWC", dtype=types.UINT8
        )
        if name == "RandAugment":
            return rand_augment.rand_augment(data, n=2, m=9, shape=(SIZE, SIZE))
        return trivial_augment.trivial_augment_wide(data, shape=(SIZE, SIZE))

    built = graph()
    built.build()
    return built.run


def write_photographs(pixels: np.ndarray, folder: Path) -> dict[str, Path]:
    """A record file of the images as JPEGs, and its index."""
    files = {"path_imgrec": folder / "photographs.rec", "path_imgidx": folder / "photographs.idx"}
    with MXIndexedRecordIO(files["path_imgidx"], files["path_imgrec"], "w") as writer:
        for number, each in enumerate(pixels):
            encoded = cv2.imencode(".jpg", each[..., ::-1])[1].tobytes()
            writer.write_idx(number, pack(IRHeader(0, float(number), number, 0), encoded))
    return files


def loader_pass(augmenters: list[Any], files: dict[str, Path], count: int) -> Pass:
    """An epoch of a new iterator: one that goes on would make batches during others' rounds."""

    def run() -> None:
        with ImageRecordIter(
            **files, data_shape=(3, SIZE, SIZE), batch_size=count // 4, preprocess_threads=1,
            prefetch_buffer=1, augmenters=augmenters, verbose=False,
        ) as iterator:  # fmt: skip
            for _ in iterator:
                pass

    return run


def mixing_passes(name: str, count: int) -> dict[str, Pass]:
    """gpuio's and torchvision's rounds over one batch."""
    output = OutputSpec(3, SIZE, SIZE, np.dtype(np.float32), "NCHW")
    batch = np.random.default_rng(0).normal(0, 1, output.shape(count)).astype(np.float32)
    labels = np.arange(count, dtype=np.float32) % 1000
    mixer, record = Mixer((MIXES[name],), 0), np.arange(count)

    def run() -> None:
        mix = mixer.draw(record, record, (SIZE, SIZE))
        mix_batch(batch, mix, output)
        mixer.mix_labels(labels, mix)

    passes: dict[str, Pass] = {"gpuio": run}
    try:
        import torch
        from torchvision.transforms import v2
    except ImportError:
        return passes
    torch.set_num_threads(1)
    transform = getattr(v2, name)(num_classes=1000)
    images, classes = torch.from_numpy(batch.copy()), torch.from_numpy(labels).long()
    passes["torchvision, tensors"] = lambda: transform(images, classes)
    return passes


def measure(passes: dict[str, Pass], rounds: int, images: int) -> dict[str, float]:
    """Microseconds of CPU time for each image, by contestant: the least of interleaved rounds."""
    running = {name: run for name, run in passes.items() if run is not None}
    for run in running.values():
        run()
    taken: dict[str, list[float]] = {name: [] for name in running}
    for _ in range(rounds):
        for name, run in running.items():
            begin = time.process_time()
            run()
            taken[name].append(time.process_time() - begin)
    return {name: min(each) / images * 1e6 for name, each in taken.items()}


def results(count: int, rounds: int, others: bool = True) -> Iterator[tuple[str, dict[str, float]]]:
    """For each augmentation, microseconds of CPU time for each image by contestant.

    Parameters
    ----------
    count : images
    rounds : of each contestant
    others : whether there are contestants other than gpuio
    """
    pixels = photographs(count)
    with tempfile.TemporaryDirectory() as folder:
        files = write_photographs(pixels, Path(folder))
        for name, augmenters in AUGMENTERS.items():
            passes = {
                "gpuio": gpuio_pass(augmenters, pixels),
                "plain": loader_pass([], files, count),
                "in ImageRecordIter": loader_pass(augmenters, files, count),
            }
            if others:
                passes |= {
                    "torchvision, tensors": torchvision_pass(name, pixels, pil=False),
                    "torchvision, PIL": torchvision_pass(name, pixels, pil=True),
                    "DALI": dali_pass(name, pixels),
                }
            found = measure(passes, rounds, count)
            found["in ImageRecordIter"] -= found.pop("plain")
            yield name, found
    for name in MIXES:
        yield name, measure(mixing_passes(name, count), rounds, count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    columns = ["gpuio", "in ImageRecordIter", "torchvision, tensors", "torchvision, PIL", "DALI"]
    print(f"| us of CPU time per image | {' | '.join(columns)} |")
    print(f"| --- |{' ---: |' * len(columns)}")
    for name, found in results(options.images, options.rounds):
        cells = (f"{found[each]:.0f}" if each in found else "" for each in columns)
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
