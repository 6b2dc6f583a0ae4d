"""SQL that finds a record in what is kept of runs, and leaves it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from shared.reconcile.undo.journal import HAS_KEY, outcomes
from shared.transform.notation.words import spelled
from shared.workspace import literal, quoted

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
    "mirror_columns_query",
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


def mirror_columns_query(file: Path) -> str:
    """SQL of the names and types of the columns of a part of a mirror."""
    return f"SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM {_rows(file)})"


def in_mirror_query(file: Path, columns: Mapping[str, str]) -> str:
    """SQL of how many records of a part of a mirror have all values of a key, or an id; both parameters are lists.

    The columns of a mirror are those of its sync, so every value is looked at, as journals write it, upper and lower
    case aside.

    Args:
        file: The part.
        columns: Its columns: name -> type, as `mirror_columns_query` gives them.
    """
    texts = [text for name, kind in columns.items() if _has_values(name) for text in _texts(quoted(name), kind)]
    found = f"list_transform([{', '.join(texts)}], lambda value: {spelled('value')})"
    return f"""
SELECT count(*) FROM (SELECT {found} AS found FROM {_rows(file)})
WHERE list_has_all(found, list_transform(?::VARCHAR[], lambda value: {spelled("value")}))
  OR list_has_any(found, ?::VARCHAR[])""".strip()


def _has_values(name: str) -> bool:
    """Whether a column of a mirror has values of records, or their ids; others have places, versions and the like."""
    return name == "_id" or not name.startswith("_")


def _texts(sql: str, kind: str) -> list[str]:
    """SQL of the texts under which a value of a type counts: as journals write it, and numbers without zeros."""
    text = f"CAST({sql} AS VARCHAR)"
    match kind.partition("(")[0]:
        case "TIMESTAMP":
            return [f"strftime({sql}, '%Y-%m-%dT%H:%M:%SZ')"]
        case "VARCHAR":  # of a lookup with several tables `<table>:<id>`
            return [text, f"regexp_extract({text}, '^[a-z0-9_]+:([0-9a-f-]{{36}})$', 1)"]
        case "DECIMAL" | "DOUBLE":
            return [text, f"regexp_replace({text}, '[.]0*$|([.][0-9]*[1-9])0+$', '\\1')"]
        case _:
            return [text]


def ledger_without(file: Path) -> str:
    """SQL of a part of a ledger without the values of a record; its parameter is the ids."""
    return f"""
SELECT * REPLACE (CASE WHEN {HAS_ID} THEN NULL ELSE written END AS written,
  CASE WHEN {HAS_ID} THEN NULL ELSE pending END AS pending)
FROM {_rows(file)}""".strip()


def _rows(file: Path) -> str:
    return f"read_parquet({literal(str(file))})"
