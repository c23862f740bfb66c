"""Samples that the native module makes: which of a batch, and how."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.execution.assemble_host import HostAssembler
from gpuio.execution.output import DTYPES
from gpuio.loading.batch import ImageBatch
from gpuio.native import Native, Selected, Workspace
from gpuio.native_structs import MADE, OUTPUT, PLAN, SAMPLE, UNDECODED
from gpuio.planning.operations import Operations
from gpuio.planning.plan import Plan

# Channels of images, and of outputs.
GRAY, COLOR = 1, 3

# Records that cannot be decoded without warnings: of about so many a renderer remembers that, 100
# bytes each.
MAX_UNDECODED = 1 << 17


class NativeSamples(NamedTuple):
    """What the native module makes of a batch.

    Attributes
    ----------
    array : SAMPLE (n,), in the order of their rows. They refer to memory and files of the batch
    pixels : float64 (n,), pixels of their images
    address, output, batch : addresses of these, of the OUTPUT, and of the batch's array
    operations : OPERATION (N, K), to which they refer, too; None: there are none
    """

    array: NDArray[np.void]
    pixels: NDArray[np.float64]
    address: int
    output: int
    batch: int
    operations: Operations | None = None


class NativeRenderer:
    """Makes the samples of batches that the native module can make: JPEGs in gray or color, and
    PNGs of up to 8 bits that are not interlaced, whose window is on the pixel grid of the whole
    image scaled bilinearly, to the nearest pixel or not at all, perhaps with a border of one color,
    and with operations, without changes of color other than the light of float32. Safe to use from
    several threads.

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
        self._plan = np.zeros(1, PLAN)
        for name, value in (
            ("width", output.width),
            ("height", output.height),
            ("channels", output.channels),
            ("antialias", antialias),
            ("dct_scaling", dct_scaling),
        ):
            self._plan[name] = value
        self._never = output.channels not in (GRAY, COLOR) or output.offset_image is not None
        # With another way to decode, its pixels would depend on what was seen before.
        self._remembers = not dct_scaling
        self._undecoded: dict[int, None] = {}

    def samples(self, batch: ImageBatch, data: NDArray[np.generic]) -> NativeSamples:
        """The samples of a batch that the module can make.

        Parameters
        ----------
        batch : that has been planned
        data : its array, from the assembler
        """
        plan, output = batch.plan, self._output
        assert plan is not None, "the batch has been planned"
        lit = plan.light is not None and output.takes_light
        array, pixels = np.empty(0, SAMPLE), np.empty(0)
        operations = None
        if plan.operations is not None and plan.operations["code"].any():
            operations = np.ascontiguousarray(plan.operations)
        if not (
            self._never
            or plan.affine is not None
            or plan.resample_flipped is not None
            or len(plan.borders) > 1
            or any(each is not None for each in (plan.image_jitter, plan.jitter, plan.color))
            or (lit and output.dtype != np.float32)
        ):
            array, pixels = self._select(plan, batch, operations)
        spec = self._specs[lit].ctypes.data
        return NativeSamples(array, pixels, array.ctypes.data, spec, data.ctypes.data, operations)

    def _select(self, plan: Plan, batch: ImageBatch, operations: Operations | None) -> Selected:
        spec = self._plan.copy()
        arrays: dict[str, NDArray[Any] | None] = {
            "window": np.ascontiguousarray(plan.window, np.float64),
            "bounds": np.ascontiguousarray(plan.bounds, np.int64),
            "method": np.ascontiguousarray(plan.method, np.int64),
            "flip": np.ascontiguousarray(plan.flip, np.bool_),
            "codes": batch.codes,
            "places": batch.encoded.places,
        }
        if plan.light is not None:
            arrays["light"] = np.ascontiguousarray(plan.light, np.float64)
        if plan.borders:
            border = plan.borders[0]
            arrays["inside"] = np.ascontiguousarray(border.inside, np.int64)
            arrays["fill"] = fill = np.ascontiguousarray(border.fill, np.uint8)
            spec["fill_width"] = fill.shape[1]
        if operations is not None:
            arrays["operations"] = operations
            spec["operation_count"] = operations.shape[1]
        spec["count"] = len(batch)
        others = list(batch.errors)
        if known := self._undecoded:
            others += [row for row, record in enumerate(batch.record.tolist()) if record in known]
        if others:
            arrays["codes"] = codes = batch.codes.copy()
            codes[others] = 0
        return self._native.select(spec, arrays)

    def render(
        self, samples: NativeSamples, part: slice, records: NDArray[np.int64] | None = None
    ) -> list[int]:
        """Make samples, and write them to their rows of the batch's array.

        Parameters
        ----------
        samples : from `samples`
        part : which of them
        records : of the batch's rows, if these never change: what cannot be decoded is not tried
            again in later batches

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
        if records is not None and self._remembers and len(self._undecoded) < MAX_UNDECODED:
            failed = records[tried["row"][tried["status"] == UNDECODED]]
            self._undecoded |= dict.fromkeys(failed.tolist())
        rows: list[int] = tried["row"][tried["status"] != MADE].tolist()
        return rows

    def close(self) -> None:
        """Release the memory kept for further batches. May be called twice."""
        self._workspaces = None
