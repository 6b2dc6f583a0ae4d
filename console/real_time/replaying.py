"""Dead letters that are sent again, as they came or edited, and those that are removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from console.real_time.letters import EDITABLE, body_of
from shared.app import App
from shared.errors import UserError
from shared.events import decode
from shared.jobs.real_time.events import ReplayCounts, replay
from shared.jobs.real_time.letters import message_of
from shared.jobs.real_time.listeners import read
from shared.state import DeadLetter

__all__ = ["MOST", "Chosen", "check_edited", "chosen", "discarded", "edited", "replayed"]

MOST: Final = 500
"""Letters that are sent again in one request, which has to be answered within 230 seconds."""
_AT_ONCE: Final = 1000  # letters that are removed together
# Such a body changes nothing, so the letter would count as applied and be gone.
_NO_EVENT: Final = "The body {}: nothing would be applied. To drop the dead letter without applying it, use Remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which letters of a sync are meant.

    Attributes:
        sync: The sync; empty for events that no listener takes.
        ids: Their ids; none where `everything` is set.
        everything: All letters of the sync.
    """

    sync: str
    ids: tuple[str, ...] = ()
    everything: bool = False


def chosen(which: Chosen, app: App) -> tuple[DeadLetter, ...]:
    """The letters, of all of them the first `MOST`.

    Raises:
        UserError: None is named, or one is not there any more.
        RetryLater: The state store is away.
    """
    if which.everything:
        return app.state.dead_letters(which.sync, limit=MOST)
    if not which.ids:
        raise UserError("Choose a dead letter, or all of them")
    if len(which.ids) > MOST:
        raise UserError(f"Choose at most {MOST} dead letters, or all of them")
    found = app.state.dead_letters(which.sync, ids=which.ids, limit=len(which.ids))
    if len(found) < len(set(which.ids)):
        raise UserError("A dead letter is not there any more: it was sent again or removed. Look at the list again")
    return found


def edited(letter: DeadLetter, text: str) -> DeadLetter:
    """A letter with another body; the same one where the text is that of the page.

    Raises:
        UserError: The body cannot be edited, or the new one is empty or too large.
    """
    body, text = body_of(letter), text.replace("\r\n", "\n")
    if not body.editable:
        raise UserError("The body of this event cannot be edited: it is no text, or it is too large")
    if text == body.text.replace("\r\n", "\n"):
        return letter
    if not text.strip():
        raise UserError(_NO_EVENT.format("is empty"))
    data = text.encode()
    if len(data) > EDITABLE:
        raise UserError(f"The body has {len(data):,} bytes; at most {EDITABLE:,} can be sent")
    return replace(letter, body=data)


def check_edited(letter: DeadLetter, app: App) -> None:
    """Refuse an edited letter whose body has no event for its listener, such as an empty array.

    Raises:
        UserError: It has none.
    """
    sync = next((each for each in app.listeners().syncs if each.name == letter.sync), None)
    if sync is None:
        return
    message = message_of(letter)
    body = read(message, sync.topic, app.event_tools.memory.schemas).body
    if not decode(message, sync.topic, body):
        raise UserError(_NO_EVENT.format("has no event"))


def replayed(letters: Sequence[DeadLetter], app: App) -> ReplayCounts:
    """Send letters through the listeners again, as the definitions are now; what is refused again stays.

    Raises:
        RetryLater: Dataverse or the state store is away; nothing is lost.
    """
    return replay(letters, app.listeners(), app.event_tools)


def discarded(which: Chosen, app: App) -> int:
    """Remove letters without applying them; returns how many.

    Raises:
        UserError: None is named, or one is not there any more.
        RetryLater: The state store is away.
    """
    if not which.everything:
        return app.state.remove_dead_letters([letter.id for letter in chosen(which, app)])
    removed = 0
    while letters := app.state.dead_letters(which.sync, limit=_AT_ONCE):
        removed += app.state.remove_dead_letters([letter.id for letter in letters])
    return removed
