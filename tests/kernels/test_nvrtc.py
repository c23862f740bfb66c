"""NVRTC compiles the kernels for each GPU generation, without register spills."""

import platform
import re
import sys

import pytest

from gpuio.execution import kernels

if not (sys.platform == "linux" and platform.machine() == "x86_64"):
    pytest.skip("NVRTC is installed for tests on Linux x86-64 only", allow_module_level=True)

from cuda.bindings import nvrtc

ARCHITECTURES = ("sm_75", "sm_80", "sm_90", "sm_100", "sm_120")

# Of each family, the kernels, and the most registers of a thread: with 64, 1,024 threads are
# resident on a multiprocessor of any of these GPUs; with 128, 512 are.
FAMILIES = {
    "assemble": (
        {
            f"assemble_{dtype}_{layout}"
            for dtype in ("float32", "float16", "uint8", "int8")
            for layout in ("nchw", "nhwc")
        },
        64,
    ),
    "augment": ({"augment"}, 128),
    "finish": ({"finish"}, 64),
    "mix": ({f"mix_{dtype}" for dtype in ("float32", "float16", "uint8", "int8")}, 64),
}


def compile_family(family, arch, *options):
    """Log of NVRTC, and the binary for an architecture sm_N, or the PTX for compute_N, with the
    flags that CuPy adds.
    """
    source = kernels.read_source(kernels.find(family))
    flags = (*kernels.FLAGS, f"--gpu-architecture={arch}", "-ftz=true", *options)
    _, program = nvrtc.nvrtcCreateProgram(source.encode(), f"{family}.cu".encode(), 0, [], [])
    (result,) = nvrtc.nvrtcCompileProgram(program, len(flags), [flag.encode() for flag in flags])
    log = read(program, nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog).decode()
    assert result == nvrtc.nvrtcResult.NVRTC_SUCCESS, f"{log}\n{kernels.numbered(source)}"
    if arch.startswith("sm_"):
        made = read(program, nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN)
    else:
        made = read(program, nvrtc.nvrtcGetPTXSize, nvrtc.nvrtcGetPTX)
    nvrtc.nvrtcDestroyProgram(program)
    return log, made


def read(program, get_size, get):
    """A text or binary of a program."""
    _, size = get_size(program)
    content = bytearray(size)
    get(program, content)
    return bytes(content)


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("family", FAMILIES)
def test_compiles_with_few_registers_and_no_spills(family, arch):
    names, most_registers = FAMILIES[family]
    log, binary = compile_family(family, arch, "--ptxas-options=-v")
    assert set(re.findall(r"Compiling entry function '(\w+)'", log)) == names
    memory = re.findall(
        r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", log
    )
    assert memory == [("0", "0", "0")] * len(names)
    registers = [int(used) for used in re.findall(r"Used (\d+) registers", log)]
    assert len(registers) == len(names)
    assert max(registers) <= most_registers
    assert all(name.encode() in binary for name in names)
    assert "warning" not in log


def test_every_family_is_compiled():
    assert {path.stem for path in kernels.find("assemble").parent.glob("*.cu")} == set(FAMILIES)


# Instructions that round, without .ftz and none fused.
ROUNDED = {
    "assemble": {"add.rn.f32", "sub.rn.f32", "mul.rn.f32"},
    "augment": {
        *("add.rn.f32", "sub.rn.f32", "mul.rn.f32", "div.rn.f32"),
        *("div.rn.f64", "cvt.rn.f32.f64"),
    },
    "mix": {"add.rn.f32", "sub.rn.f32", "mul.rn.f32"},
    "finish": {
        *("add.rn.f32", "sub.rn.f32", "mul.rn.f32", "div.rn.f32"),
        *("add.rn.f64", "mul.rn.f64", "div.rn.f64", "cvt.rn.f32.f64"),
    },
}


@pytest.mark.parametrize("family", FAMILIES)
def test_arithmetic_is_neither_fused_nor_flushed(family):
    _, ptx = compile_family(family, "compute_80")
    operations = re.findall(
        r"\b((?:add|sub|mul|div|fma|mad|rcp)\.[\w.]*f(?:32|64)|cvt\.[\w.]*f32\.f64)\b",
        ptx.decode(),
    )
    assert set(operations) == ROUNDED[family]
