"""Logs as one JSON object a line, each with the run, the sync and the phase that it belongs to."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from shared.errors import SyncError
from shared.redaction import cleaned
from shared.visible import in_json

__all__ = ["FIELDS", "JsonLines", "RunContext", "hide_secrets", "log_context"]

# The fields of a line besides its message. Other fields that a caller adds to a record are not written.
FIELDS = ("run_id", "sync", "phase", "trigger", "state", "rows", "seconds", "partition", "events", "code", "counts")
NOTHING: Mapping[str, Any] = MappingProxyType({})

_context: ContextVar[Mapping[str, Any]] = ContextVar("telemetry", default=NOTHING)


@contextmanager
def log_context(**fields: Any) -> Iterator[None]:
    """Give every line that this thread logs inside the block these fields, such as `run_id`, `sync`, `phase`."""
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


class RunContext(logging.Filter):
    """Adds the fields of `log_context` to every record, so that exporters get them too, and removes secrets from it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add fields that the record does not have; accept all records."""
        hide_secrets(record)
        for name, value in _context.get().items():
            if not hasattr(record, name):
                setattr(record, name, value)
        return True


def hide_secrets(record: logging.LogRecord) -> None:
    """Replace known secrets in a record before any formatter gets it: libraries log what they received."""
    try:
        said = record.getMessage()
    except (TypeError, ValueError, LookupError):  # its arguments do not fit; logging reports that itself
        return
    if record.exc_info and cleaned(traced := _PLAIN.formatException(record.exc_info)) != traced:
        # The exception has the secret in its message, which exporters and formatters repeat.
        said, record.exc_info, record.exc_text = f"{said} ({type(record.exc_info[1]).__name__})", None, None
    if (safe := cleaned(said)) != record.getMessage():
        record.msg, record.args = safe, ()


_PLAIN = logging.Formatter()


class JsonLines(logging.Formatter):
    """One JSON object a record.

    An exception is written with its type and stack; its message only for our own exceptions, which never contain a
    row. Messages of other libraries can contain values.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in FIELDS if getattr(record, name, None) not in (None, "")}
        if record.exc_info and (error := record.exc_info[1]):
            line["error"] = _described(error)
        return in_json(cleaned(json.dumps(line, ensure_ascii=False, default=str)))


def _described(error: BaseException) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)
    told: dict[str, Any] = {
        "type": type(error).__name__,
        "at": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }
    if isinstance(error, SyncError):
        told["message"] = error.message
    if cause := error.__cause__ or (None if error.__suppress_context__ else error.__context__):
        told["cause"] = _described(cause)
    return told
