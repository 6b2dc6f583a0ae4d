"""Fold: the events of a batch become the changes that they add up to; what newer events have overtaken is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shared.events import Event, EventAction, FoldedBatch, fold
from shared.jobs.real_time.letters import letter_id
from shared.jobs.real_time.session import Delivery, Session

__all__ = ["fold_batch"]


def fold_batch(events: Sequence[Event], session: Session) -> FoldedBatch:
    """Fold events; those that earlier batches have settled are stale.

    Raises:
        RetryLater: The state store is unavailable.
    """
    refused = _refused(events, session)
    left = [event for event in events if event.number not in refused]
    seen = session.positions.of({key for event in left for key in event.keys})
    folded = fold(left, seen, session.sync.rules)
    return replace(folded, stale=(*(event for event in events if event.number in refused), *folded.stale))


def _refused(events: Sequence[Event], session: Session) -> set[int]:
    """The inserts that were refused when they came first and are dead letters: looked up, they would count as made."""
    if session.delivery is Delivery.REPLAY:  # each of them is a dead letter because it is tried again
        return set()
    doubtful = {action for action in EventAction if session.may_be_made(action)}
    ids = {
        event.number: letter_id(session.name, event.message, event.position.item)
        for event in events
        if event.action in doubtful
    }
    if not ids:
        return set()
    letters = session.positions.state.dead_letters(session.name, ids=ids.values(), limit=len(ids))
    kept = {letter.id for letter in letters}
    return {number for number, letter in ids.items() if letter in kept}
