"""Erasing a record from the journals of runs, which alone know the ids that belong to a key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from shared.memory import DamagedError, parquet_of, reading_parts
from shared.memory.journal import DamagedJournalError, Journal, of_kinds
from shared.reconcile.undo.erase import HAS_ID, HAS_ID_ALONE, HAS_KEY, ids_query, matching_query, without_query
from shared.reconcile.undo.journal import ADOPTED, DELETED, DONE, MATCHED, PLANNED, REMEMBERED
from shared.state import RunRecord, StateStore
from shared.workspace import Row, Workspace

__all__ = ["JournalEraser"]


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
            try:
                found = self._ids_in(run)
            except DamagedJournalError as error:
                self._note_damaged(run, *error.parts)
                found = self._ids_in(run)
            self.ids |= {record for (record,) in found if record is not None}
            if found:
                self._keyed.add(run.run_id)

    def in_journals(self, runs: Sequence[RunRecord], *, apply: bool) -> int:
        """How many changes of the record the journals have. The rows that tie the ids to the key are removed last.

        Raises:
            RetryLater, AbortRun: The state store is unavailable, or refuses us; a second call does what is left.
        """
        found = sum(self._in_journal(run, self._by_id(tied=run.run_id in self._keyed), apply=apply) for run in runs)
        keyed = [run for run in runs if run.run_id in self._keyed]
        return found + sum(self._in_journal(run, self._by_key(), apply=apply) for run in keyed)

    def _journal(self, run: RunRecord) -> Journal:
        return Journal(self.state, run.run_id, run.sync)

    def _note_damaged(self, run: RunRecord, *parts: str) -> None:
        self.damaged.setdefault(run.run_id, []).extend(parts)

    def _ids_in(self, run: RunRecord) -> list[Row]:
        with self._journal(run).reading(self.workspace, without=self.damaged.get(run.run_id, ())) as files:
            return self.workspace.query(ids_query(of_kinds(files)), [list(self.key)])

    def _by_id(self, *, tied: bool) -> Mapping[str, _Rows]:
        """The rows that only the ids find; `tied`: the journal has the key, and needs other rows to know its ids."""
        ids = sorted(self.ids)
        rows = _Rows(HAS_ID, (ids,))
        others = {PLANNED: _Rows(HAS_ID_ALONE, (ids, list(self.key))), DELETED: rows, REMEMBERED: rows, MATCHED: rows}
        return others if tied else others | {ADOPTED: rows, DONE: rows}

    def _by_key(self) -> Mapping[str, _Rows]:
        rows = _Rows(HAS_ID, (sorted(self.ids),))
        return {ADOPTED: rows, DONE: rows, PLANNED: _Rows(HAS_KEY, (list(self.key),))}

    def _in_journal(self, run: RunRecord, wanted: Mapping[str, _Rows], *, apply: bool) -> int:
        """Look for rows in the journal of a run, by kind of part. Parts come by name, so `planned` after `adopted`."""
        found = 0
        with self._journal(run).reading(self.workspace, without=self.damaged.get(run.run_id, ())) as files:
            for name, file in files.items():
                kind = name.partition("-")[0]
                if kind in wanted:
                    count = self._in_part(run, name, file, wanted[kind], apply=apply)
                    found += count if kind == PLANNED else 0
        return found

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
