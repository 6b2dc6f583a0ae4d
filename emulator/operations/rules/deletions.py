"""Deletions and what they do to related rows (configure-entity-relationship-cascading-behavior, "Delete")."""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from emulator.environment import Environment
from emulator.errors import associated_with_another, team_owns_records, user_enabled
from emulator.messages import Caller, Effect
from emulator.operations.rules.refusals import unsupported_message
from emulator.schema import Cascade, Column, Table
from emulator.schema.activities import PARTIES
from emulator.store import Values, sql_name

__all__ = ["Deletion"]

_REMOVE_LINK = Cascade()


class Deletion:
    """One deletion: the rows that go, in the order in which they were found, and the lookups to set to null.

    All rows are found before the first one is deleted, level by level, each once, so that loops end.
    """

    def __init__(self, environment: Environment) -> None:
        """Starts without rows."""
        self._environment = environment
        self._gone: dict[str, dict[int, str]] = {}  # table -> number of the row -> identifier
        self._order: list[tuple[Table, list[int]]] = []
        self._checks: list[tuple[Table, Column, Table, list[str]]] = []
        self._links: list[tuple[Table, Column, Table, list[str]]] = []
        self._bin = environment.recycle_bin
        self._number = self._bin.next_deletion() if self._bin else 0

    def run(self, table: Table, rows: Sequence[tuple[int, str]], caller: Caller) -> tuple[Effect, ...]:
        """Deletes rows, given by number and identifier, and what cascades from them, and returns the effects.

        Raises:
            ServiceError: A relationship restricts the deletion, a user or a team owns rows, a user is enabled, or the
                row is the organisation.
        """
        if table.logical_name == "organization":
            raise unsupported_message("Delete", table.logical_name)
        level = [(table, self._new(table, rows))]
        while level:
            level = [found for one, added in level if added for found in self._follow(one, added)]
        self._check()
        self._unlink(caller)
        effects = [self._delete(one, numbers) for one, numbers in reversed(self._order)]
        return tuple(reversed(effects))

    def _new(self, table: Table, rows: Iterable[tuple[int, str]]) -> list[str]:
        """Adds those rows that are not part of the deletion yet, and returns their identifiers."""
        known = self._gone.setdefault(table.logical_name, {})
        added = {number: record_id for number, record_id in rows if number not in known}
        known.update(added)
        if added:
            self._order.append((table, list(added)))
        return list(added.values())

    def _follow(self, table: Table, ids: list[str]) -> Iterable[tuple[Table, list[str]]]:
        """Sorts the relationships of these rows by what they do, and yields the children to delete."""
        schema = self._environment.schema
        if table.logical_name == "team" and (owner := self._owning("owningteam", ids)):
            raise team_owns_records(owner)
        if table.logical_name == "systemuser":
            self._check_users(table, ids)
        for child, column in schema.referring.get(table.logical_name, ()):
            match column.cascades.get(table.logical_name, _REMOVE_LINK).delete:
                case "Cascade":
                    yield child, self._new(child, self._referring(child, column, table, ids))
                case "Restrict":
                    self._checks.append((child, column, table, ids))
                case "RemoveLink":
                    self._links.append((child, column, table, ids))
                case _:
                    pass
        for relation in schema.many_to_many.values():
            for end in relation.ends:
                if end.table == table.logical_name:
                    intersect = schema.tables[relation.intersect]
                    yield intersect, self._new(intersect, self._rows(intersect, end.attribute, ids))

    def _referring(self, child: Table, column: Column, parent: Table, ids: Sequence[str]) -> list[tuple[int, str]]:
        kind = parent.logical_name if column.is_polymorphic else None
        return self._rows(child, column.logical_name, ids, kind)

    def _rows(self, table: Table, column: str, ids: Sequence[str], kind: str | None = None) -> list[tuple[int, str]]:
        """Number and identifier of the rows whose `column` has one of the identifiers of the table `kind`."""
        text = (
            f'SELECT "row_", {sql_name(table.primary_id)} FROM {sql_name(table.logical_name)}'
            f" WHERE {sql_name(column)} IN (SELECT value FROM json_each(?))"
        )
        parameters: tuple[Any, ...] = (orjson.dumps(ids).decode(),)
        if kind is not None:
            text += f" AND {sql_name(f'{column}__type')} = ?"
            parameters += (kind,)
        return self._environment.database.connection.execute(text, parameters).fetchall()

    def _check(self) -> None:
        """Refuses the deletion if a row that stays refers to a row that goes by a restricting relationship."""
        for child, column, parent, ids in self._checks:
            gone = self._gone.get(child.logical_name, {})
            if any(number not in gone for number, _ in self._referring(child, column, parent, ids)):
                raise associated_with_another()

    def _check_users(self, table: Table, ids: Sequence[str]) -> None:
        """Refuses users who are enabled or own rows (user-team-entities page, "Delete a user")."""
        rows = self._environment.rows(table)
        for record_id, number in rows.by_ids(ids).items():
            if not (rows.fetch(number, ("isdisabled",)) or (None,))[0]:
                raise user_enabled(record_id)
        if self._owning("owninguser", ids):
            raise associated_with_another()

    def _owning(self, column: str, ids: Sequence[str]) -> str | None:
        """One of these owners that owns a row; None if none does."""
        for table in self._environment.schema.tables.values():
            if column in table.columns and (found := self._rows(table, column, ids)):
                owner = self._environment.rows(table).fetch(found[0][0], (column,))
                return str(owner[0]) if owner else ""
        return None

    def _unlink(self, caller: Caller) -> None:
        stamps: Values = {
            "modifiedon": self._environment.now(),
            "modifiedby": caller.user_id,
            "modifiedonbehalfby": caller.on_behalf,
        }
        next_version = self._environment.database.next_version
        for child, column, parent, ids in self._links:
            gone = self._gone.get(child.logical_name, {})
            cleared: Values = {column.logical_name: None}
            if column.is_polymorphic:
                cleared[f"{column.logical_name}__type"] = None
            found = self._referring(child, column, parent, ids)
            if self._bin is not None:
                self._keep_links(child, column, parent, [number for number, _ in found if number not in gone])
            changed = {"ispartydeleted": 1} if child.logical_name == PARTIES else stamps
            self._environment.rows(child).update(
                {**cleared, **changed, "versionnumber": next_version(), "row_": number}
                for number, _ in found
                if number not in gone
            )

    def _keep_links(self, child: Table, column: Column, parent: Table, numbers: Sequence[int]) -> None:
        """Notes the lookups that are set to null, for a restore; those of parties keep their values."""
        if self._bin is None or child.logical_name == PARTIES:
            return
        rows = self._environment.rows(child)
        for number, (record_id, value) in rows.fetch_many(numbers, (child.primary_id, column.logical_name)).items():
            if number not in self._gone.get(child.logical_name, {}):
                reference = (parent.logical_name, value)
                self._bin.keep_link(child, record_id, column.logical_name, reference, self._number)

    def _delete(self, table: Table, numbers: Sequence[int]) -> Effect:
        rows = self._environment.rows(table)
        if self._bin is not None and not table.intersect and not table.elastic:
            self._bin.keep(table, numbers, self._number)
        for number in numbers:
            rows.delete(number)
        gone = self._gone[table.logical_name]
        return Effect(
            operation="delete", table=table.logical_name, count=len(numbers), ids=[gone[number] for number in numbers]
        )
