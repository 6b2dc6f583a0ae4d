"""Text with columns of fixed width: positions, spaces, short lines, line ends, encodings, and refused files."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.definitions.models import FixedWidthSource
from shared.errors import UserError
from shared.sources import SourceContext, open_source
from shared.sources.files import BLOCK
from shared.workspace import Workspace
from tests.unit.definitions.models.sources.test_kinds import problems

Loaded = tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]
PLACES = (("a", 1, 3), ("b", 4, 5))


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Loaded]:
    """Writes a file and loads it; the columns are a (1 to 3) and b (4 to 8) unless the test has others."""

    def write_and_load(data: str | bytes, name: str = "a.txt", path: str = "", **keys: Any) -> Loaded:
        (tmp_path / name).write_bytes(data.encode() if isinstance(data, str) else data)
        columns = [{"name": name, "start": start, "width": width} for name, start, width in PLACES]
        described = {"type": "fixed_width", "path": str(tmp_path / (path or name)), "columns": columns, **keys}
        source = open_source(FixedWidthSource.model_validate(described), SourceContext())
        with Workspace.open(readable=source.readable) as workspace:
            source.load(workspace)
            rows = workspace.query("SELECT * FROM source_raw ORDER BY _row")
            return rows, workspace.query("SELECT _row, error, rejected, message FROM source_errors ORDER BY _row")

    return write_and_load


TEXTS = {
    "whole lines": ("001Alpha\n002Beta \n", [("001", "Alpha"), ("002", "Beta")]),
    "no line end at the end": ("001Alpha\n002Beta", [("001", "Alpha"), ("002", "Beta")]),
    "carriage returns and line feeds": ("001Alpha\r\n002Beta \r\n", [("001", "Alpha"), ("002", "Beta")]),
    "carriage returns": ("001Alpha\r002Beta \r", [("001", "Alpha"), ("002", "Beta")]),
    "short lines": ("001Al\n00\n003\n", [("001", "Al"), ("00", ""), ("003", "")]),
    "long lines": ("001Alpha and more\n", [("001", "Alpha")]),
    "blank lines": ("001Alpha\n\n        \n002Beta \n\n", [("001", "Alpha"), ("002", "Beta")]),
    "blanks before a value": (" 01  Al \n", [(" 01", "  Al")]),
    "quotes, commas and tabs": ('"1"",",\t"\n', [('"1"', '",",\t')]),
    "characters of several bytes": ("äöü€𝄞é日本\n", [("äöü", "€𝄞é日本")]),
    "a byte order mark": ("\ufeff001Alpha\n", [("001", "Alpha")]),
    "only a line end": ("\n", []),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_line_is_split_by_characters(load: Any, name: str) -> None:
    """For all characters and line ends."""
    text, expected = TEXTS[name]
    rows, errors = load(text)
    assert [row[1:] for row in rows] == expected
    assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
    assert errors == []


def test_lines_above_and_below_the_data_are_skipped(load: Any) -> None:
    """Line numbers in messages include them."""
    text = "HEADER\n001Alpha\n002Be\nTOTAL 2\n"
    rows, errors = load(text, header_rows_to_ignore=1, footer_rows_to_ignore=1, short_lines="reject")
    assert rows == [(1, "001", "Alpha")]
    assert errors == [(2, "Malformed Row", True, "5 characters instead of 8 (line 3 of a.txt)")]


def test_a_rejected_line_keeps_its_number(load: Any) -> None:
    """The rows below it have the same numbers as without the error; blank lines have no number."""
    rows, errors = load("001Alpha\n002\n\n003Gamma\n", short_lines="reject")
    assert rows == [(1, "001", "Alpha"), (3, "003", "Gamma")]
    assert errors == [(2, "Malformed Row", True, "3 characters instead of 8 (line 2 of a.txt)")]


def test_columns_may_overlap_and_leave_gaps(load: Any) -> None:
    """Each is cut from the whole line; a calculated column has no position."""
    columns = [
        {"name": "all", "start": 1, "width": 8},
        {"name": "end", "start": 8, "width": 1},
        {"name": "made", "formula": '"all"'},
    ]
    assert load("001Alpha\n", columns=columns)[0] == [(1, "001Alpha", "a")]


def test_files_in_other_encodings(load: Any) -> None:
    """Places count characters, also where each has two bytes."""
    for encoding in ("utf-16", "windows-1252"):
        assert load("äöüÄÖÜßé\n".encode(encoding), encoding=encoding)[0] == [(1, "äöü", "ÄÖÜßé")]


def test_gzip_files_are_read_and_row_numbers_continue(load: Any, tmp_path: Path) -> None:
    """Files of a pattern in the order of their names; a last line that was rejected counts."""
    (tmp_path / "a.txt").write_text("001Alpha\n00\n", "utf-8")
    rows, errors = load(gzip.compress(b"002Beta!\n"), name="b.txt.gz", path="*.txt*", short_lines="reject")
    assert rows == [(1, "001", "Alpha"), (3, "002", "Beta!")]
    assert [error[0] for error in errors] == [2]


def test_a_line_end_on_the_border_of_two_blocks_is_one(load: Any) -> None:
    """The carriage return is the last byte of a block, and its line feed the first of the next one."""
    first = "x" * (BLOCK - 1)
    rows, _ = load(f"{first}\r\n002Beta \r\n")
    assert [row[1:] for row in rows] == [("xxx", "xxxxx"), ("002", "Beta")]


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        (b"PK\x03\x04 xl/workbook", "a.txt", r"not text with columns of fixed width: .* an Excel file"),
        (b"\x28\xb5\x2f\xfd", "a.txt.zst", "compress it with gzip"),
        (b"001Alpha\n002B\xe9ta\n", "a.txt", r"is not utf-8: the byte at offset 13 \(line 2\)"),
        (b"x" * (40 << 20), "a.txt", "a line is longer than 16 MB"),
    ],
)
def test_what_cannot_be_read_is_refused(load: Any, data: bytes, name: str, message: str) -> None:
    """With what to do."""
    with pytest.raises(UserError, match=message):
        load(data, name=name)


def test_a_column_that_is_read_needs_its_place() -> None:
    """And a calculated one has none."""
    missing = "this key is missing: a column that is read needs start (the first place is 1) and width"
    columns = "[{name: number}, {name: a, start: 1, width: 3}, {name: b, formula: a, width: 3}]"
    assert problems(f"{{type: fixed_width, path: x, columns: {columns}}}") == [
        ("source.columns[0].start", missing),
        ("source.columns[0].width", missing),
        ("source.columns[2].width", "a column that is not read has no place in the line"),
    ]
    zero = problems(
        "{type: fixed_width, path: x, columns: [{name: number, start: 0, width: 3}, {name: b, start: 1, width: 1}]}"
    )
    assert [path for path, _ in zero] == ["source.columns[0].start"]


@pytest.mark.parametrize("keys", [{"header_rows_to_ignore": 1}, {"footer_rows_to_ignore": 1}])
def test_an_empty_file_is_refused_where_it_has_lines_without_rows(load: Any, keys: dict[str, int]) -> None:
    """A delivery that broke off must not drop records."""
    with pytest.raises(UserError, match=r"a\.txt is empty: is the delivery incomplete\?"):
        load("", **keys)
    assert load("") == ([], [])
    assert load("the only line\n", **keys) == ([], [])


def test_a_file_that_ends_within_its_header_lines_is_refused(load: Any) -> None:
    """As an empty one is; its last line may have no line end."""
    with pytest.raises(UserError, match=r"a\.txt ends within its header lines: is the delivery incomplete\?"):
        load("one\ntwo\n", header_rows_to_ignore=3)
    assert load("one\ntwo\nthree", header_rows_to_ignore=3) == ([], [])
