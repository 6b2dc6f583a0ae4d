"""Changes that take two requests: the record first, then what the service does not take from a create. Pure.

Microsoft's metadata has columns with `IsValidForCreate` false, `statecode` among them: a create passes their values
over without an error, and refuses a status of another state (0x80048408). So the record is created, then updated, and
the change has one outcome when both are settled. A state that an action sets is such a second request too.
"""

from __future__ import annotations

from dataclasses import replace

from shared.dataverse.changes import Applied, Change, ChangeAction, Failed, Outcome, Skipped
from shared.dataverse.write.bulk import members
from shared.dataverse.write.closing import carrying, closes
from shared.dataverse.write.controller import RequestKind
from shared.state_rules import CLOSE

__all__ = ["SecondSteps", "as_new", "begun"]


def as_new(change: Change) -> Change:
    """The change of a record that is not there: what only new records get goes with the create, and with the closing.

    The texts are joined and not read as values: a number keeps every digit.
    """
    added = dict(members(change.on_create or "{}"))
    carried = added.pop(CLOSE, "")
    payload = f"{{{','.join((*(text for _, text in members(change.payload)), *added.values()))}}}"
    return replace(change, payload=payload, on_create="", later=carrying(change.later, carried))


def begun(change: Change) -> Change:
    """The change without its first request, where that has nothing to write to a record that is there."""
    if change.action is ChangeAction.UPDATE and change.later and change.payload == "{}":
        return replace(change, payload=change.later, later="")
    return change


class SecondSteps:
    """The second requests of one write that are not settled yet; no more of them than there are rows in flight."""

    def __init__(self) -> None:
        self._first: dict[int, Applied] = {}

    def next(self, change: Change, outcome: Outcome) -> tuple[RequestKind, Change] | None:
        """What is to be written now that the first request has settled; None where the change is at its end."""
        if not change.later or not isinstance(outcome, Applied):
            return None
        self._first.setdefault(change.number, outcome)
        record = outcome.id or change.id
        # Without an id the record is named by its key, as in the first request; an action needs the id.
        by_id = record or closes(change.later)
        kind, action = (RequestKind.UPDATE, ChangeAction.UPDATE) if by_id else (RequestKind.UPSERT, ChangeAction.UPSERT)
        return kind, replace(change, action=action, id=record, payload=change.later, later="", version="")

    def whole(self, outcome: Outcome) -> Outcome:
        """The outcome of the change as a whole."""
        first = self._first.pop(outcome.number, None)
        match outcome:
            case Applied() if first is not None:
                return replace(outcome, id=first.id or outcome.id, created=first.created)
            case Failed() if first is not None:
                done = "created" if first.created else "written"
                message = f"the record was {done}, but some columns were refused: {outcome.message}"
                return replace(outcome, id=first.id, message=message)
            case Skipped() if first is not None:
                return replace(outcome, id=first.id)
        return outcome
