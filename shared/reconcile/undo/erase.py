"""SQL that finds a record in what is kept of runs, and leaves it out."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from shared.reconcile.undo.journal import RECORD
from shared.workspace import literal

__all__ = ["ids_query", "in_ledger_query", "in_mirror_query", "ledger_without", "matching_query", "without_query"]

_BY_ID: Final = "id IN (SELECT unnest(?::UUID[]))"


def ids_query(file: Path) -> str:
    """SQL of the ids of a record in a part with keys; its parameters are the values of the key, and known ids."""
    return f"SELECT DISTINCT CAST(id AS VARCHAR) FROM {_rows(file)} WHERE {RECORD} AND id IS NOT NULL"


def matching_query(file: Path, *, keyed: bool) -> str:
    """SQL of how many rows of a part are about the record.

    Args:
        file: The part, a Parquet file.
        keyed: Whether its rows have keys: then the parameters are the key's values and the ids, else the ids alone.
    """
    return f"SELECT count(*) FROM {_rows(file)} WHERE {RECORD if keyed else _BY_ID}"


def without_query(file: Path, *, keyed: bool) -> str:
    """SQL of the other rows of a part; see `matching_query`."""
    return f"SELECT * FROM {_rows(file)} WHERE ({RECORD if keyed else _BY_ID}) IS NOT TRUE"


def in_ledger_query(file: Path) -> str:
    """SQL of how many records of a part of a ledger have values and one of some ids, the parameter."""
    return f"SELECT count(*) FROM {_rows(file)} WHERE coalesce(written, pending) IS NOT NULL AND {_BY_ID}"


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
SELECT * REPLACE (CASE WHEN {_BY_ID} THEN NULL ELSE written END AS written,
  CASE WHEN {_BY_ID} THEN NULL ELSE pending END AS pending)
FROM {_rows(file)}""".strip()


def _rows(file: Path) -> str:
    return f"read_parquet({literal(str(file))})"
