"""How many events of an event hub the app has not taken yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

__all__ = ["Checkpoint", "HubWaiting", "PartitionEnds", "PartitionState", "PartitionWaiting", "Reading", "waiting_in"]


class PartitionState(StrEnum):
    """What is known of a partition."""

    KNOWN = "known"
    AHEAD = "checkpoint ahead"
    """It is greater than the number of the last event: the hub was made anew, and the partition is not read."""
    UNKNOWN = "not known"
    """The checkpoint has no sequence number."""


class Reading(StrEnum):
    """What came of asking the hub."""

    DONE = "known"
    NOT_YET = "not known yet"
    FAILED = "not available"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionEnds:
    """What a partition holds.

    Attributes:
        first: Sequence number of its oldest event.
        last: Sequence number of the event that came last.
        is_empty: Whether it holds no event; the numbers then say nothing about what waits.
    """

    first: int
    last: int
    is_empty: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Up to where the host has read a partition.

    Attributes:
        sequence: Sequence number of the last event that it has read; None where it kept an offset alone.
    """

    sequence: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionWaiting:
    """One partition.

    Attributes:
        partition: The hub and the number of the partition.
        waiting: Events that the app has not taken yet, for all listeners together; None unless they are known.
    """

    partition: str
    state: PartitionState
    waiting: int | None = None


def waiting_in(partition: str, ends: PartitionEnds, checkpoint: Checkpoint | None) -> PartitionWaiting:
    """How many events of a partition wait.

    As the scale controller of Azure Functions counts (Azure/azure-sdk-for-net, `EventHubMetricsProvider`), except that
    events which the hub has removed do not wait, and a checkpoint ahead of the hub is said and not taken for a number.

    Args:
        partition: The hub and the number of the partition.
        ends: As they are now.
        checkpoint: Read before `ends`, or events that come in between put it ahead; None where nothing was read yet.
    """
    if ends.is_empty:
        return PartitionWaiting(partition=partition, state=PartitionState.KNOWN, waiting=0)
    taken = ends.first - 1
    if checkpoint is not None:
        if checkpoint.sequence is None:
            return PartitionWaiting(partition=partition, state=PartitionState.UNKNOWN)
        taken = max(taken, checkpoint.sequence)
    if taken > ends.last:
        return PartitionWaiting(partition=partition, state=PartitionState.AHEAD)
    return PartitionWaiting(partition=partition, state=PartitionState.KNOWN, waiting=ends.last - taken)


@dataclass(frozen=True, slots=True, kw_only=True)
class HubWaiting:
    """A hub.

    Attributes:
        partitions: In order; none unless the reading is done.
        reason: Why the reading has failed, and what to do, without a full stop.
    """

    reading: Reading
    partitions: tuple[PartitionWaiting, ...] = ()
    reason: str = ""

    @property
    def total(self) -> int | None:
        """Events that wait in the partitions whose number is known; None where none is known."""
        known = [each.waiting for each in self.partitions if each.waiting is not None]
        return sum(known) if known else None

    @property
    def longest(self) -> PartitionWaiting | None:
        """The partition in which most events wait; None where none waits."""
        some = [each for each in self.partitions if each.waiting]
        return max(some, key=lambda each: each.waiting or 0, default=None)

    @property
    def ahead(self) -> tuple[PartitionWaiting, ...]:
        """Partitions of which nothing is read."""
        return self._of(PartitionState.AHEAD)

    @property
    def uncounted(self) -> tuple[PartitionWaiting, ...]:
        """Partitions that are read, and of which it is not known how many events wait."""
        return self._of(PartitionState.UNKNOWN)

    @property
    def is_counted(self) -> bool:
        """Whether it is known of every partition."""
        return not (self.ahead or self.uncounted)

    def _of(self, state: PartitionState) -> tuple[PartitionWaiting, ...]:
        return tuple(each for each in self.partitions if each.state is state)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values, with the sum as `waiting`."""
        partitions = [asdict(each) for each in self.partitions]
        return {"state": self.reading, "reason": self.reason, "waiting": self.total, "partitions": partitions}

    @property
    def by_partition(self) -> Mapping[str, PartitionWaiting]:
        """The partitions by their names in lower case: the host may write the name of the hub otherwise."""
        return {each.partition.lower(): each for each in self.partitions}
