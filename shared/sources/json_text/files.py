"""JSON files: records are parsed one by one and loaded as text; nested values become JSON text."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shared.definitions.models import Column, JsonSource
from shared.json_paths import finder
from shared.sources.files import InputFile
from shared.sources.json_text.records import BadRecord, json_records, text_of
from shared.sources.kinds import refuse_other_kinds
from shared.sources.plain import text_blocks, writing
from shared.sources.text_files import TextFiles, refuse_zstd
from shared.workspace import Workspace, literal

__all__ = ["JsonFiles"]

_LONGEST_LINE: Final = 1 << 28  # bytes: a record has up to 16 million characters of up to 4 bytes, quotes are doubled
_SURROGATE: Final = "a text has half of a surrogate pair, which is not a character"
Value = Callable[[dict[str, Any]], Any]


class JsonFiles(TextFiles[JsonSource]):
    """The files of a `json` source; they are parsed here, and records need not have the same types."""

    def load(self, workspace: Workspace) -> None:
        """Fill `source_raw` from all files; row numbers continue from one file to the next.

        Raises:
            UserError: A file is missing, not in UTF-8 or not JSON.
        """
        columns = [column for column in self._source.columns if column.read]
        last = 0
        for file in self._begun(workspace):
            last = _Load(workspace, self._source, columns).load(file, last)


@dataclass(frozen=True, slots=True)
class _Load:
    """Loads one file behind what is loaded already."""

    workspace: Workspace
    source: JsonSource
    columns: list[Column]

    def load(self, file: InputFile, last: int) -> int:
        """Load a file whose rows are numbered behind `last`; returns the last number."""
        refuse_zstd(file)
        refuse_other_kinds(file, "utf-8", wanted="JSON")
        good, bad = self.workspace.folder / "good.csv", self.workspace.folder / "bad.csv"
        last = self._split(file, last, good, bad)
        self._take(good, "source_raw", ["_row", *(column.name for column in self.columns)], "*")
        self._take(bad, "source_errors", ["_row", "message"], "_row, '', 'Malformed Row', true, message")
        return last

    def _split(self, file: InputFile, last: int, good: Path, bad: Path) -> int:
        """Write the values of the records and the messages about what is not a record."""
        find = finder(self.source.records) if self.source.records else None
        values = [_value(column.name) for column in self.columns]
        with (
            writing(self.workspace.folder),
            closing(text_blocks(file, "utf-8")) as blocks,
            good.open("w", encoding="utf-8", newline="") as goods,
            bad.open("w", encoding="utf-8", newline="") as bads,
        ):
            write_good = csv.writer(goods, lineterminator="\n", quoting=csv.QUOTE_ALL)
            write_bad = csv.writer(bads, lineterminator="\n", quoting=csv.QUOTE_ALL)
            for last, record in enumerate(json_records(blocks, file.name, find), start=last + 1):  # noqa: B020, PLR1704
                fields = record if isinstance(record, BadRecord) else _fields(record, values)
                if isinstance(fields, BadRecord):
                    place = f"{fields.place} of {Path(file.name).name}" if fields.place else Path(file.name).name
                    write_bad.writerow([last, f"{fields.message} ({place})"])
                else:
                    write_good.writerow([last, *fields])
        return last

    def _take(self, path: Path, table: str, names: Iterable[str], items: str) -> None:
        fields = ", ".join(f"{literal(name)}: {literal('BIGINT' if name == '_row' else 'VARCHAR')}" for name in names)
        self.workspace.execute(
            f"INSERT INTO {table} SELECT {items} FROM read_csv({literal(str(path))}, auto_detect = false, "
            f"header = false, columns = {{{fields}}}, delim = ',', quote = '\"', escape = '\"', "
            f"new_line = '\\n', max_line_size = {_LONGEST_LINE})"
        )
        path.unlink()


def _value(name: str) -> Value:
    """What a column reads of a record: a field, or what a JSONPath finds."""
    return finder(name) if name.startswith("$") else lambda record: record.get(name)


def _fields(record: dict[str, Any], values: list[Value]) -> list[str | None] | BadRecord:
    try:
        fields = [text_of(value(record)) for value in values]
        "".join(field for field in fields if field).encode()
    except UnicodeEncodeError:
        return BadRecord(_SURROGATE, "")
    except RecursionError:
        return BadRecord("its values are nested too deeply", "")
    return fields
