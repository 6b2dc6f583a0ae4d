"""Events from a file and dead letters, through the path that the deployed app takes."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO, TypeVar
from uuid import uuid4

from shared.app import App
from shared.errors import UserError
from shared.jobs.real_time.events import (
    EventsSummary,
    Listeners,
    Replayed,
    replay,
    run_events,
)
from shared.jobs.real_time.files import messages_in
from shared.state import DeadLetter

__all__ = ["feed", "try_again"]

BATCH = 500  # events at once: what the Event Hubs trigger hands over at most, unless the host is told otherwise
STANDARD_INPUT = "-"
Item = TypeVar("Item")


def feed(app: App, name: str, file: str) -> EventsSummary:
    """Put the events of a file through one sync's listener.

    Raises:
        UserError: The sync has no listener, or the file cannot be read; from some line on, where it names one.
        RetryLater: Dataverse or the state store is away; what took effect stays.
    """
    definition = app.definition(name)
    if definition.listener is None:
        raise UserError(f"{name} has no listener, so it cannot process events")
    listeners, tools = Listeners(syncs=(app.event_sync(definition),)), app.event_tools
    with _opened(file) as content:
        messages = messages_in(content, name=_name(file), stream=f"command-{uuid4().hex}")
        return _added([run_events(batch, listeners, tools) for batch in _batches(messages)])


def try_again(app: App, letters: Sequence[DeadLetter]) -> Replayed:
    """Send dead letters through the listeners again, as the definitions are now.

    Raises:
        RetryLater: Dataverse or the state store is not available; nothing is lost.
    """
    return replay(letters, app.listeners(), app.event_tools)


def _name(file: str) -> str:
    return "standard input" if file == STANDARD_INPUT else file


def _opened(file: str) -> AbstractContextManager[BinaryIO]:
    if file == STANDARD_INPUT:
        return nullcontext(sys.stdin.buffer)
    try:
        return Path(file).open("rb")
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from error


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """The items in lists; what came before an error is handed out before it."""
    batch: list[Item] = []
    try:
        for item in items:
            batch.append(item)
            if len(batch) == BATCH:
                yield batch
                batch = []
    except UserError:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _added(parts: Sequence[EventsSummary]) -> EventsSummary:
    return EventsSummary(
        received=sum(part.received for part in parts),
        unclaimed=sum(part.unclaimed for part in parts),
        syncs=_sums(part.syncs for part in parts),
        lost=_sums(part.lost for part in parts),
    )


def _sums(tables: Iterable[Mapping[str, Mapping[str, int]]]) -> dict[str, dict[str, int]]:
    """Add up counts of counts."""
    sums: dict[str, Counter[str]] = {}
    for table in tables:
        for name, counts in table.items():
            sums.setdefault(name, Counter()).update(counts)
    return {name: dict(counts) for name, counts in sums.items()}
