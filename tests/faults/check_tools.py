"""Tools and writers that are killed: what they leave, and what the next run makes of it."""

import pytest

from tests.faults.processes import ALL
from tests.faults.tools import Interrupter
from tests.faults.writers import WRITERS


@pytest.mark.parametrize("name", WRITERS)
def test_a_killed_writer_leaves_old_files_or_new_ones(interrupter: Interrupter, name: str) -> None:
    tally = interrupter.kill_before_operations(name, most=4 if ALL else 2)
    assert tally.failures == []
    assert tally.signals or not WRITERS[name].outputs


def test_interrupted_at_random_moments(interrupter: Interrupter) -> None:
    tally = interrupter.kill(40 if ALL else 20)
    assert tally.failures == []
    assert set(tally.signals) == {"SIGKILL", "SIGINT", "SIGTERM"}
