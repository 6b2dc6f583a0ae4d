"""What happened to one record, run by run: read from the journals of a sync."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from shared.errors import UserError
from shared.jobs.batch.attempts import ENVIRONMENT
from shared.memory.journal import Journal, of_kinds
from shared.reconcile import SampleChange
from shared.reconcile import samples as read_samples
from shared.reconcile.undo.journal import journal_table, record_query
from shared.state import RunRecord, StateStore
from shared.workspace import Table, Workspace

__all__ = ["MOST_RUNS", "History", "HistoryEntry", "check_key", "history_of", "record_ids"]

_BIND: Final = "@odata.bind"
_ID: Final = re.compile(r"\(([0-9a-fA-F-]{36})\)$")
MOST_RUNS: Final = 1000
"""The latest runs of a sync whose journals are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One change of the record.

    Attributes:
        result: `applied`, `failed` or `skipped` where only the first of two requests was made, or `unknown` where the
            run ended before it knew.
    """

    run: RunRecord
    change: SampleChange
    result: str

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "run_id": self.run.run_id,
            "started": self.run.started.isoformat(),
            "trigger": self.run.trigger,
            "environment": self.run.counts.get(ENVIRONMENT, ""),
            "result": self.result,
            **self.change.to_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What happened to a record, the latest change first; `journals` is how many journals were looked at."""

    sync: str
    key: tuple[str, ...]
    entries: tuple[HistoryEntry, ...]
    journals: int

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        entries = [entry.to_json() for entry in self.entries]
        return {"sync": self.sync, "key": list(self.key), "journals": self.journals, "history": entries}


def history_of(
    state: StateStore, sync: str, key: Sequence[str], open_workspace: Callable[[], Workspace], since: datetime
) -> History:
    """Look for a record in the journals of a sync.

    A record whose key was changed is found by its id from there on.

    Args:
        state: Has the journals.
        sync: Name of the sync.
        key: The values of the record's key in their order, or its id alone.
        open_workspace: Opens a database, which reads one journal after the other.
        since: Older journals are gone.

    Raises:
        UserError: A value of the key is empty, or a journal is damaged.
        RetryLater, AbortRun: The state store is unavailable, or refuses us.
    """
    check_key(key)
    entries: list[HistoryEntry] = []
    ids, journals = record_ids(key), 0
    with open_workspace() as workspace:  # opening one takes longer than reading a small journal
        for run in state.runs(sync, MOST_RUNS):
            if run.started < since:
                break
            journal = Journal(state, run.run_id, run.sync)
            if (about := journal.about()) is None:
                continue
            journal.check_parts(about)
            journals += 1
            found = list(_entries(run, journal, workspace, key, ids))
            entries += found
            ids |= {entry.change.id for entry in found if entry.change.id}
    return History(sync=sync, key=tuple(key), entries=tuple(entries), journals=journals)


def check_key(key: Sequence[str]) -> None:
    """Refuse a key that names no record: a variable of a script that is not set gives an empty text.

    An empty text is in almost everything that is kept, in the place of each value that is missing.

    Raises:
        UserError: There is no value, or one of them is empty or has only blanks.
    """
    empty = [str(place) for place, value in enumerate(key, start=1) if not value.strip()]
    if key and not empty:
        return
    which = f"value {' and '.join(empty)} of the key" if len(key) > 1 else "the key"
    raise UserError(f"{which} is empty: give all values of the record's key in their order, or its id")


def record_ids(key: Sequence[str]) -> set[str]:
    """The id that a key may be: a value that has the form of one."""
    try:
        return {str(uuid.UUID(key[0]))} if len(key) == 1 else set()
    except ValueError:
        return set()


def _entries(
    run: RunRecord, journal: Journal, workspace: Workspace, key: Sequence[str], ids: set[str]
) -> Iterator[HistoryEntry]:
    with journal.reading(workspace) as files:
        workspace.create(journal_table(of_kinds(files)))
        rows = workspace.query(record_query(), [list(key), sorted(ids)])
    for change, row in zip(read_samples(each[:-1] for each in rows), rows, strict=True):
        yield HistoryEntry(run=run, change=_with_ids(change, _bound((row[4], row[6], row[7]))), result=row[-1])
    workspace.drop(Table.JOURNAL)


def _bound(texts: Iterable[str | None]) -> set[str]:
    """The paths by which a change referred to other records, in the JSON objects that it sent."""
    objects = (json.loads(each) for each in texts if each and _BIND in each)
    return {str(value) for sent in objects for name, value in sent.items() if name.endswith(_BIND)}


def _with_ids(change: SampleChange, paths: set[str]) -> SampleChange:
    """A change whose lookups have the id of the record after it, as they have it before; see `_bound`."""
    columns = (
        replace(column, after=found[1]) if after in paths and (found := _ID.search(after)) else column
        for column, after in ((each, str(each.after)) for each in change.columns)
    )
    return replace(change, columns=tuple(columns)) if paths else change
