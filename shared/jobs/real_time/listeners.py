"""Which listener takes which message of a batch, and from when on it takes any.

The host reads a hub from its start, because it begins to read when the first event has come: a host that begins at the
end passes over that event. `auto_offset_reset: latest` is therefore decided here: the moment at which the app first saw
the listener is kept in the state store, and events that the hub took before that moment are skipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from shared.definitions import SyncDefinition
from shared.definitions.models.listener import OffsetReset
from shared.events import Claim, Message, Undecodable, claim, parse
from shared.jobs.real_time.boundary import Failure, attempted
from shared.jobs.real_time.letters import UNCLAIMED, Lost
from shared.jobs.real_time.sync import Listeners
from shared.state import StateStore

__all__ = ["Claimed", "ListeningSince", "Taken", "claimed", "read"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A message that the sync's listener took.

    Attributes:
        body: The message's body as `parse` read it.
        items: Only these events of the message are wanted; all when None.
    """

    message: Message
    body: Any
    items: frozenset[int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """Who takes which message.

    Attributes:
        unclaimed: How many messages no listener takes.
        lost: Messages that must be kept: no listener takes them, or one could not be asked.
    """

    taken: Mapping[str, list[Taken]]
    unclaimed: int
    lost: tuple[Lost, ...]


def claimed(messages: Iterable[Message], listeners: Listeners) -> Claimed:
    """Ask every listener about every message. Where one cannot be asked, the message is kept for it."""
    taken: dict[str, list[Taken]] = {sync.name: [] for sync in listeners.syncs}
    unclaimed, lost = 0, list[Lost]()
    for message in messages:
        body = read(message)
        claims = [attempted(partial(_claim, message, sync.definition, body), sync.name) for sync in listeners.syncs]
        for sync, made in zip(listeners.syncs, claims, strict=True):
            if made is Claim.TAKES:
                taken[sync.name].append(Taken(message=message, body=body))
        if failed := _why_not(body, claims):
            lost.append(Lost(message=message, failure=failed))
        elif Claim.TAKES in claims:
            continue
        elif listeners.complete and listeners.syncs:
            unclaimed += 1  # each of them has a `match`, so the hub is known to carry events of other receivers
        else:
            lost.append(Lost(message=message, failure=UNCLAIMED))
    return Claimed(taken=taken, unclaimed=unclaimed, lost=tuple(lost))


def _why_not(body: Any | Undecodable, claims: Sequence[Claim | Failure]) -> Failure | None:
    """Why a message is kept though listeners were asked: one could not be, or the body tells nothing to any of them."""
    if isinstance(body, Undecodable) and Claim.UNKNOWN in claims and Claim.TAKES not in claims:
        return Failure(error="Undecodable", message=body.reason)
    for made in claims:
        if isinstance(made, Failure):
            return made
    return None


def read(message: Message) -> Any | Undecodable:
    """A message's body, or why it cannot be read."""
    body = attempted(partial(parse, message.body), "reading a body")
    return Undecodable(reason=body.message) if isinstance(body, Failure) else body


def _claim(message: Message, definition: SyncDefinition, body: Any) -> Claim:
    return Claim.LEAVES if definition.listener is None else claim(message, definition.listener.topic, body)


class ListeningSince:
    """The moments from which on listeners take events. They never change, so each is read once a process."""

    def __init__(self) -> None:
        self._known: dict[str, datetime] = {}

    def note(self, definitions: Iterable[SyncDefinition], state: StateStore, *, now: datetime) -> None:
        """Keep the moment of listeners that are seen for the first time.

        Raises:
            RetryLater: The state store is away.
        """
        for definition in definitions:
            self.of(definition, state, now=now)

    def of(self, definition: SyncDefinition, state: StateStore, *, now: datetime) -> datetime | None:
        """The moment from which on a definition's listener takes events; None where it takes all.

        Args:
            definition: The sync that listens.
            state: Keeps the moment.
            now: The moment of a listener that is seen for the first time.

        Raises:
            RetryLater: The state store is away.
        """
        listener = definition.listener
        if listener is None or not listener.enabled or listener.auto_offset_reset is not OffsetReset.LATEST:
            return None
        if definition.name not in self._known:
            self._known[definition.name] = _kept(f"listener/{definition.name}", state, now)
        return self._known[definition.name]


def _kept(name: str, state: StateStore, now: datetime) -> datetime:
    if (kept := state.watermark(name)) is None:
        # Two instances may both write: their moments differ by less than a tick.
        state.set_watermark(name, now.isoformat(), fence=0)
        kept = state.watermark(name) or now.isoformat()
    return datetime.fromisoformat(kept)
