"""How many requests at once, and how many rows in each: decided from what came back. Pure.

Microsoft's advice (service protection limits; send parallel requests): start at the recommended degree of parallelism,
raise it until the service says 429, then obey `Retry-After`. One controller belongs to one application user, since the
limits are counted per user.

- parallelism: additive increase, multiplicative decrease; at most one decrease for one burst of refusals.
- a 429 pauses everything until its `Retry-After`; the code for too many concurrent requests also halves parallelism at
  once, since that limit is enforced at once and not over a window.
- a deadlock lowers parallelism; a timeout lowers the rows of a request.
- rows in a request follow the measured time of the service: as many as take about `TARGET_SECONDS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from shared.dataverse.write.pace import Pace

__all__ = ["Controller", "Deadlocked", "Observation", "RequestAnswered", "RequestKind", "Sizes", "Throttled", "TooLong"]

FEWEST_ROWS = 10
MOST_ROWS = 1000  # Microsoft: "100 - 1,000" for standard tables
FIRST_ROWS = 100
ELASTIC_ROWS = 100  # Microsoft: elastic tables, 100 per request
TARGET_SECONDS = 4.0
WORTHWHILE_SECONDS = 0.02  # below it the round trip and our own work on the request weigh more than the rows
MOST_TIMES_HINT = 4  # beyond the recommended parallelism others measured hardly more than refusals
CEILING_SECONDS = 60.0  # after so long the level at which concurrency was refused is tried again
SLOWER = 1.5  # time per row against the best seen: beyond it, more senders only queue up at the server


class RequestKind(StrEnum):
    """What a request does; each kind has its own size, because their cost for the service differs."""

    CREATE = "create"
    UPDATE = "update"
    UPSERT = "upsert"
    DELETE = "delete"
    ASSOCIATE = "associate"
    DISASSOCIATE = "disassociate"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestAnswered:
    """A request came back with an answer about its rows."""

    at: float
    kind: RequestKind
    rows: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttled:
    """A request was answered 429.

    Attributes:
        concurrency: The limit is the one on concurrent requests.
        wait: Seconds to pause.
        message: The service's sentence, which names limit and window.
        seconds: How long the request took to be refused.
    """

    at: float
    concurrency: bool
    wait: float
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlocked:
    """The database chose a request as the victim of a deadlock."""

    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TooLong:
    """A request took too long for the database or the client, or its body was too large."""

    at: float
    kind: RequestKind
    rows: int


Observation = RequestAnswered | Throttled | Deadlocked | TooLong


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Bounds of the rows in a request."""

    fewest: int = FEWEST_ROWS
    first: int = FIRST_ROWS
    most: int = MOST_ROWS


class Controller:
    """Limits for one application user.

    Args:
        parallel: The recommended degree of parallelism.
        most_parallel: Never more requests at once than this.
        sizes: Bounds of the rows in a request.
    """

    def __init__(self, *, parallel: int, most_parallel: int, sizes: Sizes | None = None) -> None:
        self.sizes = sizes or Sizes()
        self.resume_at = 0.0
        self.pace = Pace()
        self._most = max(1, min(most_parallel, MOST_TIMES_HINT * max(1, parallel)))
        self._ceiling = self._most
        self._ceiling_at = 0.0
        self._parallel = float(min(max(1, parallel), self._most))
        self._rows = dict.fromkeys(RequestKind, float(self.sizes.first))
        self._row_seconds: dict[RequestKind, float] = {}
        self._best: dict[RequestKind, float] = {}
        self._lowered_at = float("-inf")
        self._since_raise = 0

    @property
    def parallel(self) -> int:
        """Requests that may be in flight."""
        return int(self._parallel)

    def rows(self, kind: RequestKind) -> int:
        """Rows that the next request of a kind should carry."""
        return int(self._rows[kind])

    def fewest(self, kind: RequestKind) -> int:
        """Rows below which a request is not worth making, though others wait for work."""
        if self.pace.counts_requests:
            return self.rows(kind)
        fastest = self._best.get(kind, 0.0)
        return 1 if fastest <= 0 else max(1, min(self.rows(kind), int(WORTHWHILE_SECONDS / fastest)))

    def seconds(self, kind: RequestKind) -> float:
        """The expected duration of such a request; 0 before the first measurement."""
        return self._row_seconds.get(kind, 0.0) * self.rows(kind)

    def ready_at(self, now: float) -> float:
        """The moment from which one more request may be sent, according to pauses and budgets."""
        return max(now, self.resume_at, self.pace.free_at(now))

    def observe(self, seen: Observation) -> None:
        """Learn from one request."""
        match seen:
            case RequestAnswered():
                self._answered(seen)
            case Throttled():
                self._throttled(seen)
            case Deadlocked(at=at):
                self._lower(at, 0.5)
            case TooLong(kind=kind, rows=rows):
                self._rows[kind] = max(self.sizes.fewest, min(self._rows[kind], rows) / 2)
            case _ as never:
                assert_never(never)

    def _answered(self, seen: RequestAnswered) -> None:
        self.pace.spent(seen.at, seen.seconds)
        if seen.rows < min(self.sizes.fewest, self.rows(seen.kind)):
            return  # a single row shows the latency, not the cost of a row
        row_seconds = seen.seconds / seen.rows
        known = self._row_seconds.get(seen.kind)
        self._row_seconds[seen.kind] = row_seconds if known is None else 0.7 * known + 0.3 * row_seconds
        if seen.rows >= 0.9 * self._rows[seen.kind]:
            self._resize(seen.kind)
        self._maybe_raise(seen.at, seen.kind, row_seconds)

    def _resize(self, kind: RequestKind) -> None:
        fits = TARGET_SECONDS / max(self._row_seconds[kind], 1e-9)
        bounded = min(fits, self._rows[kind] * 2)  # at most double: the next size is not yet measured
        self._rows[kind] = max(self.sizes.fewest, min(bounded, self.sizes.most))

    def _maybe_raise(self, at: float, kind: RequestKind, row_seconds: float) -> None:
        """One more sender after a round of good answers, unless rows have become slower: then the server queues."""
        best = self._best[kind] = min(self._best.get(kind, row_seconds), row_seconds)
        self._since_raise += 1
        if self._since_raise >= self._parallel and row_seconds <= best * SLOWER:
            self._since_raise = 0
            if at - self._ceiling_at >= CEILING_SECONDS:
                self._ceiling, self._ceiling_at = min(self._ceiling + 1, self._most), at
            self._parallel = min(self._parallel + 1, max(self._ceiling, self._parallel))

    def _throttled(self, seen: Throttled) -> None:
        first_of_burst = seen.at >= self.resume_at
        self.resume_at = max(self.resume_at, seen.at + seen.wait)
        if seen.concurrency and first_of_burst:
            # The number of requests in flight is too high: stay below it, and try more only from time to time.
            self._ceiling, self._ceiling_at = max(1, self.parallel - 1), seen.at
            self._lower(seen.at, 0.5)
        elif first_of_burst and not seen.concurrency:
            self.pace.exhausted(seen.at, seen.message)
            self._lower(seen.at, 0.8)

    def _lower(self, at: float, factor: float) -> None:
        """Multiplicative decrease, once for all refusals of requests that were in flight together."""
        if at < self._lowered_at + 1.0 or at < self._lowered_at:
            return
        self._lowered_at = max(at, self.resume_at)
        self._since_raise = 0
        self._parallel = max(1.0, self._parallel * factor)
