"""The one place where bytes leave: `Transport.send(Request) -> Response`.

An implementation returns the answer, or raises one of two errors: the request was not sent (`Unsent`), or it was sent
and no whole answer came back (`AnswerLost`). The code that uses it decides what to do next.

An answer is bounded: in the time that it takes as a whole, and in the bytes that it has when it is unpacked. It is
whole only where its compressed body has reached its end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from http.cookiejar import DefaultCookiePolicy
from time import perf_counter
from traceback import walk_tb
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError, ReadTimeoutError

from shared.errors import AbortRun, AnswerLost, RetryLater
from shared.http.addresses import CheckAddress, connecting_to
from shared.http.deadlines import AnswerTooLargeError, DeadlineAdapter, answered_within
from shared.http.hosts import is_direct, is_loopback
from shared.http.unpacking import NotWholeError, unpacking

__all__ = ["MOST_BYTES", "AnswerTimedOut", "HttpTransport", "Request", "Response", "Transport", "Unsent"]

# Of one answer, unpacked. A page of 5,000 records has 1 to 20 MB; one with long texts in every record some 100 MB. What
# is larger does not fit into the memory of a function (512 MB and more), since it is held as bytes and as text.
MOST_BYTES = 128 * 2**20
_AROUND = 2**20  # bytes: headers and the marks between chunks
# An answer as a whole may take this many times its timeout: the service ends its work on a request after two minutes,
# so with the default of 100 s there is as long again for the bytes of the largest answer, at half a megabyte a second.
_WHOLE = 3
_PIECE = 2**16  # bytes that are read at a time
# Also bounds what is unpacked: other codings, and several on top of one another, are not asked for and not undone.
_CODINGS = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})
_NO_PROXY = {"http": "", "https": "", "all": ""}


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
        timeout: Seconds to wait for a connection, and for each piece of the answer; the whole answer has three times
            as long.
        whole: Seconds for the whole answer instead of that; None for three times `timeout`.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    timeout: float = 100
    whole: float | None = None


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


class Transport(Protocol):
    """Sends one request and returns its answer, whatever its status; follows no redirect and keeps no cookie."""

    def send(self, request: Request) -> Response:
        """Send.

        Raises:
            Unsent: The server cannot have seen the request.
            AnswerLost: The server may have acted, and its answer is not known.
            AbortRun: The server's certificate is not trusted, or its answer is too large to be read.
        """
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class _Session(requests.Session):
    """A session that does not look at redirects: requests reads the target even of those that it does not follow."""

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - the signature of requests
        return None


def _keep_headers(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
    """Authentication that does nothing: without it, requests replaces the token by a password from ~/.netrc."""
    return prepared


class HttpTransport:
    """Pooled connections, safe to share between threads.

    Cookies are refused: the ARRAffinity cookie would pin every request to one web server, and service protection
    limits are counted per server. Redirects are not followed, so a token is never sent to a host that was not checked.
    Requests to this machine never use the proxy of the environment, because a proxy would see them.

    Args:
        connections: Most connections that are kept open to the service.
        most_bytes: Most bytes of one answer, unpacked.
        remedy: What to do if an answer is larger, for the message.
        check_address: Refuses addresses of hosts; no proxy is used then, because a proxy looks for the address itself.
    """

    def __init__(
        self,
        *,
        connections: int = 64,
        most_bytes: int = MOST_BYTES,
        remedy: str = "ask for less in one answer",
        check_address: CheckAddress | None = None,
    ) -> None:
        self._most_bytes = most_bytes
        self._remedy = remedy
        self._check_address = check_address
        self._session = _Session()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.headers["Accept-Encoding"] = "gzip, deflate"
        adapter = DeadlineAdapter(pool_connections=4, pool_maxsize=connections, max_retries=0)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def send(self, request: Request) -> Response:
        """Send one request; see `Transport.send`."""
        pieces: list[bytes] = []
        answer = self.receive(request, pieces.append)
        return replace(answer, body=b"".join(pieces))

    def receive(self, request: Request, take: Callable[[bytes], object]) -> Response:
        """Send one request and give its body away piece by piece; the body of what is returned is empty.

        Args:
            request: As for `send`, which tells what is raised.
            take: Gets each piece; before a failure it may have got some.
        """
        started = perf_counter()
        checking = connecting_to(self._check_address) if self._check_address else nullcontext()
        within = answered_within(request.whole or _WHOLE * request.timeout, self._most_bytes + _AROUND)
        try:
            with checking, within, self._asked(request) as answer:
                self._pass_on(answer, take, request.method)
        except AnswerTooLargeError:
            raise self._too_large(request.url) from None
        except NotWholeError as error:
            raise AnswerLost(f"the compressed answer of {_host(request.url)} is not complete: {error}") from error
        except (requests.RequestException, HTTPError, UnicodeError) as error:
            raise _transport_error(error, request.url) from error
        return Response(
            status=answer.status_code,
            headers={name.lower(): value for name, value in answer.headers.items()},
            seconds=perf_counter() - started,
        )

    def _asked(self, request: Request) -> requests.Response:
        """The answer up to its headers."""
        return self._session.request(
            request.method,
            request.url,
            headers=dict(request.headers),
            data=request.body,
            timeout=request.timeout,
            allow_redirects=False,
            auth=_keep_headers,
            stream=True,
            proxies=dict(_NO_PROXY) if self._directly(request.url) else None,
        )

    def _directly(self, url: str) -> bool:
        return self._check_address is not None or is_direct(urlsplit(url).hostname or "")

    def _pass_on(self, answer: requests.Response, take: Callable[[bytes], object], method: str) -> None:
        """Give the body away piece by piece, so that a small answer cannot fill the memory.

        Raises:
            AbortRun: It is too large, or packed in a way that was not asked for.
            NotWholeError: It is packed, and not whole.
        """
        if answer.headers.get("Content-Encoding", "").strip().lower() not in _CODINGS:
            raise AbortRun(
                f"{_host(answer.url)} compresses its answers in a way that was not requested; check its address"
            )
        size = 0
        for piece in _unpacked(answer, method):
            size += len(piece)
            if size > self._most_bytes:
                raise self._too_large(answer.url)
            take(piece)
        answer.raw.release_conn()  # an answer without a body does not do it

    def _too_large(self, url: str) -> AbortRun:
        most = self._most_bytes // 2**20
        return AbortRun(f"an answer of {urlsplit(url).hostname} has more than {most} MB: {self._remedy}")

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()


def _unpacked(answer: requests.Response, method: str) -> Iterator[bytes]:
    """The body in pieces.

    Raises:
        NotWholeError: It is packed, and not whole.
    """
    packed = answer.raw.stream(_PIECE, decode_content=False)
    coding = unpacking(method, answer.status_code, answer.headers)
    if coding is None:
        yield from packed
        return
    for part in packed:
        yield from coding.pieces(part)
    coding.finish()


def _host(url: str) -> str:
    return urlsplit(url).hostname or "the service"


def _transport_error(error: Exception, url: str) -> Unsent | AnswerLost | AbortRun:
    """Distinguish requests that were not sent from requests that may have been processed; if unsure, the latter."""
    host = _host(url)
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidHeader, UnicodeError)):
        return AbortRun(f"a request to {host} cannot be written as HTTP: its address or its token is not valid")
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return Unsent(f"{host} could not be reached in time")
    if isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return AbortRun(f"the certificate of {host} is not trusted; REQUESTS_CA_BUNDLE may name a CA of your own")
    if isinstance(error, requests.exceptions.ProxyError) or _in_handshake(error):
        return Unsent(f"no secure connection to {host}: {_root(error)}")
    if isinstance(error, requests.exceptions.Timeout) or _read_timed_out(error):
        return AnswerTimedOut(f"{host} did not answer in time")
    if _never_connected(error):
        local = "; if it is the local Dataverse, start it with python -m emulator" if is_loopback(host) else ""
        return Unsent(f"{host} could not be reached: {_root(error)}{local}")
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


def _read_timed_out(error: Exception) -> bool:
    """Whether the body stopped."""
    return isinstance(error, ReadTimeoutError)


def _never_connected(error: Exception) -> bool:
    reason: object = error.args[0] if error.args else None
    if isinstance(reason, MaxRetryError):
        reason = reason.reason
    return isinstance(reason, NewConnectionError)


def _root(error: BaseException) -> str:
    """The innermost reason in a few words; urllib3 wraps it in errors with addresses of objects."""
    reason: Any = error.args[0] if error.args else error
    while isinstance(reason, MaxRetryError) and reason.reason is not None:
        reason = reason.reason
    text = str(reason)
    text = text.rsplit(": ", 1)[-1] if isinstance(reason, HTTPError) else text
    return re.sub(r"^\[Errno -?\d+\] ", "", text)
