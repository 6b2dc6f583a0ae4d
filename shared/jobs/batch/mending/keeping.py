"""The rows in error that are kept with a run, and what becomes of them when a retry has run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from shared.definitions import Column, SyncDefinition
from shared.jobs.batch.mending.mended_file import MendedFile, MendedRow
from shared.reconcile.outcomes import unfinished_rows
from shared.reconcile.reports import rows_in_error_query, values_in_error_query
from shared.state import RowsToMend, RowToMend
from shared.transform import FAULT_SHOWN, FAULTS
from shared.workspace import Workspace

__all__ = ["MOST_CHARACTERS", "MOST_ROWS", "RetriedRows", "results_of_retry", "rows_in_error"]

# More rows than a person corrects by hand: with more of them, the source or the definition has a mistake.
MOST_ROWS: Final = 10_000
MOST_CHARACTERS: Final = 16_000_000
"""Of the values and reasons of one run."""


def rows_in_error(definition: SyncDefinition, workspace: Workspace) -> RowsToMend | None:
    """The rows of a run that have errors; None without such a row.

    Rows that could not be split into columns are counted and left out, and so is what is beyond the bounds. Rows that
    were rejected or refused are kept before those of which only a field was left out.

    Args:
        definition: As the run had it: with the columns of its source.
        workspace: Of a run that has ended.
    """
    columns = [column for column in definition.source.columns if column.read]
    ((found,),) = workspace.query(f"SELECT count(*) FROM ({rows_in_error_query()})")
    if not found:
        return None
    rows = sorted(_kept(columns, workspace), key=lambda row: row.number)
    return RowsToMend(columns={column.label: column.type.value for column in columns}, rows=tuple(rows), found=found)


def _kept(columns: Sequence[Column], workspace: Workspace) -> Iterator[RowToMend]:
    """The rows that have values, as many as the bounds allow."""
    size = 0
    for number, reason, duplicate, texts in workspace.rows(values_in_error_query(columns, MOST_ROWS)):
        found = {column.label: text for column, text in zip(columns, texts, strict=True) if text is not None}
        size += len(reason) + sum(map(len, found.values()))
        if size > MOST_CHARACTERS:
            return
        values = {name: FAULT_SHOWN if text in FAULTS else text for name, text in found.items()}
        yield RowToMend(number=number, values=values, reason=reason, duplicate=duplicate)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetriedRows:
    """The result of the rows of a retry.

    Attributes:
        earlier: The rows of the run that was retried, as they are now.
        own: The rows in error that are not in the list of that run; None without such a row.
    """

    earlier: RowsToMend
    own: RowsToMend | None


def results_of_retry(file: MendedFile, earlier: RowsToMend, workspace: Workspace, run_id: str) -> RetriedRows:
    """Compare the rows of a mended file with their results.

    A row that has no error and whose change was made leaves the list. One that fails again stays, with its corrected
    values and the new reason.

    Args:
        file: What was run.
        earlier: The list of the run that was retried, as it is in the state store.
        workspace: Of the retry, which has ended.
        run_id: The retry.
    """
    failed = {number: (reason, duplicate) for number, reason, duplicate, _ in workspace.rows(rows_in_error_query())}
    unfinished = {number for (number,) in workspace.rows(unfinished_rows())}
    listed = {row.number: row for row in earlier.rows}
    left, own = {n: row for n, row in listed.items() if n not in file.numbers}, []
    for number, row in enumerate(file.rows, start=1):
        before = listed.get(row.number) if row.number is not None else None
        if number in failed:
            reason, duplicate = failed[number]
        elif number in unfinished and before is not None:
            reason, duplicate = before.reason, before.duplicate
        else:
            continue
        if before is None:
            own.append(_again(row, number, reason, duplicate=duplicate))
        else:
            left[before.number] = _again(row, before.number, reason, duplicate=duplicate)
    return RetriedRows(
        earlier=_with_what_is_left(earlier, left, file, run_id),
        own=RowsToMend(columns=file.columns, rows=tuple(own), found=len(own)) if own else None,
    )


def _again(row: MendedRow, number: int, reason: str, *, duplicate: bool) -> RowToMend:
    return RowToMend(number=number, values=row.values, reason=reason, duplicate=duplicate)


def _with_what_is_left(earlier: RowsToMend, left: dict[int, RowToMend], file: MendedFile, run_id: str) -> RowsToMend:
    count = len(earlier.rows) - len(left)
    return RowsToMend(
        columns={**earlier.columns, **file.columns},
        rows=tuple(left[number] for number in sorted(left)),
        found=earlier.found,
        mended={**earlier.mended, **({run_id: count} if count else {})},
    )
