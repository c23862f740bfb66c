"""Number of CPUs."""

import os
import subprocess
import sys

import pytest

from tests.tools.process import ROOT


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs CPU affinities")
def test_only_cpus_that_may_be_used_count() -> None:
    code = """
import os
from gpuio.loading.cpus import cpu_count
assert cpu_count() == len(os.sched_getaffinity(0))
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
assert cpu_count() == 1
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)
