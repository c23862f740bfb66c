"""When queued work runs: ``GPUIO_SIMULATION=hostile|lazy|eager|random:SEED``.

hostile : as late as possible. An event that is queried is done at once, by running exactly what it
    needs, and nothing queued behind it.
lazy : as late as possible; an event that is queried is done only if somebody waited for it.
eager : at once, in the order of the calls.
random:SEED : streams advance by chance, at every call.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field

NAMES = ("hostile", "lazy", "eager", "random")


@dataclass
class Mode:
    """A mode, and the random numbers that it draws."""

    name: str
    seed: int = 0
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ValueError(f"GPUIO_SIMULATION must be one of {NAMES}, not {self.name!r}")
        self.random = random.Random(self.seed)

    @classmethod
    def parse(cls, text: str) -> Mode:
        """A mode from its text, such as ``random:7``."""
        name, _, seed = text.partition(":")
        return cls(name, int(seed or 0))


mode = Mode.parse(os.environ.get("GPUIO_SIMULATION", "hostile"))
