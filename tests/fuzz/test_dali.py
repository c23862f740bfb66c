"""Some of the damaged images that ``python -m tests.fuzz.dali`` sends through DALI's graph."""

from tests.fuzz.dali import BATCH, DONE, STARTED, fuzz, settings


def test_dali_survives_damaged_images() -> None:
    batches = range(len(settings()))
    outcome = fuzz(3, batches)
    assert outcome.failures == []
    assert outcome.counts[DONE] == len(batches) <= outcome.counts[STARTED]
    # Enough of them go into the graph.
    assert outcome.counts["left out"] < 0.8 * BATCH * len(batches)


def test_an_image_that_is_not_checked_is_a_failure() -> None:
    """Whether the process dies of it or not."""
    outcome = fuzz(3, range(1), checked=False, minimize=False)
    assert outcome.failures
