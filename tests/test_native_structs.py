"""The dtypes of the native module's structures, which the compiler lays out in the same way."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from gpuio.native import SOURCES
from gpuio.native_structs import OUTPUT, PLACE, PLAN, SAMPLE
from gpuio.planning.native_crops import CROP, CROPS
from gpuio.planning.operations import OPERATION
from gpuio.recordio.native_records import RECORDS

STRUCTURES = {
    "gpuio_place": PLACE,
    "gpuio_output": OUTPUT,
    "gpuio_sample": SAMPLE,
    "gpuio_plan": PLAN,
    "gpuio_operation": OPERATION,
    "gpuio_crop": CROP,
    "gpuio_crops": CROPS,
    "gpuio_records": RECORDS,
}


def test_fields_are_where_the_compiler_puts_them(tmp_path: Path) -> None:
    compiler = next(filter(shutil.which, ("cc", "gcc", "clang")), None)
    if compiler is None or not SOURCES.is_dir():
        pytest.skip("there is no C compiler, or there are no sources")
    lines = ["#include <stddef.h>", f'#include "{SOURCES / "native.h"}"']
    for name, dtype in STRUCTURES.items():
        assert dtype.fields is not None
        lines.append(f'_Static_assert(sizeof(struct {name}) == {dtype.itemsize}, "{name}");')
        for field, (kind, offset, *_) in dtype.fields.items():
            at = f"offsetof(struct {name}, {field}) == {offset}"
            size = f"sizeof(((struct {name}*)0)->{field}) == {np.dtype(kind).itemsize}"
            lines += [f'_Static_assert({each}, "{name}.{field}");' for each in (at, size)]
    source = tmp_path / "structures.c"
    source.write_text("\n".join(lines) + "\n")
    command = [compiler, "-std=c11", "-fsyntax-only", str(source)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert not result.returncode, result.stderr
    # That a field elsewhere would be found.
    source.write_text(source.read_text().replace(") == 0, ", ") == 1, ", 1))
    assert subprocess.run(command, capture_output=True).returncode
