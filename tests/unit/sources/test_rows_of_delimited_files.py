"""Rows that could damage others: stray line ends and quotes, blank rows, very long rows."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, SupportsIndex

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.errors import UserError
from shared.sources.records import (
    MOST_BYTES,
    Dialect,
    LineEnd,
    Malformed,
    Scanner,
    first_rows,
    has_first,
    records,
    splits_alike,
)

Load = Callable[..., tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]]
STRAY = "there is a carriage return outside quotes that does not end a line"


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize(
    ("data", "rows", "line"),
    [
        ("A,B\r\n1,hello\rworld\r\n2,b\r\n", [(2, "2", "b")], 2),
        ("A,B\n1,hello\rworld\n2,b\n", [(2, "2", "b")], 2),
        ("A,B\n2,b\n1,hello\r", [(1, "2", "b")], 3),
        ('A,B\r\n2,b\r\n1,hello\r"x",1\r\n', [(1, "2", "b")], 3),
        ('A,B\n2,b\n1,"x"\ry\n', [(1, "2", "b")], 3),
        ("A,B\r2,b\r1,hello\nworld\r", [(1, "2", "b")], 3),
    ],
)
def test_a_value_is_never_split_at_a_stray_line_break(
    load: Load, data: str, rows: list[tuple[Any, ...]], line: int, *, in_place: bool
) -> None:
    """Its row is malformed and reported with its line, and the others are loaded."""
    found, errors = load(data, columns=("A", "B"), in_place=in_place)
    assert found == rows
    assert [message.endswith(f"(line {line} of a.csv)") for *_, message in errors] == [True]


def test_a_row_of_one_column_is_never_split_either(load: Load) -> None:
    """Each part would be a row of its own."""
    assert load("A\r\nx\ry\r\nz\r\n", columns=("A",)) == (
        [(2, "z")],
        [(1, "Malformed Row", f"{STRAY} (line 2 of a.csv)")],
    )


def test_line_breaks_of_all_kinds_are_allowed_within_quotes(load: Load) -> None:
    """They are a part of the value."""
    value = "a\rb\nc\r\nd"
    for end in ("\n", "\r\n", "\r"):
        assert load(f'A,B{end}1,"{value}"{end}2,b{end}', columns=("A", "B")) == ([(1, "1", value), (2, "2", "b")], [])


UNPAIRED = "its quotes are not balanced"


@pytest.mark.parametrize("beside", ["", "7,8\n"], ids=["alone", "beside a malformed row"])
@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize(
    ("line", "options", "read"),
    [
        ('1, "y" ,3', {}, ("1", "y", "3")),
        ('1,  "y",3', {}, ("1", "y", "3")),
        ('   "1","y"   ,   "3"', {}, ("1", "y", "3")),
        ('1,  "",3', {}, ("1", None, "3")),
        ('1,  "x,\n""y""",3', {}, ("1", 'x,\n"y"', "3")),
        ('1," ""y""  ","   "', {}, ("1", ' "y"  ', "   ")),
        ('1,"x, ""y"" ""z""",3', {}, ("1", 'x, "y" "z"', "3")),
        ('1,x  "y" "z",3', {}, ("1", 'x  "y" "z"', "3")),
        ("1,  'y',3", {"text_qualifier": "'"}, ("1", "y", "3")),
        ("1,  ^y^,3", {"text_qualifier": "^"}, ("1", "y", "3")),
        ('1||  "y"||3', {"delimiter": "||"}, ("1", "y", "3")),
        ('1\t  "y"\t3', {"delimiter": "\t"}, ("1", "y", "3")),
        ('1,"y" "x",3', {}, UNPAIRED),
        ('1,"y" "",3', {}, UNPAIRED),
        ('"Smith," "J",3', {}, UNPAIRED),
        ('1,  "x,y"', {}, "2 fields instead of 3"),
    ],
)
def test_blanks_at_quotes_are_read_in_one_way(
    load: Load, line: str, options: dict[str, str], read: tuple[str | None, ...] | str, beside: str, *, in_place: bool
) -> None:
    """Whatever the other rows are like: otherwise the value would change with another row."""
    delimiter = options.get("delimiter", ",")
    text = f"A,B,C\n0,0,0\n{{}}\n4,5,6\n{beside}".replace(",", delimiter).format(line)
    found, errors = load(text, in_place=in_place, **options)
    row = [] if isinstance(read, str) else [(2, *read)]
    assert found == [(1, "0", "0", "0"), *row, (3, "4", "5", "6")]
    assert [message.partition(" (")[0] for number, _, message in errors if number == 2] == ([] if row else [read])


@pytest.mark.parametrize("quote", ['"', "^"])
def test_parts_of_a_text_do_not_change_how_its_quotes_are_read(quote: str) -> None:
    """Each of these texts is cut at every place."""
    for text, alike in (
        ('\ufeff"a",b\r\n "x","  "\n"y" ,"z" ', True),
        ('a,"b"" ""c"\n5"" x,d', True),
        ('a,"b" "c"\n', False),
        ('a,  "b"\n', False),
        ('  "a",b\n', False),
        ('a,"b"\n,"c', False),
    ):
        data = text.replace('"', quote).encode()
        for cut in range(len(data) + 1):
            assert splits_alike([data[:cut], data[cut:]], Dialect(quote=quote)) is alike


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("bad", ["", "4,5\n"])
def test_rows_without_any_value_are_blank_rows(
    load: Load, caplog: pytest.LogCaptureFixture, bad: str, *, in_place: bool
) -> None:
    """As spreadsheets write them below the data: skipped and logged, by the fast way and the slow one."""
    caplog.set_level(logging.INFO, "shared.sources")
    rows, errors = load(f'A,B,C\n1,2,3\n,,\n7,8,9\n,"",\n,,,,\n{bad}', in_place=in_place)
    assert rows == [(1, "1", "2", "3"), (3, "7", "8", "9")]
    assert len(errors) == bool(bad)
    assert "a.csv: 3 rows without any value were skipped" in caplog.text


@pytest.mark.parametrize("bad", ["", "4,5\n"])
def test_a_row_with_a_value_that_is_not_read_is_no_blank_row(load: Load, bad: str) -> None:
    """A mandatory value is missing in it, and this must be reported."""
    rows, _ = load(f"A,B,C\n1,2,3\n,,3\n,,\n , ,\n{bad}", columns=("A", "B"))
    assert rows == [(1, "1", "2"), (2, None, None), (4, " ", " ")]


@pytest.mark.parametrize(
    ("row", "lines"),
    [
        ("1," + "x" * MOST_BYTES, 1),
        ("1," + 'x"' * (2 * MOST_BYTES), 1),
        ('1,"' + "x\n" * (MOST_BYTES // 2) + '"', MOST_BYTES // 2 + 1),
        ('1,"' + "5,6\n" * (MOST_BYTES // 4) + '"', MOST_BYTES // 4 + 1),
    ],
)
def test_a_row_that_is_too_long_affects_no_other_row(load: Load, row: str, lines: int) -> None:
    """It is malformed as a whole, whether it has one line or many; its quoted text is not read as rows."""
    found, errors = load(f"A,B\n0,a\n{row}\n2,b\n3\n", columns=("A", "B"))
    assert found == [(1, "0", "a"), (3, "2", "b")]
    assert [message for *_, message in errors] == [
        "it is longer than 16 MB (line 3 of a.csv)",
        f"1 field instead of 2 (line {lines + 4:,} of a.csv)",
    ]


def test_the_longest_row_is_loaded(load: Load) -> None:
    """Whatever its characters are: its quotes are doubled by the loader."""
    value = "a" + '"' * (MOST_BYTES - 4)
    rows, errors = load(f"A,B\n1,{value}\n2\n", columns=("A", "B"))
    assert rows == [(1, "1", value)]
    assert len(errors) == 1


def test_a_file_without_a_line_end_is_refused(load: Load) -> None:
    """The first lines are read into memory, and their size is limited."""
    with pytest.raises(UserError, match=r"line 1 cannot be split into columns: it is longer than 16 MB"):
        load("x" * (MOST_BYTES + 1))
    with pytest.raises(UserError, match=r"line 1 cannot be split into columns: its quotes are not balanced"):
        load('"A,B,C\n1,2,3\n')
    with pytest.raises(UserError, match=r"line 1 has 12,001 fields; the limit is 10,000"):
        load("A," * 12_000 + "\n")


class Counted(bytes):
    """Text that counts how many of its bytes are read."""

    looked_at = 0

    def find(self, wanted: Any, start: SupportsIndex | None = 0, stop: SupportsIndex | None = None, /) -> int:
        found = super().find(wanted, start, stop)
        end = found if found >= 0 else len(self) if stop is None else int(stop)
        self.looked_at += end - int(start or 0)
        return found

    def __getitem__(self, key: Any) -> Any:
        taken = super().__getitem__(key)
        self.looked_at += 1 if isinstance(taken, int) else len(taken)
        return taken


@pytest.mark.parametrize(
    "text",
    [
        '1,"x\n' + "2,b\n" * 5000,
        'a","b\n' * 5000,
        '1,"x\n2,"y\n' * 2500,
        '"""\n' * 5000,
        '1,""\n' * 5000 + '1,"\n',
        '1,"""x\n' * 5000,
        '1,"x" y\n' * 5000,
        '"' * 20_000,
        '1,"a' + '""' * 10_000 + "\n2,b\n",
        " " * 10_000 + '"\n' + "2,b\n" * 2500,
    ],
)
def test_stray_quotes_take_no_more_than_linear_time(text: str) -> None:
    """Each byte is read only a few times, wherever quotes open and never close."""
    counted = Counted(text.encode())
    found = list(records(counted, Dialect(), 2, LineEnd.LINE_FEED))
    assert any(isinstance(record, Malformed) for record in found)
    assert counted.looked_at < 12 * len(text)


def test_an_unclosed_quote_affects_only_its_line(load: Load) -> None:
    """Also if later quotes seem to close it."""
    lines = [f"{number},name {number}" for number in range(3000)]
    lines[3], lines[2000] = '3,"name', '2000,"x"y'
    rows, errors = load("A,B\n" + "\n".join(lines) + "\n", columns=("A", "B"))
    assert len(rows) == 2998
    assert [message for *_, message in errors] == [
        "its quotes are not balanced (line 5 of a.csv)",
        "its quotes are not balanced (line 2,002 of a.csv)",
    ]


def test_a_first_row_longer_than_one_block_has_its_columns(load: Load) -> None:
    """Without a header the first row may be a long one, over many lines."""
    value = "x\n" * 1_000_000
    rows, errors = load(f'1,"{value}",3\n4,5,6\n', header=False)
    assert ([row[0] for row in rows], errors) == ([1, 2], [])
    assert rows[0][2] == value


@given(st.lists(st.sampled_from(["a", ",", '"', "\n", '"\n"', " "])).map("".join), st.integers(1, 3), st.integers(1, 4))
@example('"\n"\n1,2,3\n4,5,6\n', 3, 2)
def test_a_beginning_that_has_the_first_rows_gives_all_of_them(text: str, width: int, rows: int) -> None:
    """What counts as a row is the same when rows are counted and when they are read, also for blanks within quotes."""
    content, dialect = f"{text}\n".encode(), Dialect()
    if not has_first(content, Scanner(content, dialect, width, LineEnd.LINE_FEED), rows):
        return
    found = [*first_rows(records(content, dialect, width, LineEnd.LINE_FEED), rows)]
    assert sum(isinstance(row, Malformed) or any(row) for row in found) == rows
