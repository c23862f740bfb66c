"""What to do when a store refuses access: the variables and options of each provider."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.secrets import plain_name

# Scheme -> prefix of the environment variables that stand for options.
PREFIXES = {"s3": "AWS_", "gs": "GOOGLE_", "az": "AZURE_STORAGE_"}

_CREDENTIALS = {
    "s3": (
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN for temporary "
        "ones), or access_key_id and secret_access_key in storage_options; ~/.aws is not read; "
        "skip_signature=True in storage_options is for public buckets"
    ),
    "gs": (
        "set GOOGLE_APPLICATION_CREDENTIALS to a file of credentials, or service_account or "
        "bearer_token in storage_options; skip_signature=True in storage_options is for public "
        "buckets"
    ),
    "az": (
        "set AZURE_STORAGE_ACCOUNT_NAME, and AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_KEY, "
        "or account_name and account_key or sas_key in storage_options; skip_signature=True in "
        "storage_options is for public containers"
    ),
    "http": (
        "get a new URL if it is a signed one, or pass the header that the server wants as "
        "client_options={'default_headers': {'authorization': …}} in storage_options"
    ),
}

# Options whose variables have other names than the prefix and theirs.
_VARIABLES = {
    "az": {
        "bearer_token": "AZURE_STORAGE_TOKEN",
        **{
            name: f"AZURE_{name.upper()}"
            for name in (
                "fabric_cluster_identifier", "fabric_session_token", "fabric_token_service_url",
                "fabric_workload_host", "federated_token_file", "identity_endpoint", "msi_endpoint",
                "msi_resource_id", "object_id",
            )
        },
    },
}  # fmt: skip

_RIGHTS = (
    "the credentials are valid, but have no permission for this; they come from AWS_ACCESS_KEY_ID, "
    "storage_options or the machine's role. Without permission to list the bucket, a missing "
    "object gives the same answer"
)
_REGION = "set AWS_REGION, or region in storage_options, to the bucket's region"
_CLOCK = "set this machine's clock: it differs from the server's"

# Codes of errors of S3 that mean something other than missing credentials or rights.
CODES = {
    "ExpiredToken": "the token has expired: get a new one and set AWS_SESSION_TOKEN and the keys, "
    "or session_token and the keys in storage_options",
    "TokenRefreshRequired": "the token has expired: get a new one and set AWS_SESSION_TOKEN",
    "RequestTimeTooSkewed": _CLOCK,
    "RequestExpired": _CLOCK,
    "AuthorizationHeaderMalformed": _REGION,
    "PermanentRedirect": _REGION,
    "TemporaryRedirect": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "SignatureDoesNotMatch": "AWS_SECRET_ACCESS_KEY, or secret_access_key in storage_options, does "
    "not belong to the access key",
    "InvalidAccessKeyId": "the server does not know AWS_ACCESS_KEY_ID, or access_key_id in "
    "storage_options",
}


def credentials_advice(scheme: str) -> str:
    """Where a provider's credentials come from."""
    return _CREDENTIALS["http" if scheme == "https" else scheme]


def refusal_advice(scheme: str, code: str, options: Mapping[str, Any]) -> str:
    """What to do about a refused request.

    Parameters
    ----------
    code : the server's name for the reason; "" if it gave none
    options : `storage_options`
    """
    if scheme != "s3":
        return credentials_advice(scheme)
    unsigned = any(
        plain_name(name) == "skip_signature" and str(value).lower() != "false"
        for name, value in options.items()
    )
    if code == "AccessDenied" and not unsigned:
        return _RIGHTS
    return CODES.get(code, _CREDENTIALS["s3"])


def region_advice() -> str:
    """What to do about a bucket in another region."""
    return _REGION


def missing_secrets(scheme: str, options: RemoteOptions) -> tuple[str, ...]:
    """The secret options that a pickle left out and the environment does not have, each with the
    variable that could have it.
    """
    prefix = PREFIXES.get(scheme, "")
    missing = []
    for option in options.withheld:
        name = plain_name(option)
        variable = _VARIABLES.get(scheme, {}).get(name, prefix + name.upper())
        if not prefix or "." in option:
            missing.append(option)
        elif not os.environ.get(variable):
            missing.append(f"{option} (or the environment variable {variable})")
    return tuple(missing)
