"""Tokens that say which workload this is: of a file, of GitHub Actions, or of a managed identity.

An application in Entra ID trusts them by a federated credential
(https://learn.microsoft.com/entra/workload-id/workload-identity-federation).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from shared.dataverse.http.answers import UnexpectedAnswer, parsed
from shared.dataverse.http.identities import WORKLOAD, token_of
from shared.dataverse.http.token_endpoint import answered, check_available, checked_token
from shared.errors import AbortRun, RetryLater
from shared.http.hosts import is_loopback
from shared.http.transport import Request, Transport
from shared.redaction import register_secret

__all__ = ["identity_token", "issuer_of"]

TOKEN_FILE: Final = "AZURE_FEDERATED_TOKEN_FILE"  # noqa: S105 - the name of a variable
GITHUB_URL: Final = "ACTIONS_ID_TOKEN_REQUEST_URL"
GITHUB_TOKEN: Final = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"  # noqa: S105 - the name of a variable

_LONGEST_FILE: Final = 65_536  # bytes
_GOOD: Final = 200


def issuer_of(environment: Mapping[str, str], transport: Transport) -> Callable[[str], str] | None:
    """What gives tokens for an audience, by the variables that the place of this workload sets.

    Args:
        environment: The variables.
        transport: Sends the request to GitHub.

    Returns:
        A function from audience to token; None where no variable names an issuer.
    """
    if path := environment.get(TOKEN_FILE):
        return partial(_file_token, Path(path))
    if environment.get(GITHUB_URL) and environment.get(GITHUB_TOKEN):
        return partial(_github_token, environment[GITHUB_URL], environment[GITHUB_TOKEN], transport)
    return None


def _file_token(path: Path, audience: str) -> str:
    """The token in a file, which the platform replaces before it ends; its audience was chosen by the platform.

    Raises:
        AbortRun: There is none.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST_FILE).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise AbortRun(f"the token file of {TOKEN_FILE}, {path}, cannot be read: {reason}") from None
    if not text:
        raise AbortRun(f"the token file of {TOKEN_FILE}, {path}, is empty: it must hold a token for {audience}")
    return checked_token(text)


def _github_token(url: str, request_token: str, transport: Transport, audience: str) -> str:
    """A token of the job that runs in GitHub Actions.

    See https://docs.github.com/actions/reference/security/oidc

    Raises:
        AbortRun: GitHub gives none.
        RetryLater: GitHub throttles or is unavailable.
    """
    register_secret(request_token)
    if urlsplit(url).scheme != "https" and not is_loopback(urlsplit(url).hostname or ""):
        raise AbortRun(f"{GITHUB_URL} is not an address with https://")
    separator = "&" if "?" in url else "?"
    headers = {"Authorization": f"Bearer {request_token}", "Accept": "application/json"}
    asked = Request(method="GET", url=f"{url}{separator}audience={quote(audience)}", headers=headers, timeout=30)
    try:
        response = answered(transport, asked)
        check_available(response, "GitHub, asked for a token,")
        if response.status != _GOOD:
            raise AbortRun(
                f"GitHub gave no token for this job (status {response.status}): give the job the permission "
                "id-token: write"
            )
        return checked_token(parsed(response.body, "the request for a token of this job").member("value").text())
    except UnexpectedAnswer:
        raise RetryLater("GitHub's answer to the request for a token cannot be read", retry_after=5) from None


def identity_token(credential: Any, audience: str) -> str:
    """The token of a managed identity.

    Args:
        credential: A credential of azure-identity.
        audience: What the token is for.

    Raises:
        AbortRun: There is no such identity.
        RetryLater: Its endpoint does not answer.
    """
    return token_of(credential, f"{audience}/.default", WORKLOAD)[0]
