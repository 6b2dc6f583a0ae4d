"""Create, update and delete rows, with the values that the service adds: identifiers, times, owners, versions."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from emulator.body_errors import value_required
from emulator.environment import Environment
from emulator.errors import ServiceError, duplicate_key, duplicate_primary_key, record_not_found
from emulator.messages import Caller, Effect
from emulator.operations.bodies import BodyReader
from emulator.operations.rules.assignments import Assignment, assigns
from emulator.operations.rules.currencies import Currencies
from emulator.operations.rules.deletions import Deletion
from emulator.operations.rules.derived import Derivations
from emulator.operations.rules.hierarchies import Hierarchies
from emulator.operations.rules.owners import Owners
from emulator.operations.rules.parties import GIVEN, parties_of
from emulator.schema import Table
from emulator.store import Rows, Values, key_column

__all__ = ["Changes", "TableChanges", "written"]

_SERVER_SET = frozenset({"ownerid", "statecode", "statuscode"})


def written(table: Table, operation: str, ids: Sequence[str]) -> tuple[Effect, ...]:
    """Returns the effect of writing these rows: `operation` is create, update or delete; no rows have none."""
    return (Effect(operation=operation, table=table.logical_name, count=len(ids), ids=ids),) if ids else ()


class TableChanges:
    """The writes to one table."""

    def __init__(self, environment: Environment, table: Table) -> None:
        """Prepares what is the same for every row of the table."""
        self.table = table
        self.schema = environment.schema
        self.bodies = BodyReader(environment, table)
        self._environment = environment
        self._derivations = Derivations(table, Currencies(environment))
        self._parties = parties_of(environment, table)
        columns = table.columns
        self._required = table.intersect or tuple(
            name
            for name, column in columns.items()
            if column.required == "SystemRequired"
            and column.valid_for_create
            and column.default is None
            and not column.primary_id
            and name not in _SERVER_SET
        )
        self._hierarchies = Hierarchies(environment, table)
        owner = columns.get("ownerid")
        self._owned = owner is not None and owner.is_polymorphic
        self._assigns = self._owned and assigns(environment, table)

    @property
    def rows(self) -> Rows:
        """The stored rows."""
        return self._environment.rows(self.table)

    def create(self, rows: Sequence[Values], caller: Caller) -> list[str]:
        """Inserts rows whose values come from `BodyReader.created` and returns their identifiers.

        Raises:
            ServiceError: A required column is missing, a key exists already (412), state and status do not match, or
                the caller lacks a privilege (403).
        """
        self._environment.permit(caller, self.table, "create")
        stamps = self._creation_stamps(caller)
        primary_id = self.table.primary_id
        owners = Owners(self._environment, caller.business_unit_id)
        new_id, next_version = self._environment.new_id, self._environment.database.next_version
        concern, derive = self._derivations.concern, self._derivations.apply
        complete, ids = [], []
        for values in rows:
            for name in self._required:
                if values.get(name) is None:
                    raise self._missing(name)
            row = {primary_id: None, **stamps, **values}
            if row[primary_id] is None:
                row[primary_id] = new_id()
            if concern(values):
                derive(row, {})
            if "overriddencreatedon" in values:
                self._override_creation(row)
            if "ownerid" in values:
                self._own(owners, row)
            row["versionnumber"] = next_version()
            ids.append(row[primary_id])
            complete.append(row)
        given = [row.pop(GIVEN, ()) for row in complete] if self._parties else []
        try:
            self.rows.insert(complete)
        except sqlite3.IntegrityError as error:
            raise self._duplicate(error) from error
        if self._parties is not None:
            self._parties.added(complete, given)
        return ids

    def _creation_stamps(self, caller: Caller) -> Values:
        if self.table.intersect:
            return {}
        now = self._environment.now()
        stamps: Values = {
            "createdon": now,
            "modifiedon": now,
            "createdby": caller.user_id,
            "modifiedby": caller.user_id,
        }
        if caller.on_behalf is not None:
            stamps["createdonbehalfby"] = stamps["modifiedonbehalfby"] = caller.on_behalf
        if self._owned:
            stamps["ownerid"] = stamps["owninguser"] = caller.user_id
            stamps["ownerid__type"] = "systemuser"
            stamps["owningbusinessunit"] = caller.business_unit_id
        if "organizationid" in self.table.columns and self.table.primary_id != "organizationid":
            stamps["organizationid"] = self._environment.organization_id
        return stamps

    def _override_creation(self, row: Values) -> None:
        """An imported row has its old time of creation; `overriddencreatedon` then holds the real one."""
        given = row["overriddencreatedon"]
        if given is not None:
            row["createdon"], row["overriddencreatedon"] = given, row["createdon"]

    def _own(self, owners: Owners, row: Values) -> None:
        if row["ownerid"] is None:
            raise self._missing("ownerid")
        owners.own(row)

    def _missing(self, name: str) -> ServiceError:
        return value_required(name, self.table.logical_name)

    def update(self, rows: Sequence[tuple[int, Values]], caller: Caller, *, by_message: bool = False) -> None:
        """Updates rows by number with values from `BodyReader.updated`.

        Args:
            rows: Numbers and values.
            caller: The user of the request.
            by_message: Whether a message such as WinOpportunity makes the change, which can set any state.

        Raises:
            ServiceError: A row was deleted (404), a key exists already (412), state and status do not match, or the
                caller lacks a privilege (403).
        """
        self._environment.permit(caller, self.table, "update")
        current = self._current(rows)
        owners = Owners(self._environment, caller.business_unit_id)
        assigned: dict[int, Values] = {}
        now, next_version = self._environment.now(), self._environment.database.next_version
        complete, hierarchical = [], False
        names = self._hierarchies.names
        for number, values in rows:
            row = dict(values)
            row.pop(GIVEN, None)
            if number in current:
                self._derivations.apply(row, current[number], by_message=by_message)
            if "ownerid" in values:
                self._own(owners, row)
                assigned[number] = row
            hierarchical = hierarchical or not names.isdisjoint(values)
            row["modifiedon"] = now
            row["modifiedby"] = caller.user_id
            row["modifiedonbehalfby"] = caller.on_behalf
            row["versionnumber"] = next_version()
            row["row_"] = number
            complete.append(row)
        assignment = Assignment(self._environment, caller) if assigned and self._assigns else None
        before = assignment.before(self.table, assigned) if assignment else {}
        self._write(complete)
        if self._parties is not None:
            self._parties.changed(rows)
        if hierarchical:
            self._hierarchies.check(rows)
        if assignment:
            assignment.follow(self.table, before, assigned)

    def _write(self, complete: Sequence[Values]) -> None:
        try:
            met = self.rows.update(complete)
        except sqlite3.IntegrityError as error:
            raise self._duplicate(error) from error
        if met != len(complete):
            raise record_not_found(self.table.logical_name, "")

    def _current(self, rows: Sequence[tuple[int, Values]]) -> Mapping[int, Mapping[str, Any]]:
        """The current values that derived columns need, for those rows with a derived column to change."""
        concerned = [number for number, values in rows if self._derivations.concern(values, existing=True)]
        if not concerned:
            return {}
        needed = self._derivations.needed
        found = self.rows.fetch_many(concerned, needed)
        return {number: dict(zip(needed, values, strict=True)) for number, values in found.items()}

    def delete(self, rows: Sequence[tuple[int, str]], caller: Caller) -> tuple[Effect, ...]:
        """Deletes rows, given by number and identifier, with what cascades from them, and returns the effects.

        Raises:
            ServiceError: A relationship restricts the deletion, or the caller lacks a privilege (403).
        """
        self._environment.permit(caller, self.table, "delete")
        return Deletion(self._environment).run(self.table, rows, caller)

    def _duplicate(self, error: sqlite3.IntegrityError) -> ServiceError:
        """Returns the error for the key that SQLite's message names."""
        message = str(error)
        for key in self.table.keys:
            parts = [f"{self.table.logical_name}.{key_column(self.table.columns[part])}" for part in key.columns]
            if message.endswith(": " + ", ".join(parts)):
                names = [self.table.columns[part].display_name for part in key.columns]
                return duplicate_key(names, key.display_name or key.name)
        return duplicate_primary_key()


class Changes:
    """The writes to all tables, prepared at the first use of each."""

    def __init__(self, environment: Environment) -> None:
        """Starts without any table prepared."""
        self._environment = environment
        self._tables: dict[str, TableChanges] = {}

    def of(self, table: Table) -> TableChanges:
        """Returns the writes to a table, prepared again if the schema has changed."""
        known = self._tables.get(table.logical_name)
        if known is None or known.schema is not self._environment.schema:
            known = self._tables[table.logical_name] = TableChanges(self._environment, table)
        return known
