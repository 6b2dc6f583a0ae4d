"""Events from a file and dead letters, through the path that the deployed app takes."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar, cast
from uuid import uuid4

from shared.app import App
from shared.errors import UserError
from shared.jobs.real_time.events import (
    Listeners,
    replay,
    run_events,
)
from shared.jobs.real_time.files import EventFilePlace, Stream, messages_of
from shared.jobs.real_time.letters import ReplayCounts
from shared.jobs.real_time.record import EventsSummary
from shared.state import DeadLetter

__all__ = ["feed", "try_again"]

BATCH = 500  # events at once: what the Event Hubs trigger hands over at most, unless the host is told otherwise
Item = TypeVar("Item")


def feed(
    app: App, name: str, *files: str, partition: str | None = None, tell: Callable[[str], None] = lambda _: None
) -> EventsSummary:
    """Put the events of files through one sync's listener.

    Args:
        app: The program.
        name: The sync.
        files: Paths, URLs, patterns or folders; `-` is standard input.
        partition: `HUB/PARTITION` of files of Event Hubs Capture whose paths do not say it.
        tell: Is told how far the files were read, where a person stops the command.

    Raises:
        UserError: The sync has no listener, or a disabled one, or a file cannot be read: the message says how many
            events before that place were processed.
        RetryLater: Dataverse or the state store is unavailable; what took effect stays.
    """
    definition = app.definition(name)
    if definition.listener is None:
        raise UserError(f"{name} has no listener, so it cannot process events")
    if not definition.listener.enabled:
        raise UserError(
            f"the listener of {name} is disabled, so it takes no events, and none was read: remove `status: disabled` "
            "from the listener in the definition, then process the files again"
        )
    listeners, tools = Listeners(syncs=(app.event_sync(definition),)), app.event_tools
    place = EventFilePlace(
        feeding=f"command-{uuid4().hex}",
        standard_input=_standard_input,
        open_url=tools.memory.schemas.open_url,
        partition=_stream(partition),
    )
    done, read, begun = list[EventsSummary](), 0, 0
    try:
        for batch in _batches(messages_of(files, place)):
            begun = len(batch)
            done.append(run_events(batch, listeners, tools, history=True))
            read, begun = read + begun, 0
    except KeyboardInterrupt:
        tell(_stopped(read, begun))
        raise
    except UserError as error:
        if begun or not read:
            raise
        raise UserError(f"{error.message}; events processed before that place: {read:,}") from error
    return EventsSummary.sum(done)


def _stopped(read: int, begun: int) -> str:
    """How far the files were read: `begun` events were under way."""
    some = f"; the {begun:,} after them may have been processed in part" if begun else ""
    again = f"Process the files again, or their events from number {read + 1:,} on"
    return f"Stopped: the first {read:,} events of the files were processed{some}. {again}"


def _standard_input() -> io.BufferedReader:
    binary = sys.stdin.buffer
    return binary if isinstance(binary, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", binary))


def _stream(partition: str | None) -> Stream | None:
    if partition is None:
        return None
    hub, slash, number = partition.rpartition("/")
    if not hub or not slash or not number:
        raise UserError(f"--partition {partition}: write the event hub and the partition, such as customers/0")
    return Stream(hub, number)


def try_again(app: App, pages: Iterable[Sequence[DeadLetter]]) -> ReplayCounts:
    """Send dead letters through the listeners again, as the definitions are now, one page after the other.

    Raises:
        RetryLater: Dataverse or the state store is not available; nothing is lost.
    """
    listeners = app.listeners()
    done = [replay(letters, listeners, app.event_tools) for letters in pages]
    return ReplayCounts(settled=sum(each.settled for each in done), kept=sum(each.kept for each in done))


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
