"""References that are put off: they are written after all records exist, and not with their own record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.definitions.models import WritePolicy
from shared.reconcile.columns import Condition, given, names, on_insert, payload
from shared.transform import TargetColumn
from shared.transform.lookups.columns import link_name
from shared.workspace import quoted

__all__ = ["DEFERRED", "keep_links_of_existing", "links_of", "written_at_once"]

DEFERRED: Final = -2
"""What `link:<column>` of a new row holds if the reference is written after all records exist."""


def _not_deferred(column: TargetColumn) -> str:
    """SQL condition: the reference is written with the record, not after all records exist."""
    return f"desired.{quoted(link_name(column.name))} IS DISTINCT FROM {DEFERRED}" if column.late else "true"


def written_at_once(condition: Condition) -> Condition:
    """Narrow a condition to the columns that are written with the record, not after all records exist."""
    return lambda column: f"{condition(column)} AND {_not_deferred(column)}" if column.late else condition(column)


def links_of(columns: Sequence[TargetColumn], condition: Condition = given, *, read: bool = False) -> tuple[str, str]:
    """SQL of what is written after all records exist: the JSON object, NULL for nothing, and the names of columns.

    Args:
        columns: The columns that the change may write; only lookups in the table itself are written so late.
        condition: When one of them is written.
        read: Whether `target` is at hand, the record as it is.
    """
    late = [column for column in columns if column.late]
    if not late:
        return "NULL", "NULL"

    def deferred(column: TargetColumn) -> str:
        return f"({condition(column)}) AND desired.{quoted(link_name(column.name))} = {DEFERRED}"

    return f"nullif({payload(late, deferred, read=read)}, '{{}}')", f"nullif({names(late, deferred)}, '')"


def keep_links_of_existing(late: Sequence[TargetColumn]) -> str:
    """The statement after which upserts of existing records write no reference with `write: on_insert`; maybe empty.

    Whether a record is new is known once the upsert has its outcome.
    """
    columns = on_insert(late, id_column="")
    others = [column for column in columns if column.write is not WritePolicy.ON_INSERT]
    if len(others) == len(columns):
        return ""
    links, _ = links_of(others)
    return f"""
UPDATE changes SET links = coalesce({links}, '') FROM desired, outcomes
WHERE desired._row = changes._row AND outcomes._change = changes._change
  AND changes.action = 'upsert' AND links <> '' AND outcomes.created IS NOT TRUE""".strip()
