"""The rows of events: each with the columns that its event carries, typed and mapped like the rows of a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from shared.definitions.models import ChangedWhen, SyncDefinition
from shared.transform.lookups.columns import LookupColumn, carried_columns
from shared.transform.shape import SOURCE_TYPES
from shared.transform.targets import Omit, TargetColumn, key_columns
from shared.workspace import NewTable, Table, json_rows, quoted

__all__ = [
    "LEFT_OUT_FIELDS",
    "REJECTED_EVENTS",
    "collect_source_statement",
    "collect_statement",
    "event_raw_table",
    "keeps_source",
    "raw_members",
    "records_query",
    "wanted_tables",
]

REJECTED_EVENTS: Final = (
    "SELECT _row, error, coalesce(\"column\", ''), message FROM source_errors WHERE rejected "
    "ORDER BY _row DESC, rowid DESC"
)
"""SQL for (row, error, column, message) of what rejects rows, the first error of a row last."""

LEFT_OUT_FIELDS: Final = (
    "SELECT _row, error, coalesce(\"column\", ''), message FROM source_errors "
    "WHERE NOT rejected AND _row >= 0 AND _row IN (SELECT _row FROM wanted) ORDER BY _row, rowid"
)
"""SQL for (row, error, column, message) of the fields that rows are applied without."""


def wanted_tables(
    definition: SyncDefinition, layout: Sequence[TargetColumn], late: Sequence[LookupColumn] = ()
) -> tuple[NewTable, ...]:
    """The table `wanted`, and `wanted_source` where a rule looks at source columns: both without rows.

    `wanted` has `_row`, the target columns, `_omit_<target>` for each of them, the keys `_k1` and its like, and what
    lookups search that are resolved later.
    """
    columns = ["_row BIGINT"]
    columns += [f"{quoted(column.name)} {column.sql_type}" for column in layout]
    columns += [f"{quoted('_omit_' + column.name)} BOOLEAN DEFAULT true" for column in layout]
    columns += [f"_k{column.key_part} {column.sql_type}" for column in key_columns(layout)]
    columns += [f"{quoted(name)} {kind}" for name, kind in carried_columns(late).items()]
    tables = [NewTable(name=Table.WANTED, columns=f"({', '.join(columns)})")]
    if keeps_source(definition):
        labels = (f"{quoted(c.label)} {SOURCE_TYPES[c.type]}" for c in definition.source.columns)
        tables.append(NewTable(name=Table.WANTED_SOURCE, columns=f"(_row BIGINT, {', '.join(labels)})"))
    return tuple(tables)


def keeps_source(definition: SyncDefinition) -> bool:
    """Whether the source columns are kept behind the mapping: only a condition on changes looks at them."""
    return isinstance(definition.sync_behaviour.changed, ChangedWhen)


def raw_members(fields: Sequence[str]) -> Mapping[str, str]:
    """Source column -> its member in the JSON of `event_raw_table`: names of columns may differ in case alone."""
    return {field: f"c{place}" for place, field in enumerate(fields)}


def event_raw_table(fields: Sequence[str]) -> NewTable:
    """The table `source_raw`, made of one JSON text: the statement's parameter.

    That is an array of objects with the member `n`, the number of the row, and those of `raw_members` with texts.
    """
    members = raw_members(fields)
    form = {"n": "BIGINT"} | dict.fromkeys(members.values(), "VARCHAR")
    items = "".join(f", r.{member} AS {quoted(field)}" for field, member in members.items())
    return NewTable(name=Table.SOURCE_RAW, query=f"SELECT r.n AS _row{items} FROM {json_rows(form)}")


def collect_statement(layout: Sequence[TargetColumn], late: Sequence[LookupColumn] = ()) -> str:
    """SQL that adds the rows of `desired` to `wanted`: what they do not map keeps its default there, left out.

    Args:
        layout: The target columns of `desired`.
        late: The lookups among them that are resolved later.
    """
    mapped = [column for column in layout if column.implied or column.source_sql != "NULL"]
    values = [quoted(column.name) for column in mapped]
    names = ["_row", *values, *(quoted("_omit_" + column.name) for column in mapped)]
    items = ["_row", *values, *(_omitted(column) for column in mapped)]
    keys = [f"_k{column.key_part}" for column in mapped if column.key_part is not None]
    keys += map(quoted, carried_columns(late))
    return f"INSERT INTO wanted ({', '.join(names + keys)}) SELECT {', '.join(items + keys)} FROM desired"


def _omitted(column: TargetColumn) -> str:
    match column.omit:
        case Omit.NEVER:
            return "false"
        case Omit.WHEN_NULL:
            return f"{quoted(column.name)} IS NULL"
        case Omit.FLAGGED:
            return quoted("_omit_" + column.name)


def collect_source_statement(labels: Sequence[str]) -> str:
    """SQL that adds the rows of `source` to `wanted_source`.

    Args:
        labels: The columns of `source`.
    """
    names = ", ".join(("_row", *map(quoted, labels)))
    return f"INSERT INTO wanted_source ({names}) SELECT {names} FROM source"


def records_query(layout: Sequence[TargetColumn]) -> str:
    """SQL for (row, record) of `wanted`: the sync key as it is compared, as a JSON text."""
    parts = ", ".join(f"CAST(_k{column.key_part} AS VARCHAR)" for column in key_columns(layout))
    return f"SELECT _row, CAST(to_json([{parts}]) AS VARCHAR) FROM wanted"
