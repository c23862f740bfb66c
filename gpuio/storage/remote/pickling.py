"""Pickles hold no secrets: URLs that are secrets themselves are refused, but for a process that is
being spawned.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from multiprocessing.context import get_spawning_popen

from gpuio.errors import ArgumentError, UnsupportedError
from gpuio.storage.remote.url import is_remote, parse_url, shown

# Names in a query whose values are no secrets; any other one may sign the URL.
_HARMLESS = re.compile(r"(versionid|generation|snapshot|download|raw|dl)(=[^&]*)?", re.IGNORECASE)


def check_picklable(values: object, name: str) -> None:
    """Check that a pickle of some values holds no URL with a password or a signature.

    What multiprocessing sends to a process that it spawns is stored nowhere: it may hold them.

    Parameters
    ----------
    values : strings, and tuples, lists, sets and mappings of them; others are ignored
    name : of what is being pickled, for the message

    Raises
    ------
    UnsupportedError : it would hold one.
    """
    if get_spawning_popen() is not None:
        return
    if isinstance(values, str):
        for each in (values, *values.split(";")):  # several files may be joined
            if is_remote(each) and _is_secret(each):
                raise UnsupportedError(
                    f"{name} cannot be pickled or copied: {shown(each)} was given with a password "
                    "or a query, which may be secret; create it where it is used, with the whole "
                    "URL, or send it to a process as an argument of multiprocessing.Process or by "
                    "PyTorch's DataLoader"
                )
    elif isinstance(values, Mapping):
        check_picklable(tuple(values.values()), name)
    elif isinstance(values, (list, tuple, set, frozenset)):
        for each in values:
            check_picklable(each, name)


def _is_secret(url: str) -> bool:
    """Whether somebody who has only what is shown of a URL lacks something secret."""
    try:
        parsed = parse_url(url)
    except ArgumentError:  # it was never opened
        return shown(url) != url
    parts = parsed.query.split("&") if parsed.query else []
    return ":" in parsed.user or not all(map(_HARMLESS.fullmatch, parts))
