"""Staying below a limit over a sliding window, once an answer of the service has named the limit. Pure.

The service counts requests and their execution time over a window, per user and per web server. How many servers
there are is not known, so the first refusal teaches the budget: what had been spent in the window when it came, or what
the message names, whichever is more. From then on requests wait in the app and are not refused by the service.
"""

from __future__ import annotations

import re
from collections import deque

from shared.http.retry import number_in

__all__ = ["Pace"]

WINDOW_SECONDS = 300.0
LONGEST_WINDOW = 3600.0  # a message that names a longer one is not believed: requests would wait for its end
SHARE = 0.97  # of the budget of time is used: clocks and networks differ
REQUESTS_SHARE = 0.99  # of the budget of requests: each is counted for longer here than there, so none comes too soon
RECOVERY = 1.02  # the budget grows by this in each window without a refusal
REDUCTION = 0.95
PROBE_WINDOWS = 10  # windows without a refusal before the budget that was refused is tried again: a 429 pauses all

_REQUESTS = re.compile(r"exceeded the limit of ([\d,]+) over time window of ([\d,]+) seconds")
_TIME = re.compile(r"exceeded limit of ([\d,]+) milliseconds over time window of ([\d,]+) seconds")


class _Budget:
    """What may be spent in a window; unlimited until a refusal."""

    def __init__(self) -> None:
        self.most = float("inf")
        self._refused = float("inf")  # this amount was refused
        self._refused_at = 0.0
        self._changed_at = 0.0

    @property
    def known(self) -> bool:
        return self.most != float("inf")

    def taught(self, now: float, spent: float, named: float, *, exact: bool = False) -> None:
        """Learn from a refusal: this amount was spent in the window.

        Args:
            now: The moment.
            spent: As counted here.
            named: The limit, as the service's message has it.
            exact: Both sides count the same.
        """
        if self.known:
            self._refused = self.most
            self.most = max(self.most * REDUCTION, 1e-9)
        else:
            self.most = max(spent, named)
            if exact and named >= spent:  # one server counts and named its limit, so no tests are needed
                self._refused = named
        self._refused_at = self._changed_at = now

    def proven(self, spent: float) -> None:
        """This amount was accepted within one window."""
        if self.known:
            self.most = max(self.most, spent)

    def recover(self, now: float, window: float) -> None:
        if not self.known or now - self._changed_at < window:
            return
        grown = self.most * RECOVERY
        if grown < self._refused or now - self._refused_at >= PROBE_WINDOWS * window:
            self.most, self._changed_at = grown, now


class Pace:
    """What one application user has spent lately, and when more may be spent."""

    def __init__(self) -> None:
        self._window = WINDOW_SECONDS
        self._entries: deque[tuple[float, float]] = deque()
        self._seconds = 0.0
        self._requests_budget = _Budget()
        self._time_budget = _Budget()
        self._in_flight = 0
        self._expected = 0.0

    def started(self, expected: float) -> None:
        """A request has been sent that is expected to take so many seconds."""
        self._in_flight += 1
        self._expected = expected

    def ended(self) -> None:
        """A request has ended, with or without an error."""
        self._in_flight -= 1

    def spent(self, now: float, seconds: float) -> None:
        """A request was answered after so many seconds."""
        self._entries.append((now, seconds))
        self._seconds += seconds
        self._forget(now)
        self._requests_budget.proven(len(self._entries))

    def exhausted(self, now: float, message: str) -> None:
        """The service refused for a limit over a window; its message names which."""
        self._forget(now)
        if found := _TIME.search(message):
            self._believe(found[2])
            self._time_budget.taught(now, self._seconds, (number_in(found[1]) or 0.0) / 1000)
        elif found := _REQUESTS.search(message):
            self._believe(found[2])
            named = number_in(found[1]) or 0.0
            self._requests_budget.taught(now, float(len(self._entries)), named, exact=True)

    def _believe(self, window: str) -> None:
        seconds = number_in(window) or 0.0
        if 0 < seconds <= LONGEST_WINDOW:
            self._window = seconds

    def free_at(self, now: float) -> float:
        """The moment from which one more request keeps within the budgets."""
        self._forget(now)
        for budget in (self._requests_budget, self._time_budget):
            budget.recover(now, self._window)
        room = len(self._entries) + self._in_flight + 1 - self._requests
        seconds = self._seconds + (self._in_flight + 1) * self._expected - SHARE * self._time_budget.most
        if (room <= 0 and seconds <= 0) or not self._entries:
            return now
        for at, spent in self._entries:
            room -= 1
            seconds -= spent
            if room <= 0 and seconds <= 0:
                return max(now, at + self._window)
        return max(now, self._entries[-1][0] + self._window)

    @property
    def counts_requests(self) -> bool:
        """Whether the number of requests is the limit; then each request should carry as many rows as possible."""
        return self._requests_budget.known

    @property
    def _requests(self) -> float:
        most = self._requests_budget.most
        return max(REQUESTS_SHARE * most, most - 1)

    def _forget(self, now: float) -> None:
        while self._entries and self._entries[0][0] <= now - self._window:
            _, seconds = self._entries.popleft()
            self._seconds -= seconds
