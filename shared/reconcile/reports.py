"""What went wrong in a run: grouped for people, and row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from shared.definitions.models import Column
from shared.reconcile.outcomes import EDITED_CHANGES, FAILED_CHANGES
from shared.reconcile.row_details import PLAIN, RowDetails
from shared.transform import ErrorType
from shared.workspace import literal, quoted

__all__ = [
    "GROUPED_ERRORS",
    "MOST_KINDS",
    "ROWS_SHOWN",
    "SENT_KEYS",
    "error_files",
    "rows_in_error_count_query",
    "rows_in_error_query",
    "source_counts_query",
    "target_counts_query",
    "values_in_error_query",
    "violations_query",
]

ROWS_SHOWN: Final = 100  # row numbers kept with a group of errors; the CSV files have all of them

# Kinds of message that are told apart for one side, class, type and column. With a different message for each row, a
# log of a million lines would tell less than this; the CSV files have them all.
MOST_KINDS: Final = 10
_FURTHER: Final = "further messages, which the CSV files have"
# Messages are of one kind where they differ only in ids and numbers.
_KIND: Final = r"regexp_replace(message, '[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|\d+', '#', 'g')"

GROUPED_ERRORS: Final = f"""
    WITH found AS (
        SELECT 'source' AS side, CASE WHEN rejected THEN 'Invalid Row' ELSE 'Invalid Column' END AS class,
               error AS type, coalesce("column", '') AS "column", _row AS row, message
        FROM source_errors
        UNION ALL
        SELECT 'target', CASE WHEN rejected THEN 'Invalid Row' ELSE 'Kept Record' END,
               error, coalesce("column", ''), _row, message
        FROM target_errors
        UNION ALL
        SELECT 'sync', 'Failed Operation', concat_ws(' ', upper(action), nullif(code, '')), '', _row, message
        FROM {FAILED_CHANGES}
        UNION ALL
        SELECT 'target', 'Kept Record', {literal(ErrorType.EDITED)}, '', _row,
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
"""SQL for (side, class, type, column, rows, count, message): errors by kind of message, the most frequent first."""

_KEY: Final = "array_to_string(json_extract_string(key, '$.*'), ', ')"
SENT_KEYS: Final = f"SELECT _row, {_KEY} FROM {FAILED_CHANGES} WHERE list_contains(?::BIGINT[], _row)"
"""SQL for (row, key) of the refused changes of the rows in a list, the parameter."""


def error_files(details: RowDetails = PLAIN) -> Mapping[str, tuple[tuple[str, ...], str]]:
    """Kind of error -> the header of its file, and SQL for the file's rows."""
    return {
        "SourceErrors": details.file(),
        "TargetErrors": (
            ("Row", "Rejected", "Errors", "Record Id"),
            """
    SELECT _row, CASE WHEN bool_or(rejected) THEN 'Yes' ELSE 'No' END,
           string_agg(concat_ws(': ', nullif("column", ''), error, nullif(message, '')), '; ' ORDER BY "column", error),
           any_value(_id)
    FROM target_errors GROUP BY _row ORDER BY _row""",
        ),
        "SyncErrors": (
            ("Failed Operation", "Error", "Record Id", "Row", "Key"),
            f"""SELECT upper(action), concat_ws(': ', nullif(code, ''), message), _id, _row, {_KEY}
            FROM {FAILED_CHANGES} ORDER BY _change""",
        ),
    }


def rows_in_error_query() -> str:
    """SQL for (row, reason, duplicate, lost) of the rows of the source that have an error, in any order.

    `lost` rows were rejected or refused; of the others only a field was left out.
    """
    return f"""
SELECT _row, string_agg(reason, '; ' ORDER BY place, reason) AS reason, bool_or(duplicate) AS duplicate,
  bool_or(lost) AS lost
FROM (
  SELECT _row, concat_ws(': ', nullif("column", ''), error, nullif(message, '')) AS reason, "column" AS place,
    rejected AS lost, error = {literal(ErrorType.DUPLICATE_KEY)} AS duplicate
  FROM source_errors
  UNION ALL
  SELECT _row, concat_ws(': ', concat_ws(' ', upper(action), nullif(code, '')), message), '', true, false
  FROM {FAILED_CHANGES} WHERE _row IS NOT NULL)
GROUP BY _row""".strip()


def rows_in_error_count_query() -> str:
    """SQL for the number of rows of the source that have an error; a refused change of no row counts as one."""
    return f"""
SELECT
  (SELECT count(*) FROM (
    SELECT _row FROM source_errors UNION SELECT _row FROM {FAILED_CHANGES} WHERE _row IS NOT NULL))
  + (SELECT count(*) FROM {FAILED_CHANGES} WHERE _row IS NULL)""".strip()


def values_in_error_query(columns: Sequence[Column], most: int) -> str:
    """SQL for (row, reason, duplicate, values as texts) of the first rows in error; lost ones come first.

    Rows that could not be split into columns have no values and are left out.

    Args:
        columns: The columns that are read.
        most: How many rows.
    """
    texts = ", ".join(f"CAST(raw.{quoted(column.name)} AS VARCHAR)" for column in columns)
    return f"""
SELECT wanted._row, wanted.reason, wanted.duplicate, [{texts}]
FROM (
  SELECT * FROM ({rows_in_error_query()}) WHERE _row IN (SELECT _row FROM source_raw)
  ORDER BY NOT lost, _row LIMIT {most}) AS wanted
JOIN source_raw AS raw ON raw._row = wanted._row
ORDER BY NOT wanted.lost, wanted._row""".strip()


def source_counts_query() -> str:
    """SQL for (processed, verified, rejected, filtered) rows of the source."""
    return "SELECT processed, verified, rejected, filtered FROM source_counts"


def target_counts_query() -> str:
    """SQL for (records that take part, records that were set aside) of the target."""
    return """
SELECT (SELECT count(*) FROM current), (SELECT count(DISTINCT _row) FROM target_errors WHERE rejected)""".strip()


def violations_query() -> str:
    """SQL for how many rows of the source lack a value that they must have, and are not rejected for it."""
    return f"""
SELECT count(DISTINCT _row) FROM source_errors
WHERE error = {literal(ErrorType.MANDATORY)} AND NOT rejected""".strip()
