"""What went wrong in a run, told twice: grouped for people, and row by row in three CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from shared.jobs.outcomes import EDITED_CHANGES, FAILED_CHANGES
from shared.jobs.summary import ErrorRow
from shared.transform import ErrorType
from shared.visible import for_spreadsheet
from shared.workspace import Workspace

__all__ = ["error_files", "error_rows"]

ROWS_SHOWN = 100  # row numbers kept with a group of errors; the CSV files have all of them

# Kinds of message that are told apart for one side, class, type and column. With a different message for each row, a
# log of a million lines would tell less than this; the CSV files have them all.
MOST_KINDS = 10
_FURTHER = "further messages, which the CSV files have"
# Messages are of one kind where they differ only in ids and numbers.
_KIND = r"regexp_replace(message, '[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|\d+', '#', 'g')"

_GROUPED = f"""
    WITH found AS (
        SELECT 'source' AS side, CASE WHEN rejected THEN 'Invalid Row' ELSE 'Invalid Column' END AS class,
               error AS type, coalesce("column", '') AS "column", _row AS row, message
        FROM source_errors
        UNION ALL
        SELECT 'target', CASE WHEN rejected THEN 'Invalid Row' ELSE 'Kept Record' END,
               error, coalesce("column", ''), _row, message
        FROM target_errors
        UNION ALL
        SELECT 'sync', 'Failed Operation', upper(action) || ' ' || code, '', _row, message
        FROM {FAILED_CHANGES}
        UNION ALL
        SELECT 'target', 'Kept Record', '{ErrorType.EDITED}', '', _row,
               'it was changed in Dataverse after this run had compared it; the next run compares it again'
        FROM {EDITED_CHANGES}
    ), messages AS (
        SELECT side, class, type, "column", message, list(row ORDER BY row)[:{ROWS_SHOWN}] AS rows, min(row) AS first,
               count(*) AS count
        FROM found GROUP BY side, class, type, "column", message
    ), kinds AS (
        SELECT side, class, type, "column", {_KIND} AS kind, arg_min(message, coalesce(first, 0)) AS message,
               list_sort(flatten(list(rows)))[:{ROWS_SHOWN}] AS rows, sum(count) AS count
        FROM messages GROUP BY side, class, type, "column", kind
    ), ranked AS (
        SELECT *, row_number() OVER (PARTITION BY side, class, type, "column" ORDER BY count DESC, message) AS place
        FROM kinds
    )
    SELECT side, class, type, "column", list_sort(flatten(list(rows)))[:{ROWS_SHOWN}], sum(count)::BIGINT,
           CASE WHEN least(place, {MOST_KINDS + 1}) <= {MOST_KINDS} THEN any_value(message)
                ELSE count(*) || ' {_FURTHER}' END
    FROM ranked GROUP BY side, class, type, "column", least(place, {MOST_KINDS + 1})
    ORDER BY side, sum(count) DESC, type, "column", least(place, {MOST_KINDS + 1})
"""

_ROW_ERRORS = """
    SELECT _row, CASE WHEN bool_or(rejected) THEN 'Yes' ELSE 'No' END,
           string_agg(concat_ws(': ', nullif("column", ''), error, nullif(message, '')), '; ' ORDER BY "column", error)
    FROM {table} GROUP BY _row ORDER BY _row
"""
_FILES = {
    "SourceErrors": (("Row", "Rejected", "Errors"), _ROW_ERRORS.format(table="source_errors")),
    "TargetErrors": (("Row", "Rejected", "Errors"), _ROW_ERRORS.format(table="target_errors")),
    "SyncErrors": (
        ("Failed Operation", "Error", "Record Id", "Row"),
        f"""SELECT upper(action), concat_ws(': ', nullif(code, ''), message), _id, _row
            FROM {FAILED_CHANGES} ORDER BY _change""",
    ),
}


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
        for side, error_class, error_type, column, rows, count, message in workspace.query(_GROUPED)
    )


def error_files(workspace: Workspace, run_id: str) -> Iterator[tuple[str, bytes]]:
    """Yield (file name, CSV in UTF-8) for each kind of error that the run met."""
    for kind, (header, query) in _FILES.items():
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
