"""Fixtures for the tests of iterators."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import gpuio as mx
from tests.io.conformance import OtherProcess, Resumed, resume_in_other_process


@pytest.fixture(scope="class")
def class_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For files that all tests of a class read, and none changes."""
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="session")
def other_process() -> Iterator[OtherProcess]:
    other = OtherProcess()
    yield other
    other.end()


@pytest.fixture(scope="session")
def resumed(
    tmp_path_factory: pytest.TempPathFactory, other_process: OtherProcess
) -> Callable[[type, mx.Context], Resumed]:
    """What follows the saved states of an iterator, by its class of tests and device; another
    process resumes the states of all classes.
    """
    results: dict[tuple[type, str], Resumed] = {}

    def of(kind: type, ctx: mx.Context) -> Resumed:
        key = kind, ctx.device_type
        if key not in results:
            folder = tmp_path_factory.mktemp("resumed")
            results[key] = resume_in_other_process(kind, folder, ctx, other_process)
        return results[key]

    return of
