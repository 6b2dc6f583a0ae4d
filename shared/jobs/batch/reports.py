"""What went wrong in a run, told twice: grouped for people, and row by row in three CSV files."""

from __future__ import annotations

import csv
import io
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final
from uuid import UUID

from shared.definitions import SyncDefinition
from shared.entities import EntityMetadata
from shared.errors import UserError
from shared.jobs.summary import ErrorRow
from shared.reconcile import reports
from shared.reconcile.reports import GROUPED_ERRORS, SENT_KEYS
from shared.reconcile.row_details import PLAIN, SOURCE_LINES, RowDetails
from shared.sources import KnowsLines, Source
from shared.transform import ErrorType
from shared.transform.choices.options import all_options
from shared.visible import for_spreadsheet
from shared.workspace import Workspace

__all__ = ["Reporting", "csv_of", "reporting_of"]

log = logging.getLogger(__name__)

LINES_AT_ONCE: Final = 10_000  # rows whose lines are held in memory
MOST_EXAMPLES: Final = 5  # rows of one kind of error that are shown with their keys
MOST_OPTIONS: Final = 200  # options of a choice that are listed
_CHOICE: Final = re.compile(r"no option of (\w+)")  # what a lookup creates is of another table


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporting:
    """Tells the errors of one run.

    Attributes:
        entity: The metadata of the target's table: options of choices; None where it is not known.
        details: What tells which row is meant.
    """

    entity: EntityMetadata | None = None
    details: RowDetails = PLAIN

    def errors(self, workspace: Workspace) -> tuple[ErrorRow, ...]:
        """Group all errors of the run by side, class, type, column and kind of message, the most frequent first."""
        found = [
            ErrorRow(
                side=side,
                error_class=error_class,
                error_type=error_type.strip(),
                column=column,
                rows=tuple(row for row in rows if row is not None),
                count=count,
                message=message or "",
            )
            for side, error_class, error_type, column, rows, count, message in workspace.query(GROUPED_ERRORS)
        ]
        return tuple(self._with_options(self._with_examples(workspace, found)))

    def files(self, workspace: Workspace, run_id: str) -> Iterator[tuple[str, bytes]]:
        """Yield (file name, CSV in UTF-8) for each kind of error that the run met."""
        for kind, (header, query) in reports.error_files(self.details).items():
            data, rows = csv_of(header, workspace.rows(query))
            if rows:
                yield f"{run_id}_{kind}.csv", data

    def _with_examples(self, workspace: Workspace, errors: Sequence[ErrorRow]) -> Iterator[ErrorRow]:
        """The errors with the first rows by their keys: of the source, or of what was sent."""
        source = [(row, error.column) for error in errors if error.side == "source" for row in _first(error)]
        known = self._of_source(workspace, source) if source and self.details.tables else {}
        sent = [row for error in errors if error.side == "sync" for row in _first(error)]
        keys: dict[int, str] = dict(workspace.query(SENT_KEYS, [sent])) if sent else {}
        for error in errors:
            match error.side:
                case "source":
                    more = {row: known.get((row, error.column), {}) for row in _first(error)}
                case "sync":
                    more = {row: {"key": keys[row]} if keys.get(row) else {} for row in _first(error)}
                case _:
                    more = {}
            yield replace(error, examples=tuple({"row": row, **facts} for row, facts in more.items() if facts))

    def _of_source(
        self, workspace: Workspace, wanted: Sequence[tuple[int, str]]
    ) -> dict[tuple[int, str], dict[str, Any]]:
        rows, columns = [row for row, _ in wanted], [column for _, column in wanted]
        found = workspace.query(self.details.examples_query(), [rows, columns])
        return {
            (row, column): {
                name: fact
                for name, fact in (("key", key), ("line", line), ("file", file), ("value", value))
                if fact is not None
            }
            for row, column, key, value, line, file in found
        }

    def _with_options(self, errors: Iterator[ErrorRow]) -> Iterator[ErrorRow]:
        """The errors with all options of a choice, once: on the most frequent message."""
        told = set[str]()
        for error in errors:
            found = _CHOICE.match(error.message) if error.error_type == ErrorType.UNKNOWN_CHOICE else None
            attribute = self.entity.attributes.get(found[1]) if found and self.entity else None
            if attribute is None or not attribute.choices or attribute.name in told:
                yield error
                continue
            told.add(attribute.name)
            listed = all_options(attribute, most=MOST_OPTIONS)
            yield replace(error, message=f"{error.message.rstrip('.')}{_stop(error.message)} {listed}")


def reporting_of(
    definition: SyncDefinition, entity: EntityMetadata, source: Source, workspace: Workspace, *, values: bool
) -> Reporting:
    """What tells the errors of a run whose rows are loaded: with the lines of rows where the source knows them."""
    details = RowDetails.of(definition, values=values)
    if isinstance(source, KnowsLines):
        details = replace(details, lines=_note_lines(source, workspace))
    return Reporting(entity=entity, details=details)


def _note_lines(source: KnowsLines, workspace: Workspace) -> bool:
    """Note on which lines the rows in error begin; whether any is known."""
    if not workspace.query("SELECT 1 FROM source_errors LIMIT 1"):
        return False
    workspace.create(SOURCE_LINES)
    lines, known = source.lines(workspace), False
    try:
        while noted := [(row, place.line, place.file) for row, place in islice(lines, LINES_AT_ONCE)]:
            numbers, starts, files = (list(each) for each in zip(*noted, strict=True))
            workspace.execute(
                "INSERT INTO source_lines SELECT unnest(?::BIGINT[]), unnest(?::BIGINT[]), unnest(?::VARCHAR[])",
                [numbers, starts, files],
            )
            known = True
    except UserError as error:  # the files have been changed or removed since; the rows have been read
        log.info("The lines of the rows in error are not known: %s", error.message)
    # One file need not be named.
    workspace.execute("UPDATE source_lines SET file = NULL WHERE (SELECT count(DISTINCT file) FROM source_lines) < 2")
    return known


def _first(error: ErrorRow) -> tuple[int, ...]:
    return error.rows[:MOST_EXAMPLES]


def _stop(message: str) -> str:
    return "" if message.endswith("?") else "."


def csv_of(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> tuple[bytes, int]:
    """A CSV file in UTF-8 for spreadsheets, and the number of its rows below the header."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header)
    written = 0
    for row in rows:
        writer.writerow([_cell(value) for value in row])
        written += 1
    return text.getvalue().encode("utf-8"), written


def _cell(value: str | int | UUID | None) -> str | int:
    """What stands in a cell: these files are opened in spreadsheets."""
    match value:
        case None:
            return ""
        case int():
            return value
        case _:
            return for_spreadsheet(str(value))
