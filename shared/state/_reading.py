"""Rows of a store as records. Each row is checked when it is read: another program may have changed the store."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from shared.entities import MirrorHead
from shared.errors import AbortRun
from shared.state.job_kinds import JobKind, NewerJobError
from shared.state.records import Job, JobRequest

if TYPE_CHECKING:  # `--help` does not wait for it: no row is read
    from pydantic import TypeAdapter

__all__ = ["job_record", "jobs_known_here", "json_object", "mirror_head", "moment", "reading", "record"]

log = logging.getLogger(__name__)

_KINDS = frozenset(each.value for each in JobKind)
R = TypeVar("R")
_checkers: dict[Any, TypeAdapter[Any]] = {}  # made at first use
SHOWN = 100  # characters of a row's key


class reading:  # noqa: N801 - a context manager, used as a function
    """Reads one row; errors name the table and the row.

    A class: what `contextmanager` makes takes as long as reading a small row.

    Raises:
        AbortRun: The row does not hold what this program writes.
    """

    __slots__ = ("_row", "_table")

    def __init__(self, table: str, row: str) -> None:
        self._table = table
        self._row = row

    def __enter__(self) -> None:
        """Nothing is to be done before the row is read."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Explain an error that the content of a row causes."""
        if isinstance(error, (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)):
            raise AbortRun(
                f"A row of the state store cannot be read: table {self._table}, row {self._row[:SHOWN]!r}: "
                f"{_reason(error)}. It was not written by this version of the program: correct or remove the row, or "
                f"restore the state store"
            ) from error


def record(kind: type[R], fields: Mapping[str, Any]) -> R:
    """A record with the fields of a row: every field there and of its type, every moment with its time zone.

    Raises:
        ValueError: A field is missing or of another type.
    """
    made: R = _checker(kind).validate_python(dict(fields))
    for name in fields:
        value = getattr(made, name, None)
        if isinstance(value, datetime):
            _with_zone(value, name)
    return made


def job_record(fields: Mapping[str, Any]) -> Job:
    """The job of a row's document, or of the request that an earlier version wrote.

    Raises:
        NewerJobError: A newer version of the program wrote it, and this one cannot do what it asks for.
        ValueError: A field is missing or of another type.
    """
    if "request" not in fields:
        return Job.of(record(JobRequest, fields))
    kind = fields["request"].get("kind", JobKind.RUN)
    if isinstance(kind, str) and kind not in _KINDS:
        raise NewerJobError(
            f"A job asks for {kind[:SHOWN]!r}, which this version of the program does not know: "
            "it waits for a newer version"
        )
    return record(Job, {**fields, "request": record(JobRequest, fields["request"])})


def jobs_known_here(rows: Iterable[R], read: Callable[[R], Job]) -> Iterator[Job]:
    """The jobs of rows, without those that wait for a newer version of the program: they hold up no others."""
    for row in rows:
        try:
            yield read(row)
        except NewerJobError as error:
            log.warning("%s", error.message)


def mirror_head(manifest: bytes, version: str) -> MirrorHead:
    """What the manifest of a mirror says; one that cannot be read says nothing, and can be replaced."""
    try:
        read = json.loads(manifest)
        parts = tuple(map(str, read["parts"]))
        return MirrorHead(manifest=str(read["manifest"]), parts=parts, version=version, fence=int(read["fence"]))
    except (LookupError, TypeError, ValueError):
        return MirrorHead(manifest="", parts=(), version=version, fence=0)


def moment(text: object) -> datetime:
    """The moment of an ISO text with a time zone.

    Raises:
        ValueError: It is none.
    """
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        raise ValueError("a value is not a time") from None  # Python's own message repeats the value
    return _with_zone(found, "a moment")


def json_object(text: object, name: str) -> dict[str, Any]:
    """The object of a JSON text.

    Raises:
        ValueError: It is none.
    """
    try:
        value = json.loads(text) if isinstance(text, str | bytes) else None
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ValueError(f"{name} is not a JSON object")  # noqa: TRY004 - the text is wrong, not the call
    return value


def _checker(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter  # noqa: PLC0415 - as above

    if kind not in _checkers:
        _checkers[kind] = TypeAdapter(kind)
    return _checkers[kind]


def _with_zone(value: datetime, name: str) -> datetime:
    if value.tzinfo is None:
        raise ValueError(f"{name} has no time zone")
    return value


def _reason(error: Exception) -> str:
    """What is wrong, without the values of the row."""
    from pydantic import ValidationError  # noqa: PLC0415 - as above

    if isinstance(error, ValidationError):
        problem = error.errors(include_input=False, include_url=False)[0]
        return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
    if isinstance(error, KeyError):
        return f"{error} is missing"
    if isinstance(error, ValueError) and type(error) is ValueError:
        return str(error)[:SHOWN]
    return type(error).__name__
