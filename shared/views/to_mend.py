"""The rows of a run to mend: the file for a spreadsheet, values for programs, and a line for people."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Collection
from typing import Any

from shared.counted import counted
from shared.errors import AbortRun
from shared.run_ids import SHORT_ID
from shared.state import RowsToMend, StateStore
from shared.state.mending import REASON_COLUMN, ROW_COLUMN

__all__ = ["file_to_mend", "kept_to_mend", "name_of_file", "to_mend_json", "to_mend_said"]


def kept_to_mend(state: StateStore, run_id: str) -> tuple[RowsToMend | None, str]:
    """The rows to mend of a run, or why they cannot be read: they hold values, so fewer people may read them."""
    try:
        return state.rows_to_mend(run_id), ""
    except AbortRun as error:
        return None, f"cannot be read: {error.message}"


def name_of_file(run_id: str) -> str:
    """The name of the file to mend of a run."""
    return f"{run_id}_to_mend.csv"


def file_to_mend(rows: RowsToMend) -> bytes:
    """The rows as CSV, in UTF-8 with a byte order mark, by which spreadsheets know the encoding.

    Values are as the source has them, also those that a spreadsheet takes for formulas: the file is read again.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)  # with other settings a carriage return has no quotes
    writer.writerow([*rows.columns, ROW_COLUMN, REASON_COLUMN])
    for row in rows.rows:
        values = (row.values.get(column, "") for column in rows.columns)
        writer.writerow([*values, row.number, row.reason])
    return codecs.BOM_UTF8 + text.getvalue().encode("utf-8")


def to_mend_json(rows: RowsToMend | None) -> dict[str, Any] | None:
    """How many rows are left, as JSON values; None where no rows are kept."""
    if rows is None:
        return None
    mended = [{"run_id": run, "rows": count} for run, count in rows.mended.items()]
    return {"left": len(rows.rows), "left_out": rows.left_out, "mended": mended}


def to_mend_said(rows: RowsToMend, *, known: Collection[str] = ()) -> str:
    """How many rows are left, in words.

    Args:
        rows: What is kept of the run.
        known: Runs that need not be named.
    """
    said = [f"{len(rows.rows):,} left"]
    said += [
        f"{count:,} mended{'' if run in known else f' in run {run[:SHORT_ID]}'}" for run, count in rows.mended.items()
    ]
    if rows.left_out:
        said.append(f"{counted(rows.left_out, 'row', 'rows')} not kept: correct the source")
    return ", ".join(said)
