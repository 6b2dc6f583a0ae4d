"""Assignments: a new owner of a row becomes the owner of rows below it (cascading behaviour, "Assign")."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from emulator.environment import Environment
from emulator.messages import Caller
from emulator.operations.rules.parties import parties_of
from emulator.schema import Cascade, Column, Table
from emulator.store import Values, sql_name

__all__ = ["Assignment", "assigns"]

_OWNER: Final = ("ownerid", "ownerid__type", "owninguser", "owningteam", "owningbusinessunit")
_ACTIVE: Final = 0
_NO_CASCADE: Final = Cascade()


def assigns(environment: Environment, table: Table) -> bool:
    """Whether an assignment of a row of this table can change other rows."""
    return any(_verb(column, table) != "NoCascade" for _, column in _children(environment, table))


def _children(environment: Environment, table: Table) -> list[tuple[Table, Column]]:
    referring = environment.schema.referring.get(table.logical_name, ())
    return [(child, column) for child, column in referring if child.ownership == "UserOwned" and _owned(child)]


def _owned(table: Table) -> bool:
    owner = table.columns.get("ownerid")
    return owner is not None and owner.is_polymorphic


def _verb(column: Column, parent: Table) -> str:
    return column.cascades.get(parent.logical_name, _NO_CASCADE).assign


class Assignment:
    """The assignments of one message: each row is assigned once, so that loops end."""

    def __init__(self, environment: Environment, caller: Caller) -> None:
        """Works on the rows of `environment`."""
        self._environment = environment
        self._caller = caller
        self._seen: set[tuple[str, int]] = set()

    def before(self, table: Table, numbers: Iterable[int]) -> dict[int, tuple[str, str]]:
        """Returns identifier and present owner of the rows that get an owner, before they are written."""
        found = self._environment.rows(table).fetch_many(list(numbers), (table.primary_id, "ownerid"))
        self._seen.update((table.logical_name, number) for number in found)
        return {number: (values[0], values[1]) for number, values in found.items()}

    def follow(self, table: Table, old: Mapping[int, tuple[str, str]], new: Mapping[int, Values]) -> None:
        """Assigns the children of the rows whose owner has changed."""
        level = [
            (table, record_id, owner, {name: new[number].get(name) for name in _OWNER})
            for number, (record_id, owner) in old.items()
            if new[number]["ownerid"] != owner
        ]
        while level:
            level = [found for one in level for found in self._assigned(*one)]

    def _assigned(
        self, parent: Table, record_id: str, before: str, owner: Values
    ) -> list[tuple[Table, str, str, Values]]:
        """Assigns the children of one row and returns those whose owner has changed."""
        changed: list[tuple[Table, str, str, Values]] = []
        for child, column in _children(self._environment, parent):
            verb = _verb(column, parent)
            if verb == "NoCascade":
                continue
            rows = [row for row in self._rows(child, column, parent, record_id) if _concerned(verb, row, before)]
            fresh = [
                row for row in rows if (child.logical_name, row[0]) not in self._seen and row[2] != owner["ownerid"]
            ]
            self._seen.update((child.logical_name, row[0]) for row in fresh)
            self._write(child, [row[0] for row in fresh], owner)
            changed += [(child, row[1], row[2], owner) for row in fresh]
        return changed

    def _rows(self, child: Table, column: Column, parent: Table, record_id: str) -> list[tuple[Any, ...]]:
        """Number, identifier, owner and state of the children of a row."""
        name = sql_name(column.logical_name)
        state = '"statecode"' if child.has_state else str(_ACTIVE)
        text = (
            f'SELECT "row_", {sql_name(child.primary_id)}, "ownerid", {state} FROM {sql_name(child.logical_name)}'
            f" WHERE {name} = ?"
        )
        parameters = [record_id]
        if column.is_polymorphic:
            text += f" AND {sql_name(f'{column.logical_name}__type')} = ?"
            parameters.append(parent.logical_name)
        return self._environment.database.connection.execute(text, parameters).fetchall()

    def _write(self, table: Table, numbers: Sequence[int], owner: Values) -> None:
        database = self._environment.database
        stamps: Values = {
            "modifiedon": self._environment.now(),
            "modifiedby": self._caller.user_id,
            "modifiedonbehalfby": self._caller.on_behalf,
        }
        self._environment.rows(table).update(
            {**owner, **stamps, "versionnumber": database.next_version(), "row_": number} for number in numbers
        )
        parties = parties_of(self._environment, table)
        if parties is not None:
            parties.changed([(number, owner) for number in numbers])


def _concerned(verb: str, row: tuple[Any, ...], before: str) -> bool:
    """Whether the verb includes a child: the active ones, those of the same owner as the parent had, or all."""
    match verb:
        case "Active":
            return bool(row[3] == _ACTIVE)
        case "UserOwned":
            return bool(row[2] == before)
        case _:
            return True
