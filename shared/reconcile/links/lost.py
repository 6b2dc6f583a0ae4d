"""References to new records whose rows are rejected, as SQL: they find nothing, and may reject their own rows."""

from __future__ import annotations

from shared.transform.lookups.columns import link_name
from shared.workspace import literal, quoted

__all__ = ["cleared", "forget", "lost_rows"]


def lost_rows(start: str, rejects: str) -> str:
    """SQL of a query's beginning: the table `lost` (`_row`) of the rejected rows and of those that need their records.

    Args:
        start: SQL of the rows that are rejected first.
        rejects: SQL condition over `parents`: the reference rejects its row where it finds nothing.
    """
    return f"""
WITH RECURSIVE lost(_row) AS (
  {start}
  UNION
  SELECT parents._row FROM lost JOIN parents ON parents.parent = lost._row WHERE {rejects})""".strip()


def cleared(name: str, lost: str) -> str:
    """The statement that empties a column, or keeps its value, where it refers to one of the rows `lost` (SQL)."""
    return f"""
UPDATE desired SET {quoted(name)} = NULL, {quoted(link_name(name))} = 0, {quoted(f"_omit_{name}")} = parents.keeps
FROM parents
WHERE parents._row = desired._row AND parents.name = {literal(name)} AND parents.parent IN ({lost})""".strip()


def forget(lost: str) -> str:
    """The statement that removes the references of rejected rows, and those to the rows `lost` (SQL)."""
    return f"DELETE FROM parents WHERE _row NOT IN (SELECT _row FROM desired) OR parent IN ({lost})"
