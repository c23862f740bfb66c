"""Run MXNet's own unit tests over gpuio.

    python -m tests.mxnet.unittests FOLDER [--only TEXT] [--file NAME ...]

FOLDER holds MXNet 1.9.1's ``tests/python/unittest``, or some of its files; their text is not part
of this project. In this process ``import mxnet`` gives gpuio. The test helpers that the files
import are those of `helpers`, the data sets that they download are made by `datasets`, in a
temporary folder. Prints a line for each test, and exits with status 1 unless each ends as
`EXPECTED_FAILURES` says.
"""

import argparse
import os
import re
import sys
import tempfile
import time
import traceback
import unittest
import warnings
from dataclasses import dataclass
from functools import partial
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import CodeType
from typing import Any

from tests.mxnet import alias, datasets, helpers

FILES = [
    "test_recordio.py",
    "test_io.py",
    "test_image.py",
    "test_gluon_data.py",
    "test_gluon_data_vision.py",
    "test_contrib_io.py",
]

# Tests that should not pass, and why.
EXPECTED_FAILURES = {
    "test_io.test_NDArrayIter_csr": "asks that CSR data with last_batch_handle='pad' be refused, "
    "MXNet's limit; gpuio pads them",
    "test_gluon_data.test_dataloader_context": "asks that pinned memory be a device of its own; "
    "gpuio's arrays in it are on cpu(0)",
    "test_gluon_data_vision.test_crop_resize": "differentiates nd.image.crop through mx.sym",
}

# Options that a test misspells. MXNet ignores options that it does not know; gpuio refuses them.
MISSPELLED = {"test_io.py": {"and_mirror": "rand_mirror"}}


@dataclass(frozen=True)
class Outcome:
    """How a test ended: its name; "pass", "fail" or "skip"; why; how long it took."""

    name: str
    result: str
    reason: str
    seconds: float

    @property
    def as_expected(self) -> bool:
        return self.result == ("fail" if self.name in EXPECTED_FAILURES else "pass")

    def __str__(self) -> str:
        note = "" if self.as_expected else "UNEXPECTED "
        reason = EXPECTED_FAILURES.get(self.name, "") if self.as_expected else self.reason
        return f"{self.result}  {self.seconds:6.1f} s  {self.name}  {note}{reason}".rstrip()


class Recorder(unittest.TestResult):
    """Prints and keeps the outcome of each test."""

    def __init__(self, prefix: str, verbose: bool) -> None:
        super().__init__()
        self.prefix = prefix
        self.verbose = verbose
        self.outcomes: list[Outcome] = []
        self.started = time.perf_counter()

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().startTest(test)
        self.started = time.perf_counter()

    def _add(self, test: Any, result: str, reason: str = "") -> None:
        seconds = time.perf_counter() - self.started
        outcome = Outcome(f"{self.prefix}.{name_of(test)}", result, reason, seconds)
        print(outcome, flush=True)
        self.outcomes.append(outcome)

    def addSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802
        self._add(test, "pass")

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:  # noqa: N802
        self._add(test, "skip", reason)

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        kind, error, trace = err
        where = traceback.extract_tb(trace)[-1]
        message = " ".join(f"{kind.__name__}: {error}".split())[:300]
        self._add(test, "fail", f"{message} ({Path(where.filename).name}:{where.lineno})")
        if self.verbose:
            traceback.print_exception(error)

    addError = addFailure  # noqa: N815 (also of setUpClass)


class Corrected(SourceFileLoader):
    """Loads a test file with `MISSPELLED` words corrected, and writes no bytecode beside it."""

    def get_code(self, fullname: str) -> CodeType:
        text = self.get_data(self.path).decode()
        for wrong, right in MISSPELLED.get(Path(self.path).name, {}).items():
            text = re.sub(rf"\b{wrong}\b", right, text)
        return self.source_to_code(text, self.path)


def name_of(test: unittest.TestCase) -> str:
    """The name of a test function or method."""
    return test.shortDescription() or test.id().rpartition(".")[2]


def load(path: Path) -> list[unittest.TestCase]:
    """The tests of a file: its functions, and the methods of its TestCases."""
    loader = Corrected(path.stem, str(path))
    module = module_from_spec(spec_from_loader(path.stem, loader))
    sys.modules[path.stem] = module
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # `is` with a literal
        loader.exec_module(module)
    tests: list[unittest.TestCase] = []
    for name, value in vars(module).items():
        if isinstance(value, type) and issubclass(value, unittest.TestCase):
            # nose's spelling
            for old, new in (("setupClass", "setUpClass"), ("teardownClass", "tearDownClass")):
                if hasattr(value, old):
                    setattr(value, new, getattr(value, old))
            tests += unittest.defaultTestLoader.loadTestsFromTestCase(value)
        elif name.startswith("test_") and callable(value):
            tests.append(unittest.FunctionTestCase(value, description=name))
    return tests


def run(folder: Path, files: list[str], only: str = "", verbose: bool = False) -> list[Outcome]:
    """Run the tests of `files` whose name contains `only`, in the current folder."""
    datasets.gluon(Path("data"))
    os.symlink("data", "datasets")
    os.environ["MXNET_HOME"] = os.getcwd()
    outcomes = []
    for name in files:
        recorder = Recorder(Path(name).stem, verbose)
        try:
            tests = [test for test in load(folder / name) if only in name_of(test)]
        except Exception:  # whatever the file's own text raises
            tests = [unittest.FunctionTestCase(partial(load, folder / name), description="import")]
        unittest.TestSuite(tests).run(recorder)
        outcomes += recorder.outcomes
    return outcomes


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="MXNet's tests/python/unittest")
    parser.add_argument("--file", action="append", help=f"default: {', '.join(FILES)}")
    parser.add_argument("--only", default="", metavar="TEXT", help="tests with this in their name")
    parser.add_argument("--verbose", action="store_true", help="print tracebacks")
    args = parser.parse_args(arguments)
    folder = args.folder.resolve()
    files = args.file or FILES
    missing = [name for name in files if not (folder / name).is_file()]
    if missing:
        parser.error(f"{folder} lacks {', '.join(missing)}")
    alias.install()
    helpers.install()
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as temporary:
        os.chdir(temporary)
        outcomes = run(folder, files, args.only, args.verbose)
        os.chdir(before)
    passed = sum(each.result == "pass" for each in outcomes)
    wrong = sum(not each.as_expected for each in outcomes)
    print(f"{passed} of {len(outcomes)} pass; {wrong} end otherwise than expected")
    return 1 if wrong or not outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
