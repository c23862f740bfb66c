"""Mean and mean square of each image's channels, for ``gpuio stats``: here, or in tasks."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.context import Context
from gpuio.storage.remote.options import RemoteOptions
from gpuio.tools.files import iterator_files
from gpuio.tools.pieces import Tasks, cut
from gpuio.tools.shared_files import for_workers

if TYPE_CHECKING:
    from gpuio.io import ImageRecordIter

BATCH_SIZE = 64

# Batches that a task reads, if there are not fewer.
LEAST_BATCHES, MOST_BATCHES = 4, 64


@dataclass(frozen=True)
class Reading:
    """Which pixels are read of which images, in which order; see `stats`."""

    rec: str
    idx: str | None
    data_shape: tuple[int, ...]
    resize: int
    shuffle: bool
    seed: int
    max_pixels: int

    def iterator(
        self,
        remote: RemoteOptions | None,
        threads: int,
        ctx: Context | str | None = None,
        ahead: int = 4,
    ) -> ImageRecordIter:
        """The iterator over these images.

        Parameters
        ----------
        remote : how remote files are reached and cached
        threads : that decode
        ctx : the device that decodes
        ahead : batches that are made ahead
        """
        from gpuio.tools.unlabelled import UnlabelledImageIter

        return UnlabelledImageIter(
            **iterator_files(self.rec, self.idx, remote),
            data_shape=self.data_shape,
            batch_size=BATCH_SIZE,
            resize=self.resize,
            shuffle=self.shuffle,
            seed=self.seed,
            dtype="uint8",
            layout="NHWC",
            on_error="skip",
            last_batch_handle="pad",
            preprocess_threads=threads,
            prefetch_buffer=ahead,
            ctx=ctx,
            max_pixels=self.max_pixels,
            verbose=False,
        )


class Moments(NamedTuple):
    """Of the images of a batch that can be read, in their order.

    Attributes
    ----------
    number : of the batch in the epoch
    means, squares : float64 (n, channels), mean and mean square of each image's pixel values
    """

    number: int
    means: NDArray[np.float64]
    squares: NDArray[np.float64]


def measured(iterator: ImageRecordIter) -> Generator[Moments, None, None]:
    """Measure batches of an iterator, from its position on; those of which nothing can be read are
    left out.

    Raises
    ------
    Error : nothing can be read of the whole epoch.
    """
    for batch in iterator:
        number = -(-iterator.state_dict()["position"] // BATCH_SIZE) - 1
        images = batch.data[0].asnumpy()[: BATCH_SIZE - batch.padding]
        means, stds = (np.array(each) for each in zip(*map(_moments, images), strict=True))
        yield Moments(number, means, stds**2 + means**2)


def _moments(image: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each channel of one image."""
    import cv2

    mean, std = cv2.meanStdDev(image)
    return np.ravel(mean), np.ravel(std)


def measured_in_tasks(
    reading: Reading,
    remote: RemoteOptions | None,
    iterator: ImageRecordIter,
    wanted: int,
    tasks: Tasks,
) -> Generator[Moments, None, None]:
    """As `measured`, in tasks, each for some batches.

    Parameters
    ----------
    reading, remote : what and how tasks read
    iterator : the iterator of this process, at its beginning
    wanted : number of images that are probably enough; the batches after these are read only if
        they are asked for
    """
    measure = partial(_measure, reading, for_workers(remote), iterator.state_dict())
    batches = -(-iterator.num_data // BATCH_SIZE)
    enough = -(-wanted // BATCH_SIZE)
    nothing = True
    for first, last in ((0, enough), (enough, batches)):
        pieces = [
            (first + begin, first + end)
            for begin, end in cut(last - first, tasks.cpus, LEAST_BATCHES, MOST_BATCHES)
        ]
        with closing(tasks.map(measure, pieces, "stats")) as results:
            for found in results:
                nothing &= not found
                yield from found
    if nothing:
        yield from measured(iterator)


def _measure(
    reading: Reading, remote: RemoteOptions | None, state: dict[str, object], piece: tuple[int, int]
) -> list[Moments]:
    """Measure a range of batches, in a task.

    Parameters
    ----------
    state : of the driver's iterator, whose data must be the same
    """
    found: list[Moments] = []
    with reading.iterator(remote, 1, ahead=1) as iterator:
        iterator.load_state_dict({**state, "position": piece[0] * BATCH_SIZE})
        with closing(measured(iterator)) as batches:
            for batch in batches:
                if batch.number >= piece[1]:
                    break
                found.append(batch)
                if batch.number == piece[1] - 1:
                    break  # without asking for another
    return found
