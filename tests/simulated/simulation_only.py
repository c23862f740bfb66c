"""Imported first by the tests of the simulation itself, which mean nothing on a real GPU."""

import os

import pytest

if os.environ.get("GPUIO_DEVICE") != "simulated":
    pytest.skip("tests of the simulation: GPUIO_DEVICE=simulated", allow_module_level=True)
