"""What a request reads: a query on a table, and the JSON of its rows with their annotations."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from emulator.environment import Environment
from emulator.messages import Effect, Request
from emulator.odata import Compiler, Expand, Joins, Query, Scope, check_query
from emulator.odata.formats import amount_text, formatter
from emulator.operations.rules.currencies import Currencies
from emulator.schema import ColumnType, Table
from emulator.store import sql_name

__all__ = [
    "FORMATTED",
    "LOOKUP_TABLE",
    "Record",
    "RowShape",
    "TableQuery",
    "etag",
    "names_of",
    "readable",
    "session_token",
]

FORMATTED: Final = "OData.Community.Display.V1.FormattedValue"
LOOKUP_TABLE: Final = "Microsoft.Dynamics.CRM.lookuplogicalname"
_LOOKUP_NAVIGATION: Final = "Microsoft.Dynamics.CRM.associatednavigationproperty"

_ELASTIC_VERSION: Final = "-0000-0200-0000-67af80e80000"  # what follows the row version in an elastic table's ETag
_CURRENCY: Final = "_transactioncurrencyid_value"

Record = dict[str, Any]


def etag(version: int, *, elastic: bool = False) -> str:
    """Returns the ETag of a row version; elastic tables have another form."""
    return f'W/"{version:08x}{_ELASTIC_VERSION}"' if elastic else f'W/"{version}"'


def session_token(table: Table) -> dict[str, str]:
    """Returns the header that answers a write to an elastic table; other tables have none."""
    return {"x-ms-session-token": "240:8#144035050#7=-1"} if table.elastic else {}


def readable(table: Table) -> tuple[str, ...]:
    """Returns the properties of a row without `$select`."""
    return tuple(column.property_name for column in table.columns.values() if column.valid_for_read)


def _keys(table: Table) -> tuple[str, ...]:
    """The key that every row has in an answer; users and teams have that of a principal, too (join-tables page)."""
    return (table.primary_id, "ownerid") if table.is_principal else (table.primary_id,)


def _currency(table: Table, selected: Sequence[str]) -> tuple[str, ...]:
    """The currency that the service adds to amounts of money (select-columns page)."""
    if _CURRENCY not in table.by_property:
        return ()
    return (_CURRENCY,) if any(table.by_property[name].type is ColumnType.MONEY for name in selected) else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TableQuery:
    """A query on one table, with its request and environment.

    Attributes:
        environment: The rows and the schema.
        request: The request that asks.
        table: The table.
        query: The query options.
        joins: The tables that are joined to it.
        distinct: The SQL of the values that no two rows of the answer share; empty where it has every row.
        deleted: Whether it reads the rows in the recycle bin.
        linked: Whether each expanded collection has a link with which it can be read alone.
        related_rows: The largest number of rows of each expanded collection, or None.
    """

    environment: Environment
    request: Request
    table: Table
    query: Query
    joins: Joins = field(default_factory=Joins)
    distinct: tuple[str, ...] = ()
    deleted: bool = False
    linked: bool = False
    related_rows: int | None = None

    def checked(self) -> Self:
        """Returns the query after a check of its names, except those of the filter.

        Raises:
            ODataError: A name is unknown.
        """
        return replace(self, query=check_query(self.query, self.table, self.environment.schema))

    def related(self, table: Table, query: Query) -> Self:
        """Returns another query of the same request."""
        return replace(self, table=table, query=query, joins=Joins(), distinct=())

    @property
    def sql_table(self) -> str:
        """The table's name in SQL."""
        return sql_name(self.table.logical_name)

    @property
    def source(self) -> str:
        """The FROM clause: the table, and those that are joined to it."""
        return f"{self.sql_table}{self.joins.text}"

    @property
    def scope(self) -> Scope:
        """What the names in a filter or an order mean."""
        return self.joins.scope or Scope.of(self.table)

    @property
    def compiler(self) -> Compiler:
        """The compiler of filters and orders for this request."""
        return self.environment.compiler(self.request.caller)

    def fetch(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Returns the rows of an SQL statement.

        Raises:
            ServiceError: The user of the request may not read the table (403).
        """
        self.permit()
        if self.deleted:
            bin_ = self.environment.recycle_bin
            rows = bin_.rows(self.table) if bin_ else f"SELECT * FROM main.{self.sql_table} WHERE 0"
            statement = f"WITH {self.sql_table} AS ({rows}) {statement}"
        return self.environment.database.connection.execute(statement, parameters).fetchall()

    def permit(self) -> None:
        """Refuses a user who may not read the table.

        Raises:
            ServiceError: The user lacks the privilege (403).
        """
        self.environment.permit(self.request.caller, self.table, "read")

    def context(self, ending: str = "") -> str:
        """Returns `@odata.context`: `…$metadata#accounts(name,revenue)`, or `…#accounts` for all columns."""
        parts = [*(self.query.select or ()), *(_expanded_context(expand) for expand in self.query.expand)]
        columns = f"({','.join(parts)})" if parts else ""
        return self.request.context(f"{self.table.entity_set}{columns}{ending}")

    def read(self, count: int) -> tuple[Effect, ...]:
        """Returns the effect of reading this number of rows."""
        return (Effect(operation="read", table=self.table.logical_name, count=count),)


def _expanded_context(expand: Expand) -> str:
    if expand.references:
        return f"{expand.name},{expand.name}/$ref()"
    parts = [*(expand.query.select or ()), *(_expanded_context(nested) for nested in expand.query.expand)]
    return f"{expand.name}({','.join(parts)})"


def _referenced(asked: TableQuery) -> tuple[str, ...]:
    """The lookups that come with the addresses of their rows (join-tables page, "Return references")."""
    found = (asked.table.by_navigation.get(expand.name) for expand in asked.query.expand if expand.references)
    return tuple(pair[0].property_name for pair in found if pair is not None)


class RowShape:
    """The columns and annotations of one query.

    `columns` is the list after SELECT; `records` returns the JSON objects of the rows. Every row has its primary key,
    also if the query does not select it.
    """

    def __init__(self, asked: TableQuery) -> None:
        """Chooses columns and annotations."""
        table, query, preferences = asked.table, asked.query, asked.request.preferences
        self.table = table
        self._environment = asked.environment
        selected = query.select if query.select is not None else readable(table)
        properties = dict.fromkeys((*selected, *_referenced(asked), *_keys(table), *_currency(table, selected)))
        columns = [table.by_property[name] for name in properties]
        self.properties = tuple(properties)
        self._names = ("@odata.etag", *properties)
        self._booleans = [column.property_name for column in columns if column.type is ColumnType.BOOLEAN]
        self._kinds = [column for column in columns if column.is_polymorphic]
        formatted = columns if preferences.wants(FORMATTED) else []
        self._amounts = [column for column in formatted if column.type is ColumnType.MONEY]
        others = (column for column in formatted if column.type is not ColumnType.MONEY)
        self._formats = [(column.property_name, made) for column in others for made in (formatter(column),) if made]
        self._lookups = (
            [column for column in columns if column.is_lookup]
            if preferences.annotations
            and any(preferences.wants(name) for name in (FORMATTED, LOOKUP_TABLE, _LOOKUP_NAVIGATION))
            else []
        )
        self._preferences = preferences
        table_name = sql_name(table.logical_name)
        version = f"'W/\"' || {table_name}.\"versionnumber\" || '\"'"
        if table.elastic:
            version = f"'W/\"' || printf('%08x', {table_name}.\"versionnumber\") || '{_ELASTIC_VERSION}\"'"
        names = [*(column.logical_name for column in columns)]
        if self._lookups:
            names += [f"{column.logical_name}__type" for column in self._kinds]
        self.columns = ", ".join([version, *(f"{table_name}.{sql_name(name)}" for name in names)])

    def records(self, rows: Sequence[tuple[Any, ...]]) -> list[Record]:
        """Returns the JSON objects of rows that were read with `columns`."""
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
        if self._amounts:
            self._annotate_amounts(records)
        return records

    def _annotate_amounts(self, records: Sequence[Record]) -> None:
        """Adds the amounts with the symbol and the decimals of their currency, which is the base one for `…_base`."""
        currencies = Currencies(self._environment)
        known: dict[tuple[str, str | None], tuple[str, int]] = {}
        for column in self._amounts:
            name = column.property_name
            for record in records:
                if record[name] is not None:
                    currency = None if column.computed else record.get(_CURRENCY)
                    key = (column.logical_name, currency)
                    if key not in known:
                        known[key] = currencies.symbol(currency), currencies.shown_digits(column, currency)
                    record[f"{name}@{FORMATTED}"] = amount_text(record[name], *known[key])

    def _annotate_lookups(self, records: Sequence[Record], rows: Sequence[tuple[Any, ...]]) -> None:
        wants = self._preferences.wants
        formatted, kind, navigation = wants(FORMATTED), wants(LOOKUP_TABLE), wants(_LOOKUP_NAVIGATION)
        kinds_from = len(self._names)
        for column in self._lookups:
            name = column.property_name
            position = kinds_from + self._kinds.index(column) if column in self._kinds else None
            targets = [
                (record, row[position] if position is not None else column.targets[0])
                for record, row in zip(records, rows, strict=True)
                if record[name] is not None
            ]
            references = ((target, record[name]) for record, target in targets)
            texts = names_of(self._environment, references) if formatted else {}
            for record, target in targets:
                text = texts.get((target, record[name]))
                if text is not None:
                    record[f"{name}@{FORMATTED}"] = text
                if kind:
                    record[f"{name}@{LOOKUP_TABLE}"] = target
                if navigation and target in column.navigation:
                    record[f"{name}@{_LOOKUP_NAVIGATION}"] = column.navigation[target]


def names_of(environment: Environment, references: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
    """Returns the primary names of rows, by table and identifier."""
    wanted: dict[str, set[str]] = {}
    for target, record_id in references:
        wanted.setdefault(target, set()).add(record_id)
    names: dict[tuple[str, str], str] = {}
    for target, ids in wanted.items():
        table = environment.schema.tables.get(target)
        if table is None:
            continue
        rows = environment.rows(table)
        numbers = rows.by_ids(sorted(ids))
        for record_id, name in rows.fetch_many(list(numbers.values()), (table.primary_id, table.primary_name)).values():
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
