"""A request to an API, as a step after the sync: with sign-in and retries, to hosts that may be reached."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from shared.definitions.models import HttpStep, StepMethod
from shared.definitions.parameters import in_body
from shared.errors import UserError
from shared.http.retry import RetryPolicy
from shared.http.transport import HttpTransport, Request, Response
from shared.redaction import register_secret
from shared.sources import SourceContext
from shared.sources.rest.addresses import shown_request
from shared.sources.rest.answers import shown_answer
from shared.sources.rest.endpoint import address_of, connection_of, headers_of, renewed_headers
from shared.sources.rest.retries import Retries
from shared.sources.rest.sign_in import SignIn, sign_in

__all__ = ["send_request"]

_MOST_BYTES: Final = 1 << 20  # of an answer, whose content is not used
_REPEATABLE: Final = frozenset({StepMethod.GET, StepMethod.PUT, StepMethod.DELETE})  # RFC 9110, 9.2.2
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_OTHER: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """A request before its sign-in.

    Attributes:
        place: The request as messages show it.
        headers: They may hold secrets.
        renewed_headers: Gives the headers with their secrets read again.
    """

    method: StepMethod
    url: str
    place: str
    headers: Mapping[str, str] = field(repr=False)
    renewed_headers: Callable[[], Mapping[str, str]]
    body: bytes | None = field(repr=False)


def send_request(
    step: HttpStep, context: SourceContext, *, left: Callable[[], float], go_on: Callable[[], object]
) -> int:
    """Send the request of a step; returns the status of its answer, from 200 to 299.

    Args:
        step: Says what is sent.
        context: Gives parameters, connections, secrets, and the hosts that may be reached.
        left: Seconds that are left for all tries together.
        go_on: Raises an error when the run has to stop.

    Raises:
        UserError: Its host may not be reached, a secret is missing, or the answer is no success.
        RetryLater: The service throttles or is not available, or the result of the request is not known.
        AbortRun: The request cannot be sent, or its answer is too large.
    """
    connection = connection_of(step, context)
    wanted = _wanted(step, context)
    limit = connection.rate_limit if connection else None
    policy = RetryPolicy(attempts=step.attempts, throttles=step.attempts, base=1.0, seconds=max(left(), 0.1))
    retries = Retries(policy, interval=limit.interval if limit else 0.0, clock=context.clock, go_on=go_on)
    auth = step.auth or (connection.auth if connection else None)
    transport = HttpTransport(connections=1, most_bytes=_MOST_BYTES, check_address=context.reach.guard)
    with closing(transport), closing(sign_in(auth, context, retries)) as credentials:
        sending = _Sending(wanted, transport, credentials, retries, left)
        return sending.status()


def _wanted(step: HttpStep, context: SourceContext) -> _Wanted:
    connection = connection_of(step, context)
    url = address_of(step, connection, context)
    place = shown_request(step.method, url)
    if step.url is not None and not isinstance(step.url, str):
        parts = urlsplit(url)
        register_secret(f"{parts.path}?{parts.query}" if parts.query else parts.path)
        place = f"{step.method} {parts.scheme}://{parts.netloc}/…"
    body = None if step.body is None else json.dumps(in_body(step.body, context.parameters), ensure_ascii=False)
    return _Wanted(
        method=step.method,
        url=url,
        place=place,
        headers=headers_of(step, connection, context, has_body=body is not None),
        renewed_headers=partial(renewed_headers, step, connection, context, has_body=body is not None),
        body=None if body is None else body.encode(),
    )


class _Sending:
    """Sends one request until it is settled."""

    def __init__(
        self,
        wanted: _Wanted,
        transport: HttpTransport,
        credentials: SignIn,
        retries: Retries,
        left: Callable[[], float],
    ) -> None:
        self._wanted = wanted
        self._headers = wanted.headers
        self._transport = transport
        self._credentials = credentials
        self._retries = retries
        self._left = left

    def status(self) -> int:
        answer = self._final_answer()
        if answer.status == HTTPStatus.UNAUTHORIZED and self._renewed():
            answer = self._final_answer()
        if answer.status in _REDIRECTS:
            raise UserError(f"{self._wanted.place} answered {answer.status}, a redirect; write the URL that answers")
        if not HTTPStatus.OK <= answer.status < _OTHER:
            raise UserError(f"{self._wanted.place} answered {shown_answer(answer.status, answer.body)}")
        return answer.status

    def _renewed(self) -> bool:
        """Get the credentials again, those in headers too; return whether they may have changed."""
        before, self._headers = self._headers, self._wanted.renewed_headers()
        return self._credentials.renewed() or self._headers != before

    def _final_answer(self) -> Response:
        repeatable = self._wanted.method in _REPEATABLE
        return self._retries.answer(self._sent, self._wanted.place, repeatable=repeatable)

    def _sent(self) -> Response:
        url, credentials = self._credentials.signed(self._wanted.url)
        names = {name.lower() for name in credentials}
        plain = {name: value for name, value in self._headers.items() if name.lower() not in names}
        seconds = max(self._left(), 0.1)
        request = Request(
            method=self._wanted.method.value,
            url=url,
            headers={**plain, **credentials},
            body=self._wanted.body,
            timeout=seconds,
            whole=seconds,
        )
        return self._transport.send(request)
