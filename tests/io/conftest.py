"""Fixtures for the tests of iterators."""

from collections.abc import Callable

import pytest

import gpuio as mx
from tests.io.conformance import Resumed, resume_in_new_process


@pytest.fixture(scope="session")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[type, mx.Context], Resumed]:
    """What follows the saved states of an iterator, by its class of tests and device; each new
    process resumes the states of all variants of one class.
    """
    results: dict[tuple[type, str], Resumed] = {}

    def of(kind: type, ctx: mx.Context) -> Resumed:
        key = kind, ctx.device_type
        if key not in results:
            folder = tmp_path_factory.mktemp("resumed")
            results[key] = resume_in_new_process(kind, folder, ctx)
        return results[key]

    return of
