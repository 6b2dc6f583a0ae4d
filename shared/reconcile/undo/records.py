"""The records of a journal with typed values: what each column held before the run, and what the run wrote."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shared.entities import AttributeType
from shared.reconcile.plan import PlanAction
from shared.transform import TargetColumn, from_service
from shared.workspace import NewTable, Step, Table, literal, quoted

__all__ = ["UNDO_RECORDS", "has", "journal_tables_query", "records_step", "was", "wrote"]

UNDO_RECORDS = "undo_records"
_EXACT = frozenset({AttributeType.DECIMAL, AttributeType.MONEY})
_DELETE = literal(PlanAction.DELETE)
# A payload refers to a record as `/accounts(<id>)`.
_ID = r"\(([0-9a-fA-F-]{36})\)"
_SET = r"^/?([^(]+)\("


def was(column: TargetColumn) -> str:
    """The column with the value before the run."""
    return quoted(f"was:{column.name}")


def wrote(column: TargetColumn) -> str:
    """The column with the value that the run wrote."""
    return quoted(f"wrote:{column.name}")


def has(column: TargetColumn) -> str:
    """The column that says whether the run wrote it; of a deleted record, whether it held a value."""
    return quoted(f"has:{column.name}")


def records_step(layout: Sequence[TargetColumn], keys: Sequence[TargetColumn], where: str = "") -> Step:
    """The step that makes `undo_records` of `journal`: one row a record, by the number of its change.

    Args:
        layout: The columns that the run wrote, or that deleted records held.
        keys: The columns of the sync key, whose values the journal has for each record.
        where: SQL condition on which records are undone, over `action`, `id`, and the columns by their names.
    """
    values = [item for column in layout for item in _items(column)]
    listed = "".join(f",\n  {item}" for item in values)
    query = f"SELECT change, action, id, key{listed}\nFROM journal"
    if where:
        query = _filtered(query, layout, keys, where)
    return Step.creating(
        "Type the values of the journal",
        NewTable(name=UNDO_RECORDS, query=query),
        "--where" if where else "",
        needs=frozenset({Table.JOURNAL}),
    )


def _filtered(query: str, layout: Sequence[TargetColumn], keys: Sequence[TargetColumn], where: str) -> str:
    named = {column.name: _key_value(column) for column in keys}
    for column in layout:
        written = f"CASE WHEN action = {_DELETE} THEN {was(column)} ELSE {wrote(column)} END"
        known = named.get(column.name)
        named[column.name] = f"coalesce({written}, {known})" if known else written
    shown = "".join(f", {value} AS {quoted(name)}" for name, value in named.items())
    others = ", ".join(name for name in ("action", "id") if name not in named)
    kept = f"SELECT change{shown}{f', {others}' if others else ''} FROM records"
    return f"""
WITH records AS ({query})
SELECT * FROM records
WHERE change IN (SELECT change FROM ({kept}) WHERE {where})""".strip()


def _key_value(column: TargetColumn) -> str:
    return _typed(column, _member("key", column))


def _items(column: TargetColumn) -> Iterable[str]:
    name, path = literal(column.name), literal(f'$."{column.name}"')
    sent = f"list_contains(string_split(columns, ','), {name})"
    yield f"CASE WHEN action = {_DELETE} THEN json_exists(before, {path}) ELSE {sent} END AS {has(column)}"
    yield f"{_typed(column, _member('before', column))} AS {was(column)}"
    yield f"CASE WHEN {sent} THEN {_written(column)} END AS {wrote(column)}"


def _typed(column: TargetColumn, text: str) -> str:
    """SQL of a value from the text that shows it: of a lookup with several tables `<table>:<id>`."""
    if column.attribute.polymorphic:
        return text
    value = from_service(column, text)
    return f"try({value})" if column.sql_type != "VARCHAR" else value


def _member(document: str, column: TargetColumn) -> str:
    """SQL of the text of a member. A long number becomes a text first: JSON would take it through a double."""
    path = literal(f'$."{column.name}"')
    if column.attribute.type in _EXACT:
        number = literal(f'("{column.name}":)(-?[0-9][0-9.]{{15,}})')
        document = f"""regexp_replace({document}, {number}, '\\1"\\2"')"""
    return f"json_extract_string(nullif({document}, ''), {path})"


def _written(column: TargetColumn) -> str:
    """SQL of the value that was sent: a later request has the last word."""
    if not column.binds:
        parts = [_typed(column, _member(document, column)) for document in ("later", "links", "payload")]
        path = literal(f'$."{column.name}"')
        later = [
            f"WHEN json_exists(nullif({document}, ''), {path}) THEN {part}"
            for document, part in zip(("later", "links"), parts, strict=False)
        ]
        return f"CASE {' '.join(later)} ELSE {parts[2]} END"
    navigations = dict.fromkeys(bind.navigation for bind in column.binds)
    bound = ", ".join(
        f"""json_extract_string(nullif({document}, ''), {literal(f'$."{navigation}@odata.bind"')})"""
        for document in ("later", "links", "payload")
        for navigation in navigations
    )
    text = f"coalesce({bound})"
    record = f"nullif(regexp_extract({text}, {literal(_ID)}, 1), '')"
    if not column.attribute.polymorphic:
        return f"CAST({record} AS UUID)"
    cases = " ".join(
        f"WHEN {literal(bind.entity_set)} THEN {literal(bind.table)}" for bind in column.binds if bind.entity_set
    )
    table = f"CASE regexp_extract({text}, {literal(_SET)}, 1) {cases} END" if cases else "NULL"
    return f"{table} || ':' || lower({record})"


def journal_tables_query(columns: Sequence[TargetColumn]) -> str:
    """SQL of the tables that lookups with several tables referred to before the run."""
    several = [column for column in columns if column.attribute.polymorphic]
    if not several:
        return "SELECT NULL LIMIT 0"
    tables = " UNION ".join(
        f"""SELECT split_part({_member("before", column)}, ':', 1) AS found FROM journal""" for column in several
    )
    return f"SELECT DISTINCT found FROM ({tables}) WHERE found <> ''"
