"""How the iterators read MXNet's arguments."""

import inspect
import logging
import math
from typing import Any

import numpy as np
import pytest

from gpuio.errors import ArgumentError, UnsupportedError
from gpuio.iterators.arguments import (
    LAST_BATCH_HANDLES,
    NoEffect,
    accept_without_effect,
    as_bool,
    as_choice,
    as_float,
    as_image_shape,
    as_int,
    as_row_shape,
    as_shuffle,
    check_call,
    crop_ranges,
    last_batch_mode,
    log_without_effect,
    parse_option,
    reject_unknown,
)
from gpuio.sampling.blocks import BlockOptions

KNOWN = ["self", "rand_mirror", "batch_size", "unknown"]


def test_an_unknown_argument_gets_the_nearest_name() -> None:
    with pytest.raises(TypeError, match="Iter has no argument 'rand_miror'; did you mean rand_mir"):
        reject_unknown({"rand_miror": 1}, KNOWN, "Iter")
    with pytest.raises(TypeError, match=r"Iter has no argument 'zzz'$"):
        reject_unknown({"zzz": 1}, KNOWN, "Iter")
    with pytest.raises(TypeError, match=r"Iter has no argument 'device'; use ctx, such as"):
        reject_unknown({"device": 1}, [*KNOWN, "ctx"], "Iter")


def test_options_without_effect_are_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "gpuio"):
        log_without_effect("Iter", {})
        assert not caplog.records
        log_without_effect("Iter", {"fill_value": "without padding", "silent": "because 1 = 1"})
    (record,) = caplog.records
    assert record.levelno == logging.INFO and record.name == "gpuio"
    assert record.getMessage() == (
        "Iter: fill_value has no effect without padding; silent has no effect because 1 = 1"
    )


NONE = NoEffect("because it rains")
FALSE = NoEffect("beside the sun", (False, None))


def test_accepting_options_without_effect(caplog: pytest.LogCaptureFixture) -> None:
    table = {"verbose": NONE, "shuffle": FALSE}
    with caplog.at_level(logging.INFO, "gpuio"):
        accept_without_effect({}, table, KNOWN, "Iter")
        assert not caplog.records
        accept_without_effect({"verbose": 3, "shuffle": False}, table, KNOWN, "Iter")
    (record,) = caplog.records
    assert record.getMessage() == (
        "Iter: verbose has no effect because it rains; shuffle has no effect beside the sun"
    )
    for wrong in (True, "False", np.array([0, 1]), [False]):
        with pytest.raises(UnsupportedError, match=r"Iter cannot do shuffle=.* beside the sun; le"):
            accept_without_effect({"shuffle": wrong}, table, KNOWN, "Iter")
    with pytest.raises(TypeError, match="Iter has no argument 'rand_miror'; did you mean rand_mi"):
        accept_without_effect({"verbose": 1, "rand_miror": 1}, table, KNOWN, "Iter")


class Checked:
    @check_call
    def __init__(self, data: Any, batch_size: int = 1, *, seed: int = 0) -> None:
        """Say something."""
        self.given = data, batch_size, seed


class Named:
    @check_call
    def __init__(self, *, path: str, seed: int = 0, **options: Any) -> None:
        self.given = path, seed, options


def test_calls_that_fit() -> None:
    assert Checked(1).given == (1, 1, 0) and Checked(1, 2, seed=3).given == (1, 2, 3)
    assert Checked(data=1, batch_size=2).given == (1, 2, 0)
    assert Named(path="x", other=5).given == ("x", 0, {"other": 5})
    assert Checked.__init__.__doc__ == "Say something."
    assert list(inspect.signature(Checked.__init__).parameters) == [
        "self", "data", "batch_size", "seed",
    ]  # fmt: skip


def test_calls_that_do_not_fit() -> None:
    class Derived(Checked):
        pass

    for call, said in (
        (lambda: Checked(1, 2, 3), "Checked takes 2 positional arguments, data, batch_size, not 3"),
        (lambda: Checked(1, drop_last=True), r"Checked has no argument 'drop_last'; leave it out"),
        (lambda: Checked(1, bach_size=True), r"'bach_size'; did you mean batch_size\?"),
        (lambda: Derived(1, random_state=4), r"Derived has no argument 'random_state'; use seed$"),
        (Checked, "missing 1 required positional argument: 'data'"),
        (lambda: Checked(1, data=2), "multiple values for argument 'data'"),
        (lambda: Named("x"), r"Named can only accept keyword arguments, such as path='x'"),
        (lambda: Named(pth="x"), r"Named has no argument 'pth'; did you mean path\?"),
        (lambda: Named(zzz="x"), "missing 1 required keyword-only argument: 'path'"),
    ):
        with pytest.raises(TypeError, match=said):
            call()


def test_integers() -> None:
    for value in (3, 3.0, np.int64(3), np.float32(3)):
        assert as_int("x", value) == 3 and type(as_int("x", value)) is int
    assert as_int("x", 0, 0) == 0 and as_int("x", -5) == -5
    for wrong in (2.5, "3", None, True, [3], math.inf, math.nan, np.array([3, 4])):
        with pytest.raises(ArgumentError, match="x must be"):
            as_int("x", wrong)
    with pytest.raises(ArgumentError, match="x must be at least 1, not 0"):
        as_int("x", 0, 1)


def test_numbers() -> None:
    for value in (3, 3.0, np.float32(3)):
        assert as_float("x", value) == 3 and type(as_float("x", value)) is float
    for wrong in ("3", b"3", None, math.nan, math.inf, [3]):
        with pytest.raises(ArgumentError, match="x must be a finite number"):
            as_float("x", wrong)


def test_truth() -> None:
    for value in (True, 1, np.bool_(True), np.True_):
        assert as_bool("x", value) is True
    for value in (False, 0):
        assert as_bool("x", value) is False
    for wrong in (2, "yes", None, 1.0, [True]):
        with pytest.raises(ArgumentError, match="x must be True or False"):
            as_bool("x", wrong)


def test_shapes_of_rows() -> None:
    assert as_row_shape("x", 5) == (5,) and as_row_shape("x", (2, 3)) == (2, 3)
    assert as_row_shape("x", [2, 3.0]) == (2, 3)
    for wrong, said in (((), "at least one axis"), ((0,), "at least 1"), (("a",), "x must be")):
        with pytest.raises(ArgumentError, match=said):
            as_row_shape("x", wrong)


def test_shapes_of_images() -> None:
    assert as_image_shape((3, 24, 28)) == as_image_shape([3, 24.0, np.int64(28)]) == (3, 24, 28)
    for wrong in ((24, 28), (3, 0, 28), (3, 24, 28, 1), 5, None, "abc", (3, 2.5, 28)):
        with pytest.raises(ArgumentError, match=r"\(channels, height, width\)"):
            as_image_shape(wrong)


def test_ranges_of_crops() -> None:
    assert crop_ranges(0.1, 0.9, None, 0.25) == ((0.1, 0.9), (0.75, 1.25))
    assert crop_ranges(1, 1, 0.5, 2) == ((1, 1), (0.5, 2))
    assert crop_ranges(1, 1, None, 0) == ((1, 1), (1, 1))
    with pytest.raises(ArgumentError, match="min_random_area must be a finite number"):
        crop_ranges("a", 1, None, 0)  # type: ignore[arg-type]


def test_choices() -> None:
    assert as_choice("x", "b", ("a", "b", "c")) == "b"
    with pytest.raises(ArgumentError, match="x must be 'a', 'b' or 'c', not 'd'"):
        as_choice("x", "d", ("a", "b", "c"))
    with pytest.raises(ArgumentError, match="x must be 'a', not 'd'"):
        as_choice("x", "d", ("a",))


@pytest.mark.parametrize("round_batch", [True, False])
def test_last_batches(round_batch: bool) -> None:
    assert last_batch_mode(round_batch, None) == ("wrap" if round_batch else "pad")
    for handle in LAST_BATCH_HANDLES:
        assert last_batch_mode(round_batch, handle) == handle
    with pytest.raises(ArgumentError, match="last_batch_handle must be"):
        last_batch_mode(round_batch, "wrap")


@pytest.mark.parametrize(
    ("text", "annotation", "expected"),
    [
        ("7", "int", 7),
        (" -1 ", "int", -1),
        ("0.5", "float", 0.5),
        ("1e-3", "float | None", 1e-3),
        ("3", "int | None", 3),
        ("auto", "int | str", "auto"),
        ("4", "int | str", 4),
        ("True", "bool", True),
        ("0", "bool", False),
        ("yes", "bool", "yes"),
        ("x", "int", "x"),
        ("1.5", "int", "1.5"),
        ("(3, 224, 224)", "Sequence[int]", (3, 224, 224)),
        ("3,28,28", "Sequence[int]", (3, 28, 28)),
        ("(7,)", "Sequence[int]", (7,)),
        ("0,90", "str | Sequence[int] | None", (0, 90)),
        ("3,x", "Sequence[int]", "3,x"),
        ("(.3, 1)", "float | Sequence[float]", (0.3, 1.0)),
        ("[0.5]", "float | Sequence[float]", (0.5,)),
        ("0.3", "float | Sequence[float]", 0.3),
        ("(.3, x)", "float | Sequence[float]", "(.3, x)"),
        ("", "float | Sequence[float]", ""),
        ("7", "str", "7"),
        ("a;b.rec", "Path | Sequence[Path]", "a;b.rec"),
        (8, "int", 8),
        ("8", None, "8"),
    ],
)
def test_strings_are_values_of_the_parameter(text: Any, annotation: Any, expected: Any) -> None:
    parsed = parse_option(text, annotation)
    assert parsed == expected and type(parsed) is type(expected)


def test_shuffle_is_a_bool_or_blocks(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="gpuio"):
        for value in (True, False, 1, 0, np.True_):
            found = as_shuffle("Iter", value, "8MB", 16)
            assert found == value and type(found) is bool
        assert as_shuffle("Iter", "blocks", "1MiB", 3) == BlockOptions(1 << 20, 3)
        assert as_shuffle("Iter", "blocks", "8MB", 16) == BlockOptions()
        assert not caplog.records
        assert as_shuffle("Iter", True, "1MiB", 3) is True
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("Iter: block_size has no effect without shuffle='blocks'; pool_blocks ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("block", "8MB", 16), r"True, False or 'blocks', not 'block'; did you mean 'blocks'\?"),
        (("BLOCKS", "8MB", 16), "did you mean 'blocks'"),
        (("yes", "8MB", 16), "not 'yes'$"),
        ((2, "8MB", 16), "not 2$"),
        ((None, "8MB", 16), "not None$"),
        ((np.ones(2), "8MB", 16), "shuffle must be"),
        (("blocks", "8MX", 16), "block_size.*such as"),
        (("blocks", 0, 16), "block_size must be at least 1"),
        (("blocks", "8MB", 0), "pool_blocks must be at least 1"),
        ((True, "8MB", 0), "pool_blocks must be at least 1"),
        (("blocks", "8MB", 1.5), "pool_blocks must be an integer"),
        (("blocks", "8MB", 2**70), "pool_blocks must be at most"),
    ],
)
def test_wrong_arguments_about_the_order(arguments: tuple[Any, Any, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        as_shuffle("Iter", *arguments)
