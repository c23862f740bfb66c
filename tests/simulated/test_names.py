"""The substitute for CuPy is held against the installed CuPy: names, parameters, and which of its
methods call those of a subclass.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulated import SITE

HERE = Path(__file__).parent
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("cupy") is None, reason="CuPy is not installed"
)


def run(script, simulated):
    """Run a script of this folder with the substitute or with the installed CuPy."""
    paths = [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
    paths = [each for each in paths if Path(each) != SITE]
    if simulated:
        paths.insert(0, str(SITE))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        [sys.executable, str(HERE / script)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def described():
    """What the substitute has, and what CuPy has."""
    return [json.loads(run("describe_cupy.py", simulated)) for simulated in (True, False)]


def callables(described):
    """All that can be called, by name, and its parameters."""
    for module, names in described.items():
        for name, each in names.items():
            yield f"{module}.{name}", each["parameters"]
            for member, parameters in each.get("members", {}).items():
                yield f"{module}.{name}.{member}", parameters


def test_each_name_is_one_of_cupys(described):
    ours, theirs = (dict(callables(each)) for each in described)
    assert len(ours) > 300
    assert not [name for name in ours if name not in theirs]


def test_parameters_are_those_of_cupy(described):
    """It may lack keywords and the last parameters of CuPy's, and has no others."""
    ours, theirs = (dict(callables(each)) for each in described)
    compared, different = 0, {}
    for name, parameters in ours.items():
        expected = theirs[name]
        kinds = {each[1] for each in expected or ()}
        if parameters is None or expected is None or kinds >= {"VAR_POSITIONAL", "VAR_KEYWORD"}:
            continue
        compared += 1
        if not agrees(parameters, expected):
            different[name] = parameters, expected
    assert not different
    assert compared > 200


def agrees(parameters, expected):
    named = {each[0] for each in expected if each[1] in ("KEYWORD_ONLY", "POSITIONAL_OR_KEYWORD")}
    positional = [each for each in parameters if each[1] != "KEYWORD_ONLY"]
    theirs = [each for each in expected if each[1] != "KEYWORD_ONLY"][: len(positional)]
    keywords = [each for each in parameters if each[1] == "KEYWORD_ONLY"]
    return [each[0] for each in positional] == [each[0] for each in theirs] and all(
        each[0] in named for each in keywords
    )


def test_subclasses_are_kept_and_called_as_by_cupy():
    """Arrays over memory that nobody owns need no driver, so CuPy shows it without a device."""
    ours, theirs = (json.loads(run("subclass_calls.py", simulated)) for simulated in (True, False))
    shown = {name: each for name, each in theirs.items() if each != "needs a device"}
    assert len(shown) >= 20
    assert {name: ours[name] for name in shown} == shown
