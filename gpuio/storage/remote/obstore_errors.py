"""What the exceptions of obstore mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gpuio.errors import (
    ArgumentError,
    Error,
    FileChangedError,
    RecordFileNotFoundError,
    RemoteError,
)
from gpuio.storage.remote.advice import credentials_advice, refusal_advice, region_advice
from gpuio.storage.remote.calls import FEW, NO_ANSWER, TransientError
from gpuio.storage.remote.secrets import scrub
from gpuio.storage.remote.store import changed

# What an object's deletion among several ends with.
_DELETION = re.compile(r"\(code: (\w+)\)")
_STATUS = re.compile(r"Server returned (?:non-2xx status code|error response)[^0-9]*(\d{3})")
# A key in a list.
_UNLISTED = re.compile(r'object with invalid path: .*?Path "(.*?)"', re.DOTALL)
_CODE = re.compile(r"<Code>(\w+)</Code>")
_CREDENTIAL_SOURCE = re.compile(
    r"169\.254\.|/latest/(api|meta-data)|/metadata/identity|computeMetadata|metadata\.google"
)

_REFUSED = ("PermissionDeniedError", "UnauthenticatedError")

# Answers after which the same request may succeed.
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_BUSY_CODES = frozenset({"SlowDown", "RequestTimeout", "InternalError", "ServerBusy"})

# No program listens there.
REFUSED = "the connection is refused"

_WRONG_ANSWERS = ("UnexpectedRange", "NotPartial", "RangeNotSupported")
_WRONG_ADVICE = "the server must support range requests, and keep its answers as they are"

# What names wrong addresses and certificates: trying again does not help.
_UNREACHABLE = {
    "Name or service not known": "check the host's name",
    "nodename nor servname": "check the host's name",
    "builder error": "http:// is not encrypted: set allow_http=True in storage_options to allow it",
    "InvalidContentType": "the server does not speak TLS: is it http:// instead of https://?",
    "certificate": "the server's certificate is not trusted: set root_certificate in "
    "client_options of storage_options",
    "UnknownIssuer": "the server's certificate is not trusted: set root_certificate in "
    "client_options of storage_options",
}


def explained(
    error: Exception, name: str, scheme: str, options: Mapping[str, Any]
) -> Error | TransientError:
    """The exception to raise in place of a client's, without secrets.

    Parameters
    ----------
    name : the object's URL, without secrets
    options : `storage_options`
    """
    text = scrub(str(error), options)
    kind = type(error).__name__
    summary, _, details = text.partition("\n\nDebug source:")
    status = int(found[1]) if (found := _STATUS.search(summary)) else 0
    found = (_DELETION if "DeleteFailed" in details else _CODE).search(summary)
    code = found[1] if found else ""
    answer = f"{status or ''} {code}".strip()
    if isinstance(error, FileNotFoundError):
        return _not_found(name, code)
    if kind == "PreconditionError":
        return changed(name)
    if status in _BUSY or code in _BUSY_CODES:
        return TransientError(f"the server answers {answer}", None, "is it overloaded?")
    if _CREDENTIAL_SOURCE.search(summary):
        advice = credentials_advice(scheme)
        return RemoteError(f"{name}: there are no credentials for this store; {advice}")
    if "BareRedirect" in details or "redirect without LOCATION" in summary:
        return RemoteError(f"{name}: the bucket is in another region; {region_advice()}")
    if status == 416:
        return FileChangedError(f"{name} is shorter than when it was opened; open it again")
    if kind in _REFUSED or status in (400, 401, 403) or code == "AccessDenied":
        advice = refusal_advice(scheme, code, options)
        return RemoteError(f"{name}: the server refuses access ({answer or kind}); {advice}")
    if status:
        return RemoteError(f"{name}: the server answers {answer}; is the URL right?")
    if "MissingContentLength" in details:
        return RemoteError(
            f"{name}: the server does not tell the size of what it sends; give the URL of a file, "
            "not of a page or a folder"
        )
    if found := _UNLISTED.search(summary):
        return RemoteError(
            f"{name}: there is an object that the client cannot list, as its key has an empty part "
            f"between slashes, '.', '..' or a control character: {found[1]!r}; rename or remove "
            "it, or name each file instead of the folder"
        )
    if any(each in details for each in _WRONG_ANSWERS):
        return TransientError(f"the server answers wrongly: {_reason(summary)}", FEW, _WRONG_ADVICE)
    return _unanswered(name, summary, details)


def _not_found(name: str, code: str) -> Error:
    if code in ("NoSuchBucket", "ContainerNotFound"):
        return RecordFileNotFoundError(f"{name} does not exist: there is no such bucket")
    return RecordFileNotFoundError(f"{name} does not exist; check the URL")


def _unanswered(name: str, summary: str, details: str) -> Error | TransientError:
    """The meaning of an error without an answer of the server."""
    for word, advice in _UNREACHABLE.items():
        if word in details or word in summary:
            return RemoteError(f"{name} cannot be reached: {_reason(summary)}; {advice}")
    if "TimedOut" in details:
        return TransientError(NO_ANSWER, FEW, "or timeout is too short")
    if "ConnectionRefused" in details:
        return TransientError(REFUSED, None, "check the endpoint: its host and port")
    if "HTTP error" in summary or "HttpError" in details or "reqwest" in details:
        return TransientError("the connection failed", None, "check the network and the server")
    return RemoteError(f"{name}: {_reason(summary)}")


def _reason(summary: str) -> str:
    """The client's own words, without the store's name and the request."""
    summary = re.sub(r"^Generic \w+ error: ", "", summary.strip())
    return re.sub(r"^Error performing \w+ \S+ in \S+ - ", "", summary)


def option_error(error: Exception, store: str, options: Mapping[str, Any]) -> ArgumentError:
    """The error of a client that cannot be created."""
    reason = _reason(scrub(str(error), options).partition("\n\nDebug source:")[0])
    return ArgumentError(f"{store}: storage_options or environment variables are wrong: {reason}")
