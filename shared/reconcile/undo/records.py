"""The records of a journal with typed values: what each column held before the run, and what the run wrote."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shared.entities import AttributeType
from shared.reconcile.plan import PlanAction
from shared.transform import TargetColumn, from_service
from shared.workspace import Members, NewTable, Step, Table, literal, quoted

__all__ = ["RECORD_IDS", "UNDO_RECORDS", "has", "journal_tables_query", "records_step", "was", "wrote"]

UNDO_RECORDS = "undo_records"
RECORD_IDS = f"SELECT CAST(id AS VARCHAR) FROM {UNDO_RECORDS} WHERE id IS NOT NULL"
"""SQL of the ids of the records that are undone."""
_EXACT = frozenset({AttributeType.DECIMAL, AttributeType.MONEY})
_DELETE = literal(PlanAction.DELETE)
_SENT = quoted("sent columns")
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
    members = Members()
    values = [item for column in layout for item in _items(column, members)]
    listed = "".join(f",\n  {item}" for item in values)
    read = ", ".join(["change", "action", "id", "key", f"string_split(columns, ',') AS {_SENT}", *members.items()])
    query = f"SELECT change, action, id, key{listed}\nFROM (SELECT {read} FROM journal)"
    if where:
        query = _filtered(query, layout, keys, where)
    return Step.creating(
        "Type the values of the journal",
        NewTable(name=UNDO_RECORDS, query=query),
        "--where" if where else "",
        needs=frozenset({Table.JOURNAL}),
    )


def _filtered(query: str, layout: Sequence[TargetColumn], keys: Sequence[TargetColumn], where: str) -> str:
    members = Members()
    named = {column.name: _typed(column, _member(members, "key", column)) for column in keys}
    for column in layout:
        written = f"CASE WHEN action = {_DELETE} THEN {was(column)} ELSE {wrote(column)} END"
        known = named.get(column.name)
        named[column.name] = f"coalesce({written}, {known})" if known else written
    shown = "".join(f", {value} AS {quoted(name)}" for name, value in named.items())
    others = ", ".join(name for name in ("action", "id") if name not in named)
    read = ", ".join(["*", *members.items()])
    kept = f"SELECT change{shown}{f', {others}' if others else ''} FROM (SELECT {read} FROM records)"
    return f"""
WITH records AS ({query})
SELECT * FROM records
WHERE change IN (SELECT change FROM ({kept}) WHERE {where})""".strip()


def _items(column: TargetColumn, members: Members) -> Iterable[str]:
    sent = f"list_contains({_SENT}, {literal(column.name)})"
    held = members.has("before", column.name)
    yield f"CASE WHEN action = {_DELETE} THEN {held} ELSE {sent} END AS {has(column)}"
    yield f"{_typed(column, _member(members, 'before', column))} AS {was(column)}"
    yield f"CASE WHEN {sent} THEN {_written(column, members)} END AS {wrote(column)}"


def _typed(column: TargetColumn, text: str) -> str:
    """SQL of a value from the text that shows it: of a lookup with several tables `<table>:<id>`."""
    if column.attribute.polymorphic:
        return text
    value = from_service(column, text)
    return f"try({value})" if column.sql_type != "VARCHAR" else value


def _member(members: Members, document: str, column: TargetColumn) -> str:
    return members.text(document, column.name, exact=column.attribute.type in _EXACT)


def _written(column: TargetColumn, members: Members) -> str:
    """SQL of the value that was sent: a later request has the last word."""
    if not column.binds:
        later = " ".join(
            f"WHEN {members.has(document, column.name)} THEN {_member(members, document, column)}"
            for document in ("later", "links")
        )
        return _typed(column, f"CASE {later} ELSE {_member(members, 'payload', column)} END")
    navigations = dict.fromkeys(bind.navigation for bind in column.binds)
    bound = ", ".join(
        members.text(document, f"{navigation}@odata.bind")
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
    members = Members()
    values = [members.text("before", column.name) for column in columns if column.attribute.polymorphic]
    if not values:
        return "SELECT NULL LIMIT 0"
    found = f"SELECT unnest([{', '.join(values)}]) AS value FROM (SELECT {', '.join(members.items())} FROM journal)"
    return f"SELECT DISTINCT split_part(value, ':', 1) AS found FROM ({found}) WHERE value <> ''"
