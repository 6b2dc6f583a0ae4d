"""Asking Entra ID for a token: through msal, and on loopback, where msal refuses plain http, by the same request.

Both go through our transport, so that an answer is bounded, a redirect is not followed, and what is meant for this
machine passes no proxy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

from shared.clock import SystemClock
from shared.dataverse.http.answers import UnexpectedAnswer, parsed
from shared.dataverse.http.proofs import ClientProof
from shared.errors import SDK_MISREADS, AbortRun, AnswerLost, RetryLater, SyncError
from shared.http.hosts import LOGIN_AUTHORITIES, AllowedHosts
from shared.http.retry import retry_after
from shared.http.transport import Request, Response, Transport

__all__ = [
    "TOKEN_SECONDS",
    "MsalRequests",
    "answered",
    "ask_msal",
    "ask_plainly",
    "check_available",
    "checked_token",
    "first_sentence",
]

# A token is renewed after a day at the latest, whatever its lifetime: tokens of Entra ID last an hour, and up to 28
# hours where access is evaluated continuously (Microsoft: "Access tokens in the Microsoft identity platform").
LONGEST_SECONDS = 86_400.0
TOKEN_SECONDS = 3600.0  # if the endpoint does not give it
_LONGEST_TOKEN = 65_536  # characters: what a header can hold

_TIMEOUT = 30.0
_PAUSE = 5.0  # seconds until the next try, where the endpoint names none
_TOLD_BY_STATUS = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
# RFC 6749, 4.1.2.1, and Microsoft: "Error codes for token endpoint errors": the same request may succeed later.
_TOLD_BY_NAME = frozenset({"server_error", "temporarily_unavailable"})


def ask_plainly(client_id: str, proof: ClientProof, authority: str, scope: str, transport: Transport) -> dict[str, Any]:
    """The client-credentials request, written by hand.

    Returns:
        `access_token` and `expires_in`, or `error` and `error_description`.

    Raises:
        RetryLater: The endpoint is unavailable.
        AbortRun: It gave a token that cannot be used.
    """
    endpoint = f"{authority.rstrip('/')}/oauth2/v2.0/token"
    form = {"grant_type": "client_credentials", "client_id": client_id, "scope": scope}
    return _token_answer(_posted(transport, endpoint, {**form, **proof.form(client_id, endpoint)}, {}))


def ask_msal(client_id: str, proof: ClientProof, authority: str, scope: str, transport: Transport) -> Mapping[str, Any]:
    """The same through msal; see `ask_plainly`.

    Raises:
        RetryLater: The authority or its token endpoint is unavailable.
        AbortRun: There is no such tenant, or the token cannot be used.
    """
    # Imported at first use, to keep a cold start short.
    import msal  # type: ignore[import-untyped]  # noqa: PLC0415 - see above; msal has no type information

    try:
        application = msal.ConfidentialClientApplication(
            client_id,
            authority=authority,
            client_credential=proof.for_msal(authority),
            # Discovery would give msal only what the list of allowed hosts already defines, with one more host.
            instance_discovery=False,
            http_client=MsalRequests(transport),
        )
        answer: Mapping[str, Any] | None = application.acquire_token_for_client(scopes=[scope])
    except SyncError:
        raise
    # What msal raises by itself about an answer: its own errors, and a RuntimeError about the description.
    except (msal.exceptions.MsalError, RuntimeError, *SDK_MISREADS) as error:
        raise AbortRun(
            f"{urlsplit(authority).hostname} does not know this tenant: check tenant_id and client_id"
        ) from error
    return answer or {}


def _posted(transport: Transport, url: str, form: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    """A form that carries a secret goes to a known authority only.

    Raises:
        RetryLater: No answer came; asking for a token again is safe.
    """
    AllowedHosts(LOGIN_AUTHORITIES).check(url)
    plain = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    request = Request(
        method="POST", url=url, headers={**headers, **plain}, body=urlencode(form).encode(), timeout=_TIMEOUT
    )
    return answered(transport, request)


def answered(transport: Transport, request: Request) -> Response:
    """The answer to a request that may be sent again.

    Raises:
        RetryLater: No answer came.
    """
    try:
        return transport.send(request)
    except AnswerLost as error:
        raise RetryLater(error.message, retry_after=_PAUSE) from error


def check_available(response: Response, named: str) -> None:
    """Tell an outage of an endpoint from its answer.

    Args:
        response: What came back.
        named: The endpoint, for the message.

    Raises:
        RetryLater: The endpoint throttles or is unavailable; with the seconds that it asks to wait.
    """
    if response.status in _TOLD_BY_STATUS or response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise _unavailable(response, named)


def _unavailable(response: Response, named: str = "the token endpoint", reason: str = "") -> RetryLater:
    asked = retry_after(response.headers, SystemClock().now())
    return RetryLater(f"{named} answered {response.status}{reason}", retry_after=asked or _PAUSE)


def _token_answer(response: Response) -> dict[str, Any]:
    """The checked answer of a token endpoint: a token with its seconds, or an error with its description.

    Raises:
        RetryLater: The endpoint is unavailable, or this is not its answer, such as a gateway's page in its place.
        AbortRun: It holds no token that could be sent.
    """
    check_available(response, "the token endpoint")
    try:
        answer = parsed(response.body, "the request for a token")
        error, described, token = (answer.member(name) for name in ("error", "error_description", "access_token"))
    except UnexpectedAnswer:
        raise _unavailable(response) from None
    if token.value is None:
        named, reason = error.text(""), described.text("")
        if named in _TOLD_BY_NAME:
            raise _unavailable(response, reason=f" ({first_sentence(reason or named)})")
        return {"error": named or "no reason given", "error_description": reason}
    lasts = answer.member("expires_in")
    seconds = TOKEN_SECONDS if lasts.value is None else lasts.number()
    return {"access_token": checked_token(token.value), "expires_in": min(max(seconds, 0.0), LONGEST_SECONDS)}


def first_sentence(described: str) -> str:
    """What Entra ID says without what follows it: ids and times of the request."""
    return (described.splitlines() or [""])[0].partition(" Trace ID:")[0]


def checked_token(token: object) -> str:
    """A token that is allowed in a header: printable ASCII.

    Raises:
        AbortRun: It cannot.
    """
    if isinstance(token, str) and 0 < len(token) <= _LONGEST_TOKEN and re.fullmatch(r"[!-~]+", token):
        return token
    raise AbortRun(
        "the token endpoint returned a token with characters that a request cannot carry: check that it "
        "is the endpoint of Entra ID"
    )


@dataclass(frozen=True, slots=True)
class _MsalResponse:
    """An answer as msal reads it."""

    status_code: int
    headers: Mapping[str, str]
    text: str


class MsalRequests:
    """The HTTP client that msal is given: our transport, and answers whose shape is checked before msal sees them."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get(self, url: str, *, headers: Mapping[str, str] | None = None, **_: Any) -> _MsalResponse:
        """Read the authority's description of itself."""
        AllowedHosts(LOGIN_AUTHORITIES).check(url)
        response = answered(
            self._transport, Request(method="GET", url=url, headers=dict(headers or {}), timeout=_TIMEOUT)
        )
        check_available(response, "the sign-in authority")
        if response.status == HTTPStatus.OK:
            described = parsed(response.body, "the question for the sign-in authority")
            for name in ("authorization_endpoint", "token_endpoint", "issuer"):
                described.member(name).text()
        return _MsalResponse(response.status, response.headers, response.text)

    def post(
        self,
        url: str,
        *,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: Any,
    ) -> _MsalResponse:
        """Ask for a token."""
        response = _posted(self._transport, url, data or {}, headers or {})
        answer = _token_answer(response)
        text = json.dumps({"token_type": "Bearer", **answer, "expires_in": int(answer.get("expires_in", 0))})
        return _MsalResponse(response.status, response.headers, text)

    def close(self) -> None:
        """The transport is its owner's to close."""
