"""What happened to one record of a sync: the page and the API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

from pydantic import BaseModel, Field
from starlette.responses import Response

from console.web.refusals import Refusal
from console.web.routing import Parameter
from console.web.visit import Visit
from shared.app.histories import history
from shared.jobs import NoProgress
from shared.jobs.batch.undo.history import History, HistoryEntry
from shared.state import RunRecord
from shared.views.pages.plan_parts import Change, shown_change

__all__ = ["KEY", "HistoryAnswer", "history_json", "history_page"]

_MOST_VALUES, _LONGEST = 20, 1000  # of a key: values, and characters of each
KEY: Final = Parameter(
    name="key",
    about="The values of the key of the record, in the order of the key, or its id.",
    is_required=True,
    schema={
        "type": "array",
        "items": {"type": "string", "maxLength": _LONGEST},
        "minItems": 1,
        "maxItems": _MOST_VALUES,
    },
)
"""What names the record in a query."""
_ACTIONS: Final = {
    "insert": "created",
    "update": "changed",
    "upsert": "created or changed",
    "delete": "deleted",
    "expire": "expired",
    "deactivate": "deactivated",
    "mark": "marked as dropped",
    "reactivate": "reactivated",
}
_RESULTS: Final = {
    "failed": "refused by Dataverse",
    "skipped": "made in part only",
    "unknown": "not known whether it was made: the process of the run ended",
}


class HistoryAnswer(BaseModel):
    """What happened to one record."""

    sync: str
    key: list[str]
    journals: int = Field(description="How many journals of runs were looked at.")
    history: list[dict[str, Any]] = Field(description="Its changes as in `history --json`, the latest first.")


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryShown:
    """One change of a record.

    Attributes:
        action: What the run did, in words.
        result: What became of it, in words; empty where it was made.
        change: The values before and after.
    """

    run: RunRecord
    action: str
    result: str
    change: Change

    @property
    def started(self) -> datetime:
        """When the run began."""
        return self.run.started

    @classmethod
    def of(cls, entry: HistoryEntry) -> Self:
        """An entry as it is shown."""
        value = entry.change.to_json()
        return cls(
            run=entry.run,
            action=_ACTIONS.get(value["action"], value["action"]),
            result=_RESULTS.get(entry.result, ""),
            change=shown_change(value),
        )


def history_page(visit: Visit) -> Response:
    """The changes of the record that the query names; without one, the form alone."""
    key, definition = _key(visit), visit.subject.loaded.definition if visit.subject.loaded else None
    found = _found(visit, key) if key else None
    return visit.page(
        "history.html",
        key=key,
        columns=definition.sync_behaviour.sync_key if definition else ("key",),
        found=found,
        entries=[EntryShown.of(entry) for entry in found.entries] if found else [],
    )


def history_json(visit: Visit) -> Response:
    """The changes of the record that the query names."""
    key = _key(visit)
    if not key:
        raise Refusal(422, "No record is named", "Give `key` once for each value of the record's key, or its id.")
    return visit.json(HistoryAnswer(**_found(visit, key).to_json()).model_dump())


def _found(visit: Visit, key: list[str]) -> History:
    return history(visit.app, visit.sync, key, NoProgress())


def _key(visit: Visit) -> list[str]:
    """The values of the query, without the empty ones after the last that is filled."""
    key = [value.strip() for value in visit.request.query_params.getlist("key")]
    while key and not key[-1]:
        key.pop()
    if len(key) > _MOST_VALUES or any(len(value) > _LONGEST for value in key):
        said = f"A key has at most {_MOST_VALUES} values of {_LONGEST:,} characters each."
        raise Refusal(422, "The key is too long", said)
    return key
