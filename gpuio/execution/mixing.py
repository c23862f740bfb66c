"""Mixing the images of a batch, on the host; and its labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpuio.execution.output import OutputSpec
from gpuio.loading.bad_records import BadRecordResolution
from gpuio.loading.batch import ImageBatch, LoadedBatch
from gpuio.nd.types import HostArray
from gpuio.planning.mixing import BatchMix, Mixer


@dataclass(frozen=True)
class BatchMixer:
    """Mixes the batches of an executor.

    Attributes
    ----------
    mixer : draws how
    output : what the batches look like
    """

    mixer: Mixer
    output: OutputSpec

    def draw(self, batch: ImageBatch, resolution: BadRecordResolution) -> BatchMix:
        """Draw how a batch is mixed.

        Parameters
        ----------
        resolution : what its rows show; not all of its records are bad
        """
        rows = slice(None) if resolution.rows is None else resolution.rows
        size = self.output.width, self.output.height
        return self.mixer.draw(batch.epoch[rows], batch.record[rows], size)

    def mix_labels(self, loaded: LoadedBatch, mix: BatchMix) -> LoadedBatch:
        """The batch, whose images are mixed, with its labels mixed, too."""
        return loaded._replace(label=[self.mixer.mix_labels(loaded.label[0], mix)])


def mix_batch(batch: HostArray, mix: BatchMix, output: OutputSpec) -> None:
    """Mix the images of an assembled batch, in place. The twin of kernels/mix.cu.

    Parameters
    ----------
    batch : (N, …) of the output's shape and dtype, on the host
    mix : how, N rows
    output : what the batch looks like
    """
    if not len(batch):
        return
    cycle = mix.cycle.tolist()
    # Of all rows but the first, the partner is still what it was.
    first = batch[cycle[0]].copy()
    partners = [batch[row] for row in cycle[1:]] + [first]
    planar = output.layout == "NCHW"
    for row, partner in zip(cycle, partners, strict=True):
        x0, y0, x1, y1 = mix.box[row].tolist()
        box = (..., slice(y0, y1), slice(x0, x1)) if planar else (slice(y0, y1), slice(x0, x1))
        own = batch[row][box]
        _mix(own, partner[box], mix.weight[row])


def _mix(own: HostArray, partner: HostArray, weight: np.float32) -> None:
    """Make an array ``weight * own + (1 - weight) * partner``, in float32."""
    if weight == 0:
        np.copyto(own, partner)
        return
    with np.errstate(all="ignore"):
        rest = partner.astype(np.float32)
        rest *= np.float32(1) - weight
        if own.dtype == np.float32:
            own *= weight
            own += rest
            return
        mixed = own.astype(np.float32)
        mixed *= weight
        mixed += rest
    if own.dtype.kind in "iu":
        limits = np.iinfo(own.dtype)
        np.rint(mixed.clip(limits.min, limits.max), out=mixed)
    np.copyto(own, mixed, casting="unsafe")
