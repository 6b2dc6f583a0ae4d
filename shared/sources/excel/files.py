"""The files of an `excel` source: their cells become text, and each column gets the type that its cells have."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

from shared.definitions.models import Column, ColumnType, ExcelSource, TypedColumn
from shared.errors import UserError
from shared.remote import is_remote
from shared.sources.context import SourceContext
from shared.sources.excel.cells import CELL_FORMAT, Fault, Writer, kind_of_column
from shared.sources.excel.table import SheetTable
from shared.sources.excel.workbook import Sheet, open_workbook
from shared.sources.excel.workbook import Workbook as Book
from shared.sources.files import find_files
from shared.sources.plain import own_csv
from shared.sources.text_files import file_values, raw_columns
from shared.sources.typed import KnownColumn, described, found_name
from shared.transform import SOURCE_ERRORS, SOURCE_PLACES
from shared.workspace import Workspace, literal, writing

__all__ = ["ExcelFiles"]

_LONGEST_LINE: Final = 1 << 28  # bytes: 16,384 cells with a text of 32,767 characters would be longer than any line is

_TEXTS: Final = "sheet-*"
_BLANK: Final = 200  # rows without a value, or of a header, that may be among the first ones


@dataclass(slots=True, kw_only=True)
class _Part:
    """One sheet, written as text.

    Attributes:
        file: The file.
        place: The file and the sheet as messages show them.
        short: The same without the folder, for the messages of rows.
        path: The text: the number of each row, and its cells.
        offset: The row of the sheet that comes before the first one of the data.
        columns: Name -> place in the text, and letters in the sheet.
        types: Name -> types of its cells.
        last: The number of its last row of data, from 1.
    """

    file: str
    place: str
    short: str
    path: Path
    offset: int
    columns: Mapping[str, tuple[int, str]]
    width: int
    types: Mapping[str, set[type]]
    last: int = 0


class ExcelFiles:
    """The files of an `excel` source."""

    def __init__(self, source: ExcelSource, context: SourceContext) -> None:
        self._source = source
        self._path = context.text(source.path)
        self._sheets = tuple(each if isinstance(each, int) else context.text(each) for each in source.sheets)
        self._find = partial(find_files, open_url=context.open_url, roots=context.roots)
        self._columns = [column for column in source.columns if column.stored]
        self._parts: tuple[_Part, ...] = ()
        self._most = context.rows

    @property
    def readable(self) -> tuple[str, ...]:
        """The local files, whose size tells the disk's need.

        Raises:
            UserError: There is no such file.
        """
        return () if is_remote(self._path) else tuple(file.name for file in self._find(self._path))

    def columns(self, workspace: Workspace) -> tuple[Column, ...]:
        """The columns of the definition with the types of their cells; all columns where it names none.

        All cells of the rows that are loaded are read: a column has a type only if every cell of it has.

        Raises:
            UserError: A file is missing, not a workbook or damaged, or has no such sheet.
            DefinitionError: A column is missing.
        """
        parts = self._read(workspace)
        columns = described(self._source, _together(parts), parts[0].place)
        read = [column for column in columns if column.stored]
        return tuple(self._placed(column, read) for column in columns)

    def load(self, workspace: Workspace) -> None:
        """Fill `source_raw` from all sheets; row numbers continue from one to the next.

        Raises:
            UserError: A file is missing, not a workbook or damaged, or has no such sheet.
            DefinitionError: A column is missing.
        """
        columns = self.columns(workspace)
        workspace.execute(f"CREATE TABLE source_raw ({raw_columns(columns)})")
        workspace.run(SOURCE_ERRORS)
        workspace.run(SOURCE_PLACES)
        before = 0
        for part in self._parts:
            _load(workspace, part, columns, before)
            part.path.unlink()
            before += part.last
        self._parts = ()

    def _placed(self, column: Column, read: Sequence[Column]) -> Column:
        """A column with what is special about cells: errors, their places, and dates among texts with a format."""
        if not isinstance(column, TypedColumn):
            return column
        types = set[type]().union(*(_of(part.types, column.name) for part in self._parts))
        marks = tuple(sorted(each.mark for each in types if issubclass(each, Fault)))
        update: dict[str, object] = {"faults": marks, "place": read.index(column) + 1}
        if column.type is ColumnType.DATE and column.input_formats:
            update["moment_format"] = CELL_FORMAT
        return column.model_copy(update=update)

    def _read(self, workspace: Workspace) -> tuple[_Part, ...]:
        """The sheets as texts; read once."""
        if not self._parts:
            self._parts = tuple(self._sheets_of_all(workspace))
        return self._parts

    def _sheets_of_all(self, workspace: Workspace) -> Iterator[_Part]:
        first: _Part | None = None
        files, left = self._find(self._path), self._most
        for file in files:
            if left == 0:
                break
            with open_workbook(file, workspace.folder, workspace.check_time, brief=left is not None) as book:
                for name in _chosen(book, self._sheets, file.name):
                    if left == 0:
                        break
                    found = None if left is None else self._beginning(workspace, book, name, first, left)
                    part, rows = found or self._part(workspace, file.name, book.sheet(name), first, left)
                    left = None if left is None else left - rows
                    first = first or part
                    yield part
        for file in files:
            file.check_unchanged()

    def _beginning(
        self, workspace: Workspace, book: Book, name: str, first: _Part | None, most: int
    ) -> tuple[_Part, int] | None:
        """The first rows of a sheet, read without the others; None where only the whole sheet tells them.

        So it is where the beginning has fewer rows than are asked for, and where something seems to be wrong: a column
        may be missing there that other rows have.
        """
        source = self._source
        ignored = source.header_rows_to_ignore + source.footer_rows_to_ignore + source.area.top
        before = {*workspace.folder.glob(_TEXTS)}
        try:
            sheet = book.beginning(name, ignored + most + _BLANK, with_end=source.header)
            if sheet is not None:
                part, rows = self._part(workspace, book.name, sheet, first, most)
                if rows == most and all(found_name(each.name, part.columns) for each in self._columns):
                    return part, rows
        except UserError:  # the whole sheet says whether it is so
            pass
        for path in {*workspace.folder.glob(_TEXTS)} - before:
            path.unlink()
        return None

    def _part(
        self, workspace: Workspace, file: str, sheet: Sheet, first: _Part | None, most: int | None
    ) -> tuple[_Part, int]:
        """Write a sheet, or its first rows, as text; tells how many rows these are."""
        place = f"{file}, sheet {sheet.name}"
        table = SheetTable(sheet, self._source)
        if table.empty:
            raise UserError(
                f"{place} is empty: it has no row of column names; name another sheet, or set header: false if the "
                "sheet has no header"
            )
        part = _Part(
            file=file,
            place=place,
            short=f"{sheet.name} of {Path(file).name}",
            path=workspace.folder / f"sheet-{len(list(workspace.folder.glob(_TEXTS)))}.csv",
            offset=table.first - 1,
            columns=self._named(table, place),
            width=table.width,
            types={},
        )
        if first is not None:
            self._compare(part, first)
        return part, _write(workspace, part, table, self._columns, most)

    def _named(self, table: SheetTable, place: str) -> Mapping[str, tuple[int, str]]:
        """Name -> place of each column that may be read."""
        if not self._source.header:
            names = [column.name for column in self._columns]
            if table.width and len(names) > table.width:
                raise UserError(f"{place} has {table.width} columns, and the definition names {len(names)}")
            return {name: (number, table.letters(number)) for number, name in enumerate(names)}
        found: dict[str, tuple[int, str]] = {}
        wanted = {column.name.strip().casefold() for column in self._columns}
        for number, name in enumerate(table.names):
            asked = not wanted or name.strip().casefold() in wanted
            if asked and name in found and table.titled[number]:
                raise UserError(
                    f"{place} has several columns named {name} ({found[name][1]} and {table.letters(number)}); give "
                    "each one a different name, or name the columns to read"
                )
            found.setdefault(name, (number, table.letters(number)))
        return found

    def _compare(self, part: _Part, first: _Part) -> None:
        """Refuse a sheet that has not the columns of the first one."""
        for name in [column.name for column in self._columns] or first.columns:
            if found_name(name, first.columns) is not None and found_name(name, part.columns) is None:
                raise UserError(f"{part.place} has no column {name}, which {first.place} has")
        if not self._columns:
            for name in part.columns:
                if found_name(name, first.columns) is None:
                    raise UserError(
                        f"{part.place} has a column {name}, which {first.place} does not have; name the columns to read"
                    )


def _chosen(book: Book, sheets: Sequence[int | str], name: str) -> list[str]:
    """The names of the sheets that a definition means, each once.

    Raises:
        UserError: There is no such sheet.
    """
    visible = book.names(hidden=False)
    if not sheets:
        sheets = (1,)
    found: dict[str, None] = {}
    for each in sheets:
        matched = _matching(book, visible, each)
        if not matched:
            what = f"sheet {each!r}" if isinstance(each, str) else f"visible sheet number {each}"
            raise UserError(f"{name} has no {what}; it has: {', '.join(book.names(hidden=True)[:50]) or 'no sheet'}")
        found.update(dict.fromkeys(matched))
    return list(found)


def _matching(book: Book, visible: Sequence[str], sheet: int | str) -> list[str]:
    if isinstance(sheet, int):
        return list(visible[sheet - 1 : sheet])
    # A name can be that of a hidden sheet; a pattern ignores hidden sheets.
    if (named := found_name(sheet, dict.fromkeys(book.names(hidden=True)))) is not None:
        return [named]
    return [each for each in visible if fnmatchcase(each.casefold(), sheet.casefold())]


def _write(workspace: Workspace, part: _Part, table: SheetTable, columns: Sequence[Column], most: int | None) -> int:
    """Write the rows of a table, or the first ones, as text, and note the types of their cells; tells how many."""
    count = 0
    by_place = {place: Column(name=name) for name, (place, _) in part.columns.items()}
    for column in columns:
        if (name := found_name(column.name, part.columns)) is not None:
            by_place[part.columns[name][0]] = column
    writer = Writer([by_place.get(place, Column(name="_")) for place in range(table.width)])
    with writing(workspace.folder), part.path.open("w", encoding="utf-8", newline="") as out:
        # All in quotes: with other settings Python 3.11 leaves a carriage return bare.
        rows = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
        for count, row in enumerate(workspace.in_time(islice(table.rows(), most)), 1):  # noqa: B007 - counted
            rows.writerow([row.number - part.offset, *writer.texts(row.cells)])
            part.last = row.number - part.offset
    part.types = {name: writer.seen[place] if table.width else set() for name, (place, _) in part.columns.items()}
    if not columns:  # a column without a name and without a value is no column
        titled = {name for name, (place, _) in part.columns.items() if table.titled[place] or writer.seen[place]}
        part.columns = {name: found for name, found in part.columns.items() if name in titled}
    return count


def _together(parts: Sequence[_Part]) -> Mapping[str, KnownColumn]:
    """Column -> what is known of it in all sheets. The first one gives names and order."""
    return {
        name: KnownColumn.as_text(kind_of_column(set[type]().union(*(_of(part.types, name) for part in parts))))
        for name in parts[0].columns
    }


def _of(types: Mapping[str, set[type]], name: str) -> set[type]:
    found = found_name(name, types)
    return types[found] if found is not None else set()


def _load(workspace: Workspace, part: _Part, columns: Sequence[Column], before: int) -> None:
    stored = [column.name for column in columns if column.stored]
    named = [part.columns[found_name(name, part.columns) or name] for name in stored]
    values = "".join(f", c{place}" if place < part.width else ", NULL" for place, _ in named)
    told = file_values(columns, part.file)
    if part.last:
        rows = own_csv(part.path, ["_row", *(f"c{place}" for place in range(part.width))], longest=_LONGEST_LINE)
        workspace.execute(f"INSERT INTO source_raw SELECT {before} + _row{values}{told} FROM {rows}")
    letters = [letter for _, letter in named]
    workspace.execute(
        f"INSERT INTO source_places VALUES ({before + 1}, {before + part.last}, {part.offset - before}, "
        f"[{', '.join(map(literal, letters))}], {literal(part.short)})"
    )
