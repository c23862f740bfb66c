"""cupy.cuda.nvrtc: its version, for reports. Kernels are compiled by g++."""


def getVersion():
    return 13, 0
