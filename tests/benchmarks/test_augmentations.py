"""The benchmark of augmentations runs, on a few images."""

from tests.benchmarks.augmentations import AUGMENTERS, MIXES, measure, results


def test_each_augmentation_is_measured() -> None:
    found = dict(results(4, 1, others=False))
    assert list(found) == [*AUGMENTERS, *MIXES]
    for name, columns in found.items():
        assert columns["gpuio"] > 0
        assert ("in ImageRecordIter" in columns) == (name in AUGMENTERS)


def test_contestants_that_are_not_installed_are_left_out() -> None:
    calls: list[str] = []
    measured = measure({"here": lambda: calls.append("run"), "missing": None}, 3, 1)
    assert list(measured) == ["here"] and calls == ["run"] * 4
