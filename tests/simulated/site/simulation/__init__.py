"""Simulated CUDA devices: streams, events and memory whose mistakes in synchronization show.

- `streams`: work is queued, and runs as late as the mode allows
- `accesses`: which work reads and writes which memory; reports what has no order
- `memory`: device memory, and pools of it per stream
- `pinned`: page-locked host memory

It knows nothing of CuPy: the substitutes for CuPy, DALI and nvImageCodec are built on it.
"""

DEVICES = 2
