"""What is known of one record: the row of a part, the entry that events have added to it, and both together.

Events write entries side by side, while a batch may be running. So an entry says until when its writer may still be at
work, and which part of the ledger it has taken into account: a row of a later part is news to it. Where neither the row
nor the entry is known to be the later one, both count, so that no writer loses what another one has noted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from shared.memory.names import turn_of

__all__ = ["NOTHING", "KnownRecord", "RecordEntry", "StoredRow", "combined", "with_pending", "without_values"]

_Values = Mapping[str, str | None]  # column -> value as text
_RANKS: Final = {None: 0, "marked": 1, "matched": 2, "created": 3}
_MOST_PENDING: Final = 32  # values of one column that may be written at once: far more than there are writers
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
_LOST: Final = "{}"  # the text of a damaged entry without what was left of its values


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRecord:
    """What is known of a record, as a row of a part has it.

    Attributes:
        origin: `created`, `matched`, `marked`; None where the record is forgotten.
        mark: The columns of the mark that was given last, also where it was taken away; None where that is not known.
        written: JSON object: column -> the value that was written last.
        pending: JSON object: column -> the values that may have been written since, or one of them.
    """

    origin: str | None = None
    marked: bool = False
    mark: str | None = None
    written: str | None = None
    pending: str | None = None

    def to_row(self, record: str) -> dict[str, str | bool | None]:
        """The row of a part for a record."""
        return {
            "id": record,
            "origin": self.origin,
            "marked": self.marked,
            "mark": self.mark,
            "written": self.written,
            "pending": self.pending,
        }


NOTHING: Final = KnownRecord()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRow:
    """A row of a part.

    Attributes:
        place: The place of its part in the ledger's list.
        number: Of the turn in which it was added, in the line of the last part; 0 if it was before this line.
    """

    known: KnownRecord
    place: int
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordEntry:
    """What events know of a record.

    Attributes:
        basis: The newest part that its writer had read; empty where there was none.
        noted: When it was written.
        busy: Until when its writer, or one before, may still be writing to the record.
        owner: Whose record it is, as in the names of parts; empty in entries of a version that did not note it.
        lost: It is damaged, so that nothing is known of the record: what a part says of it may be out of date.
    """

    known: KnownRecord
    basis: str
    noted: datetime
    busy: datetime = _LONG_AGO
    owner: str = ""
    lost: bool = False

    def is_idle(self, now: datetime) -> bool:
        """Whether nobody is writing to the record any more."""
        return self.busy <= now

    def to_text(self) -> str:
        """The text that a store keeps."""
        known = self.known
        members: dict[str, Any] = {
            "origin": known.origin,
            "marked": known.marked,
            "mark": known.mark,
            "written": known.written,
            "pending": known.pending,
            "basis": self.basis,
            "noted": self.noted.isoformat(),
            "busy": self.busy.isoformat(),
            "owner": self.owner,
        }
        return json.dumps(members)

    @classmethod
    def of_text(cls, text: str) -> RecordEntry:
        """An entry as a store has kept it; a damaged one counts as lost."""
        try:
            of = json.loads(text)
            known = KnownRecord(
                origin=of["origin"],
                marked=of["marked"],
                mark=of.get("mark"),  # entries of earlier versions have none
                written=of["written"],
                pending=of["pending"],
            )
            noted, busy = datetime.fromisoformat(of["noted"]), datetime.fromisoformat(of["busy"])
        except (LookupError, TypeError, ValueError):
            return cls(known=NOTHING, basis="", noted=_LONG_AGO, lost=True)
        return cls(known=known, basis=of["basis"], noted=noted, busy=busy, owner=of.get("owner", ""))

    @classmethod
    def of_owner(cls, text: str, owner: str) -> RecordEntry | None:
        """An entry as a store has kept it; None for one of another owner's record that has the same id."""
        entry = cls.of_text(text)
        return entry if entry.owner in {"", owner} else None


def combined(row: StoredRow | None, entry: RecordEntry | None, parts: Sequence[str]) -> KnownRecord:
    """What a row and an entry tell together.

    Args:
        row: The latest row of the record.
        entry: Its entry.
        parts: The names of the ledger's parts, the oldest first.
    """
    if entry is None:
        return row.known if row else NOTHING
    if entry.lost:
        return NOTHING
    if row is None or _is_later(entry, row, parts):
        return entry.known
    base, added = row.known, entry.known
    last = _values(base.written)
    also = {name: [value] for name, value in _values(added.written).items() if name not in last or last[name] != value}
    return KnownRecord(
        origin=max(base.origin, added.origin, key=_RANKS.__getitem__),
        marked=base.marked or added.marked,
        mark=base.mark if base.marked and not added.marked else added.mark,
        written=base.written,
        pending=_joined(_lists(base.pending), also, _lists(added.pending)),
    )


def _is_later(entry: RecordEntry, row: StoredRow, parts: Sequence[str]) -> bool:
    """Whether the writer of an entry had read a row. The part that it names may have been written anew since."""
    read, last = turn_of(entry.basis), turn_of(parts[-1])
    if read and last and read.line == last.line:
        return read.number >= row.number
    return entry.basis in parts and parts.index(entry.basis) >= row.place


def without_values(text: str) -> str | None:
    """The text of an entry without values of the record, and without what is left of a damaged one; None for none."""
    entry = RecordEntry.of_text(text)
    if entry.lost:
        return None if text == _LOST else _LOST
    if entry.known.written is None and entry.known.pending is None:
        return None
    return replace(entry, known=replace(entry.known, written=None, pending=None)).to_text()


def with_pending(known: KnownRecord, pending: str | None) -> KnownRecord:
    """The same, with more values that may be written."""
    return replace(known, pending=_joined(_lists(known.pending), _lists(pending)))


def _joined(*parts: Mapping[str, Iterable[str | None]]) -> str | None:
    """Values by column, each once, as a JSON text; of too many the latest ones."""
    joined: dict[str, dict[str | None, None]] = {}
    for part in parts:
        for name, values in part.items():
            known = joined.setdefault(name, {})
            for value in values:
                known.pop(value, None)
                known[value] = None
    if not joined:
        return None
    return json.dumps({name: list(values)[-_MOST_PENDING:] for name, values in joined.items()}, ensure_ascii=False)


def _values(text: str | None) -> _Values:
    found: _Values = json.loads(text) if text else {}
    return found


def _lists(text: str | None) -> dict[str, list[str | None]]:
    found = json.loads(text) if text else {}
    return {name: value if isinstance(value, list) else [value] for name, value in found.items()}
