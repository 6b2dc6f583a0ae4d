"""The routes of real time: listeners, and dead letters of one sync or of none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from console.access.person import ADMIN
from console.access.rights import Level
from console.editor.saved import stored_definition
from console.overview.needs import UNCLAIMED
from console.real_time.answers import (
    DeadLettersAnswer,
    DiscardAnswer,
    DiscardRequest,
    ListenersAnswer,
    PartitionsAnswer,
    ReplayAnswer,
    ReplayRequest,
    letters_answer,
    listeners_answer,
    partitions_answer,
)
from console.real_time.letters import RefusedText, ShownLetter, shown_letter
from console.real_time.listeners import EventCounts, ListenerLine, listener_lines, partitions_of, rows_of_a_day
from console.real_time.replaying import (
    MOST,
    Chosen,
    Replayed,
    chosen,
    discarded,
    edited,
    only_one,
    replayed,
    replayed_edited,
)
from console.web.needs import Need
from console.web.refusals import Refusal, not_found
from console.web.rendering import add_filters
from console.web.routing import Parameter, Path
from console.web.sent import sent
from console.web.visit import Visit
from shared.app.event_hub.saying import hub_sentences
from shared.app.event_hub.waiting import HubWaiting
from shared.counted import counted
from shared.errors import RetryLater, SyncError
from shared.redaction import cleaned
from shared.state import DeadLetter, letter_pages
from shared.views.dead_letters import short_id

__all__ = ["ROUTES"]

add_filters({"hub_sentences": partial(hub_sentences, again="load the page again in some seconds")})

_SHOWN: Final = 20
_MOST_SHOWN: Final = 200
_SILENT: Final = 300  # seconds: a partition that has had no event for so long is said to be silent


def _listeners(visit: Visit) -> Response:
    """All listeners that the person may see."""
    lines, unclaimed = _found_listeners(visit)
    hub = _hub(visit)
    return visit.page("real_time.html", lines=lines, unclaimed=unclaimed, unclaimed_page=UNCLAIMED, hub=hub)


def _hub(visit: Visit) -> HubWaiting | None:
    """What waits in the event hub, for all listeners together; None where there is none, as on a laptop."""
    return visit.console.waiting.now() if visit.console.waiting else None


def _listeners_json(visit: Visit) -> Response:
    return visit.json(listeners_answer(*_found_listeners(visit), _hub(visit)))


def _found_listeners(visit: Visit) -> tuple[tuple[ListenerLine, ...], int | None]:
    letters = visit.app.state.dead_letter_counts()
    lines = listener_lines([loaded for loaded, _ in visit.visible()], visit.app.state, letters)
    return lines, letters.get("", 0) if visit.person.has(ADMIN) else None


def _letters(visit: Visit) -> Response:
    """The dead letters of one sync, or of none."""
    sync, state, limit = _sync(visit), visit.app.state, _limit(visit)
    loaded = visit.known_subject.loaded if visit.known_subject else None
    definition = loaded.definition if loaded else None
    listener, now = definition.listener if definition else None, datetime.now(UTC)
    rows = rows_of_a_day(sync, state, now) if sync else ()
    return visit.page(
        "dead_letters.html",
        sync=sync,
        listener=listener,
        switch=_switch(visit) if listener else None,
        counts=EventCounts.of(rows),
        partitions=partitions_of(rows, now),
        hub=_hub(visit) if listener else None,
        silent_from=_SILENT,
        letters=_shown(visit, sync, limit),
        count=state.count_dead_letters(sync),
        more=min(limit * 4, _MOST_SHOWN),
        most=MOST,
        base=_base(visit),
        may_act=_may_act(visit),
        may_read=_may_read(visit),
        done={name: _number(visit.query(name)) for name in ("settled", "kept", "removed")},
    )


def _switch(visit: Visit) -> dict[str, str] | None:
    """What the form that switches a listener needs: the version of the definition, or why it cannot be changed."""
    if not visit.may(Level.WRITE):
        return None
    if read_only := visit.app.wiring.definition_files.read_only:
        return {"version": "", "read_only": read_only}
    stored = stored_definition(visit)
    return {"version": stored.version, "read_only": ""} if stored else None


def _partitions_json(visit: Visit) -> Response:
    now = datetime.now(UTC)
    lines = partitions_of(rows_of_a_day(visit.sync, visit.app.state, now), now)
    return visit.json(partitions_answer(lines, _hub(visit)))


def _letters_json(visit: Visit) -> Response:
    sync, state = _sync(visit), visit.app.state
    return visit.json(letters_answer(_shown(visit, sync, _limit(visit)), state.count_dead_letters(sync)))


def _letter(visit: Visit) -> Response:
    """One dead letter, whole."""
    found = visit.app.state.dead_letters(_sync(visit), ids=[visit.query("id")], limit=1)
    if not found:
        raise not_found()
    return _page_of(found[0], visit)


def _page_of(letter: DeadLetter, visit: Visit, sent_text: RefusedText | None = None) -> Response:
    return visit.page(
        "dead_letter.html",
        http_status=sent_text.status if sent_text else 200,
        letter=shown_letter(letter, values=_may_read(visit)),
        sync=_sync(visit),
        base=_base(visit),
        may_act=_may_act(visit),
        refused=sent_text,
    )


def _replay(visit: Visit) -> Response:
    """Send letters again, from a form; a corrected text that is refused comes back with the reason."""
    letters = chosen(_chosen_of_form(visit), visit.app)
    if "body" not in visit.body.fields:
        return _to_list(visit, _replayed(visit, letters))
    letter, text = _to_edit(visit, letters), visit.body.text("body")
    try:
        done = _replayed_edited(visit, letter, text)
    except SyncError as error:
        status = 503 if isinstance(error, RetryLater) else 422
        refused = RefusedText(text=text, error="Not applied", reason=cleaned(error.message), status=status)
        return _page_of(letter, visit, refused)
    if not done.reason:
        return _to_list(visit, done)
    return _page_of(letter, visit, RefusedText(text=text, error=done.error, reason=done.reason, status=422))


def _to_list(visit: Visit, done: Replayed) -> Response:
    return visit.to(f"{_base(visit)}?{urlencode({'settled': done.settled, 'kept': done.kept})}")


def _replay_json(visit: Visit) -> Response:
    request = sent(visit, ReplayRequest)
    which = Chosen(sync=_sync(visit), ids=tuple(request.ids), everything=request.all)
    letters = chosen(which, visit.app)
    if request.body is None:
        done = _replayed(visit, letters)
    else:
        done = _replayed_edited(visit, _to_edit(visit, letters), request.body)
    return visit.json(ReplayAnswer.model_validate(asdict(done)).model_dump())


def _replayed(visit: Visit, letters: Mapping[str, int]) -> Replayed:
    send = partial(replayed, _sync(visit), letters, visit.app)
    return _noted(visit, "sent dead letters again", [*letters], send)


def _replayed_edited(visit: Visit, letter: DeadLetter, text: str) -> Replayed:
    body, alone = edited(letter, text), {letter.id: len(letter.body)}
    again = partial(replayed, letter.sync, alone, visit.app)
    send = again if body is None else partial(replayed_edited, letter, body, visit.app)
    return _noted(visit, "edited a dead letter and sent it again", [*alone], send)


def _noted(visit: Visit, action: str, letters: Sequence[str], send: Callable[[], Replayed]) -> Replayed:
    """Send letters again, with an entry in the audit log, whatever becomes of them."""
    try:
        done = send()
    except SyncError as error:  # some of them may have taken effect
        visit.note(action, sync=_sync(visit), before=_named(letters), after=f"not finished: {error.message}")
        raise
    after = f"{done.settled:,} applied, {done.kept:,} refused again"
    visit.note(action, sync=_sync(visit), before=_named(letters), after=after)
    return done


def _to_edit(visit: Visit, letters: Mapping[str, int]) -> DeadLetter:
    if not _may_read(visit):
        raise Refusal(403, "Not allowed", "To edit a body, the right `read` is needed too.")
    if len(letters) != 1:
        raise Refusal(422, "That is not possible", "Choose one dead letter to edit its body.")
    return only_one(_sync(visit), letters, visit.app)


def _discard(visit: Visit) -> Response:
    """Remove letters, from a form."""
    which = _chosen_of_form(visit)
    if not visit.body.text("sure"):
        raise Refusal(422, "Not removed", "Say that you are sure: what is removed cannot be brought back.")
    if which.everything and (shown := visit.body.text("count")):
        count = str(visit.app.state.count_dead_letters(which.sync))
        if count != shown:  # letters were added or removed after the page was opened
            text = f"The list had {shown}, and now there are {count} dead letters: look at it again."
            raise Refusal(409, "Not removed", text)
    return visit.to(f"{_base(visit)}?{urlencode({'removed': _discarded(visit, which)})}")


def _discard_json(visit: Visit) -> Response:
    request = sent(visit, DiscardRequest)
    which = Chosen(sync=_sync(visit), ids=tuple(request.ids), everything=request.all)
    return visit.json(DiscardAnswer(removed=_discarded(visit, which)).model_dump())


def _discarded(visit: Visit, which: Chosen) -> int:
    if which.everything:
        before = f"all of them: {counted(visit.app.state.count_dead_letters(which.sync), 'dead letter')}"
    else:
        before = _named([*chosen(which, visit.app)])
    with visit.noting("removed dead letters", sync=which.sync, before=before):
        return discarded(which, visit.app)


def _chosen_of_form(visit: Visit) -> Chosen:
    ids = visit.body.fields.get("id", ())
    return Chosen(sync=_sync(visit), ids=ids, everything=bool(visit.body.text("all")))


def _named(letters: Sequence[str]) -> str:
    """Letters for the audit log: their values stay out of it."""
    first = ", ".join(map(short_id, letters[:20]))
    return f"{counted(len(letters), 'dead letter')}: {first}{', …' if len(letters) > 20 else ''}"  # noqa: PLR2004


def _shown(visit: Visit, sync: str, limit: int) -> list[ShownLetter]:
    """The first letters, of whose bodies only a part is kept."""
    state = visit.app.state
    sizes = dict(islice(state.dead_letter_sizes(sync).items(), limit))
    pages = letter_pages(state, sync, sizes)
    return [shown_letter(letter, values=_may_read(visit)) for page in pages for letter in page]


def _sync(visit: Visit) -> str:
    """The sync of the path; empty on the pages of events that no listener takes."""
    return visit.known_subject.name if visit.known_subject else ""


def _base(visit: Visit) -> str:
    return f"/real-time/{visit.sync}" if visit.known_subject else UNCLAIMED


def _may_act(visit: Visit) -> bool:
    # The pages of events that no listener takes are for `Sync.Admin`, who may do everything.
    return visit.known_subject is None or visit.may(Level.EXECUTE)


def _may_read(visit: Visit) -> bool:
    return visit.known_subject is None or visit.may(Level.READ)


def _limit(visit: Visit) -> int:
    return min(max(_number(visit.query("limit")) or _SHOWN, 1), _MOST_SHOWN)


def _number(text: str) -> int | None:
    """A number of a query; None where it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None  # noqa: PLR2004


_MOST_LETTERS: Final = Parameter(
    name="limit",
    about="The number of events at most.",
    schema={"type": "integer", "minimum": 1, "maximum": _MOST_SHOWN, "default": _SHOWN},
)
_API: Final = "/api/syncs/{sync}/dead-letters"
_API_UNCLAIMED: Final = "/api/dead-letters/unclaimed"

ROUTES: Final[Sequence[Path]] = (
    Path(path="/real-time", answer=_listeners, need=Need.SIGNED_IN),
    # No sync has a name that begins so: these come before the paths of syncs.
    Path(path=UNCLAIMED, answer=_letters, need=Need.EVERYTHING),
    Path(path=f"{UNCLAIMED}/letter", answer=_letter, need=Need.EVERYTHING),
    Path(path=f"{UNCLAIMED}/replay", answer=_replay, need=Need.EVERYTHING, method="POST"),
    Path(path=f"{UNCLAIMED}/discard", answer=_discard, need=Need.EVERYTHING, method="POST"),
    Path(path="/real-time/{sync}", answer=_letters, need=Need.SOME),
    Path(path="/real-time/{sync}/letter", answer=_letter, need=Need.SOME),
    Path(path="/real-time/{sync}/replay", answer=_replay, need=Need.EXECUTE, method="POST"),
    Path(path="/real-time/{sync}/discard", answer=_discard, need=Need.EXECUTE, method="POST"),
    Path(
        path="/api/listeners",
        answer=_listeners_json,
        need=Need.SIGNED_IN,
        summary="Listeners, and what became of their latest events.",
        gives=ListenersAnswer,
    ),
    Path(
        path="/api/syncs/{sync}/partitions",
        answer=_partitions_json,
        need=Need.SOME,
        summary="Each partition: how long its latest event has waited, and how many events wait in it.",
        gives=PartitionsAnswer,
    ),
    *(
        path
        for base, reading, acting in (
            (_API_UNCLAIMED, Need.EVERYTHING, Need.EVERYTHING),
            (_API, Need.SOME, Need.EXECUTE),
        )
        for path in (
            Path(
                path=base,
                answer=_letters_json,
                need=reading,
                summary="Events that could not be applied.",
                reads=(_MOST_LETTERS,),
                gives=DeadLettersAnswer,
            ),
            Path(
                path=f"{base}/replay",
                answer=_replay_json,
                need=acting,
                method="POST",
                summary="Send dead letters again, as they came or with another body.",
                takes=ReplayRequest,
                gives=ReplayAnswer,
            ),
            Path(
                path=f"{base}/discard",
                answer=_discard_json,
                need=acting,
                method="POST",
                summary="Remove dead letters without applying them.",
                takes=DiscardRequest,
                gives=DiscardAnswer,
            ),
        )
    ),
)
