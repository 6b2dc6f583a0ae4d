"""What every operation needs: the rows, the schema, the clock and the rows that an organisation has from the start."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final
from uuid import uuid4

from emulator.errors import user_disabled
from emulator.messages import Caller
from emulator.odata import Compiler
from emulator.schema import Schema, Table
from emulator.schema.pairs import without_pairs
from emulator.store import Database, Rows
from emulator.store.collation import Collation
from emulator.store.recycle_bin import RecycleBin
from emulator.store.system_rows import SYSTEM_USER, add_system_rows, business_unit_id, organization_id
from emulator.store.values import service_time

__all__ = ["Environment"]

_FIRST_METADATA_VERSION: Final = 1_000_000
Permit = Callable[[Table, Iterable[str]], None]


def _wall_clock() -> datetime:
    return datetime.now(UTC)


def _everything(table: Table, operations: Iterable[str]) -> None:
    del table, operations


class Environment:
    """One emulated organisation."""

    def __init__(
        self,
        schema: Schema,
        *,
        collation: Collation | None = None,
        path: Path | None = None,
        clock: Callable[[], datetime] = _wall_clock,
        keeps_deleted: bool = False,
        permit: Permit = _everything,
    ) -> None:
        """Opens the database and adds the organisation's own rows where they are missing.

        With `keeps_deleted` deleted rows go into a recycle bin. `permit` refuses operations that users may not do.
        """
        self.collation = collation or Collation()
        self._initial = schema
        self.database = Database(schema, self.collation, path)
        self.recycle_bin = RecycleBin(self.database.connection) if keeps_deleted else None
        self._follow(*schema.tables.values())
        self.clock = clock
        self._permit = permit
        self.system = Caller(user_id=SYSTEM_USER, business_unit_id=business_unit_id())
        """The user of requests without an application user, such as seeds."""
        self.metadata_version = _FIRST_METADATA_VERSION
        seed = uuid4()
        self._serial = seed.time_low >> 1
        self._tail = str(seed)[8:]
        add_system_rows(self.database, self.now())

    @property
    def schema(self) -> Schema:
        """The tables as they are now; metadata requests can change them."""
        return self.database.schema

    @property
    def organization_id(self) -> str:
        """The organisation's identifier, the same in every emulator."""
        return organization_id()

    def now(self) -> str:
        """The time in the form that rows store."""
        return service_time(self.clock())

    def rows(self, table: Table) -> Rows:
        """Returns the row access of a table."""
        return self.database.rows(table)

    def permit(self, caller: Caller, table: Table, *operations: str) -> None:
        """Refuses operations on rows of a table (`create`, `read`, `update`, `upsert`, `delete`); all are for `system`.

        Raises:
            ServiceError: The caller lacks a privilege (403).
        """
        if caller != self.system:
            self._permit(table, operations)

    def compiler(self, caller: Caller) -> Compiler:
        """Returns what compiles the filters of a caller's request; the caller must be able to read their tables."""
        return Compiler(
            schema=self.schema,
            collation=self.collation,
            now=self.clock(),
            user_id=caller.user_id,
            business_unit_id=caller.business_unit_id,
            reads=partial(self._reads, caller),
        )

    def _reads(self, caller: Caller, table: Table) -> None:
        self.permit(caller, table, "read")

    def new_id(self) -> str:
        """Returns a new identifier; each is greater than the one before, which makes inserts into the index cheap."""
        self._serial += 1
        return f"{self._serial:08x}{self._tail}"

    def caller_for(self, application_id: str, user_id: str) -> Caller:
        """Returns the application user of a client, adding its row on its first call.

        Raises:
            ServiceError: The user is disabled (403).
        """
        users = self.schema.tables["systemuser"]
        row = self.rows(users).by_id(user_id)
        if row is not None and "isdisabled" in users.columns and self.rows(users).fetch(row, ("isdisabled",)) == (1,):
            raise user_disabled()
        if row is None:
            now = self.now()
            self.rows(users).insert(
                [
                    {
                        "systemuserid": user_id,
                        "fullname": f"# {application_id}",
                        "applicationid": application_id,
                        "businessunitid": business_unit_id(),
                        "accessmode": 4,
                        "createdon": now,
                        "modifiedon": now,
                        "versionnumber": self.database.next_version(),
                    }
                ]
            )
        return Caller(user_id=user_id, business_unit_id=business_unit_id())

    def change(self, schema: Schema, *changed: Table) -> None:
        """Replaces the schema; `changed` are its tables that are new or different."""
        self.database.adopt(schema, *changed)
        self._follow(*changed)
        self.metadata_version += 1
        add_system_rows(self.database, self.now())

    def _follow(self, *changed: Table) -> None:
        if self.recycle_bin is not None:
            for table in changed:
                self.recycle_bin.follow(table)

    def drop(self, table: Table) -> None:
        """Removes a table with its rows, and its many-to-many relationships with their pairs."""
        kept, gone = without_pairs(self.schema, table.logical_name)
        for one in gone:
            self.database.drop(one, kept)
            if self.recycle_bin is not None:
                self.recycle_bin.forget(one)
        self.metadata_version += 1

    def reset(self) -> None:
        """Restores the first schema, and removes all rows except those that the organisation has from the start."""
        for table in list(self.schema.tables.values()):
            if table.logical_name not in self._initial.tables and table.logical_name in self.schema.tables:
                self.drop(table)
        changed = [one for name, one in self._initial.tables.items() if self.schema.tables.get(name) is not one]
        self.change(self._initial, *changed)
        self.database.clear()
        if self.recycle_bin is not None:
            self.recycle_bin.clear()
        add_system_rows(self.database, self.now())
