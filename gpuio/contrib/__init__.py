"""MXNet's ``mx.contrib``, of which gpuio has `io`."""

from gpuio.contrib import io

__all__ = ["io"]
