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
NAMES = {
    f"assemble_{dtype}_{layout}"
    for dtype in ("float32", "float16", "uint8", "int8")
    for layout in ("nchw", "nhwc")
}


def compile_kernels(source, arch):
    """Result, log and binary of NVRTC, with the flags that CuPy adds."""
    report = "--ptxas-options=-v"
    flags = (*kernels.FLAGS, f"--gpu-architecture={arch}", report, "-ftz=true")
    _, program = nvrtc.nvrtcCreateProgram(source.encode(), b"assemble.cu", 0, [], [])
    (result,) = nvrtc.nvrtcCompileProgram(program, len(flags), [flag.encode() for flag in flags])
    _, size = nvrtc.nvrtcGetProgramLogSize(program)
    log = bytearray(size)
    nvrtc.nvrtcGetProgramLog(program, log)
    binary = bytearray()
    if result == nvrtc.nvrtcResult.NVRTC_SUCCESS:
        _, size = nvrtc.nvrtcGetCUBINSize(program)
        binary = bytearray(size)
        nvrtc.nvrtcGetCUBIN(program, binary)
    nvrtc.nvrtcDestroyProgram(program)
    return result, log.decode(), bytes(binary)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_compiles_without_spills(arch):
    source = kernels.find("assemble").read_text()
    result, log, binary = compile_kernels(source, arch)
    assert result == nvrtc.nvrtcResult.NVRTC_SUCCESS, f"{log}\n{kernels.numbered(source)}"
    assert set(re.findall(r"Compiling entry function '(\w+)'", log)) == NAMES
    memory = re.findall(
        r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", log
    )
    assert memory == [("0", "0", "0")] * len(NAMES)
    assert all(name.encode() in binary for name in NAMES)
    assert "warning" not in log


def test_nothing_is_included():
    assert "#include" not in kernels.find("assemble").read_text()


def test_arithmetic_is_neither_fused_nor_flushed():
    _, program = nvrtc.nvrtcCreateProgram(
        kernels.find("assemble").read_bytes(), b"assemble.cu", 0, [], []
    )
    flags = [b"-ftz=true", b"-std=c++17", b"--gpu-architecture=compute_80"]
    nvrtc.nvrtcCompileProgram(program, len(flags), flags)
    _, size = nvrtc.nvrtcGetPTXSize(program)
    ptx = bytearray(size)
    nvrtc.nvrtcGetPTX(program, ptx)
    nvrtc.nvrtcDestroyProgram(program)
    operations = set(re.findall(rb"\b((?:add|sub|mul|fma|mad)\.[\w.]*f32)\b", ptx))
    assert operations == {b"add.rn.f32", b"sub.rn.f32", b"mul.rn.f32"}
