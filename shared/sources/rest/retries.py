"""Retries of requests: while a service throttles, is not available, or does not answer."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from shared.clock import Clock
from shared.errors import AnswerLost, RetryLater
from shared.http.retry import FailedTry, RetryPolicy, Trouble, delay, retry_after
from shared.http.transport import Response, Unsent

__all__ = ["Retries"]

_SERVER_ERROR: Final = 500
# A retry cannot succeed: the server does not know the method, or the version of HTTP.
_FINAL: Final = frozenset({HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.HTTP_VERSION_NOT_SUPPORTED})
# The server has not carried out the request (RFC 9110, 15.5.9 and 15.6.4; RFC 8470, 5.2).
_NOT_DONE: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.SERVICE_UNAVAILABLE})
_SLICE: Final = 5.0  # seconds: a run that has to stop does not wait longer
_NEXT_RUN: Final = 30.0  # seconds, if the service does not say how long to wait


@dataclass(frozen=True, slots=True)
class _Failed:
    trouble: Trouble
    asked: float | None
    reason: str


class Retries:
    """Sends requests to one API: within its rate limit, and with retries.

    Args:
        retry_policy: How long and how often.
        interval: Seconds from the start of one request to the start of the next.
        clock: Time.
        go_on: Raises an error when the run has to stop.
        throttled: Gets each request that is throttled; see `SourceContext.throttled`.
    """

    def __init__(
        self,
        retry_policy: RetryPolicy,
        *,
        interval: float,
        clock: Clock,
        go_on: Callable[[], object],
        throttled: Callable[[datetime | None], object] = lambda _until: None,
    ) -> None:
        self._retry_policy = retry_policy
        self._interval = interval
        self._clock = clock
        self._go_on = go_on
        self._throttled = throttled
        self._next = 0.0

    def answer(self, send: Callable[[], Response], place: str, *, repeatable: bool = True) -> Response:
        """The answer to a request, whatever it says, once the service gives one.

        Args:
            send: Sends the request.
            place: The request as messages show it.
            repeatable: It only reads, or may be carried out twice. Another one is sent again only where the service
                has not carried it out.

        Raises:
            RetryLater: The service throttles, is not available, or does not answer.
            AbortRun: The request cannot be sent, or its answer cannot be read.
        """
        started, tries = self._clock.monotonic(), 0
        while True:
            self._wait_for_turn()
            outcome = self._tried(send, repeatable=repeatable)
            if isinstance(outcome, Response):
                return outcome
            tries += 1
            spent = self._clock.monotonic() - started
            failed = FailedTry(
                trouble=outcome.trouble, attempt=tries, repeatable=repeatable, asked=outcome.asked, spent=spent
            )
            pause = delay(failed, self._retry_policy, jitter=random.random())  # noqa: S311 - spreads retries, protects nothing
            if outcome.trouble is Trouble.THROTTLED:
                self._throttled(None if pause is None else self._clock.now() + timedelta(seconds=pause))
            if pause is None:
                raise RetryLater(_gave_up(outcome, tries, place), retry_after=outcome.asked or _NEXT_RUN)
            self._sleep(pause)

    def _tried(self, send: Callable[[], Response], *, repeatable: bool) -> Response | _Failed:
        try:
            answer = send()
        except Unsent as error:
            return _Failed(Trouble.UNSENT, None, error.message)
        except AnswerLost as error:
            return _Failed(Trouble.LOST, None, error.message)
        asked, reason = retry_after(answer.headers, self._clock.now()), f"it answered {answer.status}"
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            return _Failed(Trouble.THROTTLED, asked, reason)
        fault = answer.status >= _SERVER_ERROR and answer.status not in _FINAL
        if answer.status in _NOT_DONE or (fault and repeatable):
            return _Failed(Trouble.UNAVAILABLE, asked, reason)
        return answer

    def _wait_for_turn(self) -> None:
        self._go_on()
        if not self._interval:
            return
        now = self._clock.monotonic()
        if now < self._next:
            self._sleep(self._next - now)
        self._next = max(now, self._next) + self._interval

    def _sleep(self, seconds: float) -> None:
        while seconds > 0:
            self._clock.sleep(min(seconds, _SLICE))
            seconds -= _SLICE
            self._go_on()


def _gave_up(failed: _Failed, tries: int, place: str) -> str:
    said = "one try" if tries == 1 else f"{tries} tries"
    if failed.trouble is Trouble.THROTTLED:
        wait = f" and asks to wait {failed.asked:,.0f} s" if failed.asked else ""
        return f"{place}: the service throttles{wait} ({said}); set rate_limit, or let the sync run less often"
    wait = f", and asks to wait {failed.asked:,.0f} s" if failed.asked else ""
    return f"{place} failed in {said}: {failed.reason}{wait}"
