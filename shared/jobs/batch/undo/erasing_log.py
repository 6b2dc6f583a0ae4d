"""Erasing a record from what is told of runs: the messages and parameters of runs and jobs, and of their errors."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from shared.errors import RetryLater, UserError
from shared.jobs.batch.lease_keeping import keeping
from shared.jobs.batch.undo.record_values import RecordValues, example_values
from shared.redaction import ERASED
from shared.run_ids import SHORT_ID
from shared.state import ErrorRecord, Job, RunRecord, StateStore

__all__ = ["LogEraser"]


@dataclass(frozen=True, slots=True)
class LogEraser:
    """Looks for a record in the texts that are kept of runs and jobs.

    A message that names the record is replaced whole, because it may have other values of it, such as its name. So is
    the value of a parameter.

    Attributes:
        state: What is kept.
        record: Tells the record.
    """

    state: StateStore
    record: RecordValues

    def jobs(self, sync: str | None) -> list[Job]:
        """The jobs that name the record, of one sync or of all.

        Raises:
            UserError: One of them has not ended. Its parameters say what it is to do.
        """
        named = [
            job for job in self.state.jobs() if sync in (None, job.request.sync) and self._without_in_job(job) != job
        ]
        for job in named:
            if job.ended is None:
                short = job.id[:SHORT_ID]
                raise UserError(
                    f"the job {short} of {job.request.sync} has the key in its parameters and has not ended: wait for "
                    f"its end, or take it back with `dynamics-sync cancel {short}`; then erase again"
                )
        return named

    def under_way(self, runs: Iterable[RunRecord]) -> set[str]:
        """The syncs of runs that name the record and have no end: whoever holds their lease may change their rows."""
        return {run.sync for run in runs if run.sync and run.ended is None and self._without_in_run(run) != run}

    def in_run(self, run: RunRecord, *, apply: bool) -> int:
        """Look for the record in the row of a run. Without an end, the lease of its sync is held."""
        latest = run if run.ended is not None else self.state.run(run.run_id) or run
        left = self._without_in_run(latest)
        if left != latest and apply:
            self.state.finish_run(left)
        return int(left != latest)

    def in_job(self, job: Job, *, apply: bool) -> int:
        """Look for the record in the row of a job that has ended.

        Raises:
            RetryLater: Another process is changing the job.
        """
        if apply:
            with keeping(self.state, f"job/{job.id}", uuid.uuid4().hex) as lease:
                if lease is None:
                    raise RetryLater(f"the job {job.id} is being changed: try again", retry_after=1)
                self.state.put_job(self._without_in_job(self.state.job(job.id) or job))
        return 1

    def in_errors(self, run_id: str, *, apply: bool) -> int:
        """Look for the record in the examples and messages of the errors of a run."""
        errors = self.state.errors(run_id)
        left = [self._without_in_error(error) for error in errors]
        if apply and left != [*errors]:
            self.state.replace_errors(errors, _joined(left))
        return sum(
            len(before.examples) - len(after.examples) + (before.message != after.message)
            for before, after in zip(errors, left, strict=True)
        )

    def _without_in_error(self, error: ErrorRecord) -> ErrorRecord:
        examples = tuple(each for each in error.examples if not self._is_example(example_values(each)))
        return replace(error, message=self.without(error.message), examples=examples)

    def _is_example(self, values: Sequence[str]) -> bool:
        return self.record.are_in(values) or self.record.are_named_in(*values)

    def _without_in_run(self, run: RunRecord) -> RunRecord:
        return replace(
            run,
            parameters=self.record.without(run.parameters),
            given=self.record.without(run.given),
            counts=self._without_messages(run.counts),
            message=self.without(run.message),
        )

    def _without_in_job(self, job: Job) -> Job:
        request = replace(job.request, parameters=self.record.without(job.request.parameters))
        return replace(job, request=request, message=self.without(job.message))

    def _without_messages(self, value: Any) -> Any:
        """The counts of a run; the steps after the sync have messages in them, which other systems have written."""
        if isinstance(value, list):
            return [*map(self._without_messages, value)]
        if not isinstance(value, dict):
            return value
        left = {name: self._without_messages(each) for name, each in value.items()}
        if isinstance(message := value.get("message"), str):
            left["message"] = self.without(message)
        return left

    def without(self, text: str) -> str:
        """The text, or a mark in its place where it names the record."""
        return ERASED if self.record.are_named_in(text) else text


def _joined(errors: Sequence[ErrorRecord]) -> list[ErrorRecord]:
    """Error rows, of which those are one row that only their messages told apart."""
    found: dict[tuple[str, ...], list[ErrorRecord]] = {}
    for error in errors:
        what = (error.side, error.error_class, error.error_type, error.column, error.message)
        found.setdefault(what, []).append(error)
    return [*map(_one, found.values())]


def _one(errors: Sequence[ErrorRecord]) -> ErrorRecord:
    return replace(
        errors[0],
        rows=tuple(sorted({*_each(error.rows for error in errors)})),
        count=sum(error.count for error in errors),
        examples=tuple(_each(error.examples for error in errors)),
    )


def _each(parts: Iterable[Iterable[Any]]) -> Iterator[Any]:
    return chain.from_iterable(parts)
