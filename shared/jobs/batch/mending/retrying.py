"""A retry: the definition with the rows of a mended file in place of its source."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared.definitions import Column, ColumnType, DelimitedSource, SelfDescribing, SyncDefinition
from shared.definitions.models import PartialBehaviour, TypedColumn
from shared.errors import UserError
from shared.jobs.batch.mending.mended_file import MendedFile
from shared.sources.places.row_lines import RowLine
from shared.state import RowsToMend
from shared.state.mending import ROW_COLUMN
from shared.transform import FAULT_SHOWN, OTHER_FAULT, SOURCE_ERRORS, ErrorType
from shared.transform.event_rows import event_raw_table, raw_members
from shared.workspace import Workspace

__all__ = ["MendedRows", "Retry", "columns_to_mend", "refuse_unlisted", "retried_definition"]

_MOST_LISTED: Final = 10
_STILL_DUPLICATE: Final = "the key is still that of another row of the source; change it, or remove the row"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """What a retry runs.

    Attributes:
        run_id: The run whose rows are tried again.
        file: The mended rows.
    """

    run_id: str
    file: MendedFile


def retried_definition(definition: SyncDefinition, kept: RowsToMend, place: str) -> SyncDefinition:
    """The definition with text in place of its source: nothing is dropped, and no step follows.

    Each column that is read keeps its place and its rules. A type that only the source knew is the one of the run.

    Args:
        definition: With the keys of its connections.
        kept: The rows of the run that is retried.
        place: The file, for messages.
    """
    source = definition.source
    named = [_as_text(column, kept) if column.read else column for column in source.columns]
    if isinstance(source, SelfDescribing) and not any(column.stored for column in source.columns):
        labels = {column.label for column in source.columns}
        others = [Column(name=name, type=ColumnType(kind)) for name, kind in kept.columns.items() if name not in labels]
        named += [_as_text(column, kept) for column in others]
    text = DelimitedSource(
        type="delimited",
        path=place,
        columns=tuple(named),
        null_values=source.null_values,
        filter=source.row_filter,
    )
    behaviour = PartialBehaviour.of(definition.sync_behaviour)
    return definition.model_copy(update={"source": text, "sync_behaviour": behaviour, "post_sync": ()})


def columns_to_mend(definition: SyncDefinition) -> dict[str, str]:
    """Column that a mended file must have -> its type."""
    return {column.label: column.type.value for column in definition.source.columns if column.read}


def refuse_unlisted(file: MendedFile, kept: RowsToMend) -> None:
    """Refuse rows of a run that are not in its list, such as those that another retry has mended meanwhile.

    Their values in the file may be older than what that retry wrote, and only the list says which of them have the key
    of another row.

    Raises:
        UserError: The file has such a row.
    """
    others = sorted(file.numbers - {row.number for row in kept.rows})
    if not others:
        return
    shown = ", ".join(map(str, others[:_MOST_LISTED])) + (", …" if len(others) > _MOST_LISTED else "")
    rows, them, lines = ("row", "it", "its line") if len(others) == 1 else ("rows", "them", "their lines")
    raise UserError(
        f"{file.name} has {rows} {shown} of {ROW_COLUMN}, not in the list of rows to mend: a retry has mended {them} "
        f"meanwhile, or the file is of another run. Remove {lines}, or write the list again with `errors --csv`. A row "
        f"that you have added has an empty {ROW_COLUMN}"
    )


def _as_text(column: Column, kept: RowsToMend) -> Column:
    written = column.model_dump(by_alias=True, exclude_unset=True, include=set(Column.model_fields))
    for key in ("alias", "file_name", "file_path"):
        written.pop(key, None)
    kind = ColumnType(written.pop("type", None) or kept.columns.get(column.label, column.type))
    plain = Column.model_validate({**written, "name": column.label, "type": kind})
    if not any(row.values.get(column.label) == FAULT_SHOWN for row in kept.rows):
        return plain
    typed = TypedColumn.of(plain, kind, ColumnType.TEXT, "VARCHAR")
    return typed.model_copy(update={"faults": (OTHER_FAULT,)})


class MendedRows:
    """The rows of a mended file as the source of a run.

    Args:
        definition: What `retried_definition` gives.
        kept: Reads the rows of the run that is retried, as they are kept now.
        file: The mended rows.
        open_workspace: Opens a small database beside that of the run, for `load_duplicates`.
    """

    def __init__(
        self,
        definition: SyncDefinition,
        kept: Callable[[], RowsToMend],
        file: MendedFile,
        open_workspace: Callable[[], Workspace],
    ) -> None:
        self.open_workspace = open_workspace
        self._definition = definition
        self._kept = kept
        self._file = file
        self._duplicates: Mapping[int | None, Mapping[str, str]] = {}  # by the number in the list

    @property
    def readable(self) -> tuple[str, ...]:
        """No file: the rows have been read."""
        return ()

    def columns(self, workspace: Workspace) -> tuple[Column, ...]:  # noqa: ARG002 - text has no types of its own
        """The columns of the definition."""
        return self._definition.source.columns

    def load(self, workspace: Workspace) -> None:
        """Fill `source_raw` with the rows of the file.

        To be called under the lease of the sync: until then another retry may have changed the list.

        Raises:
            UserError: A row of the file is not in the list any more.
            RetryLater, AbortRun: The state store is unavailable, or refuses us.
        """
        kept = self._kept()
        refuse_unlisted(self._file, kept)
        self._duplicates = {row.number: row.values for row in kept.rows if row.duplicate}
        self._fill(workspace, ((number, row.values) for number, row in enumerate(self._file.rows, start=1)))

    @property
    def has_duplicates(self) -> bool:
        """Whether the file has rows that had the key of another row; `load` comes first."""
        return any(row.number in self._duplicates for row in self._file.rows)

    def load_duplicates(self, workspace: Workspace) -> None:
        """Fill `source_raw` of another workspace with the rows that had the key of another row; `load` comes first.

        A row has its number in the file, and what it was in the list has the same number below zero.
        """
        rows = [(n, row) for n, row in enumerate(self._file.rows, start=1) if row.number in self._duplicates]
        before = [(-n, self._duplicates[row.number]) for n, row in rows]
        self._fill(workspace, [*before, *((n, row.values) for n, row in rows)])

    def reject_duplicates(self, workspace: Workspace, numbers: Sequence[int]) -> None:
        """Note in `source_errors` that some rows still have the key of another row.

        Args:
            workspace: Of the run, after `load`.
            numbers: Of the rows in the file.
        """
        workspace.execute(
            "INSERT INTO source_errors SELECT unnest(?::BIGINT[]), '', ?, true, ?",
            [numbers, ErrorType.DUPLICATE_KEY.value, _STILL_DUPLICATE],
        )

    def _fill(self, workspace: Workspace, rows: Iterable[tuple[int, Mapping[str, str]]]) -> None:
        columns = [column for column in self._definition.source.columns if column.read]
        members = raw_members([column.name for column in columns])
        faulty = {column.name for column in columns if isinstance(column, TypedColumn)}
        loaded = []
        for number, values in rows:
            texts = {
                member: OTHER_FAULT if name in faulty and values.get(name) == FAULT_SHOWN else values.get(name)
                for name, member in members.items()
            }
            loaded.append({"n": number, **texts})
        workspace.create(event_raw_table(list(members)), [json.dumps(loaded, ensure_ascii=False)])
        workspace.run(SOURCE_ERRORS)

    def lines(self, workspace: Workspace) -> Iterator[tuple[int, RowLine]]:
        """The lines on which the rows with errors begin."""
        wanted = {number for (number,) in workspace.rows("SELECT DISTINCT _row FROM source_errors")}
        for number, row in enumerate(self._file.rows, start=1):
            if number in wanted:
                yield number, RowLine(file=self._file.name, line=row.line)
