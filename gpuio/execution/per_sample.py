"""Rendering samples one by one through functions of images, without a plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuio import nd
from gpuio.decoding.limits import MAX_PIXELS, call_with_max_pixels
from gpuio.errors import DecodeError, Error
from gpuio.loading.batch import ImageBatch
from gpuio.planning.augmenters import check_shape
from gpuio.planning.planner import Label
from gpuio.sampling.sample_rng import Rng, call_with_rng, sample_rngs


@dataclass(frozen=True)
class SampleFunctions:
    """What a sample goes through. Called by several threads; none may keep an iterator alive.

    Attributes
    ----------
    parse_label : a record's label to what `augment` takes; raises RecordError
    decode : an encoded image, uint8 (bytes,), to an image (height, width, 3); raises DecodeError
    check : raises RuntimeError if [image] is not valid
    augment : image and label to the augmented ones; random numbers come from `current_rng`
    postprocess : an augmented image to a row of the batch (3, height, width)
    finish_label : an augmented label to a row of the batch's labels
    """

    parse_label: Callable[[Label], Label]
    decode: Callable[[Any], nd.NDArray]
    check: Callable[[list[nd.NDArray]], None]
    augment: Callable[[nd.NDArray, Label], tuple[nd.NDArray, Label]]
    postprocess: Callable[[nd.NDArray], Any]
    finish_label: Callable[[Label], Label]


class PerSampleRenderer:
    """Makes samples with functions of images.

    Parameters
    ----------
    functions : what each sample goes through
    shape : of a sample in the batch, (3, height, width); float32
    seed : the augmentation's seed
    max_pixels : the most pixels of an image, see `decoding.limits`
    """

    def __init__(
        self,
        functions: SampleFunctions,
        shape: tuple[int, ...],
        seed: int,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self._max_pixels = max_pixels
        self._functions = functions
        self._shape = shape
        self._seed = seed

    def prepare(self, batch: ImageBatch) -> NDArray[np.generic]:
        """Allocate the array of a batch, and draw the random numbers of its samples."""
        batch.rngs = sample_rngs(self._seed, batch.epoch, batch.record)
        return self.empty(len(batch))

    def empty(self, rows: int) -> NDArray[np.generic]:
        """Allocate an array for samples: float32 (rows, 3, height, width)."""
        return np.empty((rows, *self._shape), np.float32)

    def write(self, batch: ImageBatch, row: int, data: NDArray[np.generic]) -> None:
        """Make one sample and write it to its row of the batch's array and labels."""
        encoded = batch.encoded[row]
        assert encoded is not None, "rows with errors are not rendered"
        self.render(encoded.label, encoded.data, batch.rngs[row], data[row], batch.labels[row])

    def render(
        self,
        label: Label,
        encoded: Any,
        rng: Rng,
        image_row: NDArray[np.generic],
        label_row: NDArray[np.float32],
    ) -> None:
        """Make a sample of a label and an encoded image, and write it to its rows.

        Raises
        ------
        Error : the record cannot be used.
        """
        output, label = call_with_max_pixels(self._max_pixels, self._make, label, encoded, rng)
        check_shape(tuple(output.shape), image_row.shape)
        image_row[...] = output
        label_row[...] = self._functions.finish_label(label)

    def _make(self, label: Label, encoded: Any, rng: Rng) -> tuple[Any, Any]:
        """The image of a sample, as its row has it, and its augmented label."""
        functions = self._functions
        label = functions.parse_label(label)
        image = functions.decode(encoded)
        try:
            functions.check([image])
        except RuntimeError as error:
            if isinstance(error, Error):
                raise
            raise DecodeError(str(error)) from error
        image, label = call_with_rng(rng, functions.augment, image, label)
        return functions.postprocess(image), label

    def close(self) -> None:
        """Do nothing: no memory is kept."""
