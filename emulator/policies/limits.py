"""Service protection limits of one user on one web server (Microsoft's page "Service protection API limits").

There are three limits: requests in a sliding window, their combined execution time in the same window, and concurrent
requests. A refusal states a wait (`Retry-After`). A request that comes before the wait has ended is refused too, and
makes the wait longer.
"""

import math
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from emulator.errors import ServiceError

__all__ = ["Admission", "LimitSettings", "Limits", "ThrottledError"]

_GRACE: Final = 0.5  # seconds: requests that the client sent before it received the refusal do not count as ignoring it
_LONGEST_PENALTY: Final = 60.0
_CONCURRENCY_WAIT: Final = 1.0
_ROUNDING: Final = 1e-6  # sums of seconds are not exact: 3.0000001 must not be rounded up to 4
_NAMES: Final = frozenset({"requests", "time", "concurrency", "window"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """The limits of one user on one server.

    Attributes:
        requests: Requests per window; 0 for no limit.
        time: Seconds of execution per window; 0 for no limit.
        concurrency: Concurrent requests; 0 for no limit.
        window: Length of the window in seconds.
    """

    requests: int = 6000
    time: float = 1200.0
    concurrency: int = 52
    window: float = 300.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``requests=6000,time=1200,concurrency=52,window=300``, any part of it, or ``none`` for no limits.

        Raises:
            ValueError: A name is unknown, or a value is not a number.
        """
        if text.strip().lower() == "none":
            return cls(requests=0, time=0.0, concurrency=0)
        given: dict[str, float] = {}
        for part in text.split(","):
            name, _, value = part.partition("=")
            if name.strip() not in _NAMES:
                raise ValueError(f"{name.strip()!r} is not a limit: write {', '.join(sorted(_NAMES))}, or none")
            given[name.strip()] = float(value)
        return cls(
            requests=int(given.get("requests", 6000)),
            time=given.get("time", 1200.0),
            concurrency=int(given.get("concurrency", 52)),
            window=given.get("window", 300.0),
        )


class ThrottledError(ServiceError):
    """HTTP 429.

    Attributes:
        limit: The limit that was exceeded: ``requests``, ``time`` or ``concurrency``.
        wait: Seconds to wait, as in ``Retry-After``.
    """

    def __init__(self, limit: str, code: str, message: str, wait: int) -> None:
        """Add ``Retry-After`` in whole seconds."""
        super().__init__(429, code, message, headers={"Retry-After": str(wait)})
        self.limit = limit
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Admission:
    """A request that was admitted; pass it to `Limits.settle` when the request ends."""

    user: str
    server: int


@dataclass(slots=True)
class _Budget:
    """What one user has used on one server."""

    arrivals: deque[float] = field(default_factory=deque)
    spans: deque[tuple[float, float]] = field(default_factory=deque)
    spent: float = 0.0
    running: int = 0
    # By limit: when the wait began or was made longer, when it ends, and how often the client ignored it.
    refused: dict[str, tuple[float, float, int]] = field(default_factory=dict)


class Limits:
    """Admits and refuses requests, and keeps each client on one server.

    For each request: call `server_for` with its cookies, `admit`, run it, call `settle` with its duration, and add
    `headers` and the `cookie` to the answer.
    """

    def __init__(
        self,
        settings: LimitSettings,
        *,
        servers: int = 1,
        parallelism_hint: int = 4,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start with no requests.

        Args:
            settings: The limits of a user on a server.
            servers: Number of simulated web servers.
            parallelism_hint: The value of ``x-ms-dop-hint``.
            clock: A monotonic clock in seconds.
        """
        self.settings = settings
        self._hint = str(parallelism_hint)
        self._clock = clock
        self._cookies = [secrets.token_hex(32) for _ in range(max(servers, 1))]
        self._servers = {cookie: number for number, cookie in enumerate(self._cookies)}
        self._turn = 0
        self._budgets: dict[tuple[str, int], _Budget] = {}

    def reset(self) -> None:
        """Forget what was used and refused, except requests that are running."""
        for key, budget in list(self._budgets.items()):
            self._budgets[key] = _Budget(running=budget.running)

    # Servers

    def server_for(self, cookies: Mapping[str, str]) -> int:
        """Return the server that answers: the one that the ``ARRAffinity`` cookie names, else the next one in turn."""
        known = self._servers.get(cookies.get("ARRAffinity", ""))
        if known is not None:
            return known
        self._turn = (self._turn + 1) % len(self._cookies)
        return self._turn

    def cookie(self, server: int, *, secure: bool) -> str:
        """Return the value of ``Set-Cookie``; without TLS it is not secure, or clients would not send it back."""
        return f"ARRAffinity={self._cookies[server]}; path=/;{' secure;' if secure else ''} HttpOnly"

    # Budget

    def admit(self, user: str, server: int) -> Admission:
        """Count the start of a request.

        Raises:
            ThrottledError: A limit is exceeded. The request does not count, but makes the wait longer if the client
                did not wait.
        """
        now = self._clock()
        budget = self._budgets.setdefault((user, server), _Budget())
        self._forget(budget, now)
        # The order of the service's page; the first limit that is exceeded gives the answer.
        self._check(budget, "requests", now, self._wait_for_requests(budget, now))
        self._check(budget, "time", now, self._wait_for_time(budget, now))
        self._check_concurrency(budget, now)
        budget.arrivals.append(now)
        budget.running += 1
        return Admission(user, server)

    def settle(self, admission: Admission, seconds: float) -> None:
        """Count the end of a request and its execution time in seconds."""
        budget = self._budgets.setdefault((admission.user, admission.server), _Budget(running=1))
        budget.running -= 1
        budget.spans.append((self._clock(), seconds))
        budget.spent += seconds

    def headers(self, user: str, server: int) -> dict[str, str]:
        """Return the rate-limit headers of an answer; the time has a thousands separator."""
        budget = self._budgets.get((user, server)) or _Budget()
        self._forget(budget, self._clock())
        headers = {"x-ms-dop-hint": self._hint}
        if self.settings.requests:
            remaining = max(self.settings.requests - len(budget.arrivals), 0)
            headers["x-ms-ratelimit-burst-remaining-xrm-requests"] = str(remaining)
        if self.settings.time:
            left = max(self.settings.time - budget.spent, 0.0)
            headers["x-ms-ratelimit-time-remaining-xrm-requests"] = f"{left:,.2f}"
        return headers

    def _forget(self, budget: _Budget, now: float) -> None:
        past = now - self.settings.window
        while budget.arrivals and budget.arrivals[0] <= past:
            budget.arrivals.popleft()
        while budget.spans and budget.spans[0][0] <= past:
            budget.spent -= budget.spans.popleft()[1]
        if not budget.spans:
            budget.spent = 0.0

    def _wait_for_requests(self, budget: _Budget, now: float) -> float:
        if not self.settings.requests or len(budget.arrivals) < self.settings.requests:
            return 0.0
        return budget.arrivals[-self.settings.requests] + self.settings.window - now

    def _wait_for_time(self, budget: _Budget, now: float) -> float:
        excess = budget.spent - self.settings.time
        if not self.settings.time or excess < 0:
            return 0.0
        for finished, seconds in budget.spans:
            excess -= seconds
            if excess < 0:
                return finished + self.settings.window - now
        return 0.0

    def _check_concurrency(self, budget: _Budget, now: float) -> None:
        """Checks the running requests; as soon as fewer run than the limit allows, earlier refusals are forgotten."""
        if not self.settings.concurrency or budget.running < self.settings.concurrency:
            budget.refused.pop("concurrency", None)
            return
        self._refuse(budget, "concurrency", now, _CONCURRENCY_WAIT)

    def _check(self, budget: _Budget, limit: str, now: float, wait: float) -> None:
        _, until, _ = budget.refused.get(limit, (0.0, 0.0, 0))
        if wait <= _ROUNDING and now >= until - _ROUNDING:
            budget.refused.pop(limit, None)
            return
        self._refuse(budget, limit, now, wait)

    def _refuse(self, budget: _Budget, limit: str, now: float, wait: float) -> None:
        since, until, ignored = budget.refused.get(limit, (now, now, 0))
        if now >= until - _ROUNDING:  # the first refusal, or the client has waited
            since, ignored = now, 0
        elif now - since > _GRACE:
            since, ignored = now, ignored + 1
            longest = max(2 * self.settings.window, _LONGEST_PENALTY)
            wait = min(max(wait, until - now) + min(2.0**ignored, _LONGEST_PENALTY), longest)
        else:
            wait = max(wait, until - now)
        budget.refused[limit] = (since, now + wait, ignored)
        code, message = self._message(limit)
        raise ThrottledError(limit, code, message, max(math.ceil(wait - _ROUNDING), 1))

    def _message(self, limit: str) -> tuple[str, str]:
        settings = self.settings
        window = f"{settings.window:g}"
        match limit:
            case "requests":
                limit_text = f"exceeded the limit of {settings.requests} over time window of {window} seconds."
                return "0x80072322", f"Number of requests {limit_text}"
            case "time":
                return "0x80072321", (
                    f"Combined execution time of incoming requests exceeded limit of {settings.time * 1000:,.0f} "
                    f"milliseconds over time window of {window} seconds. Decrease number of concurrent requests or "
                    "reduce the duration of requests and try again later."
                )
            case _:
                return "0x80072326", f"Number of concurrent requests exceeded the limit of {settings.concurrency}."
