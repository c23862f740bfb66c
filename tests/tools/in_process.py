"""Tasks that run here, one after another, with copies of what Ray would send."""

import pickle
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class InProcess:
    """Tasks of this process.

    Attributes
    ----------
    cpus : how many there pretend to be
    attempts : how often each task runs
    """

    cpus: int = 2
    attempts: int = 1

    def map(
        self, function: Callable[[Any], Any], pieces: Iterable[Any], name: str
    ) -> Generator[Any, None, None]:
        """Call a function with each piece; of several attempts, the last counts."""
        assert name
        for piece in pieces:
            result = None
            for _ in range(self.attempts):
                there, sent = pickle.loads(pickle.dumps((function, piece)))
                result = pickle.loads(pickle.dumps(there(sent)))
            yield result
