"""The ledger in one wave of events: loaded once the records were read, noted before the write and after it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from shared.jobs.real_time.boundary import Failure
from shared.jobs.real_time.sync import PreparedSync
from shared.memory import NOTHING, BeforeReading, EventLedger, KnownRecord, RememberedRecord
from shared.memory.parts import MEMBERS, NAMES
from shared.reconcile import after_writing, before_writing, doubtful_query, fill_ledger
from shared.reconcile.outcomes import Result
from shared.transform import ErrorType
from shared.transform.metadata_columns import takes_ids
from shared.workspace import Table, json_rows, literal
from shared.workspace.warm import WarmWorkspace

__all__ = ["BUSY", "ChangedMeanwhileError", "WaveLedger"]

BUSY: Final = Failure(
    error="Failed Operation",
    message="others changed the record each time after it was compared; `replay` tries the event again",
    code="0x80060882",  # as the service calls it: ConcurrencyVersionMismatch
)
"""Why a change was not made whose record was changed between reading and writing."""
_ROWS: Final = f"SELECT {NAMES} FROM {json_rows(MEMBERS, flat=True)}"
_RECORDS: Final = "SELECT CAST(_id AS VARCHAR) FROM current"
_HOLDERS: Final = "SELECT DISTINCT CAST(_id AS VARCHAR) FROM holders"
_NOT_WRITTEN: Final = (
    f"SELECT CAST(_id AS VARCHAR) FROM outcomes JOIN changes USING (_change) WHERE result = {literal(Result.EDITED)} "
    "AND NOT coalesce(sent, false) "  # else it may have been written, and something else after it
    "AND action <> 'insert'"  # a record that was not made is forgotten already
)

_EDITED: Final = f"SELECT count(DISTINCT _id) FROM target_errors WHERE error = {literal(ErrorType.EDITED)}"


class ChangedMeanwhileError(Exception):
    """Others have changed records of the wave, or what is known of them, since they were read; nothing was written."""


@dataclass(slots=True)
class WaveLedger:
    """What is known of the records of one wave.

    Attributes:
        now: Gives the time.
    """

    sync: PreparedSync
    ledger: EventLedger
    workspace: WarmWorkspace
    now: Callable[[], datetime]
    _known: dict[str, RememberedRecord] = field(default_factory=dict)
    _noted: Mapping[str, RememberedRecord] = field(default_factory=dict)
    _before: BeforeReading = field(default_factory=BeforeReading)

    def begin_reading(self) -> None:
        """Note what is known before the records are read, so that `check` sees what was added since."""
        self._before = self.ledger.before_reading(self._known)

    def load(self) -> None:
        """Fill the table `ledger`, once `current` was read.

        Raises:
            RetryLater, AbortRun: The state store is unavailable, or refuses us.
        """
        self._known, self._noted = {}, {}
        self._recall(_RECORDS)

    def load_holders(self) -> None:
        """Add what is known of records that have the key of an insert, once `holders` was read."""
        self._recall(_HOLDERS)

    def _recall(self, query: str) -> None:
        ids = [record for (record,) in self.workspace.query(query) if record not in self._known]
        found = self.ledger.of(ids, self.now(), self._before)
        self._known |= found
        rows = [each.known.to_row(record) for record, each in found.items() if each.known is not NOTHING]
        if rows:
            self.workspace.execute(fill_ledger(self.sync.layout, _ROWS), [json.dumps(rows)])

    def check(self) -> None:
        """See that no record was read before what the ledger says was written into it.

        Raises:
            ChangedMeanwhileError: One may have been.
        """
        query = doubtful_query(self.sync.definition, self.sync.layout)
        if any(self._known[record].fresh for (record,) in self.workspace.query(query)):
            raise ChangedMeanwhileError

    def edited(self) -> int:
        """How many records keep a value that others have edited."""
        return int(self.workspace.query(_EDITED)[0][0])

    def note_before(self) -> None:
        """Note what is about to be written; new records get their ids.

        Raises:
            ChangedMeanwhileError: Others have changed what is known of a record; nothing was noted.
            RetryLater, AbortRun: The state store is unavailable, or refuses us.
        """
        for step in before_writing(self.sync.definition, self.sync.layout, with_ids=takes_ids(self.sync.entity)):
            self.workspace.run(step)
        rows = self._rows(Table.LEDGER_BEFORE)
        if not rows:
            return
        self._know(rows)
        noted = self.ledger.note_before(rows, self._known, self.now())
        if noted is None:
            raise ChangedMeanwhileError
        self._noted = noted

    def note_after(self) -> None:
        """Note the result of the records, from `outcomes`.

        Raises:
            RetryLater, AbortRun: The state store is unavailable, or refuses us.
        """
        for step in after_writing(self.sync.definition, self.sync.layout, alone=False):
            self.workspace.run(step)
        rows = self._rows(Table.LEDGER_AFTER)
        self._know(rows)
        self.ledger.note_after(rows, self._known, self._noted, self.now())
        if not_written := [record for (record,) in self.workspace.query(_NOT_WRITTEN) if record in self._noted]:
            self.ledger.take_back(not_written, self._known, self._noted)

    def _know(self, records: Collection[str]) -> None:
        """Look up records that were not read: new ones, whose ids are known only where the rows have them."""
        unknown = [record for record in records if record not in self._known]
        if unknown and self.sync.maps_ids:
            self._known |= self.ledger.of(unknown, self.now(), self._before)
        else:
            self._known |= dict.fromkeys(unknown, RememberedRecord())

    def _rows(self, table: Table) -> dict[str, KnownRecord]:
        found = self.workspace.query(f"SELECT CAST(id AS VARCHAR), origin, marked, mark, written, pending FROM {table}")
        return {
            record: KnownRecord(origin=origin, marked=bool(marked), mark=mark, written=written, pending=pending)
            for record, origin, marked, mark, written, pending in found
            if record is not None
        }
