"""The first rows of a source, for a preview."""

from __future__ import annotations

__all__ = ["first_rows_steps"]


def first_rows_steps(rows: int) -> tuple[str, ...]:
    """SQL that leaves the first rows in `source_raw` and removes errors of all others.

    Args:
        rows: How many.
    """
    kept = f"(SELECT _row FROM source_raw ORDER BY _row LIMIT {int(rows)})"
    return (
        f"CREATE TEMP TABLE first_rows AS SELECT _row FROM {kept}",
        "DELETE FROM source_raw WHERE _row NOT IN (SELECT _row FROM first_rows)",
        f"DELETE FROM source_errors WHERE _row > coalesce((SELECT max(_row) FROM first_rows), {int(rows)})",
        "DROP TABLE first_rows",
    )
