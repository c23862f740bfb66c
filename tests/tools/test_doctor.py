"""gpuio doctor: what works on this machine."""

import importlib
import json

import pytest

import gpuio as mx
from gpuio.tools.cli import main

# The package's name `doctor` is the function.
module = importlib.import_module("gpuio.tools.doctor")


def test_what_works_here(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["doctor", "--json"])
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
    assert checks["gpuio"]["text"].startswith(mx.__version__)
    for name in ("numpy", "polars", "host executor", "DALI on the CPU"):
        assert checks[name]["state"] == "works", checks[name]
    gpu = checks["GPU"]
    assert gpu["state"] == ("works" if mx.num_gpus() else "missing")
    if not mx.num_gpus():
        assert "install" in gpu["text"] or "nvidia-smi" in gpu["text"]
    broken = [name for name, check in checks.items() if check["state"] == "broken"]
    assert status == (1 if broken else 0)


def test_what_is_broken_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**options: object) -> str:
        raise RuntimeError("out of\norder")

    monkeypatch.setattr(module, "_decode", fail)
    monkeypatch.setattr(module, "PACKAGES", ("no-such-package",))
    assert main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "broken   host executor: RuntimeError: out of order" in lines
    assert "broken   no-such-package: not installed; run: pip install no-such-package" in lines
