"""For any text: the loaded rows are those of Python's csv module, and the other rows are reported with their lines."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.definitions.models import DelimitedSource
from shared.sources import SourceContext, open_source
from shared.workspace import Workspace

NAMES = ("first", "second", "third")
PIECES = [
    '"',
    '""',
    "\n",
    "\r\n",
    "\r",
    "1",
    "ab",
    " ",
    "\ufeff",
    "\u200b",
    "é",
    "e\u0301",
    "\0",
    "'",
    "\\",
    "#",
    "\x1f",
]


STRAY = {"\n": r"\r(?!\n)", "\r\n": r"\r(?!\n)", "\r": r"(?<!\r)\n"}  # what ends no line, by the line end of the header


@dataclass(frozen=True, slots=True)
class Read:
    """A record: its fields, or None if it cannot be split; its first line; its text."""

    fields: list[str] | None
    line: int
    text: str


def read_by_csv(text: str, end: str, delimiter: str, width: int) -> Iterator[Read]:
    """A slow reader: if a record is malformed, only its first line is skipped, and it continues with the next line."""
    lines = re.findall(r".*?(?:\r\n?|\Z)" if end == "\r" else r".*?(?:\n|\Z)", text, re.DOTALL)
    place = 0
    while place < len(lines) and lines[place]:
        reader = csv.reader(iter(lines[place:]), delimiter=delimiter, strict=True)
        try:
            fields, count = next(reader), reader.line_num
        except csv.Error:
            fields, count = None, 1
        read = Read(fields, place + 2, "".join(lines[place : place + count]))
        if not is_blank(read, end, width):
            yield read
        place += count


def is_blank(read: Read, end: str, width: int) -> bool:
    """Whether a line is blank: it has no value and is no part of one."""
    outside_quotes = re.sub(r'"[^"]*"', '""', read.text)
    if read.fields is None or re.search(STRAY[end], outside_quotes):
        return not (read.text.strip() if width > 1 else read.text.strip("\r\n"))
    return not any(read.fields) if width == 1 else len(read.fields) < 2 and not "".join(read.fields).strip()


@dataclass(frozen=True, slots=True)
class Loader:
    workspace: Workspace
    path: Path

    def load(self, data: bytes, width: int, **options: Any) -> tuple[dict[int, list[str]], dict[int, int]]:
        """Rows by their numbers, null as empty text; and the lines of malformed ones."""
        self.path.write_bytes(data)
        names = [{"name": name} for name in NAMES[:width]]
        described = {"type": "delimited", "path": str(self.path), "columns": names, **options}
        for table in ("source_raw", "source_errors"):
            self.workspace.execute(f"DROP TABLE IF EXISTS {table}")
        open_source(DelimitedSource.model_validate(described), SourceContext()).load(self.workspace)
        rows = self.workspace.query("SELECT * FROM source_raw ORDER BY _row")
        bad = self.workspace.query("SELECT _row, message FROM source_errors ORDER BY _row")
        lines = {row: int(re.search(r"\(line ([\d,]+) of ", message)[1].replace(",", "")) for row, message in bad}  # type: ignore[index]
        return {row: [cell or "" for cell in cells] for row, *cells in rows}, lines


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loader]:
    """A workspace and its file."""
    path = tmp_path_factory.mktemp("files") / "any.csv"
    with Workspace.open(readable=[str(path)], threads=1) as workspace:
        yield Loader(workspace, path)


@settings(deadline=None)
@given(
    pieces=st.lists(st.sampled_from([*PIECES, "<delimiter>", "<delimiter>", "<end>", "<end>"]), max_size=40),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    delimiter=st.sampled_from([",", ";", "\t", "\x01"]),
    width=st.sampled_from([1, 2, 3]),
    mark=st.booleans(),
)
@example(pieces=["1", "<delimiter>", "ab", "\r", "ab", "<end>"], end="\r\n", delimiter=",", width=2, mark=False)
@example(pieces=["ab", "\n", "ab", "<end>"], end="\r", delimiter=",", width=1, mark=False)
@example(pieces=['"', "ab", "<end>", "1", "<end>", '"', "1", "<end>"], end="\n", delimiter=",", width=1, mark=True)
def test_no_value_is_loaded_that_csv_does_not_read(
    loader: Loader, pieces: list[str], end: str, delimiter: str, width: int, *, mark: bool
) -> None:
    """Stray quotes, line ends of every kind, byte order marks and zero bytes: equal, or reported with the line."""
    body = "".join({"<delimiter>": delimiter, "<end>": end}.get(piece, piece) for piece in pieces)
    # Blanks around quotes are no part of the field here, and are to the csv module.
    body = re.sub(r' +"|" +', '"', body)
    body = f"1{body}" if end == "\r" and body.startswith("\n") else body  # else the header's line end is another one
    text = delimiter.join(NAMES[:width]) + end + body
    rows, bad = loader.load(text.encode("utf-8-sig" if mark else "utf-8"), width, delimiter=delimiter)
    for number, read in enumerate(read_by_csv(body, end, delimiter, width), start=1):
        fields = read.fields
        surplus = fields is not None and len(fields) > width and not any(fields[width:])
        if fields is None or (len(fields) != width and not surplus):
            assert bad.pop(number) == read.line
        elif number in bad:
            assert re.search(STRAY[end], read.text), "only for a stray line end"
            assert bad.pop(number) == read.line
        else:
            assert rows.pop(number, [""] * width) == fields[:width]
    assert (rows, bad) == ({}, {})
