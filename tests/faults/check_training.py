"""Training that is killed and resumed, and training that goes on after interrupts."""

import pytest

from tests.faults.processes import ALL
from tests.faults.training import Trainer, Training, trainings


def test_killed_training_resumes_where_it_was(trainer: Trainer) -> None:
    tally = trainer.kill(60 if ALL else 30)
    assert tally.failures == []
    assert set(tally.signals) == {"SIGKILL", "SIGINT", "SIGTERM"}


@pytest.mark.parametrize("training", trainings()[::3], ids=str)
def test_an_interrupt_loses_the_batch_in_hand_at_most(trainer: Trainer, training: Training) -> None:
    with trainer.tallied() as tally:
        trainer.interrupt(training)
    assert tally.failures == []
