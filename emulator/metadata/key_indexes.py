"""The jobs that build the indexes of alternate keys (define-alternate-keys-entity, "Monitor index creation")."""

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from emulator.environment import Environment
from emulator.schema import AlternateKey, Table

__all__ = ["KeyIndexes"]

_STEP: Final = 0.05  # seconds in each of the two states before the index is built
_IN_PROGRESS: Final = {"statecode": 2, "statuscode": 20}
_SUCCEEDED: Final = {"statecode": 3, "statuscode": 30}
_FAILED: Final = {"statecode": 3, "statuscode": 31}
_CANCELED: Final = {"statecode": 3, "statuscode": 32}
_DUPLICATES: Final = (
    "The CREATE UNIQUE INDEX statement terminated because a duplicate key was found for the object name "
    "'dbo.{table}Base' and the index name 'ndx_for_entitykey_{key}'."
)


class KeyIndexes:
    """The index jobs of one environment; each is a row in `asyncoperations`."""

    def __init__(self, environment: Environment) -> None:
        """Starts with no jobs."""
        self._environment = environment
        self._timers: dict[tuple[str, str], asyncio.TimerHandle] = {}

    def cancel(self) -> None:
        """Removes the jobs that have not ended."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def begin(self, table: Table, name: str) -> None:
        """Starts the job of a key of a table; the key is pending until then."""
        rows = self._environment.rows(self._environment.schema.tables["asyncoperation"])
        job, now = self._environment.new_id(), self._environment.now()
        stamps = {"createdon": now, "modifiedon": now, "versionnumber": self._environment.database.next_version()}
        said = f"Create index for {name} for table {table.logical_name}"
        rows.insert([{"asyncoperationid": job, "name": said, "statecode": 0, "statuscode": 0, **stamps}])
        self._set(table.logical_name, name, status="Pending", job=job)
        self._later(table.logical_name, name, self._start)

    def forget(self, table: Table, key: AlternateKey) -> None:
        """Cancels the job of a key that is deleted, if it has not ended."""
        if (timer := self._timers.pop((table.logical_name, key.name), None)) is not None:
            timer.cancel()
            self._job(key, **_CANCELED)

    def _later(self, table: str, name: str, act: Callable[[str, str], None]) -> None:
        self._timers[table, name] = asyncio.get_running_loop().call_later(_STEP, act, table, name)

    def _start(self, table: str, name: str) -> None:
        if (key := self._set(table, name, status="InProgress")) is not None:
            self._job(key, **_IN_PROGRESS)
            self._later(table, name, self._finish)

    def _finish(self, table: str, name: str) -> None:
        """Builds the unique index; rows with equal values make it fail."""
        self._timers.pop((table, name), None)
        try:
            with self._environment.database.transaction():
                key = self._set(table, name, status="Active")
        except sqlite3.IntegrityError:
            key = self._set(table, name, status="Failed")
            if key is not None:
                self._job(key, **_FAILED, message=_DUPLICATES.format(table=table, key=name))
        else:
            if key is not None:
                self._job(key, **_SUCCEEDED)

    def _set(self, table_name: str, name: str, **changes: Any) -> AlternateKey | None:
        """Changes a key and its index; None if the table or the key is gone."""
        table = self._environment.schema.tables.get(table_name)
        old = next((key for key in table.keys if key.name == name), None) if table else None
        if table is None or old is None:
            return None
        new = replace(old, **changes)
        # Without the key first: its index may have to be another one.
        self._adopt(replace(table, keys=tuple(key for key in table.keys if key is not old)))
        self._adopt(replace(table, keys=tuple(new if key is old else key for key in table.keys)))
        return new

    def _adopt(self, table: Table) -> None:
        schema = self._environment.schema
        self._environment.change(replace(schema, tables={**schema.tables, table.logical_name: table}), table)

    def _job(self, key: AlternateKey, **values: Any) -> None:
        rows = self._environment.rows(self._environment.schema.tables["asyncoperation"])
        row = rows.by_id(key.job) if key.job else None
        if row is not None:  # a client can have deleted it
            completed = (
                {"completedon": self._environment.now()} if values["statecode"] == _SUCCEEDED["statecode"] else {}
            )
            version = self._environment.database.next_version()
            rows.update([{**values, **completed, "versionnumber": version, "row_": row}])
