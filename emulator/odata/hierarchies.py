"""Query functions over several rows: those above and below a row of a hierarchy, and the teams of a user."""

from typing import Final

from emulator.errors import ODataError
from emulator.odata.scopes import Place
from emulator.schema.model import Column, Table
from emulator.store.ddl import sql_name

__all__ = ["HIERARCHY", "TEAMS", "hierarchy_condition", "team_condition"]

HIERARCHY: Final = frozenset({"Above", "AboveOrEqual", "NotUnder", "Under", "UnderOrEqual"})
TEAMS: Final = frozenset({"EqualUserOrUserTeams", "EqualUserTeams"})
_DEEPEST: Final = 100  # query-hierarchical-data page, "Recursion limits"


def hierarchy_condition(name: str, place: Place) -> str:
    """The SQL for rows above or below another one, whose identifier is the value of each question mark.

    Raises:
        ODataError: The column is not the key of a table with a hierarchy.
    """
    table = place.table
    parent = next((column for column in table.columns.values() if _is_hierarchy(column, table)), None)
    if parent is None or not place.column.primary_id:
        raise ODataError(f"'{place.column.logical_name}' is not the key of a table with a hierarchical relationship.")
    above, key = _parent(parent, table), f"r.{sql_name(table.primary_id)}"
    rows = _related(table, above, key) if name.startswith("Above") else _related(table, key, above)
    condition = f"{place.sql()} IN ({rows})"
    if name == "NotUnder":
        return f"NOT {condition}"
    return f"({condition} OR {place.sql()} = ?)" if name.endswith("OrEqual") else condition


def _is_hierarchy(column: Column, table: Table) -> bool:
    return column.hierarchical and table.logical_name in column.targets


def _parent(column: Column, table: Table) -> str:
    name = f"r.{sql_name(column.logical_name)}"
    if not column.is_polymorphic:
        return name
    return f"CASE WHEN r.{sql_name(f'{column.logical_name}__type')} = '{table.logical_name}' THEN {name} END"


def _related(table: Table, found: str, known: str) -> str:
    """The SQL for the identifiers that lead on from a row, whose identifier is the question mark.

    Args:
        table: The table.
        found: The column of the next identifiers: the parent for rows above, the key for rows below.
        known: The other one of the two, which has the identifier before.
    """
    source = f"{sql_name(table.logical_name)} AS r"
    return (
        f"WITH RECURSIVE way(id, depth) AS (SELECT {found}, 1 FROM {source} WHERE {known} = ?"
        f" UNION ALL SELECT {found}, depth + 1 FROM way JOIN {source} ON {known} = way.id WHERE depth < {_DEEPEST})"
        " SELECT id FROM way WHERE id IS NOT NULL"
    )


def team_condition(name: str, place: Place) -> str:
    """The SQL for an owner that is a team of the user, or the user; each question mark is the user."""
    teams = f"{place.sql()} IN (SELECT teamid FROM teammembership WHERE systemuserid = ?)"
    return teams if name == "EqualUserTeams" else f"({teams} OR {place.sql()} = ?)"
