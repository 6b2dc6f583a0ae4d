"""Erasing a record from the journals of runs, which alone know the ids that belong to a key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from shared.memory import DamagedError, parquet_of, reading_parts
from shared.memory.journal import DamagedJournalError, Journal, of_kinds
from shared.reconcile.undo.erase import (
    HAS_ID,
    HAS_KEY,
    IN_CHANGES,
    IN_CHANGES_ALONE,
    changes_query,
    ids_query,
    matching_query,
    without_query,
)
from shared.reconcile.undo.journal import ADOPTED, DELETED, DONE, MATCHED, PLANNED, REMEMBERED
from shared.state import RunRecord, StateStore
from shared.workspace import Row, Workspace

__all__ = ["JournalEraser"]

_Result = TypeVar("_Result")


class _Rows(NamedTuple):
    """Rows of a part of a journal: SQL of a condition, and its parameters."""

    condition: str
    values: Sequence[object]


@dataclass(slots=True, kw_only=True)
class JournalEraser:
    """Looks for a record in journals.

    Attributes:
        state: What is kept.
        key: The values of the record's key in their order, or its id.
        ids: The ids of the record; those that a journal knows are added.
        workspace: Reads one journal after the other: opening one takes longer than reading a small journal.
        damaged: Id of a run -> the parts of its journal that cannot be read. They are left out, and stay as they are.
    """

    state: StateStore
    key: Sequence[str]
    ids: set[str]
    workspace: Workspace
    damaged: dict[str, list[str]]
    _keyed: set[str] = field(default_factory=set)

    def note_ids(self, runs: Sequence[RunRecord]) -> None:
        """Note the ids that the journals of some runs have of the key.

        Raises:
            DamagedJournalError: A journal is damaged, and it is not known in which part.
            RetryLater, AbortRun: The state store is unavailable, or refuses us.
        """
        for run in runs:
            found = self._without_damaged(run, self._ids_in)
            self.ids |= {record for (record,) in found if record is not None}
            if found:
                self._keyed.add(run.run_id)

    def in_journals(self, runs: Sequence[RunRecord], *, apply: bool) -> int:
        """How many changes of the record the journals have. The rows that tie the ids to the key are removed last.

        Raises:
            RetryLater, AbortRun: The state store is unavailable, or refuses us; a second call does what is left.
        """
        found = sum(self._without_damaged(run, partial(self._by_id, apply=apply)) for run in runs)
        keyed = [run for run in runs if run.run_id in self._keyed]
        return found + sum(self._without_damaged(run, partial(self._by_key, apply=apply)) for run in keyed)

    def _without_damaged(self, run: RunRecord, work: Callable[[RunRecord], _Result]) -> _Result:
        """Do some work with the journal of a run; where a part of it cannot be read, once more without this part."""
        try:
            return work(run)
        except DamagedJournalError as error:
            self._note_damaged(run, *error.parts)
            return work(run)

    def _journal(self, run: RunRecord) -> Journal:
        return Journal(self.state, run.run_id, run.sync)

    def _reading(self, run: RunRecord) -> AbstractContextManager[Mapping[str, Path]]:
        """The parts of a journal by name, without damaged ones."""
        return self._journal(run).reading(self.workspace, without=self.damaged.get(run.run_id, ()))

    def _note_damaged(self, run: RunRecord, *parts: str) -> None:
        self.damaged.setdefault(run.run_id, []).extend(parts)

    def _ids_in(self, run: RunRecord) -> list[Row]:
        with self._reading(run) as files:
            return self.workspace.query(ids_query(of_kinds(files)), [list(self.key)])

    def _by_id(self, run: RunRecord, *, apply: bool) -> int:
        """Remove the rows that only the ids find.

        The id of a record that was adopted, or to which the service gave its id, is in other parts than its values: the
        number of the change ties them together, so these parts are last. If the journal also has the key, they stay:
        they tie the ids to the key. Where a part is damaged, `done` stays, which has no values: once the part is
        restored, its changes are found by the id.
        """
        ids = sorted(self.ids)
        rows, tied = _Rows(HAS_ID, (ids,)), run.run_id in self._keyed
        with self._reading(run) as files:
            changes = [change for (change,) in self.workspace.query(changes_query(of_kinds(files)), [ids])]
            planned = _Rows(IN_CHANGES_ALONE, (changes, list(self.key))) if tied else _Rows(IN_CHANGES, (changes,))
            found = self._in_parts(run, files, PLANNED, planned, apply=apply)
            for kind in (DELETED, REMEMBERED, MATCHED, *(() if tied else (ADOPTED,))):
                self._in_parts(run, files, kind, rows, apply=apply)
            if not tied and run.run_id not in self.damaged:
                self._in_parts(run, files, DONE, rows, apply=apply)
        return found

    def _by_key(self, run: RunRecord, *, apply: bool) -> int:
        """Remove the rows that the key finds, `planned` last: it has the key."""
        with self._reading(run) as files:
            for kind in (ADOPTED, DONE):
                self._in_parts(run, files, kind, _Rows(HAS_ID, (sorted(self.ids),)), apply=apply)
            return self._in_parts(run, files, PLANNED, _Rows(HAS_KEY, (list(self.key),)), apply=apply)

    def _in_parts(self, run: RunRecord, files: Mapping[str, Path], kind: str, rows: _Rows, *, apply: bool) -> int:
        """How many rows the parts of a kind have."""
        parts = {name: file for name, file in files.items() if name.partition("-")[0] == kind}
        return sum(self._in_part(run, name, file, rows, apply=apply) for name, file in parts.items())

    def _in_part(self, run: RunRecord, name: str, file: Path, rows: _Rows, *, apply: bool) -> int:
        try:
            with reading_parts():
                ((count,),) = self.workspace.query(matching_query(file, rows.condition), rows.values)
                others = without_query(file, rows.condition)
                new = parquet_of(self.workspace, others, rows.values) if count and apply else None
        except DamagedError:  # in columns that were not needed so far
            self._note_damaged(run, name)
            return 0
        if new is not None:
            self._journal(run).replace(name, new)
        return int(count)
