"""Dividing a table into ranges that can be read side by side.

Pages of one query come one after the other, since each names the next. Ranges of an alternate key, which is indexed,
are separate queries. The source's keys define the cuts: the target's are expected to be much the same.

The ranges cover every record whatever the service's order of text is: for any value, the last cut that is not beyond
it defines its range. If the service orders two cuts differently, a record may be read twice, but never skipped; so
records are made unique by id afterwards. (If the key of a record changes during the read, the record can move from a
range that is not read yet into one that was read. Then the service refuses to create it again, and the next run finds
it.)
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from shared.dataverse.http.keys import literal
from shared.entities import AttributeMetadata, AttributeType, EntityMetadata
from shared.transform.targets import TargetColumn, key_columns
from shared.workspace import Workspace, quoted

__all__ = ["cut_column", "cuts", "range_conditions"]


SAMPLE = 20_000  # sample of the rows for choosing the cuts


def cut_column(entity: EntityMetadata, layout: Sequence[TargetColumn]) -> AttributeMetadata | None:
    """The text column to cut by: the first of the sync key, where an active alternate key covers the sync key.

    Without such a key there may be duplicates, which are distinguished by the order in which they are read.
    """
    parts = key_columns(layout)
    key = entity.key_over(frozenset(column.name for column in parts))
    if key is None or not key.active or parts[0].attribute.type is not AttributeType.STRING:
        return None
    return parts[0].attribute


def cuts(workspace: Workspace, column: AttributeMetadata, ranges: int) -> tuple[str, ...]:
    """Values of the source that cut its rows into ranges of about equal size; none where there is no source yet."""
    ((known,),) = workspace.query(
        "SELECT count(*) FROM duckdb_columns() WHERE table_name = 'desired' AND column_name = ?", [column.name]
    )
    if not known or ranges < 2:  # noqa: PLR2004 - one range is the whole table
        return ()
    shares = [share / ranges for share in range(1, ranges)]
    name = quoted(column.name)
    sample = f"SELECT {name} FROM desired USING SAMPLE {SAMPLE} ROWS (reservoir, 1)"
    ((found,),) = workspace.query(f"SELECT quantile_disc({name}, {shares}) FROM ({sample})")
    return tuple(sorted(set(found or ())))


def range_conditions(column: AttributeMetadata, at: Sequence[str]) -> tuple[str, ...]:
    """One OData condition for each range; records without a value belong to the first."""
    if not at:
        return ()
    first = f"({column.name} lt {literal(column, at[0])} or {column.name} eq null)"
    middle = (
        f"({column.name} ge {literal(column, low)} and {column.name} lt {literal(column, high)})"
        for low, high in pairwise(at)
    )
    return (first, *middle, f"{column.name} ge {literal(column, at[-1])}")
