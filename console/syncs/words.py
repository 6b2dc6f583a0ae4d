"""What a definition says, in words for people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.definitions import ChangedWhen, Expire, SetColumns, Strategy, SyncDefinition
from shared.redaction import cleaned
from shared.remote import shown_url

__all__ = ["ScheduleWords", "behaviour_words", "schedule_words", "source_words"]

_PLACES: Final = ("path", "url", "connection", "service_url")  # keys of a source that say where it is
_PARTS: Final = ("table", "view", "entity", "sheet")  # keys that say what of it is read
_KINDS: Final = {
    "delimited": "Text files",
    "fixed_width": "Text files of fixed width",
    "excel": "Workbooks",
    "json": "JSON files",
    "parquet": "Parquet files",
    "sql": "Database",
    "rest": "API",
    "dynamics": "Dataverse",
    "events": "Events alone",
}
_STRATEGIES: Final = {
    Strategy.FULL: "Each run compares the source with the whole table and writes the difference.",
    Strategy.DELTA: "Each run writes the changes that the source names.",
    Strategy.UPSERT: "Each run sends all rows; Dataverse decides between insert and update.",
}
_NEXT: Final = 3  # starts that are shown


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleWords:
    """When a sync starts by itself.

    Attributes:
        expression: As the definition has it; empty without a schedule.
        said: One sentence.
        starts: The next starts, in the time zone of the schedule.
    """

    expression: str
    said: str
    starts: tuple[datetime, ...] = ()


def source_words(definition: SyncDefinition) -> str:
    """The kind of source, and where it is."""
    source = definition.source
    where = next((shown_url(str(value)) for name in _PLACES if (value := getattr(source, name, None))), "")
    part = next((value for name in _PARTS if isinstance(value := getattr(source, name, None), str)), "")
    said = ", ".join(filter(None, (where, part)))
    kind = _KINDS.get(source.type, source.type)
    return cleaned(f"{kind}: {said}" if said else kind)


def schedule_words(definition: SyncDefinition, now: datetime) -> ScheduleWords:
    """When the timer starts a sync, with the next starts after a moment."""
    if definition.schedule is None:
        return ScheduleWords(expression="", said="It starts on request only.")
    zone = definition.time_zone or "UTC"
    quiet = f", and not within {definition.quiet}" if definition.quiet else ""
    timetable = definition.timetable
    if timetable is None:
        said = "The schedule is off: `enabled` is false in the definition."
        return ScheduleWords(expression=definition.schedule, said=said)
    starts: list[datetime] = []
    while len(starts) < _NEXT and (found := timetable.next(starts[-1] if starts else now)):
        starts.append(found)
    said = f"By the clock of {zone}{quiet}."
    return ScheduleWords(expression=definition.schedule, said=said, starts=tuple(map(timetable.local, starts)))


def behaviour_words(definition: SyncDefinition) -> tuple[str, ...]:
    """What happens to new, changed, dropped and returned records, one sentence each."""
    return tuple(_behaviour(definition))


def _behaviour(definition: SyncDefinition) -> Iterator[str]:
    behaviour = definition.sync_behaviour
    yield _STRATEGIES[behaviour.strategy]
    yield "New rows are inserted." if behaviour.new == "insert" else "New rows are ignored."
    match behaviour.changed:
        case ChangedWhen(when=condition):
            yield f"Changed records are updated where {condition}."
        case "update":
            yield "Changed records are updated."
        case _:
            yield "Changed records are left as they are."
    if behaviour.strategy is not Strategy.FULL:
        return
    yield f"{_dropped(definition)}{_scope(definition)}."
    match behaviour.returned:
        case SetColumns(columns=columns):
            yield f"Records that come back get {', '.join(columns)}."
        case "reactivate":
            yield "Records that come back are made active again."
        case _:
            return


def _dropped(definition: SyncDefinition) -> str:
    match definition.sync_behaviour.dropped:
        case Expire(expire=column):
            return f"Records that the source does not have get a date in {column}"
        case SetColumns(columns=columns):
            return f"Records that the source does not have are marked in {', '.join(columns)}"
        case "delete":
            return "Records that the source does not have are deleted"
        case "deactivate":
            return "Records that the source does not have are deactivated"
        case _:
            return "Records that the source does not have are left as they are"


def _scope(definition: SyncDefinition) -> str:
    behaviour = definition.sync_behaviour
    return ", but only those of this sync" if behaviour.dropped_scope == "own" and behaviour.dropped != "ignore" else ""
