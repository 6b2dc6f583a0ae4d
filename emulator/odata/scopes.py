"""The names in a filter: columns of the row itself, of related rows, and of rows in a collection."""

from dataclasses import dataclass, replace
from typing import Self

from emulator.errors import ODataError, unknown_property
from emulator.schema.model import Column, Schema, Table
from emulator.store.ddl import key_column, sql_name

__all__ = ["ChildLink", "Link", "PairLink", "Place", "Scope", "child_link"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A row, or a column of it, and the SQL for it.

    Attributes:
        table: The row's table.
        name: Its name in the statement.
        sources: The FROM clause with the tables between the queried row and this one; empty for the queried row.
        conditions: The WHERE clause that joins them.
        of: The column; for a navigation property the column of the lookup.
        is_navigation: Whether it is a navigation property, which can only be compared with null.
    """

    table: Table
    name: str
    sources: str = ""
    conditions: str = ""
    of: Column | None = None
    is_navigation: bool = False

    @property
    def column(self) -> Column:
        """The column."""
        if self.of is None:
            raise ODataError("A filter compares single values.")
        return self.of

    def sql(self) -> str:
        """The SQL for the value of the column."""
        return self._sql_of(self.column.logical_name)

    def folded_sql(self) -> str:
        """The SQL for the normal form of a text, which is stored for the columns of alternate keys."""
        if any(self.column.logical_name in key.columns for key in self.table.keys):
            return self._sql_of(key_column(self.column))
        return f"dv_norm({self.sql()})"

    def _sql_of(self, name: str) -> str:
        value = f"{self.name}.{sql_name(name)}"
        return f"(SELECT {value} FROM {self.sources} WHERE {self.conditions})" if self.sources else value

    def pointed(self, name: str) -> Self:
        """The place of a column of this row, by OData property or navigation property.

        Raises:
            ODataError: The table has no such property.
        """
        column = self.table.by_property.get(name)
        if column is not None:
            return self._with(column, is_navigation=False)
        found = self.table.by_navigation.get(name)
        if found is None:
            raise unknown_property(name, self.table.logical_name)
        return self._with(found[0], is_navigation=True)

    def _with(self, column: Column, *, is_navigation: bool) -> Self:
        return replace(self, of=column, is_navigation=is_navigation)

    def followed(self, name: str, schema: Schema, alias: str) -> Self:
        """The place of the row that a single-valued navigation property refers to.

        Raises:
            ODataError: The table has no such navigation property.
        """
        found = self.table.by_navigation.get(name)
        target = schema.tables.get(found[1]) if found else None
        if found is None or target is None:
            raise unknown_property(name, self.table.logical_name)
        column = found[0]
        condition = f"{alias}.{sql_name(target.primary_id)} = {self.name}.{sql_name(column.logical_name)}"
        if column.is_polymorphic:
            condition += f" AND {self.name}.{sql_name(f'{column.logical_name}__type')} = '{target.logical_name}'"
        source = f"{sql_name(target.logical_name)} AS {alias}"
        # CROSS JOIN keeps the order of the path, so that SQLite finds each row by its identifier.
        return type(self)(
            table=target,
            name=alias,
            sources=f"{self.sources} CROSS JOIN {source}" if self.sources else source,
            conditions=f"{self.conditions} AND {condition}" if self.conditions else condition,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildLink:
    """A collection-valued navigation property: the rows of `table` whose lookup `column` refers to the parent's row."""

    table: Table
    column: Column
    parent: Table

    @property
    def sources(self) -> str:
        """The FROM clause of the collection's rows with `parent_sql`."""
        return sql_name(self.table.logical_name)

    @property
    def parent_sql(self) -> str:
        """The SQL for the identifier of the parent's row, if `condition` holds."""
        return f"{self.sources}.{sql_name(self.column.logical_name)}"

    @property
    def condition(self) -> str:
        """The SQL condition that the lookup refers to a row of the parent's table."""
        if not self.column.is_polymorphic:
            return "1"
        return f"{self.sources}.{sql_name(f'{self.column.logical_name}__type')} = '{self.parent.logical_name}'"

    def join(self, alias: str, parent: str | None = None) -> str:
        """The SQL condition that joins the child ``alias`` with the parent's row."""
        outer = f"{sql_name(parent or self.parent.logical_name)}.{sql_name(self.parent.primary_id)}"
        return self.belongs(alias, outer)

    def belongs(self, alias: str, parent_id: str) -> str:
        """The SQL condition for the children ``alias`` of the row with this identifier, which is SQL itself."""
        condition = f"{alias}.{sql_name(self.column.logical_name)} = {parent_id}"
        if self.column.is_polymorphic:
            condition += f" AND {alias}.{sql_name(f'{self.column.logical_name}__type')} = '{self.parent.logical_name}'"
        return condition


@dataclass(frozen=True, slots=True, kw_only=True)
class PairLink:
    """A collection of a many-to-many relationship: the rows of `table` in a pair with the parent's row.

    Attributes:
        table: The table at the far end.
        parent: The table at the near end.
        intersect: The table of the pairs.
        near: Its column with the identifier of the parent's row.
        far: Its column with the identifier of the other row.
    """

    table: Table
    parent: Table
    intersect: Table
    near: str
    far: str

    @property
    def sources(self) -> str:
        """The FROM clause of the collection's rows with `parent_sql`."""
        name = sql_name(self.table.logical_name)
        pairs = f"{sql_name(self.intersect.logical_name)} AS pair"
        return f"{pairs} JOIN {name} ON {name}.{sql_name(self.table.primary_id)} = pair.{sql_name(self.far)}"

    @property
    def parent_sql(self) -> str:
        """The SQL for the identifier of the parent's row."""
        return f"pair.{sql_name(self.near)}"

    @property
    def condition(self) -> str:
        """The SQL condition that `parent_sql` needs: none."""
        return "1"

    def join(self, alias: str, parent: str | None = None) -> str:
        """The SQL condition that joins the row ``alias`` with the parent's row."""
        outer = f"{sql_name(parent or self.parent.logical_name)}.{sql_name(self.parent.primary_id)}"
        return self.belongs(alias, outer)

    def belongs(self, alias: str, parent_id: str) -> str:
        """The SQL condition for the rows ``alias`` in a pair with the row of this identifier, which is SQL itself."""
        return (
            f"{alias}.{sql_name(self.table.primary_id)} IN (SELECT pair.{sql_name(self.far)}"
            f" FROM {sql_name(self.intersect.logical_name)} AS pair WHERE pair.{sql_name(self.near)} = {parent_id})"
        )


Link = ChildLink | PairLink


def child_link(name: str, parent: Table, schema: Schema) -> Link | None:
    """Find a collection-valued navigation property.

    Its name is the schema name of a one-to-many relationship, or one that a many-to-many relationship states.
    """
    found = schema.children.get((parent.logical_name, name))
    if found is not None:
        return ChildLink(table=found[0], column=found[1], parent=parent)
    pair = schema.pairs.get((parent.logical_name, name))
    if pair is None:
        return None
    relation, near, far = pair
    return PairLink(
        table=schema.tables[far.table],
        parent=parent,
        intersect=schema.tables[relation.intersect],
        near=near.attribute,
        far=far.attribute,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The row that names refer to: the queried row, or the variable of a lambda.

    Attributes:
        table: The row's table.
        name: Its name in the SQL statement.
        variable: The variable of the lambda; empty for the queried row.
        outer: The scope around a lambda.
    """

    table: Table
    name: str
    variable: str = ""
    outer: "Scope | None" = None

    @classmethod
    def of(cls, table: Table) -> Self:
        """The scope of the queried rows."""
        return cls(table=table, name=table.logical_name)

    def entered(self, path: tuple[str, ...]) -> "tuple[tuple[str, ...], Scope]":
        """Resolve a variable at the start: return the rest of the path, and the scope of the variable."""
        scope: Scope | None = self
        while scope is not None:
            if not scope.variable:
                return path, scope
            if path[0] == scope.variable and len(path) > 1:
                return path[1:], scope
            scope = scope.outer
        return path, self

    def children(self, path: tuple[str, ...], schema: Schema) -> "_Bound":
        """The collection of a lambda.

        Raises:
            ODataError: There is no such collection, or the path has a lookup, which the service refuses too.
        """
        link = child_link(path[0], self.table, schema) if len(path) == 1 else None
        if link is None:
            raise unknown_property(path[0], self.table.logical_name)
        return _Bound(link, self.name)


@dataclass(frozen=True, slots=True)
class _Bound:
    """The collection of one row in a statement."""

    link: Link
    parent: str

    @property
    def table(self) -> Table:
        """The children's table."""
        return self.link.table

    def join(self, alias: str) -> str:
        """The SQL condition that joins the child with its parent."""
        return self.link.join(alias, self.parent)
