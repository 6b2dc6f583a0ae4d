"""SQL that finds a record in what is kept of runs, and leaves it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from shared.reconcile.undo.journal import HAS_KEY, outcomes
from shared.workspace import literal

__all__ = [
    "HAS_ID",
    "HAS_KEY",
    "IN_CHANGES",
    "IN_CHANGES_ALONE",
    "changes_query",
    "ids_query",
    "in_ledger_query",
    "in_mirror_query",
    "ledger_without",
    "matching_query",
    "without_query",
]

HAS_ID: Final = "id IN (SELECT unnest(?::UUID[]))"
"""SQL condition on a row: it has one of some ids, the parameter."""
IN_CHANGES: Final = "change IN (SELECT unnest(?::BIGINT[]))"
"""SQL condition on a row of a journal: it is about one of some changes, the parameter."""
IN_CHANGES_ALONE: Final = f"{IN_CHANGES} AND {HAS_KEY} IS NOT TRUE"
"""SQL condition on a row of `planned`: one of some changes, with another key than that of the second parameter."""
_IDS: Final = "[planned.id, done.id, adopted.id]"  # of a change: planned, given by the service, or of an adopted record


def ids_query(files: Mapping[str, Sequence[Path]]) -> str:
    """SQL of the ids of the changes that have a key, the parameter; NULL for a change whose record is not known.

    Args:
        files: The files of each kind of part of a journal.
    """
    return f"SELECT DISTINCT CAST(unnest({_IDS}) AS VARCHAR) FROM {outcomes(files)} WHERE {HAS_KEY}"


def changes_query(files: Mapping[str, Sequence[Path]]) -> str:
    """SQL of the numbers of the changes that have one of some ids, the parameter, in any part of a journal.

    The id that was planned for a new record is not used where another record is adopted, or the service gives the id.

    Args:
        files: The files of each kind of part of a journal.
    """
    return f"SELECT DISTINCT planned.change FROM {outcomes(files)} WHERE list_has_any({_IDS}, ?::UUID[])"


def matching_query(file: Path, condition: str) -> str:
    """SQL of how many rows of a part meet a condition, with its parameters."""
    return f"SELECT count(*) FROM {_rows(file)} WHERE {condition}"


def without_query(file: Path, condition: str) -> str:
    """SQL of the other rows of a part; see `matching_query`."""
    return f"SELECT * FROM {_rows(file)} WHERE ({condition}) IS NOT TRUE"


def in_ledger_query(file: Path) -> str:
    """SQL of how many records of a part of a ledger have values and one of some ids, the parameter."""
    return f"SELECT count(*) FROM {_rows(file)} WHERE coalesce(written, pending) IS NOT NULL AND {HAS_ID}"


def in_mirror_query(file: Path) -> str:
    """SQL of how many records of a part of a mirror have all values of a key, or an id; both parameters are lists.

    The columns of a mirror are those of its sync, so every value is looked at, upper and lower case aside.
    """
    values = "list_transform(json_extract_string(to_json(record), '$.*'), lambda value: lower(value))"
    return f"""
SELECT count(*) FROM (SELECT {values} AS found FROM {_rows(file)} AS record)
WHERE list_has_all(found, ?::VARCHAR[]) OR list_has_any(found, ?::VARCHAR[])""".strip()


def ledger_without(file: Path) -> str:
    """SQL of a part of a ledger without the values of a record; its parameter is the ids."""
    return f"""
SELECT * REPLACE (CASE WHEN {HAS_ID} THEN NULL ELSE written END AS written,
  CASE WHEN {HAS_ID} THEN NULL ELSE pending END AS pending)
FROM {_rows(file)}""".strip()


def _rows(file: Path) -> str:
    return f"read_parquet({literal(str(file))})"
