"""Checking of iterators' arguments."""

from __future__ import annotations

import difflib
import functools
import inspect
import logging
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np

from gpuio.errors import ArgumentError, UnsupportedError
from gpuio.iterators.suggestions import suggestion
from gpuio.nd.shapes import check_memory
from gpuio.planning.plan import gray_fill
from gpuio.sampling.blocks import BlockOptions
from gpuio.sizes import as_bytes

# The ``__init__`` of an iterator.
Init = TypeVar("Init", bound=Callable[..., None])

_INTEGER = re.compile(r"[+-]?\d+")

# The most bits of an integer: seeds may have many.
MAX_BITS = 256

# More blocks are in no data set.
MOST_POOL_BLOCKS = 2**40

LAST_BATCH_HANDLES = ("pad", "discard", "roll_over")

log = logging.getLogger("gpuio")


def reject_unknown(unknown: Iterable[str], known: Iterable[str], kind: str) -> None:
    """Reject arguments that an iterator does not have.

    Parameters
    ----------
    unknown : the names of those arguments
    known : names of the arguments that it has
    kind : the iterator's name

    Raises
    ------
    TypeError : always, if there is one; the message says what to write instead.
    """
    for name in unknown:
        hint = suggestion(name, {*known} - {"self", "unknown", "options"})
        raise TypeError(f"{kind} has no argument {name!r}{hint and '; ' + hint}")


def check_call(init: Init) -> Init:
    """Decorate an iterator's ``__init__``, so that arguments that it does not take get a message
    that says what to do.

    Raises
    ------
    TypeError : (when called) there are positional arguments, or too many; or there is no argument
        of that name. If ``__init__`` takes all names, only those are rejected here that look like
        a required one that is missing.
    """
    parameters = inspect.signature(init).parameters
    kinds = [parameter.kind for parameter in parameters.values()]
    positional = kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD) - 1  # without self
    takes_all = inspect.Parameter.VAR_KEYWORD in kinds
    kinds_of = {name: str(parameter.annotation) for name, parameter in parameters.items()}
    required = [
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty and parameter.kind is parameter.KEYWORD_ONLY
    ]

    @functools.wraps(init)
    def checked(self: object, /, *arguments: Any, **named: Any) -> None:
        kind = type(self).__name__
        if len(arguments) > positional:
            if not positional:
                raise TypeError(
                    f"{kind} can only accept keyword arguments, such as "
                    f"{list(parameters)[1]}={arguments[0]!r}"
                )
            raise TypeError(
                f"{kind} takes {positional} positional arguments, "
                f"{', '.join(list(parameters)[1 : positional + 1])}, not {len(arguments)}; name "
                "the others"
            )
        unknown = {name: value for name, value in named.items() if name not in parameters}
        known: Iterable[str] = parameters
        if takes_all:
            known = [name for name in required if name not in named]
            # Those for which one of the missing names is suggested.
            unknown = {
                name: value
                for name, value in unknown.items()
                if suggestion(name, known) != suggestion(name, ())
            }
        reject_unknown(unknown, known, kind)
        if not positional:
            named = {name: parse_option(value, kinds_of.get(name)) for name, value in named.items()}
        init(self, *arguments, **named)

    return cast("Init", checked)


def parse_option(value: Any, annotation: str | None) -> Any:
    """An option of a native iterator that is given as a string, as a value of the parameter's type:
    MXNet converts all options to strings. What cannot be converted stays as it is.

    Parameters
    ----------
    annotation : the parameter's, such as "int" or "float | None"
    """
    if not isinstance(value, str) or annotation is None:
        return value
    text, types = value.strip(), re.split(r"\W+", annotation)
    if "Sequence" in types and "int" in types:
        parts = _split(text)
        try:
            return tuple(map(int, parts)) if all(map(_INTEGER.fullmatch, parts)) else value
        except ValueError:  # thousands of digits
            return value
    if "Sequence" in types and "float" in types and text.startswith(("(", "[")):
        try:
            return tuple(map(float, _split(text)))
        except ValueError:
            return value
    if "bool" in types:
        return {"True": True, "1": True, "False": False, "0": False}.get(text, value)
    for kind in (int, float):
        if kind.__name__ in types:
            try:
                return kind(text)
            except ValueError:
                pass
    return value


def _split(text: str) -> list[str]:
    """The parts of a sequence that is written as Python writes it."""
    return [part.strip() for part in text.strip("()[]").rstrip(",").split(",")]


class NoEffect(NamedTuple):
    """An option of MXNet that an iterator accepts, although it has no effect there.

    Attributes
    ----------
    reason : see `log_without_effect`
    values : the values that are accepted, because they ask for nothing; empty: all
    """

    reason: str
    values: tuple[Any, ...] = ()


def accept_without_effect(
    options: Mapping[str, Any],
    without_effect: Mapping[str, NoEffect],
    known: Iterable[str],
    kind: str,
) -> None:
    """Accept the options that have no effect, log them, and reject all others.

    Parameters
    ----------
    options : the arguments that the iterator does not name
    without_effect : those that it accepts nevertheless
    known : names of the arguments that it has

    Raises
    ------
    TypeError : there is no such option.
    UnsupportedError : the value of one asks for what the iterator does not do.
    """
    unknown = {name: value for name, value in options.items() if name not in without_effect}
    reject_unknown(unknown, known, kind)
    for name, value in options.items():
        accepted = without_effect[name].values
        if accepted and (isinstance(value, np.ndarray) or value not in accepted):
            raise UnsupportedError(
                f"{kind} cannot do {name}={value!r}: {name} has no effect "
                f"{without_effect[name].reason}; leave it out"
            )
    log_without_effect(kind, {name: without_effect[name].reason for name in options})


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
    ``log_without_effect("ImageRecordIter", {"fill_value": "without padding"})`` logs
    "ImageRecordIter: fill_value has no effect without padding".
    """
    if reasons:
        log.info(
            "%s: %s",
            kind,
            "; ".join(f"{name} has no effect {reason}" for name, reason in reasons.items()),
        )


def as_int(name: str, value: Any, least: int | None = None, most: int | None = None) -> int:
    """Check an integer from `least` to `most`, of at most MAX_BITS."""
    try:
        if isinstance(value, bool) or int(value) != value:
            raise TypeError
    except (TypeError, ValueError, OverflowError):
        raise ArgumentError(f"{name} must be an integer, not {value!r}") from None
    if int(value).bit_length() > MAX_BITS:  # there is no float of it, and perhaps no string
        raise ArgumentError(
            f"{name} is an integer of {int(value).bit_length()} bits, and must have at most "
            f"{MAX_BITS}"
        )
    if least is not None and value < least:
        raise ArgumentError(f"{name} must be at least {least}, not {value}")
    if most is not None and value > most:
        raise ArgumentError(f"{name} must be at most {most}, not {value}")
    return int(value)


def as_batch_size(value: Any) -> int:
    """Check the number of samples in a batch: at least 1, and their indices fit into memory."""
    size = as_int("batch_size", value, 1)
    check_memory("the indices of a batch", (size,), 8)
    return size


def as_float(name: str, value: Any) -> float:
    """Check a finite number."""
    try:
        if isinstance(value, (str, bytes)) or not math.isfinite(value):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ArgumentError(f"{name} must be a finite number, not {value!r}") from None
    return number


def as_amount(name: str, value: Any) -> float:
    """Check a finite number of at least 0."""
    number = as_float(name, value)
    if number < 0:
        raise ArgumentError(f"{name} must be at least 0, not {value!r}")
    return number


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


def as_shuffle(kind: str, shuffle: Any, block_size: Any, pool_blocks: Any) -> bool | BlockOptions:
    """Check the arguments about the order of records, and log those without effect.

    Parameters
    ----------
    kind : the iterator's name
    shuffle : True or False; as in MXNet, 1 and 0 are accepted; or "blocks"
    block_size, pool_blocks : see `BlockOptions`

    Returns
    -------
    With "blocks" their options, otherwise `shuffle`
    """
    options = BlockOptions(
        as_bytes("block_size", block_size, 1),
        as_int("pool_blocks", pool_blocks, 1, MOST_POOL_BLOCKS),
    )
    if isinstance(shuffle, str) and shuffle == "blocks":
        return options
    if not isinstance(shuffle, (bool, int, np.bool_)) or shuffle not in (0, 1):
        close = isinstance(shuffle, str) and difflib.get_close_matches(shuffle.lower(), ["blocks"])
        raise ArgumentError(
            f"shuffle must be True, False or 'blocks', not {shuffle!r}"
            + ("; did you mean 'blocks'?" if close else "")
        )
    usual, reason = BlockOptions(), "without shuffle='blocks'"
    given = {
        "block_size": options.nbytes != usual.nbytes,
        "pool_blocks": options.pool != usual.pool,
    }
    log_without_effect(kind, {name: reason for name, is_given in given.items() if is_given})
    return bool(shuffle)


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


def as_fill(name: str, value: Any, channels: int) -> tuple[int, ...]:
    """A pixel value of what surrounds images, clipped to 0 to 255, for each channel; alpha is 0."""
    return gray_fill(min(max(as_int(name, value), 0), 255), channels)


def as_integers(name: str, values: Any) -> tuple[int, ...]:
    """Check a sequence of integers, or a string with one between commas or blanks; None: ()."""
    if values is None:
        return ()
    try:
        parts = re.split(r"[,;\s]+", values.strip()) if isinstance(values, str) else list(values)
        return tuple(as_int(name, int(part)) for part in parts if part != "")
    except (TypeError, ValueError, OverflowError):
        raise ArgumentError(
            f"{name} must be integers, such as (0, 90, 180) or '0,90,180', not {values!r}"
        ) from None


def as_range(name: str, least: Any, most: Any) -> tuple[int, int] | None:
    """Check the ends of a range of integers, min_NAME and max_NAME; None if both are -1."""
    low, high = as_int(f"min_{name}", least), as_int(f"max_{name}", most)
    return None if (low, high) == (-1, -1) else (low, high)


def crop_ranges(
    min_area: float,
    max_area: float,
    min_ratio: float | None,
    max_ratio: float,
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The ranges of area and aspect ratio, as MXNet interprets its arguments; 1 to 1 is none."""
    area = as_float("min_random_area", min_area), as_float("max_random_area", max_area)
    most = as_float("max_aspect_ratio", max_ratio)
    if min_ratio is None:
        return area, (1 - most, 1 + most)
    return area, (as_float("min_aspect_ratio", min_ratio), most)


def as_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """Check one of several strings."""
    if not isinstance(value, str) or value not in choices:
        *others, last = map(repr, choices)
        listed = f"{', '.join(others)} or {last}" if others else last
        raise ArgumentError(f"{name} must be {listed}, not {value!r}")
    return str(value)


def last_batch_mode(round_batch: bool, last_batch_handle: str | None) -> str:
    """What `Order` calls the handling of an incomplete last batch."""
    if last_batch_handle is None:
        return "wrap" if round_batch else "pad"
    return as_choice("last_batch_handle", last_batch_handle, LAST_BATCH_HANDLES)
