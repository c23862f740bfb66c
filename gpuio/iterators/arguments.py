"""Checking of iterators' arguments."""

from __future__ import annotations

import difflib
import logging
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from gpuio.errors import ArgumentError, UnsupportedError

# MXNet's options that are not supported yet, with MXNet's defaults, at which they are accepted.
NOT_YET: dict[str, Any] = {
    "aug_seq": "aug_default",
    "device_id": 0,
    "shuffle_chunk_size": 0,
    "shuffle_chunk_seed": 0,
    "max_rotate_angle": 0,
    "rotate": -1,
    "rotate_list": None,
    "max_shear_ratio": 0.0,
    "max_crop_size": -1,
    "min_crop_size": -1,
    "max_random_scale": 1.0,
    "min_random_scale": 1.0,
    "max_img_size": 1e10,
    "min_img_size": 0.0,
    "brightness": 0.0,
    "contrast": 0.0,
    "saturation": 0.0,
    "pca_noise": 0.0,
    "random_h": 0,
    "random_s": 0,
    "random_l": 0,
    "fill_value": 255,
    "pad": 0,
    "mean_img": "",
    "max_random_contrast": 0.0,
    "max_random_illumination": 0.0,
}

LAST_BATCH_HANDLES = ("pad", "discard", "roll_over")

log = logging.getLogger("gpuio")


def reject_unknown(
    unknown: dict[str, Any],
    known: Iterable[str],
    kind: str,
    not_yet: dict[str, Any] = NOT_YET,
) -> None:
    """Reject arguments that an iterator does not have.

    Parameters
    ----------
    unknown : those arguments, by name
    known : names of the arguments that it has
    kind : the iterator's name
    not_yet : MXNet's options that it does not support yet, with MXNet's defaults

    Raises
    ------
    TypeError : one is not MXNet's either; the message suggests the closest name.
    UnsupportedError : one is MXNet's, is not supported yet, and would have an effect.
    """
    for name, value in unknown.items():
        if name not in not_yet:
            names = {*known, *not_yet} - {"self", "unknown"}
            close = difflib.get_close_matches(name, sorted(names), 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise TypeError(f"{kind} has no argument {name!r}{hint}")
        if value != not_yet[name]:
            raise UnsupportedError(
                f"{kind} does not support MXNet's {name} yet; leave it out (or at its default, "
                f"{not_yet[name]!r})"
            )


def log_without_effect(kind: str, reasons: Mapping[str, str]) -> None:
    """Log the options that were given and have no effect where they stand: one line at level INFO
    for all of them, none if there are none.

    Parameters
    ----------
    kind : the iterator's name
    reasons : why each has none, by the option's name: a clause such as "without padding", or
        "because images are not padded"

    Examples
    --------
    >>> log_without_effect("ImageRecordIter", {"fill_value": "without padding"})
    INFO:gpuio:ImageRecordIter: fill_value has no effect without padding
    """
    if reasons:
        log.info(
            "%s: %s",
            kind,
            "; ".join(f"{name} has no effect {reason}" for name, reason in reasons.items()),
        )


def as_int(name: str, value: Any, least: int | None = None) -> int:
    """Check an integer of at least `least`."""
    try:
        if isinstance(value, bool) or int(value) != value:
            raise TypeError
    except (TypeError, ValueError, OverflowError):
        raise ArgumentError(f"{name} must be an integer, not {value!r}") from None
    if least is not None and value < least:
        raise ArgumentError(f"{name} must be at least {least}, not {value}")
    return int(value)


def as_float(name: str, value: Any) -> float:
    """Check a finite number."""
    try:
        if isinstance(value, (str, bytes)) or not math.isfinite(value):
            raise TypeError
    except TypeError:
        raise ArgumentError(f"{name} must be a finite number, not {value!r}") from None
    return float(value)


def as_channels(name: str, values: Iterable[Any]) -> tuple[float, ...]:
    """Check a finite number for each of R, G, B and A, arguments such as mean_r, mean_g, ..."""
    return tuple(
        as_float(f"{name}_{channel}", value) for channel, value in zip("rgba", values, strict=True)
    )


def as_bool(name: str, value: Any) -> bool:
    """Check True or False; as in MXNet, 1 and 0 are accepted."""
    if not isinstance(value, (bool, int, np.bool_)) or value not in (0, 1):
        raise ArgumentError(f"{name} must be True or False, not {value!r}")
    return bool(value)


def as_row_shape(name: str, shape: Any) -> tuple[int, ...]:
    """Check the shape of one row; an integer is one axis."""
    lengths = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    if not lengths:
        raise ArgumentError(f"{name} must have at least one axis, such as (100,)")
    return tuple(as_int(name, length, 1) for length in lengths)


def as_image_shape(data_shape: Any) -> tuple[int, int, int]:
    """Check channels, height and width."""
    try:
        channels, height, width = (as_int("data_shape", length, 1) for length in data_shape)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            "data_shape must be (channels, height, width), integers of at least 1, "
            f"not {data_shape!r}"
        ) from error
    return channels, height, width


def crop_ranges(
    resized: bool,
    min_area: float,
    max_area: float,
    min_ratio: float | None,
    max_ratio: float,
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The ranges of a resized crop's area and aspect ratio, as MXNet interprets its arguments."""
    area = as_float("min_random_area", min_area), as_float("max_random_area", max_area)
    most = as_float("max_aspect_ratio", max_ratio)
    ratio = (1 - most, 1 + most)
    if min_ratio is not None:
        ratio = as_float("min_aspect_ratio", min_ratio), most
    if not resized:
        if area != (1, 1):
            raise ArgumentError("min_random_area and max_random_area need random_resized_crop=True")
        if ratio != (1, 1):
            raise UnsupportedError(
                "ImageRecordIter does not support MXNet's min_aspect_ratio and max_aspect_ratio "
                "without random_resized_crop=True yet"
            )
    return area, ratio


def as_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """Check one of several strings."""
    if value not in choices:
        raise ArgumentError(
            f"{name} must be {', '.join(map(repr, choices[:-1]))} or {choices[-1]!r}, not {value!r}"
        )
    return str(value)


def last_batch_mode(round_batch: bool, last_batch_handle: str | None) -> str:
    """What `Order` calls the handling of an incomplete last batch."""
    if last_batch_handle is None:
        return "wrap" if round_batch else "pad"
    return as_choice("last_batch_handle", last_batch_handle, LAST_BATCH_HANDLES)
