"""StorageOptions: the options of a store's client, whose secrets stay in their process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gpuio.storage.remote.secrets import HIDDEN, secret_names, without_secrets


class StorageOptions(Mapping[str, Any]):
    """Options of a store's client. Read-only; `repr` hides what is secret.

    A pickle has no secrets: only what is known to be none, such as endpoint and region, and the
    names of the others.

    Parameters
    ----------
    options : by their names, as the client has them
    withheld : names of the options that a pickle has left out

    Attributes
    ----------
    withheld : the argument
    """

    def __init__(self, options: Mapping[str, Any], withheld: tuple[str, ...] = ()) -> None:
        self._options = dict(options)
        self.withheld = withheld

    def __getitem__(self, name: str) -> Any:
        return self._options[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._options)

    def __len__(self) -> int:
        return len(self._options)

    def __reduce__(self) -> tuple[Any, ...]:
        withheld = dict.fromkeys([*self.withheld, *secret_names(self)])
        return StorageOptions, (without_secrets(self), tuple(withheld))

    def __copy__(self) -> StorageOptions:
        return self  # copies within a process keep the secrets

    def __deepcopy__(self, memo: object) -> StorageOptions:
        return self

    def __repr__(self) -> str:
        return repr(dict.fromkeys(secret_names(self), HIDDEN) | without_secrets(self))
