"""The one place where bytes leave: `Transport.send(Request) -> Response`.

An implementation answers, or says which of two things happened: the request never left (`Unsent`), or it left and no
whole answer came back (`AnswerLost`). Everything about what to do next lies above it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from time import perf_counter
from traceback import walk_tb
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError

from shared.errors import AbortRun, AnswerLost, RetryLater

__all__ = ["AnswerTimedOut", "HttpTransport", "Request", "Response", "Transport", "Unsent"]


class Unsent(RetryLater):
    """The request never reached the server: sending it again cannot do anything twice."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retry_after=0)


class AnswerTimedOut(AnswerLost):
    """No answer within the time given: the server may still be at work on the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request.

    Attributes:
        url: Absolute and percent-encoded.
        timeout: Seconds to wait for a connection, and for each piece of the answer.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    timeout: float = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One HTTP answer.

    Attributes:
        headers: Names in lower case.
        seconds: From sending the request to the last byte of the answer.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", errors="replace")

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: The body is no JSON.
        """
        return json.loads(self.body)


class Transport(Protocol):
    """Sends one request and returns its answer, whatever its status; follows no redirect and keeps no cookie."""

    def send(self, request: Request) -> Response:
        """Send.

        Raises:
            Unsent: The server cannot have seen the request.
            AnswerLost: The server may have acted, and its answer is not known.
            AbortRun: The server's certificate is not trusted.
        """
        ...

    def close(self) -> None:
        """Let go of the connections."""
        ...


def _keep_headers(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
    """Authentication that does nothing: without one, requests puts a password from ~/.netrc over our token."""
    return prepared


class HttpTransport:
    """Pooled connections, safe to share between threads.

    Cookies are refused: the ARRAffinity cookie would pin every request to one web server, and service protection
    limits are counted per server. Redirects are not followed, so a token never travels to a host that nobody checked.

    Args:
        connections: Most connections that are kept open to the service.
    """

    def __init__(self, *, connections: int = 64) -> None:
        self._session = requests.Session()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = HTTPAdapter(pool_connections=4, pool_maxsize=connections, max_retries=0)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def send(self, request: Request) -> Response:
        """Send one request; see `Transport.send`."""
        started = perf_counter()
        try:
            answer = self._session.request(
                request.method,
                request.url,
                headers=dict(request.headers),
                data=request.body,
                timeout=request.timeout,
                allow_redirects=False,
                auth=_keep_headers,
            )
        except requests.RequestException as error:
            raise _what_happened(error) from error
        return Response(
            status=answer.status_code,
            headers={name.lower(): value for name, value in answer.headers.items()},
            body=answer.content,
            seconds=perf_counter() - started,
        )

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()


def _what_happened(error: requests.RequestException) -> Unsent | AnswerLost | AbortRun:
    """Tell apart what never left from what may have been acted upon; when in doubt, it may have been."""
    url = error.request.url if error.request is not None else None
    host = urlsplit(url or "").hostname or "the service"
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return Unsent(f"{host} could not be reached in time")
    if isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return AbortRun(f"the certificate of {host} is not trusted; REQUESTS_CA_BUNDLE may name a CA of your own")
    if isinstance(error, requests.exceptions.ProxyError) or _in_handshake(error):
        return Unsent(f"no secure connection to {host}: {_root(error)}")
    if isinstance(error, requests.exceptions.Timeout):
        return AnswerTimedOut(f"{host} did not answer in time")
    if _never_connected(error):
        return Unsent(f"{host} could not be reached: {_root(error)}")
    return AnswerLost(f"the connection to {host} broke before its answer was complete")


def _in_handshake(error: BaseException) -> bool:
    """Whether TLS failed before it could carry a request; later on, a broken record may hide an answer."""
    if not isinstance(error, requests.exceptions.SSLError):
        return False
    cause: BaseException | None = error
    while cause is not None:
        if any(frame.f_code.co_name == "do_handshake" for frame, _ in walk_tb(cause.__traceback__)):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _never_connected(error: requests.RequestException) -> bool:
    reason: object = error.args[0] if error.args else None
    if isinstance(reason, MaxRetryError):
        reason = reason.reason
    return isinstance(reason, NewConnectionError)


def _root(error: BaseException) -> str:
    """The innermost reason in a few words; urllib3 wraps it in layers that name objects by address."""
    reason: Any = error.args[0] if error.args else error
    while isinstance(reason, MaxRetryError) and reason.reason is not None:
        reason = reason.reason
    text = str(reason)
    return text.rsplit(": ", 1)[-1] if isinstance(reason, HTTPError) else text
