"""Values on their way to and from the service: its JSON texts on one side, typed columns on the other."""

from __future__ import annotations

from collections.abc import Callable

from shared.entities import PARTY_ROLES, AttributeMetadata, AttributeType
from shared.transform.targets import TEXTS, Bind, TargetColumn, precision
from shared.workspace import literal

__all__ = ["canonical_double", "from_service", "party_rows", "record_id", "to_payload", "to_service", "to_shown"]

# Doubles at and above this are whole numbers already: rounding them could only move them.
_WHOLE_FROM = 2**53


def from_service(column: TargetColumn, text_sql: str, table_sql: str = "NULL") -> str:
    """Return the SQL of a column's typed value.

    Args:
        column: The column; its `sql_type` is the result's type.
        text_sql: The value's text as JSON extraction gives it (`->>`, or a JSON field read as VARCHAR): text without
            quotes, numbers and booleans as written, SQL NULL for null.
        table_sql: For a lookup with several tables, the text that names the table of the record.
    """
    kind = column.attribute.type
    if kind in TEXTS:
        return f"nullif({text_sql}, '')"
    if column.attribute.polymorphic:
        return f"{table_sql} || ':' || {text_sql}"
    match kind:
        case AttributeType.DOUBLE:
            return canonical_double(f"CAST({text_sql} AS DOUBLE)", precision(column.attribute))
        case AttributeType.MULTI_PICKLIST:
            values = f"list_transform(string_split(nullif({text_sql}, ''), ','), lambda v: CAST(trim(v) AS INTEGER))"
            return f"array_to_string(list_sort(list_distinct({values})), ',')"
        case AttributeType.DATETIME if column.sql_type == "TIMESTAMP":
            return f"date_trunc('second', CAST({text_sql} AS TIMESTAMP))"
        case AttributeType.DATETIME:
            return f"CAST(left({text_sql}, 10) AS DATE)"
        case _:
            return f"CAST({text_sql} AS {column.sql_type})"


def to_service(column: TargetColumn, sql: str) -> str:
    """Return the SQL of the column's member of a JSON object: ``"name":value`` with ``null`` for NULL; ids for lookups.

    This form is for keys and for showing values; a write has `to_payload`.

    Args:
        column: The column.
        sql: The typed value, of the type `column.sql_type`.
    """
    return f"{literal(_member_name(column))} || coalesce({_json(column, sql)}, 'null')"


def to_shown(column: TargetColumn, sql: str) -> str:
    """Return the SQL of the member that shows a value to people: of a lookup with several tables `<table>:<id>`."""
    if column.attribute.polymorphic:
        return f"{literal(_member_name(column))} || coalesce(CAST(to_json({sql}) AS VARCHAR), 'null')"
    return to_service(column, sql)


def _member_name(column: TargetColumn) -> str:
    return f'"{column.name}":'  # logical names hold nothing that JSON would escape


def to_payload(column: TargetColumn, sql: str, held_sql: str = "NULL") -> str:
    """Return the SQL of the member that writes a column; of a lookup that is its navigation property.

    A lookup with several tables is cleared through the navigation property of the table that it refers to.

    Args:
        column: The column.
        sql: The typed value, of the type `column.sql_type`.
        held_sql: For a lookup with several tables, the value that the record holds; NULL if that is not known.
    """
    if not column.binds:
        return to_service(column, sql)
    if not column.attribute.polymorphic:
        (bind,) = column.binds
        bound = f"{literal(_bound(bind))} || CAST({sql} AS VARCHAR) || {_END}"
        return f"coalesce({bound}, {literal(_null(bind))})"
    table, record = f"split_part({sql}, ':', 1)", f"split_part({sql}, ':', 2)"
    bound = f"{_by_table(column, table, _bound)} || {record} || {_END}"
    cleared = _by_table(column, f"split_part({held_sql}, ':', 1)", _null)
    return f"coalesce({bound}, {cleared}, {literal(_null(column.binds[0]))})"


def party_rows(column: TargetColumn, sql: str) -> str:
    """Return the SQL of the rows of the collection of parties, joined with commas.

    Args:
        column: A list of parties.
        sql: Its value: `<table>:<id>` for each party, joined with commas.
    """
    table, record = "split_part(p, ':', 1)", "split_part(p, ':', 2)"
    bound = f"{_by_table(column, table, _bound)} || {record} || {_END}"
    role = literal(f',"participationtypemask":{PARTY_ROLES[column.name]}}}')
    row = f"'{{' || {bound} || {role}"
    return f"array_to_string(list_transform(string_split({sql}, ','), lambda p: {row}), ',')"


_END = literal(')"')


def _bound(bind: Bind) -> str:
    """The member that refers to a record, up to its id."""
    return f'"{bind.navigation}@odata.bind":"/{bind.entity_set}('


def _null(bind: Bind) -> str:
    return f'"{bind.navigation}":null'


def _by_table(column: TargetColumn, table: str, text: Callable[[Bind], str]) -> str:
    """SQL for a text that depends on a table; a table that the sync does not refer to has one too, to be cleared."""
    branches = " ".join(f"WHEN {literal(bind.table)} THEN {literal(text(bind))}" for bind in column.binds)
    return f"CASE {table} {branches} END"


def record_id(attribute: AttributeMetadata, sql: str) -> str:
    """Return the SQL of the id of the record that a lookup's typed value refers to.

    Args:
        attribute: The lookup; the value of one with several tables is `<table>:<id>`.
        sql: The typed value.
    """
    return f"TRY_CAST(split_part({sql}, ':', 2) AS UUID)" if attribute.polymorphic else sql


def canonical_double(sql: str, digits: int) -> str:
    """Return the SQL of a double rounded at the column's precision, so that rounding it again changes nothing."""
    limit = _WHOLE_FROM // 10**digits
    return f"CASE WHEN abs({sql}) < {limit} THEN round({sql}, {digits}) ELSE {sql} END"


def _json(column: TargetColumn, sql: str) -> str:
    match column.attribute.type:
        case kind if kind in TEXTS or kind is AttributeType.MULTI_PICKLIST:
            return f"CAST(to_json({sql}) AS VARCHAR)"
        case AttributeType.DATETIME if column.sql_type == "TIMESTAMP":
            return f"""strftime({sql}, '"%Y-%m-%dT%H:%M:%SZ"')"""
        case AttributeType.DATETIME | AttributeType.UNIQUEIDENTIFIER:
            return f"""'"' || CAST({sql} AS VARCHAR) || '"'"""
        case AttributeType.LOOKUP | AttributeType.CUSTOMER | AttributeType.OWNER:
            sql = f"split_part({sql}, ':', 2)" if column.attribute.polymorphic else sql
            return f"""'"' || CAST({sql} AS VARCHAR) || '"'"""
        case _:
            # Not to_json: it takes decimals through double and would lose digits behind the fifteenth.
            return f"CAST({sql} AS VARCHAR)"
