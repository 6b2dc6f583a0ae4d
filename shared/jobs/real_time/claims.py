"""Who takes which message of a batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from shared.definitions import SyncDefinition
from shared.events import Claim, Message, Undecodable, claim, parse
from shared.jobs.real_time.boundary import attempted
from shared.jobs.real_time.event_batch import Taken
from shared.jobs.real_time.letters import UNCLAIMED, Lost
from shared.jobs.real_time.rows import Failure
from shared.jobs.real_time.sync import Listeners

__all__ = ["Claimed", "claimed", "read"]


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
        claims = {
            sync.name: attempted(partial(_claim, message, sync.definition, body), sync.name) for sync in listeners.syncs
        }
        takers = [name for name, made in claims.items() if made is Claim.TAKES]
        for name in takers:
            taken[name].append(Taken(message=message, body=body))
        failed = next((made for made in claims.values() if isinstance(made, Failure)), None)
        if isinstance(body, Undecodable) and not takers and Claim.UNKNOWN in claims.values():
            failed = Failure(error="Undecodable", message=body.reason)
        if failed is not None:
            lost.append(Lost(message=message, failure=failed))
        elif takers:
            continue
        elif listeners.complete and listeners.syncs:
            unclaimed += 1  # each of them has a `match`, so the hub is known to carry others' events
        else:
            lost.append(Lost(message=message, failure=UNCLAIMED))
    return Claimed(taken=taken, unclaimed=unclaimed, lost=tuple(lost))


def read(message: Message) -> Any | Undecodable:
    """A message's body, or why it cannot be read."""
    body = attempted(partial(parse, message.body), "reading a body")
    return Undecodable(reason=body.message) if isinstance(body, Failure) else body


def _claim(message: Message, definition: SyncDefinition, body: Any) -> Claim:
    return Claim.LEAVES if definition.listener is None else claim(message, definition.listener.topic, body)
