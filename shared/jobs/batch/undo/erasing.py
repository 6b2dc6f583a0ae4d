"""Erasing a record: its values are removed from everything that is kept of runs and events."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from typing import Final

from shared.jobs.batch.lease_keeping import holding
from shared.jobs.batch.undo.erasing_journals import JournalEraser
from shared.jobs.batch.undo.erasing_log import LogEraser
from shared.jobs.batch.undo.erasing_memory import MemoryEraser
from shared.jobs.batch.undo.history import check_key, record_ids
from shared.jobs.batch.undo.record_values import RecordValues, all_values, lines_of
from shared.redaction import ERASED
from shared.state import RunRecord, StateStore, letter_pages
from shared.state.job_kinds import NewerJobError
from shared.workspace import Workspace

__all__ = ["MOST_RUNS", "Eraser", "ErasureCounts"]

MOST_RUNS: Final = 100_000


@dataclass(slots=True)
class ErasureCounts:
    """Where a record was found, in numbers.

    Attributes:
        journals: Changes in journals.
        ledgers: Records in ledgers with values, and parts of ledgers that cannot be read: these are removed.
        files: Lines of error files.
        errors: Examples and messages of errors.
        runs: Runs whose parameters or messages name the record.
        jobs: Jobs whose parameters or messages name it.
        rows_to_mend: Rows in error.
        dead_letters: Events.
        mirrors: Mirrors that have the record or cannot be read: they are deleted, and the next run reads the whole
            target.
        job_files: Files of jobs: plans, answers and mended rows.
        unread: Events whose body could not be read, so that it is not known whether they are about the record.
        damaged: Id of a run -> the parts of its journal that cannot be read, so that they may still have the record.
    """

    journals: int = 0
    ledgers: int = 0
    files: int = 0
    errors: int = 0
    runs: int = 0
    jobs: int = 0
    rows_to_mend: int = 0
    dead_letters: int = 0
    mirrors: int = 0
    job_files: int = 0
    unread: int = 0
    damaged: dict[str, list[str]] = field(default_factory=dict)

    @property
    def places(self) -> int:
        """All places in which the record was found."""
        return sum(count for name, count in self.to_json().items() if name != "unread")

    def to_json(self) -> dict[str, int]:
        """All counts by name."""
        return {name: value for name, value in asdict(self).items() if isinstance(value, int)}


@dataclass(slots=True, kw_only=True)
class Eraser:
    """Looks for a record in everything that is kept.

    Attributes:
        state: What is kept.
        key: The values of the record's key in their order, or its id.
        open_workspace: Opens a database, which reads what is kept.
        ids: The ids of the record, as far as they are known.
    """

    state: StateStore
    key: Sequence[str]
    open_workspace: Callable[[], Workspace]
    ids: set[str] = field(default_factory=set)
    _record: RecordValues = field(init=False)

    def erase(self, syncs: Sequence[str], *, only: str | None, apply: bool) -> ErasureCounts:
        """Look for the record, and remove its values.

        Args:
            syncs: The syncs that may have a ledger; those that have run are looked at in any case.
            only: Only this sync; None for all.
            apply: Whether it is removed; otherwise it is only counted.

        Raises:
            UserError: A value of the key is empty, a sync with a ledger is running, a run or a job that has the key in
                its parameters has not ended, or a journal is damaged and it is not known in which part.
            RetryLater, AbortRun: The state store is unavailable, or refuses us; a second call does what is left.
        """
        check_key(self.key)
        found = ErasureCounts()
        runs = self.state.runs(only, MOST_RUNS)
        self.ids = record_ids(self.key)
        syncs = sorted({*syncs, *(run.sync for run in runs if run.sync)})  # a definition may be gone
        with self.open_workspace() as workspace:
            self._erase(workspace, runs, syncs, found, only=only, apply=apply)
        return found

    def _erase(
        self,
        workspace: Workspace,
        runs: Sequence[RunRecord],
        syncs: Sequence[str],
        found: ErasureCounts,
        *,
        only: str | None,
        apply: bool,
    ) -> None:
        kept = [run for run in runs if self.state.journal_parts(run.run_id)]
        journals = JournalEraser(
            state=self.state, key=self.key, ids=self.ids, workspace=workspace, damaged=found.damaged
        )
        journals.note_ids(kept)
        self._record = RecordValues(self.key, self.ids)
        told = LogEraser(self.state, self._record)
        jobs = told.jobs(only)
        # Before anything is removed: a sync that is running refuses it.
        memory = MemoryEraser(state=self.state, key=self.key, ids=self.ids, workspace=workspace)
        with self._holding(syncs, memory, under_way=told.under_way(runs)) as fences:
            found.ledgers = sum(memory.in_ledger(sync, fence, apply=apply) for sync, fence in fences.items())
            found.ledgers += sum(memory.in_entries(sync, apply=apply) for sync in syncs)
            found.mirrors = sum(memory.in_mirror(sync, fence, apply=apply) for sync, fence in fences.items())
            found.runs = sum(told.in_run(run, apply=apply) for run in runs)
        found.jobs = sum(told.in_job(job, apply=apply) for job in jobs)
        for run in runs:
            found.files += sum(self._in_file(run.run_id, name, apply=apply) for name in self.state.files(run.run_id))
            found.errors += told.in_errors(run.run_id, apply=apply)
            found.rows_to_mend += self._in_rows_to_mend(run.run_id, told, apply=apply)
        self._in_letters(only, found, apply=apply)
        found.job_files = self._in_job_files(only, apply=apply)
        # Journals alone know the ids of a key, so they are last, and in them the rows that tie the ids to the key:
        # a second call finds what one that was interrupted has left.
        found.journals = journals.in_journals(kept, apply=apply)

    @contextmanager
    def _holding(
        self, syncs: Sequence[str], memory: MemoryEraser, *, under_way: Collection[str]
    ) -> Iterator[Mapping[str, int]]:
        """Hold the syncs that have a ledger or a mirror, and those of runs without an end; sync -> fencing number."""
        with ExitStack() as leases:
            yield {
                sync: leases.enter_context(holding(self.state, sync, uuid.uuid4().hex)).fence
                for sync in syncs
                if sync in under_way or memory.keeps(sync)
            }

    # -- Errors of runs ------------------------------------------------------------------------------------------

    def _in_file(self, run_id: str, name: str, *, apply: bool) -> int:
        data = self.state.file(run_id, name)
        if data is None or not name.endswith(".csv"):
            return 0
        header, lines, values = lines_of(data, delimiter=",")
        others = [line for line, of_record in zip(lines, values, strict=True) if not self._record.are_in(of_record)]
        left = [[ERASED if self._record.are_named_in(cell) else cell for cell in line] for line in others]
        found = len(lines) - len(others) + sum(line != other for line, other in zip(left, others, strict=True))
        if apply and found:
            text = io.StringIO(newline="")
            csv.writer(text).writerows([header, *left])
            self.state.put_file(run_id, name, text.getvalue().encode("utf-8"))
        return found

    def _in_rows_to_mend(self, run_id: str, told: LogEraser, *, apply: bool) -> int:
        rows = self.state.rows_to_mend(run_id)
        if rows is None:
            return 0
        others = tuple(row for row in rows.rows if not self._record.are_in(list(row.values.values())))
        left = tuple(replace(row, reason=told.without(row.reason)) for row in others)
        gone = len(rows.rows) - len(others)
        if apply and left != rows.rows:
            self.state.put_rows_to_mend(run_id, replace(rows, rows=left, found=rows.found - gone))
        return gone + sum(row != other for row, other in zip(left, others, strict=True))

    def _in_job_files(self, only: str | None, *, apply: bool) -> int:
        return sum(
            self._in_job_file(job_id, name, apply=apply)
            for job_id, name in self.state.job_files()
            if only is None or self._sync_of(job_id) == only
        )

    def _sync_of(self, job_id: str) -> str:
        """The sync of a job; empty where it is not known."""
        try:
            job = self.state.job(job_id)
        except NewerJobError:
            return ""
        return job.request.sync if job else ""

    def _in_job_file(self, job_id: str, name: str, *, apply: bool) -> int:
        data = self.state.job_file(job_id, name)
        if data is None:
            return 0
        record, is_file = self._record, name.endswith(".csv")
        found = any(map(record.are_in, lines_of(data)[2])) if is_file else record.are_in_plan(data)
        if found and apply:
            self.state.remove_job_file(job_id, name)
        return int(found)

    # -- Events --------------------------------------------------------------------------------------------------

    def _in_letters(self, sync: str | None, found: ErasureCounts, *, apply: bool) -> None:
        gone = []
        for letter in chain.from_iterable(letter_pages(self.state, sync)):
            values = all_values(letter.body)
            if values is None:
                found.unread += 1
            elif self._record.are_in(values):
                gone.append(letter.id)
        found.dead_letters = len(gone)
        if apply and gone:
            self.state.remove_dead_letters(gone)
