"""Prepares gpuio's docstrings for numpydoc.

In numpydoc's format ``name : type`` is followed by an indented description. gpuio's docstrings have
the description in the place of the type, since the signature has the types, and in ``Returns``
often plain sentences. Here both become what numpydoc expects; types and defaults of parameters come
from the signature.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_origin

from gpuio import errors

if TYPE_CHECKING:
    from sphinx.application import Sphinx

# Sections of entries `name : description`.
ENTRIES = {"Parameters", "Attributes", "Raises", "Warns", "Other Parameters"}
# Sections of entries, or of sentences.
RESULTS = {"Returns", "Yields"}

_ENTRY = re.compile(r"(\*{0,2}\w[\w.]*(?:, \*{0,2}\w[\w.]*)*) : (.*)", re.S)


def prepare(lines: list[str], types: Mapping[str, str] | None = None) -> list[str]:
    """The lines of a docstring in numpydoc's format.

    Parameters
    ----------
    types : of parameters, by their names
    """
    prepared: list[str] = []
    for title, body in _sections(lines):
        prepared += [title, "-" * len(title)] if title else []
        shown = _entries(body, title, types or {}) if title in ENTRIES | RESULTS else body
        prepared += shown if title == "Examples" else map(_escape_stars, shown)
    return prepared


def _sections(lines: list[str]) -> list[tuple[str, list[str]]]:
    """Titles and bodies; the first has no title."""
    sections: list[tuple[str, list[str]]] = [("", [])]
    skip = False
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if skip:
            skip = False
        elif line and re.fullmatch("-{3,}", following) and len(following) == len(line):
            sections.append((line, []))
            skip = True
        else:
            sections[-1][1].append(line)
    return sections


def _entries(body: list[str], title: str, types: Mapping[str, str]) -> list[str]:
    """A name each on a line of its own, with its type, and below it the description, indented.

    Sentences that are no entry become the only one, which has no name.
    """
    entries: list[list[str]] = []
    for line in body:
        if entries and line and len(entries[-1]) == 1 and entries[-1][0].endswith(","):
            entries[-1][0] += f" {line}"  # many names
        elif line[:1] in ("", " ") and entries:
            entries[-1].append(line)
        elif line:
            entries.append([line])
    prepared: list[str] = []
    matches = [_ENTRY.match(entry[0]) for entry in entries]
    if title in RESULTS and not all(matches):
        text = " ".join(line.strip() for entry in entries for line in entry)
        return [text.strip(), ""]
    for entry, match in zip(entries, matches, strict=True):
        if not match:
            prepared += entry
            continue
        name, description = match.groups()
        if title in ("Raises", "Warns"):
            name = ", ".join(f":exc:`{_exception(each)}`" for each in name.split(", "))
        found = {types.get(each, "") for each in name.split(", ")}
        typed = title == "Parameters" and len(found) == 1 and found != {""}
        header = f"{name} : {found.pop()}" if typed else name
        prepared += [header, f"    {description}", *entry[1:]]
    return [*prepared, ""]


def _exception(name: str) -> str:
    """The target of a link to an exception, which is shown by its last name."""
    return f"~gpuio.errors.{name}" if hasattr(errors, name) else name


def _escape_stars(line: str) -> str:
    """A line without stars that would begin emphasis, such as that of ``(n, *shape)``."""
    parts = re.split("(``.*?``)", line)
    parts[::2] = [re.sub(r"(?<![\w*\\])\*(?=\w)", r"\\*", part) for part in parts[::2]]
    return "".join(parts)


def _before_numpydoc(
    app: Sphinx, what: str, name: str, item: object, options: Any, lines: list[str]
) -> None:
    lines[:] = prepare(lines, _types(item))


def _types(item: object) -> dict[str, str]:
    """Types and defaults of a function's or a class's parameters."""
    try:
        parameters = inspect.signature(item).parameters  # type: ignore[arg-type]
    except (TypeError, ValueError):  # it is neither, or one of C's
        return {}
    types = {}
    for name, parameter in parameters.items():
        kind, default = parameter.annotation, parameter.default
        parts = [] if kind is parameter.empty else [kind if isinstance(kind, str) else str(kind)]
        if default is not parameter.empty and default is not None:
            shown = f"{default:g}" if isinstance(default, float) else repr(default)
            parts.append(f"default {shown}")
        types[name] = ", ".join(parts)
    return types


def _after_numpydoc(
    app: Sphinx, what: str, name: str, item: object, options: Any, lines: list[str]
) -> None:
    """Remove the empty comments that numpydoc adds: below results without a description they make
    the result a term, in bold type.
    """
    lines[:] = [line for line in lines if line.strip() not in ("..", "!! processed by numpydoc !!")]


def _on_bases(app: Sphinx, name: str, item: object, options: Any, bases: list[Any]) -> None:
    """Show public bases in the place of private ones."""
    shown: list[Any] = []
    for each in bases:
        kind = get_origin(each) or each  # of StreamIter[T], StreamIter
        # NamedTuple is a function, and a package that is not installed has no classes.
        mro = kind.__mro__ if isinstance(kind, type) else ()
        shown.append(next(filter(_is_public, mro), kind))
    bases[:] = list(dict.fromkeys(shown))


def _is_public(base: type) -> bool:
    package = base.__module__.partition(".")[0]
    names = [f"gpuio.{part}" for part in ("io", "image", "recordio", "errors", "gluon.data")]
    modules = [importlib.import_module(name) for name in names]
    return package != "gpuio" or any(getattr(m, base.__name__, None) is base for m in modules)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    # numpydoc's handler has the priority 500.
    app.connect("autodoc-process-docstring", _before_numpydoc, priority=400)
    app.connect("autodoc-process-docstring", _after_numpydoc, priority=600)
    app.connect("autodoc-process-bases", _on_bases)
    return {"parallel_read_safe": True}
