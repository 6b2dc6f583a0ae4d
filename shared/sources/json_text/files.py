"""JSON files: records are parsed one by one and loaded as text; nested values become JSON text."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, Final

from shared.definitions.models import JsonSource
from shared.errors import UserError
from shared.json_paths import finder_of_records
from shared.sources.files import InputFile
from shared.sources.json_text.loading import RecordRows, value_of
from shared.sources.json_text.records import BadRecord, json_records
from shared.sources.kinds import refuse_other_kinds
from shared.sources.plain import text_blocks
from shared.sources.text_files import TextFiles, file_values, refuse_zstd
from shared.suggestions import did_you_mean
from shared.workspace import Workspace

__all__ = ["JsonFiles"]

_RECORDS_LOOKED_AT: Final = 1000  # before a run
_MOST_READ: Final = 1 << 24  # characters, before a run
_MOST_LISTED: Final = 20  # fields in a message


class _TooLongError(Exception):
    """The beginning of a text is not enough to have its first records."""


class JsonFiles(TextFiles[JsonSource]):
    """The files of a `json` source; they are parsed here, and records need not have the same types."""

    def first_lines(self) -> tuple[str, ...]:
        """Look at the first records of the files that are on this machine.

        Returns:
            Columns that are in none of these records: fields may be left out where they have no value.

        Raises:
            UserError: A file is of another kind, not in UTF-8, not JSON, or none of these is a record.
        """
        warnings: list[str] = []
        for file in self._first_files():
            refuse_zstd(file)
            refuse_other_kinds(file, "utf-8", wanted="JSON", chosen=False)
            found = self._first_records(file)
            records = [each for each in found if not isinstance(each, BadRecord)]
            bad = next((each for each in found if isinstance(each, BadRecord)), None)
            if bad and not records:
                raise UserError(f"{file.name} has no record: {bad.message} ({bad.place})")
            warnings += self._absent(file.name, records)
        return tuple(warnings)

    def _first_records(self, file: InputFile) -> list[dict[str, Any] | BadRecord]:
        """The first records; none of a long document, which can only be read as a whole."""
        find = finder_of_records(self._source.records) if self._source.records else None
        with closing(text_blocks(file, "utf-8", chosen=False)) as blocks:
            try:
                return [*islice(json_records(_beginning(blocks), file.name, find), _RECORDS_LOOKED_AT)]
            except _TooLongError:
                return []

    def _absent(self, name: str, records: Sequence[dict[str, Any]]) -> Iterator[str]:
        fields = dict.fromkeys(field for record in records for field in record)
        for column in self._source.columns:
            if not records or not column.stored or column.name in fields or column.name.startswith("$"):
                continue
            listed = ", ".join([*fields][:_MOST_LISTED])
            hint = did_you_mean(column.name, fields) or f"they have {listed}"
            which = f"none of the first {len(records):,} records has" if len(records) > 1 else "the only record has not"
            yield f"{name}: {which} the field {column.name}; {hint}"

    def load(self, workspace: Workspace) -> None:
        """Fill `source_raw` from all files; row numbers continue from one file to the next.

        Raises:
            UserError: A file is missing, not in UTF-8 or not JSON.
        """
        stored = [column for column in self._source.columns if column.stored]
        names, values = [column.name for column in stored], [value_of(column) for column in stored]
        find = finder_of_records(self._source.records) if self._source.records else None
        rows, forms = RecordRows(workspace, names), _Forms(documents=find is not None)
        for file in self._begun(workspace):
            refuse_zstd(file)
            forms.note(file, refuse_other_kinds(file, "utf-8", wanted="JSON", chosen=False))
            with closing(text_blocks(file, "utf-8", chosen=False)) as blocks:
                found = workspace.in_time(json_records(blocks, file.name, find))
                rows.add(islice(found, self._left(workspace)), values, Path(file.name).name)
            rows.flush(file_values(self._source.columns, file.name))


class _Forms:
    """Whether empty files may be there: a file of JSON lines can be empty, a document and a list cannot.

    Args:
        documents: Each file is a document, in which the records are looked for.
    """

    def __init__(self, *, documents: bool) -> None:
        self._documents = documents
        self._empty = ""
        self._has_lists = False

    def note(self, file: InputFile, first: bytes) -> None:
        """Note the form of a file by its first bytes.

        Raises:
            UserError: It is empty, or an earlier one is, and the files are not of JSON lines.
        """
        start = first.removeprefix(codecs.BOM_UTF8).lstrip()
        self._has_lists |= start.startswith(b"[")
        if not start:
            self._empty = self._empty or file.name
        if self._empty and (self._documents or self._has_lists):
            raise UserError(
                f"{self._empty} is empty: is the delivery incomplete? A file without records has an empty list"
            )


def _beginning(blocks: Iterator[str]) -> Iterator[str]:
    """The blocks of a text, as far as it is read before a run.

    Raises:
        _TooLongError: More is asked for.
    """
    left = _MOST_READ
    for block in blocks:
        if left <= 0:
            raise _TooLongError
        yield block
        left -= len(block)
