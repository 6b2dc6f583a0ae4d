"""`Restore`: a deleted row comes back with the rows that its deletion has taken along (restore-deleted-records)."""

import re
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

from emulator.environment import Environment
from emulator.errors import ServiceError, invalid_argument, no_resource, record_not_found
from emulator.messages import Effect, Planned, Request, Response, answer
from emulator.operations.changes import Changes
from emulator.schema import Table
from emulator.store import Values
from emulator.store.recycle_bin import RecycleBin
from emulator.store.values import guid_text

__all__ = ["Restoring"]

_BY_URL: Final = re.compile(r"(?:^|/)(\w+)\(([0-9a-fA-F-]{36})\)$")
_TYPE: Final = re.compile(r"#?Microsoft\.Dynamics\.CRM\.(\w+)$")


class Restoring:
    """The rows that can come back."""

    def __init__(self, environment: Environment, changes: Changes) -> None:
        """Works on the rows of `environment`."""
        self._environment = environment
        self._changes = changes

    def plan(self, request: Request) -> Planned:
        """Plans `POST Restore`.

        Raises:
            ServiceError: The row is not in the recycle bin, it exists, or the user may not create rows of its table
                (403).
        """
        if request.method != "POST":
            raise no_resource(request.url)
        target = request.parameters("Restore", ("Target",)).get("Target")
        if not isinstance(target, Mapping):
            raise invalid_argument("Required field 'Target' is missing")
        table, record_id = self._named(target)
        self._environment.permit(request.caller, table, "create")
        given = {name: value for name, value in target.items() if "@" not in name and name != table.primary_id}
        binds = {name: value for name, value in target.items() if name.endswith("@odata.bind")}
        values = self._changes.of(table).bodies.updated({**given, **binds}) if given or binds else {}

        def act() -> Response:
            with self._environment.database.transaction():
                effects = self._restore(request, table, record_id, values)
            context = request.context("Microsoft.Dynamics.CRM.RestoreResponse")
            return answer({"@odata.context": context, "id": record_id}, effects=effects)

        return Planned(rows={"create": 1}, act=act)

    def _named(self, target: Mapping[str, Any]) -> tuple[Table, str]:
        """The row that a target names: by its address, or by its type and primary key."""
        schema = self._environment.schema
        if address := _BY_URL.search(str(target.get("@odata.id") or "")):
            table, record_id = schema.by_entity_set.get(address[1]), address[2]
        else:
            kind = _TYPE.match(str(target.get("@odata.type") or ""))
            table = schema.tables.get(kind[1]) if kind else None
            record_id = str(target.get(table.primary_id) or "") if table else ""
        if table is None or not record_id:
            raise invalid_argument("The Target must name its record by @odata.id, or by @odata.type and primary key.")
        return table, guid_text(record_id)

    def _restore(self, request: Request, table: Table, record_id: str, values: Values) -> tuple[Effect, ...]:
        """Puts the rows of a deletion back; values of the target replace the old ones before anything is compared."""
        bin_ = self._environment.recycle_bin
        deletion = bin_.deletion_of(table, record_id) if bin_ else None
        if bin_ is None or deletion is None:
            raise record_not_found(table.logical_name, record_id)
        bin_.replace(table, record_id, _key_values(table, values))
        restored = [
            (one, ids) for one in self._environment.schema.tables.values() if (ids := self._back(bin_, one, deletion))
        ]
        self._relink(bin_, deletion)
        numbers = [
            (one, number) for one, ids in restored for number in self._environment.rows(one).by_ids(ids).values()
        ]
        self._stamp(numbers, request)
        if values:
            row = self._environment.rows(table).by_id(record_id)
            self._changes.of(table).update([(row or 0, values)], request.caller)
        for one, number in numbers:
            self._check_references(one, number)
        return tuple(
            Effect(operation="create", table=one.logical_name, count=len(ids), ids=ids) for one, ids in restored
        )

    def _stamp(self, numbers: Sequence[tuple[Table, int]], request: Request) -> None:
        """Rows that come back are changed by the caller, now."""
        stamps = {
            "modifiedon": self._environment.now(),
            "modifiedby": request.caller.user_id,
            "modifiedonbehalfby": request.caller.on_behalf,
        }
        for table, number in numbers:
            version = {"versionnumber": self._environment.database.next_version(), "row_": number}
            known = {name: value for name, value in stamps.items() if name in table.columns}
            self._environment.rows(table).update([{**known, **version}])

    def _back(self, bin_: RecycleBin, table: Table, deletion: int) -> list[str]:
        try:
            return bin_.put_back(table, deletion)
        except sqlite3.IntegrityError as error:
            if str(error).endswith(f".{table.primary_id}"):
                raise _row_exists(table) from error
            raise _key_exists(table) from error

    def _relink(self, bin_: RecycleBin, deletion: int) -> None:
        """Sets the lookups again that the deletion has set to null."""
        for entity, record_id, column, value, kind in bin_.links(deletion):
            table = self._environment.schema.tables.get(entity)
            number = self._environment.rows(table).by_id(record_id) if table else None
            if table is None or number is None:
                raise _not_restored(record_id, entity, column)
            back: dict[str, Any] = {column: value}
            if table.columns[column].is_polymorphic:
                back[f"{column}__type"] = kind
            back |= {"versionnumber": self._environment.database.next_version(), "row_": number}
            self._environment.rows(table).update([back])
        bin_.forget_links(deletion)

    def _check_references(self, table: Table, number: int) -> None:
        """Refuses a row that refers to one that does not exist any more."""
        rows, schema = self._environment.rows(table), self._environment.schema
        for column in table.columns.values():
            if not column.is_lookup:
                continue
            names = (column.logical_name, *((f"{column.logical_name}__type",) if column.is_polymorphic else ()))
            value, *kind = rows.fetch(number, names) or (None,)
            target = schema.tables.get(str(kind[0]) if kind else column.targets[0]) if value else None
            if value and target is not None and self._environment.rows(target).by_id(str(value)) is None:
                raise _not_restored(str(value), target.logical_name, column.logical_name)


def _key_values(table: Table, values: Values) -> Values:
    """The values of alternate keys, with the tables of lookups."""
    parts = {part for key in table.keys for part in key.columns}
    names = {*parts, *(f"{part}__type" for part in parts)}
    return {name: value for name, value in values.items() if name in names}


def _row_exists(table: Table) -> ServiceError:
    """A row with the identifier of a deleted one exists (DuplicateExceptionRestoreRecycleBin)."""
    message = (
        f"Please delete the existing conflicting record '{table.logical_name}' with primary key '{table.primary_id}' "
        "before attempting restore."
    )
    return ServiceError(412, "0x80044a02", message)


def _key_exists(table: Table) -> ServiceError:
    """A row with an alternate key of a deleted one exists (DuplicateExceptionEntityKeyRestoreRecycleBin)."""
    message = (
        f"Duplicate entity key preventing restore of record '{table.logical_name}' with primary key "
        f"'{table.primary_id}'. See inner exception for entity key details."
    )
    return ServiceError(412, "0x80049929", message)


def _not_restored(record_id: str, table: str, column: str) -> ServiceError:
    """A row that belongs to a deleted one is gone (RefCannotBeRestoredRecycleBinNotFound)."""
    message = (
        f"Entity with id '{record_id}' and logical name '{table}' does not exist. We cannot restore the reference "
        f"'{column}' that must be restored as part of this Restore call."
    )
    return ServiceError(400, "0x80049959", message)
