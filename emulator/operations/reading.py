"""Rows into JSON: which columns a request reads, and what stands beside the values."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from emulator.environment import Environment
from emulator.messages import Preferences
from emulator.odata import Query
from emulator.odata.formats import formatter
from emulator.schema import ColumnType, Table
from emulator.store import sql_name

__all__ = ["FORMATTED", "Record", "RowShape", "etag", "readable"]

FORMATTED: Final = "OData.Community.Display.V1.FormattedValue"
_LOOKUP_TABLE: Final = "Microsoft.Dynamics.CRM.lookuplogicalname"
_LOOKUP_NAVIGATION: Final = "Microsoft.Dynamics.CRM.associatednavigationproperty"

_CURRENCY: Final = "_transactioncurrencyid_value"

Record = dict[str, Any]


def etag(version: int, *, elastic: bool = False) -> str:
    """Returns the ETag of a row version; elastic tables have the form of their own store."""
    return f'W/"{version:08x}-0000-0200-0000-67af80e80000"' if elastic else f'W/"{version}"'


def readable(table: Table) -> tuple[str, ...]:
    """Returns the properties of a row when none are named."""
    return tuple(column.property_name for column in table.columns.values() if column.valid_for_read)


def _currency(table: Table, selected: Sequence[str]) -> tuple[str, ...]:
    """Amounts of money come with their currency (select-columns page)."""
    if _CURRENCY not in table.by_property:
        return ()
    return (_CURRENCY,) if any(table.by_property[name].type is ColumnType.MONEY for name in selected) else ()


class RowShape:
    """How the rows of one request are read.

    `columns` is the list after SELECT; `records` makes JSON objects of what it returns. The primary key comes with
    every row, asked for or not.
    """

    def __init__(self, environment: Environment, table: Table, query: Query, preferences: Preferences) -> None:
        """Decides on columns and annotations."""
        self.table = table
        self._environment = environment
        selected = query.select if query.select is not None else readable(table)
        properties = dict.fromkeys((*selected, table.primary_id, *_currency(table, selected)))
        columns = [table.by_property[name] for name in properties]
        self.properties = tuple(properties)
        self._names = ("@odata.etag", *properties)
        self._booleans = [column.property_name for column in columns if column.type is ColumnType.BOOLEAN]
        self._kinds = [column for column in columns if column.is_polymorphic]
        self._formats = (
            [(column.property_name, made) for column in columns for made in (formatter(column),) if made]
            if preferences.wants(FORMATTED)
            else []
        )
        self._lookups = (
            [column for column in columns if column.is_lookup]
            if preferences.annotations
            and any(preferences.wants(name) for name in (FORMATTED, _LOOKUP_TABLE, _LOOKUP_NAVIGATION))
            else []
        )
        self._preferences = preferences
        table_name = sql_name(table.logical_name)
        version = f"'W/\"' || {table_name}.\"versionnumber\" || '\"'"
        if table.elastic:
            version = f"'W/\"' || printf('%08x', {table_name}.\"versionnumber\") || '-0000-0200-0000-67af80e80000\"'"
        names = [*(column.logical_name for column in columns)]
        if self._lookups:
            names += [f"{column.logical_name}__type" for column in self._kinds]
        self.columns = ", ".join([version, *(f"{table_name}.{sql_name(name)}" for name in names)])

    def records(self, rows: Sequence[tuple[Any, ...]]) -> list[Record]:
        """Makes JSON objects of rows read with `columns`."""
        names = self._names
        records = [dict(zip(names, row, strict=False)) for row in rows]
        for name in self._booleans:
            for record in records:
                value = record[name]
                if value is not None:
                    record[name] = value == 1
        if self._lookups:
            self._annotate_lookups(records, rows)
        if self._formats:
            _annotate(records, self._formats)
        return records

    def _annotate_lookups(self, records: Sequence[Record], rows: Sequence[tuple[Any, ...]]) -> None:
        wants = self._preferences.wants
        formatted, kind, navigation = wants(FORMATTED), wants(_LOOKUP_TABLE), wants(_LOOKUP_NAVIGATION)
        kinds_from = len(self._names)
        for column in self._lookups:
            name = column.property_name
            position = kinds_from + self._kinds.index(column) if column in self._kinds else None
            targets = [
                (record, row[position] if position is not None else column.targets[0])
                for record, row in zip(records, rows, strict=True)
                if record[name] is not None
            ]
            texts = self._names_of((target, record[name]) for record, target in targets) if formatted else {}
            for record, target in targets:
                text = texts.get((target, record[name]))
                if text is not None:
                    record[f"{name}@{FORMATTED}"] = text
                if kind:
                    record[f"{name}@{_LOOKUP_TABLE}"] = target
                if navigation and target in column.navigation:
                    record[f"{name}@{_LOOKUP_NAVIGATION}"] = column.navigation[target]

    def _names_of(self, references: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
        """Returns the primary names of the rows referred to."""
        wanted: dict[str, set[str]] = {}
        for target, record_id in references:
            wanted.setdefault(target, set()).add(record_id)
        names: dict[tuple[str, str], str] = {}
        for target, ids in wanted.items():
            table = self._environment.schema.tables.get(target)
            if table is None:
                continue
            rows = self._environment.rows(table)
            numbers = rows.by_ids(sorted(ids))
            for record_id, name in rows.fetch_many(
                list(numbers.values()), (table.primary_id, table.primary_name)
            ).values():
                if name is not None:
                    names[target, record_id] = name
        return names


def _annotate(records: Sequence[Record], formats: Sequence[tuple[str, Any]]) -> None:
    for name, made in formats:
        annotation = f"{name}@{FORMATTED}"
        for record in records:
            value = record[name]
            if value is not None:
                record[annotation] = made(value)
