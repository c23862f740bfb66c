"""Samples that the native module makes: which of a batch, and how."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.decoding.header_codes import HeaderArrays, split_codes
from gpuio.execution.assemble_host import HostAssembler
from gpuio.execution.output import DTYPES
from gpuio.execution.resample import GRID, LARGEST
from gpuio.loading.batch import ImageBatch
from gpuio.native import MADE, OUTPUT, SAMPLE, Native, Workspace
from gpuio.planning.plan import LINEAR, NEAREST, Plan

# libjpeg-turbo has fast code for decoding at 1 / these.
DCT_FACTORS = (2, 4, 8)

# Channels of images, and of outputs.
GRAY, COLOR = 1, 3


class NativeSamples(NamedTuple):
    """What the native module makes of a batch.

    Attributes
    ----------
    array : SAMPLE (n,), in the order of their rows. They refer to memory and files of the batch
    address, output, batch : addresses of these, of the OUTPUT, and of the batch's array
    """

    array: NDArray[np.void]
    address: int
    output: int
    batch: int


class NativeRenderer:
    """Makes the samples of batches that the native module can make: JPEGs in gray or color whose
    window is on the pixel grid of the whole image scaled bilinearly, to the nearest pixel or not
    at all, perhaps with a border of one color, without changes of color other than the light of
    float32. Safe to use from several threads.

    Parameters
    ----------
    native : the module
    assembler : of the samples that it does not make
    antialias : see `CropOptions`
    dct_scaling : decode images at 1/2, 1/4 or 1/8 of their size where windows are at least so much
        larger than what becomes of them

    Attributes
    ----------
    pixels : of a sample in the batch
    """

    def __init__(
        self,
        native: Native,
        assembler: HostAssembler,
        antialias: bool,
        dct_scaling: bool = False,
    ) -> None:
        self._native = native
        self._dct_scaling = dct_scaling
        self._antialias = antialias
        self._output = output = assembler.output
        self._workspaces: deque[Workspace] | None = deque()
        self._table = np.concatenate(assembler.tables) if assembler.tables else np.empty(0)
        spec = np.zeros(1, OUTPUT)
        spec["table"] = self._table.ctypes.data
        for name, values in (("offset", output.offset), ("factor", output.factor)):
            spec[name][0, : output.channels] = values[:COLOR]
        for name in ("width", "height", "channels"):
            spec[name] = getattr(output, name)
        spec["type"] = DTYPES.index(output.dtype.name)
        spec["interleaved"] = output.layout == "NHWC"
        self._specs = {False: spec, True: spec.copy()}
        self._specs[True]["light"] = True
        self.pixels = output.width * output.height
        self._never = output.channels not in (GRAY, COLOR) or output.offset_image is not None

    def samples(self, batch: ImageBatch, data: NDArray[np.generic]) -> NativeSamples:
        """The samples of a batch that the module can make.

        Parameters
        ----------
        batch : that has been planned
        data : its array, from the assembler
        """
        array = self._samples(batch)
        lit = batch.plan is not None and batch.plan.light is not None and self._output.takes_light
        output = self._specs[lit].ctypes.data
        return NativeSamples(array, array.ctypes.data, output, data.ctypes.data)

    def _samples(self, batch: ImageBatch) -> NDArray[np.void]:
        """SAMPLE (n,), in the order of their rows. They refer to memory and files of the batch."""
        plan, output = batch.plan, self._output
        assert plan is not None, "the batch has been planned"
        lit = plan.light is not None and output.takes_light
        if (
            self._never
            or plan.affine is not None
            or plan.resample_flipped is not None
            or len(plan.borders) > 1
            or any(each is not None for each in (plan.image_jitter, plan.jitter, plan.color))
            or (lit and output.dtype != np.float32)
        ):
            return np.empty(0, SAMPLE)
        headers = split_codes(batch.codes)
        found, made = self._geometry(plan)
        made &= headers.is_jpeg & np.isin(headers.channels, (GRAY, COLOR))
        made[list(batch.errors)] = False
        rows = np.flatnonzero(made)
        samples = found[rows]
        samples["row"] = rows
        _set_images(samples, headers, batch)
        samples["flip"] = plan.flip[rows]
        if lit and plan.light is not None:
            samples["light"] = plan.light[rows]
        if plan.borders:
            samples["fill"][:, : output.channels] = plan.borders[0].fill[rows]
        return samples

    def _geometry(self, plan: Plan) -> tuple[NDArray[np.void], NDArray[np.bool_]]:
        """What becomes of the images of a plan, SAMPLE (N,); and of which ones the module can make
        it, bool (N,). As `render_sample` does, and with the same rounding.
        """
        size = np.array([self._output.width, self._output.height])
        inside = plan.visible((self._output.width, self._output.height))
        shown = inside[:, 2:] - inside[:, :2]
        visible = (shown > 0).all(1)
        shown[~visible] = 1
        step = plan.window[:, 2:] / size
        corner = plan.window[:, :2] + inside[:, :2] * step - plan.bounds[:, :2]
        window = shown * step
        per_pixel = shown / window
        region = plan.bounds[:, 2:] - plan.bounds[:, :2]
        exact = np.concatenate([region * per_pixel, corner * per_pixel], axis=1)
        whole = np.rint(exact)
        off = np.abs(exact - whole).max(1)
        made = visible & (off < GRID * np.maximum(1.0, whole.max(1)))
        scaled, at = whole[:, :2], whole[:, 2:]
        made &= ((at >= 0) & (at <= scaled - shown)).all(1) & (scaled.prod(1) <= LARGEST)
        same = (scaled == region).all(1)
        made &= same | (plan.method == LINEAR) | (plan.method == NEAREST)
        if self._antialias:
            made &= (window <= shown).all(1)
        found = np.zeros(len(made), SAMPLE)
        found["bounds"], found["inside"] = plan.bounds, inside
        found["shrink"] = 1
        if self._dct_scaling:
            larger = step.min(1)
            for factor in DCT_FACTORS:
                found["shrink"][larger >= factor] = factor
        found["scaled"][made], found["corner"][made] = scaled[made], at[made]
        # The module's numbers of these two are the same.
        found["method"] = np.where(same, NEAREST, plan.method)
        return found, made

    def render(self, samples: NativeSamples, part: slice) -> list[int]:
        """Make samples, and write them to their rows of the batch's array.

        Parameters
        ----------
        samples : from `samples`
        part : which of them

        Returns
        -------
        The rows of those that could not be made, as the image cannot be read or decoded without
        warnings
        """
        workspaces = self._workspaces
        try:
            workspace = workspaces.pop() if workspaces is not None else self._native.workspace()
        except IndexError:
            workspace = self._native.workspace()
        count = part.stop - part.start
        address = samples.address + part.start * SAMPLE.itemsize
        made = self._native.render(workspace, samples.output, address, count, samples.batch)
        if workspaces is not None:
            workspaces.append(workspace)
        if made == count:
            return []
        tried = samples.array[part]
        rows: list[int] = tried["row"][tried["status"] != MADE].tolist()
        return rows

    def close(self) -> None:
        """Release the memory kept for further batches. May be called twice."""
        self._workspaces = None


def _set_images(samples: NDArray[np.void], headers: HeaderArrays, batch: ImageBatch) -> None:
    """Set where the encoded images of samples are, and what their headers say."""
    rows = samples["row"]
    transposed = headers.orientation[rows] > 4
    size = headers.size[rows]
    size[transposed] = size[transposed, ::-1]
    samples["width"], samples["height"] = size.T
    samples["orientation"] = headers.orientation[rows]
    samples["place"] = batch.encoded.places(rows)
