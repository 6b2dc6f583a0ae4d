"""Faults on demand: a queue that ``POST /_emulator/faults`` fills and that matching requests use.

For each request outside ``/_emulator`` the application does this::

    fault = faults.take(method, target, rows)      # before limits and operation; nearly always None
    if fault: await fault.apply_before()          # waits, or raises ServiceError or DroppedConnectionError
    ... the operation ...
    if fault: fault.apply_after()                 # raises DroppedConnectionError; the operation stays committed

After `DroppedConnectionError` the application closes the connection (`drop_connection`). `row_check` checks each row
before it is written, also in the operations of a ``$batch``; for these operations `take_inner` uses the faults that are
an answer.
"""

import asyncio
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import unquote

from emulator.errors import ServiceError, invalid_argument, plugin_error, sql_deadlock
from emulator.odata.evaluate import matches
from emulator.odata.nodes import Expression
from emulator.odata.parser import parse_filter
from emulator.store.collation import Collation

__all__ = ["DroppedConnectionError", "Fault", "Faults", "drop_connection"]

_ACTIONS: Final = frozenset({"status", "drop_before", "drop_after", "delay", "refuse_rows"})
_FIELDS: Final = frozenset({"action", "match", "times", "status", "code", "message", "retry_after", "seconds"})
_MATCHES: Final = frozenset({"method", "path", "filter"})
_ALWAYS: Final = sys.maxsize
_USUAL: Final[Mapping[int, tuple[str, str]]] = {
    400: ("0x80040203", "Invalid argument."),
    401: ("0x0", "The token has expired."),
    403: ("0x80040220", "Principal user is missing a privilege."),
    404: ("0x80040217", "The requested record does not exist."),
    412: ("0x80060882", "The version of the existing record doesn't match the RowVersion property provided."),
    413: ("0x0", "The request is too large."),
    429: ("0x80072322", "Number of requests exceeded the limit of 6000 over time window of 300 seconds."),
    503: ("0x0", "The service is unavailable."),
}
Receive = Callable[[], Any]
Send = Callable[[Mapping[str, Any]], Any]


class DroppedConnectionError(Exception):
    """The connection must be closed without an answer."""


@dataclass(slots=True, kw_only=True)
class Fault:
    """One entry of the queue; the fields are those of `POST /_emulator/faults`.

    Attributes:
        action: ``status``, ``drop_before``, ``drop_after``, ``delay`` or ``refuse_rows``.
        method: Only requests of this method, in upper case; empty for any.
        path: Only requests whose path or query contains this text; empty for any.
        filter: Only requests with a row that matches; for ``refuse_rows`` the rows that are refused.
        filter_text: The filter as text.
        times: For how many requests it can still be used; for ``refuse_rows`` for how many rows.
        status: HTTP status of the answer.
        code: Error code of the answer.
        message: Message of the answer.
        retry_after: Value of ``Retry-After``, seconds or an HTTP date, or None.
        seconds: Longest duration of a delay.
        cleared: Set when the queue is cleared: a request that waits then waits no longer.
    """

    action: str
    method: str = ""
    path: str = ""
    filter: Expression | None = None
    filter_text: str = ""
    times: int = 1
    status: int = 500
    code: str = ""
    message: str = ""
    retry_after: str | None = None
    seconds: float = 0.0
    cleared: asyncio.Event = field(default_factory=asyncio.Event, repr=False, compare=False)

    @classmethod
    def parse(cls, given: object) -> Self:
        """Read one fault from JSON.

        Raises:
            ServiceError: 400; a member is unknown, missing or of the wrong type.
        """
        if not isinstance(given, Mapping):
            raise invalid_argument("A fault is a JSON object; several faults are a list of JSON objects.")
        match = given.get("match") or {}
        unknown = (given.keys() - _FIELDS) | (match.keys() - _MATCHES if isinstance(match, Mapping) else {"match"})
        if unknown:
            raise invalid_argument(f"A fault has no member {', '.join(sorted(unknown))}.")
        action = given.get("action")
        if action not in _ACTIONS:
            raise invalid_argument(f"'{action}' is not an action of a fault: write {', '.join(sorted(_ACTIONS))}.")
        if action == "refuse_rows" and not match.get("filter"):
            raise invalid_argument("The fault refuse_rows needs match.filter.")
        try:
            return cls._from(str(action), given, match)
        except (TypeError, ValueError) as error:
            raise invalid_argument(f"The fault is not valid: {error}.") from error

    @classmethod
    def _from(cls, action: str, given: Mapping[str, Any], match: Mapping[str, Any]) -> Self:
        code = str(given.get("code") or "")
        status = int(given.get("status") or (400 if action == "refuse_rows" else 500))
        usual = sql_deadlock() if status == 500 else None  # noqa: PLR2004 - the status of SQL errors
        known_code, known_message = (usual.code, usual.message) if usual else _USUAL.get(status, ("0x0", "Error."))
        if action == "refuse_rows":
            known_code, known_message = "0x80040265", "The row was refused by a plug-in."
        text = str(match.get("filter") or "")
        retry_after = given.get("retry_after")
        times = int(given.get("times", _ALWAYS if action == "refuse_rows" else 1))
        seconds = float(given.get("seconds", 0.0))
        if times < 1 or seconds < 0:
            raise ValueError("times must be at least 1, and seconds must not be negative")
        return cls(
            action=action,
            method=str(match.get("method") or "").upper(),
            path=str(match.get("path") or ""),
            filter=parse_filter(text) if text else None,
            filter_text=text,
            times=times,
            status=status,
            code=code or known_code,
            message=str(given.get("message") or known_message),
            retry_after=None if retry_after is None else str(retry_after),
            seconds=seconds,
        )

    def describe(self) -> dict[str, Any]:
        """Return the fault as ``GET /_emulator/faults`` lists it."""
        match = {"method": self.method, "path": self.path, "filter": self.filter_text}
        described: dict[str, Any] = {
            "action": self.action,
            "match": {name: text for name, text in match.items() if text},
        }
        if self.times != _ALWAYS:
            described["times"] = self.times
        if self.action in {"status", "refuse_rows"}:
            described |= {"status": self.status, "code": self.code, "message": self.message}
        if self.retry_after is not None:
            described["retry_after"] = self.retry_after
        if self.action == "delay":
            described["seconds"] = self.seconds
        return described

    def is_about(self, method: str, target: str) -> bool:
        """Whether method and path of a request match; ``target`` is the path with the query."""
        if self.method and self.method != method:
            return False
        return not self.path or self.path in target or self.path in unquote(target)

    def error(self) -> ServiceError:
        """Return the answer of a ``status`` fault."""
        headers = {} if self.retry_after is None else {"Retry-After": self.retry_after}
        if self.status == 401:  # noqa: PLR2004 - only this status has a challenge
            headers["WWW-Authenticate"] = f'Bearer error=invalid_token, error_description="{self.message}"'
        return ServiceError(self.status, self.code, self.message, headers=headers)

    async def apply_before(self) -> None:
        """Apply the fault before the operation.

        Raises:
            ServiceError: The answer of the fault.
            DroppedConnectionError: The connection must be closed.
        """
        match self.action:
            case "delay":
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.cleared.wait(), self.seconds)
            case "status":
                raise self.error()
            case "drop_before":
                raise DroppedConnectionError

    def apply_after(self) -> None:
        """Apply the fault after the operation.

        Raises:
            DroppedConnectionError: The connection must be closed without the answer.
        """
        if self.action == "drop_after":
            raise DroppedConnectionError


class Faults:
    """The queue: a request uses the first fault that matches it."""

    def __init__(self, collation: Collation) -> None:
        """Start with an empty queue; filters compare text with ``collation``."""
        self._collation = collation
        self._queue: list[Fault] = []
        self._cleared = asyncio.Event()
        self._struck = 0

    def add(self, given: object) -> list[dict[str, Any]]:
        """Append one fault or a list of faults from JSON.

        Returns:
            The descriptions of what was added.

        Raises:
            ServiceError: 400; no fault is added.
        """
        items: list[object] = given if isinstance(given, list) else [given]
        added = [Fault.parse(item) for item in items]
        for fault in added:
            fault.cleared = self._cleared
        self._queue.extend(added)
        return [fault.describe() for fault in added]

    def clear(self) -> None:
        """Remove all faults, and let the requests go on that wait for the end of a delay."""
        self._queue.clear()
        self._cleared.set()
        self._cleared = asyncio.Event()

    def pending(self) -> list[dict[str, Any]]:
        """Return the faults that are left, in order."""
        return [fault.describe() for fault in self._queue]

    @property
    def struck(self) -> int:
        """How often faults have been used."""
        return self._struck

    def take(self, method: str, target: str, rows: Callable[[], Iterable[Mapping[str, Any]]]) -> Fault | None:
        """Use the first fault that matches this request, or return None.

        Args:
            method: The request's method.
            target: Its path with the query, as sent.
            rows: Returns the rows in the body; called only if a fault has a filter.
        """
        for fault in self._queue:
            if fault.action != "refuse_rows" and fault.is_about(method, target) and self._is_met(fault, rows):
                self._use(fault)
                return fault
        return None

    def take_inner(self, method: str, target: str, rows: Callable[[], Iterable[Mapping[str, Any]]]) -> None:
        """Use the first matching fault for an operation of a ``$batch``.

        Only faults with the action ``status`` and a path apply to such operations: the others apply to the batch.

        Raises:
            ServiceError: The answer of the fault.
        """
        for fault in self._queue:
            if fault.action == "status" and fault.path and fault.is_about(method, target) and self._is_met(fault, rows):
                self._use(fault)
                raise fault.error()

    def row_check(self, method: str, target: str) -> Callable[[Mapping[str, Any]], None] | None:
        """Return a function to call with each row before it is written, or None if no fault refuses rows.

        The function takes values by logical column name, with those that identify the row, and raises the
        `ServiceError` of a plug-in for a row that a fault refuses.
        """
        faults = [fault for fault in self._queue if fault.action == "refuse_rows" and fault.is_about(method, target)]
        if not faults:
            return None

        def check(values: Mapping[str, Any]) -> None:
            row = _with_lookups(values)
            for fault in faults:
                if fault.times and fault.filter and matches(fault.filter, row, self._collation):
                    self._use(fault)
                    error = plugin_error(fault.message)
                    error.status, error.code = fault.status, fault.code
                    raise error

        return check

    def _is_met(self, fault: Fault, rows: Callable[[], Iterable[Mapping[str, Any]]]) -> bool:
        if fault.filter is None:
            return True
        return any(matches(fault.filter, _with_lookups(row), self._collation) for row in rows())

    def _use(self, fault: Fault) -> None:
        self._struck += 1
        if fault.times != _ALWAYS:
            fault.times -= 1
        if not fault.times and fault in self._queue:
            self._queue.remove(fault)


def _with_lookups(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Adds each value under the name of a lookup property, ``_primarycontactid_value``, as filters name lookups so."""
    return {**values, **{f"_{name}_value": value for name, value in values.items()}}


async def drop_connection(receive: Receive, send: Send) -> None:
    """Close the client's connection without an answer, in an ASGI application on uvicorn.

    ASGI has no message for this, so this uses the transport of uvicorn's ``send``, which middleware must not wrap. It
    then waits for the disconnect: otherwise uvicorn would answer 500.
    """
    cycle: Any = getattr(send, "__self__", None)
    cycle.transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass
