"""What the API takes and gives about real time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from console.real_time.letters import ShownLetter
from console.real_time.listeners import ListenerLine, PartitionLine
from console.real_time.replaying import MOST
from shared.app.event_hub.waiting import HubWaiting, PartitionState, Reading

__all__ = [
    "DeadLettersAnswer",
    "DiscardAnswer",
    "DiscardRequest",
    "ListenersAnswer",
    "PartitionsAnswer",
    "ReplayAnswer",
    "ReplayRequest",
    "letters_answer",
    "listeners_answer",
    "partitions_answer",
]

_HUB: Final = "Null where the app has no event hub."
_Ids = Annotated[list[Annotated[str, Field(max_length=2000)]], Field(max_length=MOST)]


class EventCountsAnswer(BaseModel):
    """What became of events."""

    seen: int = Field(description="Events that the listener took.")
    applied: int = Field(description="Records that they changed.")
    unchanged: int = Field(description="Records that had the values already.")
    passed: int = Field(description="Events that were overtaken, filtered out or ignored.")
    dead: int = Field(description="Events that became dead letters.")


class PartitionAnswer(BaseModel):
    """One partition of an event hub, as far as a listener has taken its events."""

    partition: str = Field(description="The hub and the number of the partition.")
    sequence: int = Field(description="Sequence number of the latest event.")
    enqueued: datetime = Field(description="When the hub took it.")
    handled: datetime = Field(description="When it was applied.")
    lag: float = Field(description="Seconds between the two.")
    silent: float = Field(description="Seconds since it was applied: nothing was received meanwhile.")
    waiting: int | None = Field(description="As in `hub`; null where it is not known.")


class WaitingAnswer(BaseModel):
    """One partition of the event hub, with the events that wait for all listeners together."""

    partition: str = Field(description="The hub and the number of the partition.")
    state: PartitionState = Field(
        description="`checkpoint ahead`: the hub was made anew, and no events of the partition are read. `not known`: "
        "its checkpoint has no sequence number."
    )
    waiting: int | None = Field(description="Events that the app has not taken yet; null unless they are known.")


class HubAnswer(BaseModel):
    """What waits in the event hub, as it was some seconds ago."""

    state: Reading = Field(description="`not known yet`: ask again in some seconds.")
    reason: str = Field(description="Why it is not available, and what to do; empty otherwise.")
    waiting: int | None = Field(description="Events of the partitions whose number is known; null where none is known.")
    partitions: list[WaitingAnswer] = Field(description="All of the hub.")


class PartitionsAnswer(BaseModel):
    """The partitions of which a sync has had events in the last 24 hours."""

    partitions: list[PartitionAnswer]
    hub: HubAnswer | None = Field(description=_HUB)


class ListenerAnswer(BaseModel):
    """One listener."""

    sync: str
    listener: str
    enabled: bool
    format: str
    counts: EventCountsAnswer = Field(description="Of the latest hour with events, as one process counted them.")
    since: datetime | None
    last: datetime | None = Field(description="When the latest event was handled.")
    dead_letters: int
    partitions: list[PartitionAnswer] = Field(description="Those of the process that counted last.")


class ListenersAnswer(BaseModel):
    """The listeners that the caller may see."""

    listeners: list[ListenerAnswer]
    unclaimed: int | None = Field(description="Events that no listener takes; null without the role `Sync.Admin`.")
    hub: HubAnswer | None = Field(description=_HUB)


class BodyAnswer(BaseModel):
    """The body of an event."""

    text: str = Field(description="Text, or hexadecimal numbers where it is none.")
    size: int = Field(description="Bytes.")
    is_text: bool
    is_cut: bool = Field(description="Whether there is more than is shown.")
    editable: bool


class DeadLetterAnswer(BaseModel):
    """One event that could not be applied."""

    id: str
    short: str
    sync: str
    error: str
    message: str
    place: str
    tries: int
    kept: datetime
    enqueued: datetime | None
    key: str | None = Field(description="Null without the right `read`.")
    properties: dict[str, str] | None = Field(description="Null without the right `read`.")
    body: BodyAnswer | None = Field(description="Null without the right `read`.")


class DeadLettersAnswer(BaseModel):
    """Events that could not be applied, in the order of their partitions."""

    count: int = Field(description="How many there are.")
    dead_letters: list[DeadLetterAnswer]


class _Which(BaseModel):
    model_config = ConfigDict(extra="forbid")
    ids: _Ids = Field(default=[], description="Their ids.")
    all: StrictBool = Field(default=False, description=f"All of them; at most {MOST} are sent again in one request.")

    @model_validator(mode="after")
    def _some_or_all(self) -> Self:
        if self.ids and self.all:
            raise ValueError("give ids, or all, and not both")
        return self


class ReplayRequest(_Which):
    """Which dead letters are sent again."""

    body: str | None = Field(default=None, description="Another body for a single event; needs the right `read`.")


class ReplayAnswer(BaseModel):
    """What became of dead letters that were sent again."""

    settled: int = Field(description="They took effect or were overtaken, and are gone.")
    kept: int = Field(description="They were refused again.")
    error: str = Field(description="The kind of error for which another body was refused; empty if it was not.")
    reason: str = Field(description="Why it was refused; the dead letter has the body with which it came.")


class DiscardRequest(_Which):
    """Which dead letters are removed."""


class DiscardAnswer(BaseModel):
    """How many dead letters were removed."""

    removed: int


def listeners_answer(lines: Sequence[ListenerLine], unclaimed: int | None, hub: HubWaiting | None) -> dict[str, Any]:
    """The listeners for programs."""
    listeners = [
        ListenerAnswer.model_validate(asdict(line) | {"partitions": _partitions(line.partitions, hub)})
        for line in lines
    ]
    return ListenersAnswer(listeners=listeners, unclaimed=unclaimed, hub=_hub(hub)).model_dump()


def partitions_answer(lines: Sequence[PartitionLine], hub: HubWaiting | None) -> dict[str, Any]:
    """The partitions of one sync for programs."""
    return PartitionsAnswer(partitions=_partitions(lines, hub), hub=_hub(hub)).model_dump()


def _partitions(lines: Sequence[PartitionLine], hub: HubWaiting | None) -> list[PartitionAnswer]:
    known = hub.by_partition if hub else {}
    found = ((line, known.get(line.partition.lower())) for line in lines)
    return [
        PartitionAnswer.model_validate(asdict(line) | {"waiting": each.waiting if each else None})
        for line, each in found
    ]


def _hub(hub: HubWaiting | None) -> HubAnswer | None:
    return HubAnswer.model_validate(hub.to_json()) if hub else None


def letters_answer(letters: Sequence[ShownLetter], count: int) -> dict[str, Any]:
    """Dead letters for programs."""
    found = [DeadLetterAnswer.model_validate(asdict(letter)) for letter in letters]
    return DeadLettersAnswer(count=count, dead_letters=found).model_dump()
