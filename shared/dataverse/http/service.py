"""Requests to one environment: address, headers, token, and, for what only reads, retries.

Code above it uses `Call`s; code below it uses `Request`s.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from http import HTTPStatus
from urllib.parse import urljoin

from shared.clock import Clock
from shared.dataverse.http.answers import Answer, UnexpectedAnswer, parsed
from shared.dataverse.http.connection import Connection
from shared.dataverse.http.service_errors import FIRST_REFUSAL, error_of, refusal, trouble
from shared.dataverse.http.tokens import TokenProvider, resource_of
from shared.dataverse.http.waiting import Waiting, earlier
from shared.errors import AnswerLost, RetryLater
from shared.http.hosts import AllowedHosts, origin_of
from shared.http.retry import (
    FIRST_CONTACT_ATTEMPTS,
    FailedTry,
    RetryPolicy,
    Trouble,
    date_in,
    delay,
    number_in,
    retry_after,
)
from shared.http.transport import Request, Response, Transport, Unsent

__all__ = ["MOST_RANGES", "Call", "Meter", "Service", "Usage", "asked_for", "throttles_for"]

# `If-None-Match: null`, the literal word, is in every sample of Microsoft: it prevents caching of answers.
_BASE_HEADERS = {
    "Accept": "application/json",
    "OData-MaxVersion": "4.0",
    "OData-Version": "4.0",
    "If-None-Match": "null",
}

UNAUTHORIZED = 401
TOO_MANY = 429
SERVER_ERROR = 500
_LEAST = 0.1  # seconds for a try whose time is almost over
MOST_PARALLEL = 1000  # requests at once; a recommendation beyond it is a mistake
MOST_RANGES = 8  # of a table, read side by side for one application user


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What has been asked of the service so far.

    Attributes:
        requests: Requests sent, tries included; a `$batch` or a bulk request is one.
        writes: Those of them that write.
        throttled: Requests that were answered 429, also by the environment or the API of the source.
        retries: Requests sent again after trouble.
    """

    requests: int = 0
    writes: int = 0
    throttled: int = 0
    retries: int = 0


class Meter:
    """Counts requests; shared by all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._parallelism = 0
        self._date = ""
        self._watchers: list[Callable[[int, datetime], None]] = []
        self._included: list[Meter] = []

    def watch(self, watcher: Callable[[int, datetime], None]) -> None:
        """Let it have the number of throttled requests, and the moment until which is waited, while that lasts."""
        self._watchers.append(watcher)

    def waits(self, until: datetime) -> None:
        """The service has throttled requests, and the next one is not sent before a moment."""
        throttled = self.usage().throttled
        for watcher in self._watchers:
            watcher(throttled, until)

    def throttle(self, until: datetime | None) -> None:
        """Count a request that a service has throttled; until when the next one waits, None where none is sent."""
        self.count("throttled")
        if until is not None:
            self.waits(until)

    def include(self, other: Meter) -> None:
        """Count what another service throttles too, and tell it to whoever watches."""
        self._included.append(other)
        other.watch(lambda _requests, until: self.waits(until))

    def count(self, what: str) -> None:
        """Add one to a field of `Usage`."""
        with self._lock:
            self._counts[what] += 1

    def hinted(self, headers: Mapping[str, str]) -> None:
        """Keep the degree of parallelism that the service recommends (`x-ms-dop-hint`)."""
        hint = number_in(headers.get("x-ms-dop-hint", ""))
        if hint is not None and 1 <= hint <= MOST_PARALLEL:
            self._parallelism = int(hint)

    def dated(self, headers: Mapping[str, str]) -> None:
        """Keep when the service gave its answer (`Date`); its clock may differ from that of this machine."""
        self._date = headers.get("date", self._date)

    @property
    def answered(self) -> datetime | None:
        """When the service gave its latest answer, in whole seconds; None while no answer has said so."""
        return date_in(self._date)

    @property
    def parallelism(self) -> int:
        """The latest hint; 0 while no answer has carried one."""
        return self._parallelism

    def usage(self) -> Usage:
        """The counts as they are now."""
        with self._lock:
            own = Usage(**self._counts)
        return replace(own, throttled=own.throttled + sum(other.usage().throttled for other in self._included))

    @property
    def throttled(self) -> int:
        """Requests to this service alone that were answered 429."""
        with self._lock:
            return self._counts["throttled"]


def throttles_for(counted: Callable[[Meter], None]) -> Callable[[datetime | None], None]:
    """What counts the requests that another service throttles; see `Meter.throttle`.

    Args:
        counted: Gets the meter, with the first of them: before that, whoever counts need not be there.
    """

    @cache
    def meter() -> Meter:
        counted(made := Meter())
        return made

    return lambda until: meter().throttle(until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request in the service's terms.

    Attributes:
        path: Relative to the service URL, or a whole URL such as a next link; percent-encoded.
        table: Logical name, for messages.
        doing: What it is for, for messages: `read`, `create`, ...
        writes: It may change records.
        within: Seconds for the whole answer, less in later tries before a deadline; None for what the connection says.
    """

    method: str = "GET"
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    table: str = ""
    doing: str = "read"
    writes: bool = False
    within: float | None = None


def asked_for(path: str) -> str:
    """What a request asked for, for messages: its address without the query, which may hold values."""
    return path.partition("?")[0]


class Service:
    """One environment, spoken to through one or several application users.

    Args:
        connection: Address, timeout, headers.
        transport: Sends requests.
        users: A token provider for each application user; each has its own service limits.
        clock: Time.

    Attributes:
        threads: Send the requests that go side by side; each is started when it is first needed and kept.
    """

    def __init__(
        self, connection: Connection, *, transport: Transport, users: Sequence[TokenProvider], clock: Clock
    ) -> None:
        self.connection = connection
        self.clock = clock
        self.meter = Meter()
        self.users = tuple(users)
        most = max(connection.parallel, MOST_RANGES) * max(1, len(users))
        self.threads = ThreadPoolExecutor(most, thread_name_prefix="dataverse")
        self._transport = transport
        self._hosts = AllowedHosts(connection.allowed_hosts)
        self._resource = resource_of(connection.base)
        self._origin = origin_of(connection.base)
        self._answered = False
        self._waiting = Waiting()

    @contextmanager
    def until(
        self, moment: float | None, *, answered: bool = False, stopped: Callable[[], bool] | None = None
    ) -> Iterator[None]:
        """Limit the requests of a block: none is repeated that would have to wait beyond a moment.

        Args:
            moment: Of the clock's `monotonic`, in seconds; None for no limit but that of an outer block.
            answered: The answers of requests that write nothing have to be complete by then too.
            stopped: Asked about twice a second during a wait; True ends it with `WaitStoppedError`.
        """
        outer = self._waiting
        self._waiting = outer.narrowed(moment, answered=answered, stopped=stopped)
        try:
            yield
        finally:
            self._waiting = outer

    def attempt(self, call: Call, *, user: int = 0) -> Response:
        """Send once and return the answer, whatever its status; a token that is refused is renewed once.

        Raises:
            Unsent: The service did not see the request.
            AnswerLost: The service may have acted.
            AbortRun: The host is not allowed, or the credentials are refused.
        """
        url = self._checked(call.path)
        tokens = self.users[user]
        token = tokens.token(self._resource)
        response = self._send(call, url, token)
        if response.status == UNAUTHORIZED:
            if tokens.token(self._resource) == token:  # otherwise another thread has renewed it already
                tokens.forget()
            response = self._send(call, url, tokens.token(self._resource))
        return response

    def _checked(self, path: str) -> str:
        """The whole URL, after proving that a token may go there: to the service's own host, and to no other.

        A next link, which the service writes, could name any host, such as that of another environment.
        """
        try:
            url = urljoin(self.connection.base, path)
        except ValueError:
            raise UnexpectedAnswer("the service returned an address that is not a URL") from None
        self._hosts.check(url)
        if origin_of(url) != self._origin:
            raise UnexpectedAnswer(
                f"the service returned an address on another host, {origin_of(url)[1]}; no token is sent there. "
                f"Check that service_url is the URL that the environment itself uses"
            )
        return url

    def _send(self, call: Call, url: str, token: str) -> Response:
        headers = {
            **_BASE_HEADERS,
            "User-Agent": self.connection.user_agent,
            **({"Content-Type": "application/json"} if call.body is not None else {}),
            **call.headers,
            "Authorization": f"Bearer {token}",
        }
        self.meter.count("requests")
        if call.writes:
            self.meter.count("writes")
        whole = call.within
        if self._waiting.answered is not None and not call.writes:
            whole = earlier(whole, max(self._waiting.answered - self.clock.monotonic(), _LEAST))
        timeout = self.connection.timeout if whole is None else min(whole, self.connection.timeout)
        response = self._transport.send(
            Request(method=call.method, url=url, headers=headers, body=call.body, timeout=timeout, whole=whole)
        )
        self._answered = True
        if response.status == TOO_MANY:
            self.meter.count("throttled")
        self.meter.hinted(response.headers)
        self.meter.dated(response.headers)
        return response

    def fetch(self, call: Call, *, user: int = 0, repeatable: bool = True) -> Response:
        """Send a request as often as it takes within the limits of `until`, and return its good answer.

        Args:
            call: The request.
            user: Which application user sends it.
            repeatable: It only reads, or may be carried out twice. Another one is sent again only where the service
                has not carried it out.

        Raises:
            RequestRefused: The service refused the request.
            AbortRun: Nothing of this kind can succeed.
            RetryLater: The service is unavailable or throttles for too long, or the effect of the request is not known.
            WaitStoppedError: The wait was stopped; see `until`.
        """
        tries: Counter[Trouble] = Counter()
        started, deadline = self.clock.monotonic(), self._waiting.until
        while True:
            outcome = self._outcome(call, user, repeatable=repeatable)
            if isinstance(outcome, Response):
                return outcome
            met, asked, reason = outcome
            tries[met] += 1
            spent = self.clock.monotonic() - started
            failed = FailedTry(trouble=met, attempt=tries[met], repeatable=repeatable, asked=asked, spent=spent)
            if not self.waited(failed):
                raise RetryLater(_gave_up(met, tries.total(), reason), retry_after=asked or 30)
            if call.within is not None and deadline is not None:
                call = replace(call, within=max(deadline - self.clock.monotonic(), _LEAST))

    def waited(self, failed: FailedTry) -> bool:
        """Wait before the next try of a request, within the limits of `until`.

        Returns:
            False, at once, where no other try should follow.

        Raises:
            WaitStoppedError: The wait was stopped.
        """
        until = self._waiting.until
        left = None if until is None else until - self.clock.monotonic()
        jitter = random.random()  # noqa: S311 - spreads retries, protects nothing
        pause = delay(replace(failed, left=left), self._retry_policy(failed.trouble), jitter=jitter)
        if pause is None:
            return False
        self.meter.count("retries")
        if failed.trouble is Trouble.THROTTLED:
            self.meter.waits(self.clock.now() + timedelta(seconds=pause))
        self._waiting.pause(self.clock, pause)
        return True

    def _retry_policy(self, met: Trouble) -> RetryPolicy:
        retry_policy = self.connection.retry_policy
        if self._answered or met is not Trouble.UNSENT:
            return retry_policy
        return replace(retry_policy, attempts=min(retry_policy.attempts, FIRST_CONTACT_ATTEMPTS))

    def fetch_json(self, call: Call, *, user: int = 0, exact: bool = False) -> Answer:
        """`fetch`, and the answer's JSON for typed readers; `exact` keeps every digit of numbers.

        Raises:
            UnexpectedAnswer: The answer is not JSON, so this is not Dataverse.
        """
        return parsed(self.fetch(call, user=user).body, asked_for(call.path), exact=exact)

    def _outcome(self, call: Call, user: int, *, repeatable: bool) -> Response | tuple[Trouble, float | None, str]:
        try:
            response = self.attempt(call, user=user)
        except Unsent as error:
            return Trouble.UNSENT, None, error.message
        except RetryLater as error:
            return Trouble.UNAVAILABLE, error.retry_after, error.message
        except AnswerLost as error:
            return Trouble.LOST, None, error.message
        if response.status < FIRST_REFUSAL:
            return response
        refused = refusal(response)
        met = trouble(response, refused)
        fault = response.status >= SERVER_ERROR and response.status != HTTPStatus.NOT_IMPLEMENTED
        if met is None and fault and repeatable:
            met = Trouble.DATABASE  # reading again is safe, and may succeed later
        if met is None:
            raise error_of(refused, table=call.table, doing=call.doing)
        return met, retry_after(response.headers, self.clock.now()), str(refused)

    def close(self) -> None:
        """Close the threads and the connections; where a person has stopped the program, requests may be under way."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        self._transport.close()


_GAVE_UP = {
    Trouble.UNSENT: "Dataverse could not be reached in {tries}",
    Trouble.LOST: "Dataverse did not answer in {tries}",
    Trouble.THROTTLED: "Dataverse throttles this application user and refused {tries}; try again later",
    Trouble.UNAVAILABLE: "Dataverse is not available ({tries})",
    Trouble.DATABASE: "Dataverse's database failed in {tries}",
}


def _gave_up(met: Trouble, tries: int, reason: str) -> str:
    said = _GAVE_UP[met].format(tries="one try" if tries == 1 else f"{tries} tries")
    return f"{said}: {reason}"
