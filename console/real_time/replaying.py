"""Dead letters that are sent again, as they came or edited, and those that are removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from console.real_time.letters import EDITABLE, body_of
from shared.app import App
from shared.errors import UserError
from shared.jobs.real_time.events import replay, replay_edited
from shared.jobs.real_time.letters import NO_EVENT
from shared.state import DeadLetter, letter_pages, remove_all_letters
from shared.visible import for_terminal

__all__ = ["MOST", "Chosen", "Replayed", "chosen", "discarded", "edited", "only_one", "replayed", "replayed_edited"]

MOST: Final = 500
"""Letters that are sent again in one request, which has to be answered within 230 seconds."""
_GONE: Final = "A dead letter is not there any more: it was sent again or removed. Look at the list again"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What became of letters that were sent again.

    Attributes:
        settled: They took effect or were overtaken, and are gone.
        kept: They were refused again.
        error: The kind of error for which another body was refused; empty if it was not, or if there was none.
        reason: Why it was refused; likewise.
    """

    settled: int
    kept: int
    error: str = ""
    reason: str = ""


def chosen(which: Chosen, app: App) -> Mapping[str, int]:
    """The letters, of all of them the first `MOST`: id -> bytes. They are not read here: together they may be large.

    Raises:
        UserError: None is named, or one is not there any more.
        RetryLater: The state store is away.
    """
    if which.everything:
        return dict(islice(app.state.dead_letter_sizes(which.sync).items(), MOST))
    if not which.ids:
        raise UserError("Choose a dead letter, or all of them")
    if len(which.ids) > MOST:
        raise UserError(f"Choose at most {MOST} dead letters, or all of them")
    ids = set(which.ids)
    found = {id_: size for id_, size in app.state.dead_letter_sizes(which.sync).items() if id_ in ids}
    if len(found) < len(ids):
        raise UserError(_GONE)
    return found


def only_one(sync: str, letters: Mapping[str, int], app: App) -> DeadLetter:
    """The letter whose body is edited.

    Raises:
        UserError: It is not there any more.
    """
    found = app.state.dead_letters(sync, ids=[*letters], limit=1)
    if not found:
        raise UserError(_GONE)
    return found[0]


def edited(letter: DeadLetter, text: str) -> bytes | None:
    """Another body of a letter; None where the text is that of the page.

    Raises:
        UserError: The body cannot be edited, or the new one is empty or too large.
    """
    body, text = body_of(letter), text.replace("\r\n", "\n")
    if not body.editable:
        raise UserError("The body of this event cannot be edited: it is no text, or it is too large")
    if text == body.text.replace("\r\n", "\n"):
        return None
    if not text.strip():
        raise UserError(NO_EVENT.format("is empty"))
    data = text.encode()
    if len(data) > EDITABLE:
        raise UserError(f"The body has {len(data):,} bytes; at most {EDITABLE:,} can be sent")
    return data


def replayed(sync: str, letters: Mapping[str, int], app: App) -> Replayed:
    """Send letters through the listeners again, as the definitions are now; what is refused again stays.

    Args:
        sync: That of the letters.
        letters: As `chosen` gives them.
        app: The program.

    Raises:
        RetryLater: Dataverse or the state store is away; nothing is lost.
    """
    listeners = app.listeners()
    done = [replay(page, listeners, app.event_tools) for page in letter_pages(app.state, sync, letters)]
    return Replayed(settled=sum(each.settled for each in done), kept=sum(each.kept for each in done))


def replayed_edited(letter: DeadLetter, body: bytes, app: App) -> Replayed:
    """Send a letter with another body, likewise; if this is refused, the letter stays as it came.

    Raises:
        UserError: The other body has no event.
        RetryLater: Dataverse or the state store is away; nothing is lost.
    """
    refused = replay_edited(letter, body, app.listeners(), app.event_tools)
    if refused is None:
        return Replayed(settled=1, kept=0)
    error = for_terminal(" ".join(filter(None, (refused.error, refused.code))))
    return Replayed(settled=0, kept=1, error=error, reason=for_terminal(refused.message))


def discarded(which: Chosen, app: App) -> int:
    """Remove letters without applying them; returns how many.

    Raises:
        UserError: None is named, or one is not there any more.
        RetryLater: The state store is away.
    """
    if not which.everything:
        return app.state.remove_dead_letters([*chosen(which, app)])
    return remove_all_letters(app.state, which.sync)
