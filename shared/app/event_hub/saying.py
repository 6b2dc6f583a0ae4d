"""What pages and commands say of the events that wait."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from shared.app.event_hub.waiting import HubWaiting, PartitionWaiting, Reading
from shared.counted import counted
from shared.views.status import Need, NeedKind

__all__ = ["HubSentence", "hub_sentences", "needs_of_hub"]

_AHEAD = "the checkpoint is ahead of the hub, because the hub was made anew. The runbook says what to do."


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSentence:
    """Something to say.

    Attributes:
        text: One sentence or more.
        count: A number with which the text begins; empty where there is none.
        kind: `bad` where events are not read, `warn` where something is wrong, `note` where it will be known soon;
            empty otherwise.
    """

    text: str
    count: str = ""
    kind: Literal["bad", "warn", "note", ""] = ""


def hub_sentences(hub: HubWaiting, again: str) -> tuple[HubSentence, ...]:
    """What is known of a hub, what is not, and why.

    Args:
        hub: The hub.
        again: What to do where it is not known yet, such as `load the page again`.
    """
    return (*_of_partitions(hub), *_of_all(hub, again))


def _of_partitions(hub: HubWaiting) -> Iterator[HubSentence]:
    if hub.ahead:
        yield HubSentence(text=f"The app reads no events of {_named(hub.ahead)}: {_AHEAD}", kind="bad")
    if hub.uncounted:
        text = f"How many events wait in {_named(hub.uncounted)} is not known: the checkpoint has no sequence number."
        yield HubSentence(text=text, kind="warn")


def _of_all(hub: HubWaiting, again: str) -> Iterator[HubSentence]:
    """The sum, or why there is none; nothing where no partition has a number."""
    if hub.reading is Reading.NOT_YET:
        text = f"How many events wait in the event hub is not known yet: {again}."
        yield HubSentence(text=text, kind="note")
    elif hub.reading is Reading.FAILED:
        reason = f"{hub.reason[:1].upper()}{hub.reason[1:]}"
        yield HubSentence(text=f"How many events wait in the event hub is not known. {reason}.", kind="warn")
    elif hub.total is not None:
        yield _sum(hub, hub.total)


def _sum(hub: HubWaiting, total: int) -> HubSentence:
    place = "the event hub" if hub.is_counted else "the other partitions of the event hub"
    longest = hub.longest
    if longest is None or longest.waiting is None:
        return HubSentence(text=f"No events wait in {place}.")
    where = f"Partition {longest.partition} has the most: {longest.waiting:,}."
    if longest.waiting == total:
        where = f"{'It is' if total == 1 else 'All of them are'} in partition {longest.partition}."
    waits = "event waits" if total == 1 else "events wait"
    return HubSentence(count=f"{total:,}", text=f"{waits} in {place}, for all listeners together. {where}")


def _named(partitions: Sequence[PartitionWaiting]) -> str:
    names = ", ".join(each.partition for each in partitions)
    return f"{'partition' if len(partitions) == 1 else 'the partitions'} {names}"


def needs_of_hub(hub: HubWaiting | None) -> tuple[Need, ...]:
    """What needs a person because of the event hub; None where nothing is known of one."""
    if hub is None or not hub.ahead:
        return ()
    one = len(hub.ahead) == 1
    partitions = counted(len(hub.ahead), "partition of the event hub is", "partitions of the event hub are")
    text = f"{partitions} not read: {'its checkpoint is' if one else 'their checkpoints are'} ahead of the hub"
    return (Need(kind=NeedKind.CHECKPOINT, text=text),)
