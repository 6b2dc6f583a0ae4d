"""SQLite conditions on the emulator's tables from parsed filters and orders.

Nulls are treated as in the service, which runs filters as SQL conditions on single columns: a comparison with a null
column is false, except for ``ne``, ``not contains`` and similar ones, which are true. ``not`` negates the operator
(``not (x gt 1)`` is ``x le 1``), so it is false for a null column if the negated operator is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from emulator.errors import ODataError, ServiceError, too_many_links
from emulator.odata.functions import function_condition
from emulator.odata.nodes import (
    COMPARISONS,
    Call,
    Comparison,
    Expression,
    Lambda,
    Literal,
    Logical,
    Membership,
    Negation,
    Property,
    QueryFunction,
    Related,
)
from emulator.odata.paging import SortTerm
from emulator.odata.scopes import Place, Scope
from emulator.odata.types import Stored, edm_type, fits, stored_literal
from emulator.schema.model import Column, ColumnType, Schema, Table
from emulator.store.collation import Collation
from emulator.store.ddl import sql_name
from emulator.store.patterns import LONGEST_PATTERN, glob_pattern, is_simple

__all__ = ["Compiler", "Joins", "Order", "Sql"]

_SQL: Final = {"eq": "=", "ne": "IS NOT", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_NEGATED: Final = {"eq": "ne", "ne": "eq", "gt": "le", "le": "gt", "ge": "lt", "lt": "ge"}
_MIRRORED: Final = {"eq": "eq", "ne": "ne", "gt": "lt", "lt": "gt", "ge": "le", "le": "ge"}
_CHOICES: Final = frozenset({ColumnType.PICKLIST, ColumnType.STATE, ColumnType.STATUS})
_TEXTS: Final = frozenset({"Edm.String", "Edm.Guid", "Edm.DateTimeOffset", "Edm.Date"})
_MOST_CONDITIONS: Final = 500  # filter-rows page, "Condition limits"
_MOST_LINKS: Final = 15  # fetchxml/join-tables page: a query has at most 15 link-entity elements


@dataclass(frozen=True, slots=True, kw_only=True)
class Sql:
    """A condition for a WHERE clause, and the values of its question marks in order."""

    text: str
    parameters: tuple[Stored, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One term of ``$orderby``, or of an order in FetchXML, which sorts choices by their labels."""

    operand: Property
    descending: bool = False
    by_label: bool = False


def _readable(table: Table) -> None:
    del table


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiler:
    """Compiles filters and orders of one request.

    Attributes:
        schema: The tables and columns.
        collation: How text compares; its functions must be registered with the connection (`Collation.register`).
        now: The time for ``Today`` and similar functions, aware.
        user_id: The user of the request, for ``EqualUserId``.
        business_unit_id: The business unit of the user, for ``EqualBusinessId``.
        reads: Called with each further table that a statement reads; refuses one that the user may not read.
    """

    schema: Schema
    collation: Collation
    now: datetime
    user_id: str
    business_unit_id: str = ""
    reads: Callable[[Table], None] = _readable

    def filter(self, expression: Expression, rows: Table | Scope) -> Sql:
        """Compile a filter on rows of a table; the statement must use the SQLite table without an alias.

        Raises:
            ODataError: A name is unknown, or a value is not of the property's type.
            ServiceError: There are more than 500 conditions.
        """
        work = _Filter(self)
        text = work.condition(expression, _scope(rows))
        return Sql(text=text, parameters=tuple(work.parameters))

    def order(self, terms: Sequence[Order], rows: Table | Scope) -> str:
        """Compile ``$orderby`` to the terms of an ORDER BY clause, without the primary key; empty for no terms.

        Text sorts by the collation, a lookup by the name of its row (order-rows page); nulls come first, as in SQL
        Server.
        """
        return ", ".join(term.text for term in self.sorting(terms, rows))

    def sorting(self, terms: Sequence[Order], rows: Table | Scope) -> tuple[SortTerm, ...]:
        """Compile ``$orderby`` to its terms, for the cookie of a page."""
        work, scope = _Filter(self), _scope(rows)
        return tuple(work.sorted_by(term, work.place(term.operand, scope)) for term in terms)

    def value(self, operand: Property, rows: Table | Scope) -> tuple[str, str]:
        """The SQL for a property of a row: the value, and what is compared; the path may have lookups.

        Raises:
            ODataError: A name is unknown.
        """
        work = _Filter(self)
        place = work.place(operand, _scope(rows))
        return place.sql(), work.comparable(place)

    def join(
        self, joins: "Joins", scope: Scope, same: tuple[str, Property], condition: Expression | None, *, inner: bool
    ) -> "Joins":
        """Adds a join of the rows of ``scope``.

        Args:
            joins: The joins before it.
            scope: The joined rows; around it are those of the joins before.
            same: The property of the joined rows that has the same value as one before.
            condition: What else is true for the joined rows.
            inner: Whether only rows that have a joined row are found.

        Raises:
            ODataError: A name is unknown, or the types are not the same.
        """
        self.reads(scope.table)
        work = _Filter(self)
        text = work.joined(scope, *same, condition)
        kind = "CROSS JOIN" if inner else "LEFT JOIN"  # CROSS JOIN keeps the order of the tables
        return Joins(
            text=f"{joins.text} {kind} {sql_name(scope.table.logical_name)} AS {scope.name} ON {text}",
            parameters=(*joins.parameters, *work.parameters),
            keys=(*joins.keys, f"{scope.name}.{sql_name(scope.table.primary_id)}"),
            scope=scope,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Joins:
    """Tables that are joined to that of a query.

    Attributes:
        text: What follows the table in the FROM clause.
        parameters: The values of its question marks.
        keys: The SQL of the identifiers of the joined rows.
        scope: The last joined rows; around them are those before, and the table of the query.
        multiplies: Whether a row can have several joined rows.
    """

    text: str = ""
    parameters: tuple[Stored, ...] = ()
    keys: tuple[str, ...] = ()
    scope: Scope | None = None
    multiplies: bool = False


def _scope(rows: Table | Scope) -> Scope:
    return rows if isinstance(rows, Scope) else Scope.of(rows)


@dataclass(slots=True)
class _Filter:
    """The state of one compilation: the values in the order of their question marks, and counts for the limits."""

    compiler: Compiler
    parameters: list[Stored] = field(default_factory=list)
    aliases: int = 0
    conditions: int = 0
    links: set[tuple[str, ...]] = field(default_factory=set)

    def condition(self, node: Expression, scope: Scope, *, negated: bool = False) -> str:
        """Return the SQL for one expression; for a negated one, the result is never null."""
        match node:
            case Logical():
                joint = "OR" if (node.operator == "or") is not negated else "AND"
                parts = [self.condition(part, scope, negated=negated) for part in node.operands]
                return f"({f' {joint} '.join(parts)})"
            case Negation():
                return self.condition(node.operand, scope, negated=not negated)
            case Property() | Literal():
                return self._alone(node, scope, negated=negated)
            case Comparison():
                return self._sides(node, scope, negated=negated)
            case Membership():
                return self._membership(node, scope, negated=negated)
            case Call():
                return self._call(node, scope, negated=negated)
            case QueryFunction():
                return self._query_function(node, scope, negated=negated)
            case Lambda():
                return self._lambda(node, scope, negated=negated)
            case Related():
                return self._related(node, scope, negated=negated)

    def place(self, operand: Property, scope: Scope) -> Place:
        """Return the place of a property; its path can contain lookups."""
        self._count()
        path, scope = scope.entered(operand.path)
        place = Place(table=scope.table, name=sql_name(scope.name))
        for depth, name in enumerate(path[:-1], 1):
            self._link(scope.name, *path[:depth])
            self.aliases += 1
            place = place.followed(name, self.compiler.schema, f"t{self.aliases}")
            self.compiler.reads(place.table)
        return place.pointed(path[-1])

    def comparable(self, place: Place) -> str:
        """The SQL for a column in a comparison: text in normal form."""
        column = place.column
        if edm_type(column) != "Edm.String" or column.type is ColumnType.MULTI_PICKLIST:
            return place.sql()
        return place.folded_sql()

    def sorted_by(self, term: Order, place: Place) -> SortTerm:
        """The SQL for a column in an order: a lookup has the place of the name of the row that it refers to."""
        column, known = place.column, self.compiler.schema.tables
        sql, name, numeric = self.comparable(place), column.logical_name, edm_type(column) not in _TEXTS
        if term.by_label and column.type in _CHOICES and column.options:
            sql, name, numeric = _labelled(place), f"{name}name", False
        if column.is_lookup:
            names = [self._name_of(known[target], place) for target in column.targets if target in known]
            sql, name = f"coalesce({', '.join(names)}, NULL)" if names else place.sql(), f"{name}name"
        return SortTerm(name=name, sql=sql, descending=term.descending, numeric=numeric)

    def _name_of(self, table: Table, place: Place) -> str:
        self.aliases += 1
        alias = f"t{self.aliases}"
        name = f"dv_norm({alias}.{sql_name(table.primary_name)})"
        return (
            f"(SELECT {name} FROM {sql_name(table.logical_name)} AS {alias}"
            f" WHERE {alias}.{sql_name(table.primary_id)} = {place.sql()})"
        )

    def bound(self, value: Stored, column: Column) -> str:
        """Store a value and return its question mark; text is stored in normal form."""
        folds = isinstance(value, str) and edm_type(column) == "Edm.String"
        self.parameters.append(self.compiler.collation.normalise(value) if folds and isinstance(value, str) else value)
        return "?"

    def _count(self) -> None:
        self.conditions += 1
        if self.conditions > _MOST_CONDITIONS:
            raise ServiceError(400, "0x8004430C", "Number of conditions in query exceeded maximum limit.")

    def _link(self, *path: str) -> None:
        """Counts a join; properties of the same related row share one."""
        self.links.add(path)
        if len(self.links) > _MOST_LINKS:
            raise too_many_links()

    def _alone(self, node: Property | Literal, scope: Scope, *, negated: bool) -> str:
        if isinstance(node, Property):
            return self._comparison(node, "ne" if negated else "eq", _TRUE, scope)
        if not isinstance(node.value, bool):
            raise ODataError("The $filter expression must evaluate to a single boolean value.")
        return "1" if node.value is not negated else "0"

    def _sides(self, node: Comparison, scope: Scope, *, negated: bool) -> str:
        operator = _NEGATED[node.operator] if negated else node.operator
        match node.left, node.right:
            case Property() as left, Literal() as right:
                return self._comparison(left, operator, right, scope)
            case Literal() as left, Property() as right:
                return self._comparison(right, _MIRRORED[operator], left, scope)
            case Property() as left, Property() as right:
                return self._columns(left, operator, right, scope)
            case _:
                raise ODataError("A filter compares a property with a value or with a property of the same row.")

    def _comparison(self, operand: Property, operator: str, literal: Literal, scope: Scope) -> str:
        place = self.place(operand, scope)
        edm = edm_type(place.column)
        if (place.is_navigation and literal.value is not None) or not fits(literal, edm):
            raise _incompatible(edm, literal.edm, operator)
        if literal.value is None:
            return self._null(place, operator)
        if isinstance(literal.value, datetime) and literal.value.microsecond:
            # Columns have whole seconds: no row is equal, and the comparison is with the second before.
            operator = {"ge": "gt", "lt": "le"}.get(operator, operator)
            if operator in {"eq", "ne"}:
                return "0" if operator == "eq" else "1"
        value = stored_literal(literal, place.column)
        return f"{self.comparable(place)} {_SQL[operator]} {self.bound(value, place.column)}"

    def _null(self, place: Place, operator: str) -> str:
        match operator:
            case "eq":
                return f"{place.sql()} IS NULL"
            case "ne":
                return f"{place.sql()} IS NOT NULL"
            case _:
                return "0"

    def _columns(self, left: Property, operator: str, right: Property, scope: Scope) -> str:
        first, second = self.place(left, scope), self.place(right, scope)
        types = edm_type(first.column), edm_type(second.column)
        if types[0] != types[1] or first.is_navigation or second.is_navigation:
            raise _incompatible(*types, operator)
        return f"coalesce({self.comparable(first)} {_SQL[operator]} {self.comparable(second)}, 0)"

    def _membership(self, node: Membership, scope: Scope, *, negated: bool) -> str:
        place = self.place(node.operand, scope)
        edm = edm_type(place.column)
        for literal in node.values:
            if not fits(literal, edm) or place.is_navigation:
                raise _incompatible(edm, literal.edm, "eq")
        values = [stored_literal(literal, place.column) for literal in node.values]
        return self.among(place, values, negated=negated)

    def among(self, place: Place, values: Sequence[Stored], *, negated: bool) -> str:
        """``IN``, where null is a value as any other."""
        marks = ", ".join(self.bound(value, place.column) for value in values if value is not None)
        among = f"{place.sql()} IS NOT NULL AND {self.comparable(place)} IN ({marks})"
        if None in values:
            among = f"{place.sql()} IS NULL OR {among}"
        return f"NOT ({among})" if negated else f"({among})"

    def _call(self, node: Call, scope: Scope, *, negated: bool) -> str:
        place = self.place(node.operand, scope)
        if edm_type(place.column) != "Edm.String" or place.is_navigation:
            raise ODataError(
                f"No function signature for the function with name '{node.name}' matches the specified arguments. The "
                f"function signatures considered are: {node.name}(Edm.String Nullable=true, Edm.String Nullable=true)."
            )
        if len(node.text) > LONGEST_PATTERN:
            raise ODataError(f"The text of '{node.name}' can have at most {LONGEST_PATTERN} characters.")
        pattern = glob_pattern(node.name, self.compiler.collation.fold(node.text))
        if pattern is None:
            return "1" if negated else "0"
        self.parameters.append(pattern)
        matches = f"coalesce(dv_like(dv_fold({place.sql()}), ?), 0)"
        if is_simple(pattern):
            matches = f"coalesce(dv_fold({place.sql()}) GLOB ?, 0)"
        return f"NOT {matches}" if negated else matches

    def _query_function(self, node: QueryFunction, scope: Scope, *, negated: bool) -> str:
        text = function_condition(node, scope, self)
        return f"NOT coalesce({text}, 0)" if negated else text

    def _lambda(self, node: Lambda, scope: Scope, *, negated: bool) -> str:
        self._count()
        path, scope = scope.entered(node.path)
        link = scope.children(path, self.compiler.schema)
        self.compiler.reads(link.table)
        self.aliases += 1
        self._link(scope.name, f"t{self.aliases}")
        inner = Scope(table=link.table, name=f"t{self.aliases}", variable=node.variable, outer=scope)
        condition = link.join(inner.name)
        every = node.quantifier == "all"
        if node.predicate is not None:
            condition += f" AND {self.condition(node.predicate, inner, negated=every)}"
        exists = f"EXISTS (SELECT 1 FROM {sql_name(link.table.logical_name)} AS {inner.name} WHERE {condition})"
        return f"NOT {exists}" if every is not negated else exists

    def _related(self, node: Related, scope: Scope, *, negated: bool) -> str:
        self.aliases += 1
        self._link(scope.name, f"t{self.aliases}")
        table = self.compiler.schema.tables[node.table]
        self.compiler.reads(table)
        inner = Scope(table=table, name=f"t{self.aliases}", variable=node.variable, outer=scope)
        condition = self.joined(inner, node.column, node.same, node.predicate)
        found = f"EXISTS (SELECT 1 FROM {sql_name(table.logical_name)} AS {inner.name} WHERE {condition})"
        return f"NOT {found}" if negated else found

    def joined(self, scope: Scope, column: str, same: Property, condition: Expression | None) -> str:
        """The SQL condition for rows that have the same value in a column as a row around them."""
        own, other = Place(table=scope.table, name=scope.name).pointed(column), self.place(same, scope.outer or scope)
        if edm_type(own.column) != edm_type(other.column):
            raise _incompatible(edm_type(other.column), edm_type(own.column), "eq")
        text = f"{self.comparable(own)} = {self.comparable(other)}"
        return f"{text} AND {self.condition(condition, scope)}" if condition is not None else text


def _labelled(place: Place) -> str:
    """The SQL for the label of a choice in normal form."""
    labels = ((option.value, option.label.replace("'", "''")) for option in place.column.options)
    cases = " ".join(f"WHEN {value} THEN dv_norm('{label}')" for value, label in labels)
    return f"CASE {place.sql()} {cases} END"


_TRUE: Final = Literal(value=True, edm="Edm.Boolean", text="true")


def _incompatible(left: str, right: str, operator: str) -> ODataError:
    return ODataError(
        "A binary operator with incompatible types was detected. Found operand types "
        f"'{left}' and '{right}' for operator kind '{COMPARISONS[operator]}'."
    )
