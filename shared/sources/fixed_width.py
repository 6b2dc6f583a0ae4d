"""Text with columns of fixed width: each line is one field for DuckDB, which cuts it by characters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import duckdb

from shared.counted import counted
from shared.definitions.models import FixedColumn, FixedWidthSource, ShortLines
from shared.errors import UserError
from shared.sources.files import InputFile
from shared.sources.kinds import refuse_other_kinds
from shared.sources.plain import Layout, mapped, more_blocks, own_csv, text_blocks, write_plain
from shared.sources.records import MOST_BYTES
from shared.sources.text_files import TextFiles, file_values, last_row, refuse_zstd
from shared.workspace import Workspace, literal, writing

__all__ = ["FixedWidthFiles"]

_LONGEST_LINE: Final = 2 * MOST_BYTES  # a quote is doubled in the copy
_LINES_LOOKED_AT: Final = 100  # before a run
_WANTED: Final = "text with columns of fixed width"
_LINE_END: Final = re.compile(r"\r\n?")
_NOT_BLANK: Final = re.compile(rb"[^ \r\n][^\r\n]*")


class FixedWidthFiles(TextFiles[FixedWidthSource]):
    """The files of a `fixed_width` source; they are copied line by line."""

    def first_lines(self) -> tuple[str, ...]:
        """Look at the first lines of the files that are on this machine; there are no warnings.

        Raises:
            UserError: A file is of another kind, not in its encoding, or all of these lines are too short.
        """
        end = max((_end(column) for column in self._source.columns if column.stored), default=0)
        for file in self._first_files():
            refuse_zstd(file)
            refuse_other_kinds(file, self._source.encoding, wanted=_WANTED)
            lengths = [len(line) for line in self._beginning(file) if line.strip()]
            if lengths and max(lengths) < end and self._source.short_lines is ShortLines.REJECT:
                raise UserError(
                    f"{file.name}: the columns end at character {end:,}, and the longest of the first "
                    f"{counted(len(lengths), 'line', 'lines')} has {counted(max(lengths), 'character', 'characters')}; "
                    f"correct start and width of the columns, or write short_lines: fill"
                )
        return ()

    def _beginning(self, file: InputFile) -> list[str]:
        """The first lines of the data; the last one that is read may be cut, unless it is the only one."""
        with closing(text_blocks(file, self._source.encoding, head=self._source.header_rows_to_ignore)) as blocks:
            text = next(blocks, "") + next(blocks, "")
        lines = _LINE_END.sub("\n", text).split("\n")
        return (lines[:-1] or lines)[:_LINES_LOOKED_AT]

    def load(self, workspace: Workspace) -> None:
        """Fill `source_raw` from all files; row numbers continue from one file to the next.

        Raises:
            UserError: A file is missing, not in its encoding, or has a line that is too long.
        """
        columns = [column for column in self._source.columns if column.stored]
        for file in self._begun(workspace):
            _Load(workspace, self._source, columns, self._left(workspace)).load(file)


@dataclass(frozen=True, slots=True)
class _Load:
    """Loads one file behind what is loaded already."""

    workspace: Workspace
    source: FixedWidthSource
    columns: list[FixedColumn]
    rows: int | None

    def load(self, file: InputFile) -> None:
        refuse_zstd(file)
        refuse_other_kinds(file, self.source.encoding, wanted=_WANTED)
        lines = self.workspace.folder / "source.lines"
        self._copy(file, lines)
        try:
            self._insert(file, self._numbered(lines))
        except duckdb.Error as error:
            raise UserError(
                f"{file.name} cannot be read: a line is longer than {MOST_BYTES >> 20} MB; check that it is a text file"
            ) from error
        lines.unlink()

    def _copy(self, file: InputFile, lines: Path) -> None:
        """Write each data line in quotes, so that no character in it is special."""
        layout = Layout(
            encoding=self.source.encoding,
            head=self.source.header_rows_to_ignore,
            foot=self.source.footer_rows_to_ignore,
        )
        plain = self.workspace.folder / "source.plain"
        blocks = text_blocks(file, layout.encoding, head=layout.head)
        if layout.foot or self.rows is not None:
            self._write_plain(file, layout, plain)
            blocks = text_blocks(InputFile(name=file.name, path=str(plain)), "utf-8")
        with writing(self.workspace.folder), closing(blocks), lines.open("w", encoding="utf-8", newline="") as out:
            parts = self.workspace.in_time(_with_line_feeds(blocks), every=1)
            out.write('"')
            out.writelines(block.replace('"', '""').replace("\n", '"\n"') for block in parts)
            out.write('"\n')
        plain.unlink(missing_ok=True)

    def _write_plain(self, file: InputFile, layout: Layout, plain: Path) -> None:
        """Write the data lines; of the first rows alone, the part of the file that has them."""
        blocks = None if self.rows is None else 1
        while not write_plain(file, layout, plain, blocks=blocks) and not self._suffices(plain):
            blocks = more_blocks(blocks or 1, file)

    def _suffices(self, plain: Path) -> bool:
        with mapped(plain) as text:
            most = (self.rows or 0) + 1  # the mark at the beginning of the text may be one of them
            return sum(1 for _ in islice(_NOT_BLANK.finditer(text), most)) == most

    def _numbered(self, lines: Path) -> str:
        """A query for the number, the line and the text of each row; blank lines are not rows."""
        before = last_row(self.workspace)
        read = own_csv(lines, ["text"], longest=_LONGEST_LINE)
        head = self.source.header_rows_to_ignore
        return (
            f"SELECT {before} + row_number() OVER () AS _row, line, text "
            f"FROM (SELECT {head} + row_number() OVER () AS line, text FROM {read}) WHERE trim(text) <> '' "
            f"{'' if self.rows is None else f'ORDER BY line LIMIT {self.rows}'}"
        )

    def _insert(self, file: InputFile, rows: str) -> None:
        end = max((_end(column) for column in self.columns), default=0)
        short = f"length(text) < {end}" if self.source.short_lines is ShortLines.REJECT else "false"
        # What fills a field up to its width is not part of the value.
        values = "".join(f", rtrim(substring(text, {each.start}, {each.width}), ' ')" for each in self.columns)
        told = file_values(self.source.columns, file.name)
        # Read and numbered before anything is inserted: both statements give a row the same number.
        self.workspace.execute(f"INSERT INTO source_raw SELECT _row{values}{told} FROM ({rows}) WHERE NOT ({short})")
        if self.source.short_lines is ShortLines.REJECT:
            message = (
                f"printf('%d characters instead of {end} (line %s of %s)', length(text), "
                f"format('{{:,}}', line), {literal(Path(file.name).name)})"
            )
            self.workspace.execute(
                f"INSERT INTO source_errors SELECT _row, '', 'Malformed Row', true, {message} "
                f"FROM ({rows}) WHERE {short}"
            )


def _end(column: FixedColumn) -> int:
    return (column.start or 1) + (column.width or 1) - 1


def _with_line_feeds(blocks: Iterable[str]) -> Iterator[str]:
    """The same text with a line feed for each line end."""
    held = ""  # a carriage return that ends a block: the next one may begin with its line feed
    for part in blocks:
        block, held = held + part, ""
        if block.endswith("\r"):
            block, held = block[:-1], "\r"
        yield _LINE_END.sub("\n", block) if "\r" in block else block
    yield "\n" if held else ""
