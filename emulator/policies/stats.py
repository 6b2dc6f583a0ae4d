"""Counters, and a log of the last requests.

The application calls `arrived` and `left` around each request outside ``/_emulator``, and `touched` for the rows that a
request read or wrote.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from emulator.messages import Effect
from emulator.schema import BULK_MESSAGES

__all__ = ["LogEntry", "Stats", "kind_of"]

_LOG_LENGTH: Final = 2000
_REPEATED_SHOWN: Final = 1000
_METADATA: Final = ("EntityDefinitions", "RelationshipDefinitions", "GlobalOptionSetDefinitions", "$metadata")
_LIMIT_OF: Final = {"0x80072322": "requests", "0x80072321": "time", "0x80072326": "concurrency"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One request as ``GET /_emulator/log`` shows it.

    Attributes:
        at: Seconds since 1970 when the request ended.
        method: HTTP method.
        path: Path and query as sent.
        kind: The kind of request, see `kind_of`.
        status: HTTP status; 0 if the connection was dropped.
        milliseconds: Duration, with the waits of the time model.
        server: The simulated server that answered.
        user: The caller's ``systemuserid``; empty without a valid token.
        code: The error code, empty for success.
        fault: The action of the fault that was used for it, or empty.
    """

    at: float
    method: str
    path: str
    kind: str
    status: int
    milliseconds: float
    server: int = 0
    user: str = ""
    code: str = ""
    fault: str = ""


class Stats:
    """Counters since the start or the last `reset`."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Start at zero; ``clock`` returns seconds since 1970."""
        self._clock = clock
        self._in_flight = 0
        self.reset()

    def reset(self) -> None:
        """Start at zero again, except for requests that are running."""
        self._kinds: Counter[str] = Counter()
        self._statuses: Counter[int] = Counter()
        self._methods: Counter[str] = Counter()
        self._inner: Counter[str] = Counter()
        self._rows: Counter[str] = Counter()
        self._codes: Counter[str] = Counter()
        self._throttles: Counter[str] = Counter()
        self._execution_seconds = 0.0
        self._faults: Counter[str] = Counter()
        self._writes: dict[str, Counter[str]] = {}
        self._most_in_flight = self._in_flight
        self._log: deque[LogEntry] = deque(maxlen=_LOG_LENGTH)

    def arrived(self) -> None:
        """Count the start of a request."""
        self._in_flight += 1
        self._most_in_flight = max(self._most_in_flight, self._in_flight)

    def left(self, entry: LogEntry) -> None:
        """Count the end of a request with its outcome."""
        self._in_flight -= 1
        self._kinds[entry.kind] += 1
        self._statuses[entry.status] += 1
        self._methods[entry.method] += 1
        if entry.code:
            self._codes[entry.code] += 1
        if entry.status == 429:  # noqa: PLR2004 - the status has no shorter name
            self._throttles[_LIMIT_OF.get(entry.code, "other")] += 1
        if entry.fault:
            self._faults[entry.fault] += 1
        self._log.append(entry)

    def executed(self, seconds: float) -> None:
        """Add to the execution time of the requests that were admitted."""
        self._execution_seconds += seconds

    def inner(self, kind: str) -> None:
        """Count an operation within a ``$batch``."""
        self._inner[kind] += 1

    def rows(self, operation: str, count: int) -> None:
        """Count rows by operation: create, read, update, delete."""
        self._rows[operation] += count

    def wrote(self, table: str, ids: Iterable[str]) -> None:
        """Count a write (create, update or delete) of each of these records."""
        self._writes.setdefault(table, Counter()).update(ids)

    def touched(self, effect: Effect) -> None:
        """Count the rows that a request read, or wrote and committed."""
        self.rows(effect.operation, effect.count)
        if effect.ids:
            self.wrote(effect.table, effect.ids)

    def log(self) -> list[dict[str, Any]]:
        """Return the last requests, oldest first."""
        return [asdict(entry) for entry in self._log]

    def report(self) -> dict[str, Any]:
        """Return the answer to ``GET /_emulator/stats``."""
        return {
            "requests": {
                "total": self._kinds.total(),
                "by_kind": dict(self._kinds),
                "by_method": dict(self._methods),
                "by_status": {str(status): count for status, count in sorted(self._statuses.items())},
                "in_batches": dict(self._inner),
            },
            "rows": dict(self._rows),
            "errors": dict(self._codes),
            "throttles": {"total": self._throttles.total(), **self._throttles},
            "execution_seconds": round(self._execution_seconds, 3),
            "faults": dict(self._faults),
            "in_flight": {"now": self._in_flight, "most": self._most_in_flight},
            "writes_per_record": {table: _writes(counts) for table, counts in self._writes.items()},
        }


def _writes(counts: Counter[str]) -> dict[str, Any]:
    by_count = Counter(counts.values())
    repeated = [record for record, count in counts.items() if count > 1] if max(by_count, default=0) > 1 else []
    return {
        "records": len(counts),
        "writes": counts.total(),
        "most": max(by_count, default=0),
        "records_by_writes": {str(count): records for count, records in sorted(by_count.items())},
        "written_again": {record: counts[record] for record in repeated[:_REPEATED_SHOWN]},
    }


def kind_of(method: str, path: str, *, if_match: bool = False) -> str:
    """Return the kind of a request for the counters.

    Args:
        method: HTTP method.
        path: The path after the service's root, without the query.
        if_match: Whether the request has an ``If-Match`` header: a PATCH with it is an update.

    Returns:
        ``batch``, ``metadata``, a bulk message's name, ``query``, ``retrieve``, ``create``, ``update``, ``upsert``,
        ``delete``, ``association`` for ``$ref``, or ``operation`` for actions and functions.
    """
    last = path.rstrip("/").rpartition("/")[2]
    if path.startswith("$batch"):
        return "batch"
    if not path or path.startswith(_METADATA):
        return "metadata"
    if last.startswith("Microsoft.Dynamics.CRM."):
        name = last.removeprefix("Microsoft.Dynamics.CRM.").partition("(")[0]
        return name if name in BULK_MESSAGES else "operation"
    if last.startswith("$ref"):
        return "association"
    match method:
        case "GET" | "HEAD":
            return _reading(path)
        case "POST":
            return "operation" if path[0].isupper() else "create"
        case "PATCH":
            return "update" if if_match else "upsert"
        case "DELETE" if ")/" not in path:  # a path after a key names a property, which is set to null
            return "delete"
        case _:
            return "update"


def _reading(path: str) -> str:
    if path[0].isupper():  # names of functions begin with a capital letter, entity sets do not
        return "operation"
    return "retrieve" if "(" in path else "query"
