"""Jitter, borders, and color matrices that depend on means, on a GPU."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from gpuio.context import require_cupy
from gpuio.errors import ArgumentError
from gpuio.execution import kernels
from gpuio.execution.color import HUES, substitute_means, uses_means
from gpuio.execution.output import OutputSpec
from gpuio.execution.packing import check_array
from gpuio.nd.types import Array, HostArray
from gpuio.planning.plan import Border, Jitter, Plan

THREADS = 256
# A thread computes about so many groups of so many pixels; see finish.cu.
GROUPS_PER_THREAD, GROUP = 4, 4
# The most blocks that CUDA launches along y.
MAX_BLOCKS_Y = 65535

# `HlsMode` and `Border` in finish.cu.
UNSHIFTED, CLIPPED_HUE, WRAPPED_HUE = range(3)
BORDER = np.dtype([("inside", np.int32, 4), ("fill", np.uint8, 4)])

# Before and after the borders, in a plan and in the names of parameters.
JITTERS = ("image_jitter", "jitter")


def finish_parameters(plan: Plan, output: OutputSpec, samples: int) -> dict[str, HostArray]:
    """What `CudaFinisher` needs of a plan on the GPU, by name. A step that changes nothing has no
    parameters.

    Parameters
    ----------
    samples : how many the plan must be of

    Raises
    ------
    ArgumentError : the plan is of other samples, or changes colors that there are not.
    """
    parameters: dict[str, HostArray] = {}
    for name in JITTERS:
        jitter: Jitter | None = getattr(plan, name)
        if jitter is None:
            continue
        parameters.update(_color(name, jitter.color, output, samples))
        if jitter.hls is not None and jitter.hls.any():
            _check_channels(output, name)
            hls = check_array(jitter.hls, np.int64, (samples, 3), f"{name}.hls")
            parameters[f"{name}.hls"] = _hls_shifts(hls, jitter.wrap_hue)
        if jitter.gain is not None and (jitter.gain != 1).any():
            gain = check_array(jitter.gain, np.float64, (samples,), f"{name}.gain")
            parameters[f"{name}.gain"] = gain.astype(np.float32)
    if plan.borders:
        parameters["borders"] = np.stack(
            [_border(border, output, samples) for border in plan.borders]
        )
    parameters.update(_color("plan", plan.color, output, samples))
    return parameters


class CudaFinisher:
    """Runs `kernels/finish.cu`: what `finish_pixels` does, and color matrices that depend on means.

    Parameters
    ----------
    output : what the batches look like
    device_id : the GPU
    """

    def __init__(self, output: OutputSpec, device_id: int) -> None:
        self._output = output
        self._device_id = device_id
        groups = -(-output.height * output.width // GROUP) + 1
        self._blocks = -(-groups // (THREADS * GROUPS_PER_THREAD))

    def __call__(self, pixels: Array, parameters: Mapping[str, Array]) -> Array:
        """Finish the samples of a batch, on the current stream of this GPU, which is current.

        Parameters
        ----------
        pixels : cupy uint8 (M, height, width, channels), contiguous, aligned to 4 bytes
        parameters : the plan's `finish_parameters` on the GPU. The color matrices that depend on
            means are written there.

        Returns
        -------
        A new array in the order of the stream, or `pixels` if they do not change
        """
        changes = any(name == "borders" or name.startswith(JITTERS) for name in parameters)
        finished = require_cupy().empty(pixels.shape, np.uint8) if changes else pixels
        # Means of what comes before a jitter must be complete before it begins.
        if "image_jitter.color" in parameters:
            self._launch(None, pixels, parameters, "image_jitter", steps=())
        if "jitter.color" in parameters:
            self._launch(None, pixels, parameters, "jitter", steps=("image_jitter", "borders"))
        if changes or "plan.color" in parameters:
            steps = ("image_jitter", "borders", "jitter")
            self._launch(finished if changes else None, pixels, parameters, "plan", steps)
        return finished

    def _launch(
        self,
        out: Array | None,
        pixels: Array,
        parameters: Mapping[str, Array],
        color: str,
        steps: tuple[str, ...],
    ) -> None:
        """Launch the kernel: some of the steps, then the matrices of `color` if they need means."""
        jitters = [
            parameters.get(f"{name}.{part}") if name in steps else None
            for name in JITTERS
            for part in ("matrix", "hls", "gain")
        ]
        borders = parameters.get("borders") if "borders" in steps else None
        samples = len(pixels)
        means = f"{color}.color" in parameters
        output = self._output
        kernels.load("finish", "finish", self._device_id)(
            (self._blocks, min(samples, MAX_BLOCKS_Y)),
            (THREADS,),
            (
                out,
                pixels,
                *jitters[:3],
                borders,
                *jitters[3:],
                parameters.get(f"{color}.color"),
                parameters.get(f"{color}.sums"),
                parameters[f"{color}.matrix"] if means else None,
                np.int64(samples),
                np.int32(output.height),
                np.int32(output.width),
                np.int32(output.channels),
                np.int32(0 if borders is None else borders.nbytes // (BORDER.itemsize * samples)),
            ),
        )


def _check_channels(output: OutputSpec, name: str) -> None:
    if output.channels != 3:
        raise ArgumentError(f"the colors of {name} need 3 channels, not {output.channels}")


def _color(
    name: str, color: NDArray[np.float64] | None, output: OutputSpec, samples: int
) -> dict[str, HostArray]:
    """A color's matrices; if they depend on means, memory for them, and what the kernel makes them
    from.
    """
    if color is None:
        return {}
    _check_channels(output, name)
    color = check_array(color, np.float64, (samples, 3, 7), f"{name}.color")
    if not uses_means(color):
        return {f"{name}.matrix": substitute_means(color, np.zeros((samples, 3)))}
    return {
        f"{name}.color": color,
        f"{name}.sums": np.zeros((samples, 4), np.uint64),
        f"{name}.matrix": np.zeros((samples, 3, 4), np.float32),
    }


def _hls_shifts(hls: NDArray[np.int64], wrap_hue: bool) -> NDArray[np.int32]:
    """`HlsShift` of each sample in finish.cu, int32 (N, 4). Beyond these ranges, shifts have the
    effect of their ends.
    """
    shifts = np.empty((len(hls), 4), np.int32)
    shifts[:, 0] = hls[:, 0] % HUES if wrap_hue else hls[:, 0].clip(-HUES, HUES)
    shifts[:, 1:3] = hls[:, 1:].clip(-255, 255)
    shifts[:, 3] = np.where(hls.any(1), WRAPPED_HUE if wrap_hue else CLIPPED_HUE, UNSHIFTED)
    return shifts


def _border(border: Border, output: OutputSpec, samples: int) -> HostArray:
    """`Border` of each sample, (N,)."""
    records = np.zeros(samples, BORDER)
    inside = check_array(border.inside, np.int64, (samples, 4), "borders.inside")
    records["inside"] = inside.clip(0, [output.width, output.height] * 2)
    channels = 1 if border.fill.shape[1:] == (1,) else output.channels
    fill = check_array(border.fill, np.uint8, (samples, channels), "borders.fill")
    records["fill"][:, : output.channels] = fill
    return records
