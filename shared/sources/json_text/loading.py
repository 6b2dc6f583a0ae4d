"""Loads records into the workspace: as text, nested values as JSON text, through two CSV files."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from shared.definitions.models import Column
from shared.json_paths import NumberText, finder
from shared.sources.json_text.records import BadRecord, text_of
from shared.sources.plain import own_csv
from shared.transform.notation.json_values import notated
from shared.workspace import Workspace, writing

__all__ = ["RecordRows", "Value", "value_of"]

_LONGEST_LINE: Final = 1 << 28  # bytes: a record has up to 16 million characters of up to 4 bytes, quotes are doubled
_SURROGATE: Final = "a text has half of a surrogate pair, which is not a character"
Value = Callable[[dict[str, Any]], Any]


def value_of(column: Column) -> Value:
    """What a column reads of a record: a field, or what a JSONPath finds."""
    name = column.name
    return notated(column, finder(name) if name.startswith("$") else lambda record: record.get(name), _number)


def _number(value: Any) -> str | None:
    return str(value) if isinstance(value, NumberText) else None


class RecordRows:
    """Takes records in order, and fills `source_raw` and `source_errors`, which exist already.

    Args:
        workspace: Where the tables are, and the folder for the two files.
        names: The columns that are read.
    """

    def __init__(self, workspace: Workspace, names: Sequence[str]) -> None:
        self._workspace = workspace
        self._names = ["_row", *names]
        self._good, self._bad = workspace.folder / "good.csv", workspace.folder / "bad.csv"
        self.last = 0  # the number of the last row

    @property
    def waiting(self) -> int:
        """Bytes that are not in the tables yet."""
        return sum(file.stat().st_size for file in (self._good, self._bad) if file.exists())

    def add(self, records: Iterable[dict[str, Any] | BadRecord], values: Sequence[Value], place: str) -> int:
        """Take records, and number them behind those that were taken before.

        Args:
            records: Records, and what is not one.
            values: What each column reads of a record.
            place: What they are part of, for messages.

        Returns:
            How many there were.
        """
        before = self.last
        with (
            writing(self._workspace.folder),
            self._good.open("a", encoding="utf-8", newline="") as goods,
            self._bad.open("a", encoding="utf-8", newline="") as bads,
        ):
            write_good = csv.writer(goods, lineterminator="\n", quoting=csv.QUOTE_ALL)
            write_bad = csv.writer(bads, lineterminator="\n", quoting=csv.QUOTE_ALL)
            for record in records:
                self.last += 1
                fields = record if isinstance(record, BadRecord) else _fields(record, values)
                if isinstance(fields, BadRecord):
                    where = f"{fields.place} of {place}" if fields.place else place
                    write_bad.writerow([self.last, f"{fields.message} ({where})"])
                else:
                    write_good.writerow([self.last, *fields])
        return self.last - before

    def flush(self, further: str = "") -> None:
        """Load what was taken into the tables.

        Args:
            further: SQL items for the columns behind those that are read, each after a comma.
        """
        self._take_in(self._good, "source_raw", self._names, f"*{further}")
        self._take_in(self._bad, "source_errors", ["_row", "message"], "_row, '', 'Malformed Row', true, message")

    def _take_in(self, file: Path, table: str, names: Iterable[str], items: str) -> None:
        if not file.exists():
            return
        rows = own_csv(file, names, longest=_LONGEST_LINE)
        self._workspace.execute(f"INSERT INTO {table} SELECT {items} FROM {rows}")
        file.unlink()


def _fields(record: dict[str, Any], values: Sequence[Value]) -> list[str | None] | BadRecord:
    try:
        fields = [text_of(value(record)) for value in values]
        "".join(field for field in fields if field).encode()
    except UnicodeEncodeError:
        return BadRecord(_SURROGATE, "")
    except RecursionError:
        return BadRecord("its values are nested too deeply", "")
    return fields
