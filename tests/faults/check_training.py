"""Training that is killed and resumed, and training that goes on after interrupts."""

import pytest

from tests.faults.training import Trainer, Training, trainings


def test_killed_training_resumes_where_it_was(trainer: Trainer) -> None:
    tally = trainer.kill(60)
    assert tally.failures == []
    assert set(tally.signals) == {"SIGKILL", "SIGINT", "SIGTERM"}


@pytest.mark.parametrize("training", trainings()[::3], ids=str)
def test_an_interrupt_loses_the_batch_in_hand_at_most(trainer: Trainer, training: Training) -> None:
    trainer.interrupt(training)
    assert trainer.tally.failures == []
