"""Options of ImageRecordIter from the command line."""

import argparse
import inspect
from pathlib import Path

import pytest

import gpuio as mx
from gpuio.errors import ArgumentError
from gpuio.tools.tasks import MEAN, TASKS, add_options, open_iterator, options_of
from tests.io.records import jpeg, write_records
from tests.tools.record_layouts import LABELS, write_layout


def test_values_are_parsed() -> None:
    arguments = ["data_shape=3,8,9", "rand_mirror=true", "mean_r=3.5", "data_name=x", "seed=None"]
    assert options_of(None, arguments, "none.rec") == {
        "data_shape": (3, 8, 9),
        "rand_mirror": True,
        "mean_r": 3.5,
        "data_name": "x",
        "seed": None,
    }


@pytest.mark.parametrize("kind", [mx.io.ImageRecordIter, mx.io.ImageDetRecordIter])
def test_every_option_can_be_given(kind: type) -> None:
    parameters = inspect.signature(kind).parameters.values()
    defaults = {each.name: each.default for each in parameters if each.default is not each.empty}
    arguments = [f"{name}={value}" for name, value in defaults.items()]
    assert options_of(None, arguments, "none.rec") == defaults and len(defaults) > 40


def test_given_options_take_precedence_over_those_of_the_task(tmp_path: Path) -> None:
    rec = write_layout("plain", tmp_path / "x")
    options = options_of("eval", ["resize=64"], rec)
    assert options["resize"] == 64 and options["mean_r"] == MEAN[0]
    assert options_of("eval", [], rec)["resize"] == 256


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", LABELS)
def test_tasks_of_every_layout(kind: str, task: str, tmp_path: Path) -> None:
    rec = write_layout(kind, tmp_path / "x")
    options = {"data_shape": (3, 24, 24), "batch_size": 2, "on_error": "skip"}
    options |= options_of(task, [], rec)
    with open_iterator(rec, None, None, options) as iterator:
        boxes = isinstance(iterator, mx.io.ImageDetRecordIter)
        assert boxes == (kind == "detection")
        assert len(list(iterator)) >= 1


@pytest.mark.parametrize("argument", ["resize", "=3", "a b=3"])
def test_malformed_arguments(argument: str) -> None:
    with pytest.raises(ArgumentError, match="options are written NAME=VALUE"):
        options_of(None, [argument], "none.rec")


def test_the_arguments() -> None:
    parser = argparse.ArgumentParser()
    add_options(parser, "train")
    assert vars(parser.parse_args([])) == {"task": "train", "options": []}
    parsed = parser.parse_args(["--task", "eval", "--with", "a=1", "b=2"])
    assert (parsed.task, parsed.options) == ("eval", ["a=1", "b=2"])
    repeated = parser.parse_args(["--with", "a=1", "--with", "b=2", "c=3"])
    assert repeated.options == ["a=1", "b=2", "c=3"]


def test_iterators_with_options(tmp_path: Path) -> None:
    rec, idx = write_records(tmp_path / "x", [jpeg(0), jpeg(1)]).values()
    options = {"data_shape": (3, 8, 9), "batch_size": 2}
    with open_iterator(rec, idx, None, options) as iterator:
        assert iterator.next().data[0].shape == (2, 3, 8, 9)
    with pytest.raises(ArgumentError, match="did you mean resize"):
        open_iterator(rec, idx, None, {**options, "rezise": 3})
    with pytest.raises(ArgumentError, match="path_imgrec"):
        open_iterator(rec, idx, None, {**options, "path_imgrec": "y.rec"})
