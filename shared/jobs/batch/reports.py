"""What went wrong in a run, told twice: grouped for people, and row by row in three CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from shared.jobs.summary import ErrorRow
from shared.reconcile.reports import ERROR_FILES, GROUPED_ERRORS
from shared.visible import for_spreadsheet
from shared.workspace import Workspace

__all__ = ["error_files", "error_rows"]


def error_rows(workspace: Workspace) -> tuple[ErrorRow, ...]:
    """Group all errors of the run by side, class, type, column and kind of message, the most frequent first."""
    return tuple(
        ErrorRow(
            side=side,
            error_class=error_class,
            error_type=error_type.strip(),
            column=column,
            rows=tuple(row for row in rows if row is not None),
            count=count,
            message=message or "",
        )
        for side, error_class, error_type, column, rows, count, message in workspace.query(GROUPED_ERRORS)
    )


def error_files(workspace: Workspace, run_id: str) -> Iterator[tuple[str, bytes]]:
    """Yield (file name, CSV in UTF-8) for each kind of error that the run met."""
    for kind, (header, query) in ERROR_FILES.items():
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(header)
        written = 0
        for row in workspace.rows(query):
            writer.writerow([_cell(value) for value in row])
            written += 1
        if written:
            yield f"{run_id}_{kind}.csv", text.getvalue().encode("utf-8")


def _cell(value: str | int | None) -> str | int:
    """What stands in a cell: these files are opened in spreadsheets."""
    match value:
        case None:
            return ""
        case str():
            return for_spreadsheet(value)
        case _:
            return value
