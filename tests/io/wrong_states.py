"""Saved states with a value that cannot be theirs."""

import copy
import math
from collections.abc import Iterator
from typing import Any

# None of them is a value of any iterator's state.
NEVER: tuple[Any, ...] = (
    "false", "8", 1.7, None, {}, [], [[]], math.inf, math.nan, -1, 2**63, 10**30, 10**5000,
)  # fmt: skip


def wrong_states(state: dict[str, Any]) -> Iterator[Any]:
    """States that differ from one in a single value, which has another type or is out of range; or
    have a value too many or too few.
    """
    yield from ([], None, "state", 0, list(state), {**state, "unknown": 0}, {**state, 5: 0})
    for name in state:
        if name != "checksum":  # states of earlier versions have none
            yield {key: value for key, value in state.items() if key != name}
    for path, value in _values(state):
        flag = isinstance(value, bool)
        for wrong in (*NEVER, 0 if flag else True, float(value) if _is_number(value) else 2.5):
            changed = copy.deepcopy(state)
            parent: Any = changed
            for key in path[:-1]:
                parent = parent[key]
            parent[path[-1]] = wrong
            yield changed


def _values(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """The values inside dicts and lists, with the keys that lead to them."""
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from _values(value[key], (*path, key))
    if path:
        yield path, value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))
