"""Counting what a state store is asked: requests over HTTP, or statements of SQL."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from shared.state import StateStore
from shared.state.sqlite import SqliteStateStore

__all__ = ["requests_to"]

_SDK = logging.getLogger("azure.core.pipeline.policies.http_logging_policy")


class _Requests(logging.Handler):
    def __init__(self, asked: list[str]) -> None:
        super().__init__(logging.INFO)
        self._asked = asked

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text.startswith("Request URL"):
            self._asked.append(text.splitlines()[0])


@contextmanager
def requests_to(store: StateStore) -> Iterator[list[str]]:
    """Collect what a store is asked within the block, one text each."""
    asked: list[str] = []
    if isinstance(store, SqliteStateStore):
        store._db.set_trace_callback(asked.append)
        yield asked
        store._db.set_trace_callback(None)
        return
    handler, level = _Requests(asked), _SDK.level
    _SDK.addHandler(handler)
    _SDK.setLevel(logging.INFO)
    try:
        yield asked
    finally:
        _SDK.removeHandler(handler)
        _SDK.setLevel(level)
