"""Rendering samples one by one, through functions of images."""

from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, DecodeError, RecordError
from gpuio.execution.per_sample import PerSampleRenderer, SampleFunctions
from gpuio.loading.reader import BatchReader
from gpuio.sampling.sample_rng import SampleRng, current_rng
from tests.loading.fakes import MemorySource, indices

SHAPE = (3, 2, 4)


def renderer(**functions: Any) -> PerSampleRenderer:
    """Makes images of one value: the first byte of the data."""
    values: dict[str, Any] = {
        "parse_label": lambda label: np.float32([label]),
        "decode": lambda data: mx.nd.full((2, 4, 3), data[0]),
        "check": lambda images: None,
        "augment": lambda image, label: (image, label),
        "postprocess": lambda image: image.transpose(2, 0, 1),
        "finish_label": lambda label: label,
    }
    return PerSampleRenderer(SampleFunctions(**{**values, **functions}), SHAPE, 5)


def rendered(made: PerSampleRenderer, label: Any = 7.0) -> tuple[Any, Any]:
    image, row = np.zeros(SHAPE, np.float32), np.zeros(1, np.float32)
    made.render(label, np.uint8([9]), SampleRng(0, 0, 0), image, row)
    return image, row


def test_a_sample_goes_through_all_functions_in_order() -> None:
    def note(name: str, function: Any) -> Any:
        def call(*arguments: Any) -> Any:
            called.append(name)
            return function(*arguments)

        return call

    called: list[str] = []
    functions = {
        "parse_label": lambda label: label + 1,
        "decode": lambda data: mx.nd.full((2, 4, 3), data[0] * 2),
        "check": lambda images: None,
        "augment": lambda image, label: (image + 1, label * 10),
        "postprocess": lambda image: image.transpose(2, 0, 1) / 2,
        "finish_label": lambda label: label + 0.5,
    }
    made = renderer(**{name: note(name, function) for name, function in functions.items()})
    image, label = rendered(made)
    assert called == list(functions)
    assert (image == 9.5).all() and label.tolist() == [80.5]


def test_rows_of_a_batch_are_written_with_their_own_random_numbers() -> None:
    def augment(image: Any, label: Any) -> Any:
        return image * 0 + current_rng().random(), label

    made = renderer(augment=augment)
    batch = BatchReader(MemorySource([b"a"] * 6), None, ()).read(indices(6, 3, 3, seed=2))
    data: Any = made.prepare(batch)
    assert data.shape == made.empty(3).shape == (3, *SHAPE) and data.dtype == np.float32
    for row in (2, 0, 1):
        made.write(batch, row, data)
    for row, record in enumerate(batch.record.tolist()):
        expected = np.float32(SampleRng(5, 0, record).random())
        assert (data[row] == expected).all()
    assert batch.labels.ravel().tolist() == batch.record.tolist()
    made.close()


def test_random_numbers_are_the_samples_own_only_while_it_is_augmented() -> None:
    seen = []

    def decode(data: Any) -> Any:
        seen.append(type(current_rng()).__name__)
        return mx.nd.zeros((2, 4, 3))

    def augment(image: Any, label: Any) -> Any:
        seen.append(type(current_rng()).__name__)
        return image, label

    rendered(renderer(decode=decode, augment=augment))
    assert seen == ["GlobalRng", "SampleRng"]


def raising(error: BaseException) -> Any:
    def call(*arguments: Any) -> Any:
        raise error

    return call


@pytest.mark.parametrize(
    ("functions", "kind", "said"),
    [
        ({"parse_label": raising(RecordError("no label"))}, RecordError, "no label"),
        ({"decode": raising(DecodeError("broken"))}, DecodeError, "broken"),
        ({"check": raising(RuntimeError("too wide"))}, DecodeError, "too wide"),
        ({"check": raising(ArgumentError("ours"))}, ArgumentError, "ours"),
        ({"check": raising(ValueError("a bug"))}, ValueError, "a bug"),
        ({"augment": raising(ZeroDivisionError("a bug"))}, ZeroDivisionError, "a bug"),
        ({"postprocess": lambda image: image}, ArgumentError, r"has the shape \(2, 4, 3\)"),
    ],
)
def test_errors(functions: dict[str, Any], kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        rendered(renderer(**functions))
