"""Whether a contestant does the work: its batches are looked at before it is measured.

Charts are images that tell by their colors where a pixel comes from: red rises from left to right,
green from top to bottom. From a batch of them follows which part of each image it shows. Batches of
the images that are measured, in eval, are compared with OpenCV's.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.images.job import Job

# Pixel values of a chart's left and right edge, and of all its blue.
LOW, HIGH, BLUE = 20.0, 235.0, 128.0

# Tolerances in pixel values: JPEG and rounding on charts; on photographs other filters, and windows
# whose edges are rounded otherwise, where other photographs would differ by 60.
CHART_ERROR, PHOTO_ERROR = 2.0, 15.0
# Windows are measured to about a pixel, of an output of 32 at least.
SLACK = 0.08


class WrongBatchError(Exception):
    """A contestant's batch is not what the job asks for."""


def chart_size(size: int, scaled: bool, number: int) -> tuple[int, int]:
    """Width and height of a chart: the output's, or if it is scaled, more, every second upright."""
    if not scaled:
        return size, size
    return (300, 400) if number % 2 else (400, 300)


def chart(width: int, height: int) -> NDArray[np.uint8]:
    """A chart in RGB, uint8 (height, width, 3)."""
    image = np.full((height, width, 3), BLUE)
    image[:, :, 0] = np.linspace(LOW, HIGH, width)
    image[:, :, 1] = np.linspace(LOW, HIGH, height)[:, None]
    return np.rint(image).astype(np.uint8)


def expected(image: NDArray[np.uint8], job: Job, antialias: bool) -> NDArray[np.uint8]:
    """What eval makes of an RGB image, without mean and std: uint8 (size, size, 3)."""
    height, width = image.shape[:2]
    if job.resize:
        factor = job.resize / min(height, width)
        scaled = max(round(width * factor), job.resize), max(round(height * factor), job.resize)
        method = cv2.INTER_AREA if antialias and factor < 1 else cv2.INTER_LINEAR
        image = cv2.resize(image, scaled, interpolation=method)
    top, left = (image.shape[0] - job.size) // 2, (image.shape[1] - job.size) // 2
    return image[top : top + job.size, left : left + job.size]


def check_form(data: NDArray[np.float32], labels: NDArray[np.float32], job: Job) -> None:
    """Check shape, dtype and labels of batches.

    Raises
    ------
    WrongBatchError : one is not what the job asks for.
    """
    wanted = 3, job.size, job.size
    if data.dtype != np.float32 or data.shape[1:] != wanted or len(data) % job.batch_size:
        raise WrongBatchError(
            f"expected batches of float32 {(job.batch_size, *wanted)}, got {data.dtype} "
            f"{data.shape}"
        )
    if len(labels) != len(data) or not np.isin(labels, np.arange(job.count)).all():
        raise WrongBatchError(f"expected labels of 0 to {job.count - 1} for {len(data)} images")
    ascending = bool((np.diff(labels) == 1).all())
    if job.train and ascending:
        raise WrongBatchError("expected images in random order, got them in the files' order")


def pixel_values(data: NDArray[np.float32], job: Job) -> NDArray[np.float32]:
    """Undo mean and std: float32 (n, 3, size, size) of 0 to 255."""
    mean, std = (np.array(each, np.float32)[:, None, None] for each in (job.mean, job.std))
    return data * std + mean


def check_images(
    data: NDArray[np.float32],
    labels: NDArray[np.float32],
    job: Job,
    limit: float = PHOTO_ERROR,
    most: int = 8,
) -> None:
    """Compare the first images of eval with OpenCV's, with antialiasing and without.

    Raises
    ------
    WrongBatchError : they differ by more than `limit`, on average over all pixels.
    """
    errors = []
    for row, label in zip(pixel_values(data[:most], job), labels.astype(int), strict=False):
        image = cv2.imread(job.path(label), cv2.IMREAD_COLOR_RGB)
        errors.append(
            min(
                np.abs(row.transpose(1, 2, 0) - expected(image, job, antialias)).mean()
                for antialias in (False, True)
            )
        )
    if np.mean(errors) > limit:
        raise WrongBatchError(
            f"expected OpenCV's pixel values, to {limit:.0f} on average; got {np.mean(errors):.1f}"
        )


def windows(pixels: NDArray[np.float32], job: Job) -> NDArray[np.float64]:
    """Which part of its chart each image shows.

    Parameters
    ----------
    pixels : (n, 3, size, size) of 0 to 255

    Returns
    -------
    float64 (n, 4): left, top, right, bottom as fractions of the chart; left and right are exchanged
    in a mirrored image

    Raises
    ------
    WrongBatchError : an image does not show a part of a chart, or has other colors.
    """
    margin, size = job.pad, job.size
    inside = slice(margin, size - margin)
    at = np.arange(size)[inside] + 0.5
    ends = []
    for channel, axis in ((0, 1), (1, 2)):  # red by columns, green by rows
        part = pixels[:, channel, inside, inside]
        fraction = (part.mean(axis) - LOW) / (HIGH - LOW)
        slope, offset = np.polyfit(at, fraction.T, 1)
        line = slope * at[:, None] + offset
        spread = np.expand_dims(line.T, axis) - (part - LOW) / (HIGH - LOW)
        if np.abs(spread).mean(axis=(1, 2)).max() * (HIGH - LOW) > 2 * CHART_ERROR:
            raise WrongBatchError("expected a rectangle of each image, not rotated, in RGB")
        ends += [offset, offset + slope * size]
    if np.abs(pixels[:, 2, inside, inside] - BLUE).max() > 6 * CHART_ERROR:
        raise WrongBatchError("expected other colors; is the order RGB, are mean and std right?")
    left, right, top, bottom = ends
    return np.stack([left, top, right, bottom], 1)


def check_charts(data: NDArray[np.float32], labels: NDArray[np.float32], job: Job) -> None:
    """Check batches of a job over charts, of 64 images at least.

    Raises
    ------
    WrongBatchError : they show other parts of the charts than the job asks for.
    """
    check_form(data, labels, job)
    if not job.train:
        check_images(data, labels, job, CHART_ERROR)
        return
    found = windows(pixel_values(data, job), job)
    mirrored = (found[:, 0] > found[:, 2]).mean()
    if not 0.2 < mirrored < 0.8:
        raise WrongBatchError(f"expected half of the images mirrored, got {mirrored:.0%}")
    sizes = np.array([chart_size(job.size, job.area is not None, int(label)) for label in labels])
    # In pixels of the chart.
    x, y = np.sort(found[:, [0, 2]], 1) * sizes[:, :1], found[:, [1, 3]] * sizes[:, 1:]
    beyond = max(-x.min(), -y.min(), (x[:, 1] - sizes[:, 0]).max(), (y[:, 1] - sizes[:, 1]).max())
    if beyond > job.pad + SLACK * sizes.min():
        raise WrongBatchError(f"expected crops of the images with a border of {job.pad} pixels")
    across, down = np.diff(x)[:, 0], np.diff(y)[:, 0]
    if job.area is None:
        if np.abs(np.concatenate([across, down]) / job.size - 1).max() > SLACK:
            raise WrongBatchError("expected images in the size in which they are stored")
        if job.pad and min(x[:, 0].std(), y[:, 0].std()) < 1:
            raise WrongBatchError("expected crops at random positions")
        return
    area, ratio = across * down / sizes.prod(1), across / down
    low, high = job.area
    if area.min() < low * (1 - SLACK) - 0.01 or not 0.3 < area.mean() < 0.75:
        raise WrongBatchError(
            f"expected crops of {low:.0%} to {high:.0%} of the image, evenly distributed; got "
            f"{area.min():.0%} to {area.max():.0%}, on average {area.mean():.0%}"
        )
    low, high = job.ratio
    if ratio.min() < low * (1 - SLACK) or ratio.max() > high * (1 + SLACK) or ratio.std() < 0.05:
        raise WrongBatchError(
            f"expected crops of width/height {low:.2f} to {high:.2f}, got {ratio.min():.2f} to "
            f"{ratio.max():.2f}"
        )
