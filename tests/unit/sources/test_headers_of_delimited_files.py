"""Column names that differ a little from the definition, and lines above the names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from shared.errors import UserError

Loaded = tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]
Load = Callable[..., Loaded]
ROW: Loaded = ([(1, "1", "2")], [])


def refusal(load: Load, data: str | bytes, columns: tuple[str, ...] = ("number", "name"), **options: Any) -> str:
    """The message about a refused file."""
    with pytest.raises(UserError) as caught:
        load(data, columns=columns, **options)
    return caught.value.message


@pytest.mark.parametrize(
    "header",
    [
        "number,na\u200bme",
        "\ufeff\ufeffnumber,name",
        "NUMBER, Name ",
        "number,\u2060name\u00ad",
        "number\u200e,\u00a0name\u00a0",
    ],
)
def test_names_that_look_alike_are_the_same(load: Load, header: str) -> None:
    """Case, spaces and invisible characters do not matter."""
    assert load(f"{header}\n1,2\n", columns=("number", "name")) == ROW


def test_accents_may_be_written_in_two_ways(load: Load) -> None:
    """As one character or as a letter and its accent."""
    assert load("number,nàme\n1,2\n", columns=("number", "na\u0300me")) == ROW
    assert load("number,na\u0300me\n1,2\n", columns=("number", "nàme")) == ROW


@pytest.mark.parametrize("header", ["Name,NAME", "name ,Name", "na\u200bme,NAME", "Full  Name,full name"])
def test_an_ambiguous_name_is_refused(load: Load, header: str) -> None:
    """The message lists the columns, with their invisible characters."""
    name = "FULL NAME" if "Full" in header else "nAme"
    message = refusal(load, f"{header}\n1,2\n", columns=(name,))
    assert f"has several columns that {name} may mean: " in message
    assert "write the name in the definition exactly as it is in the file" in message
    assert ("[U+200B]" in message) == ("\u200b" in header)


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("above", ["", "report\n", "\n", 'r,"e\np"\n'])
@pytest.mark.parametrize("header", ["number,name", '"number","na\nme"', "\ufeffnumber,name", "number,name,"])
def test_names_without_a_line_end_are_no_row(load: Load, above: str, header: str, *, in_place: bool) -> None:
    """A file without rows may end behind its last name."""
    columns = tuple(header.strip("\ufeff,").replace('"', "").split(","))
    ignored = {"header_rows_to_ignore": above.count("\n"), "header": True} if above.strip() else {}
    data = header if "\ufeff" in header and not above else above + header.strip("\ufeff")
    assert load(data, columns=columns, in_place=in_place, **ignored) == ([], [])


def test_an_exact_name_has_precedence_over_similar_names(load: Load) -> None:
    """The definition decides which one is read."""
    assert load("Name,name,NAME\n1,2,3\n", columns=("name",)) == ([(1, "2")], [])


def test_one_column_of_the_file_is_not_used_twice(load: Load) -> None:
    """The other one is missing."""
    message = refusal(load, "Full Name,x\n1,2\n", columns=("Full Name", "Full  Name"))
    assert "has one column Full Name for several of the definition: Full Name, Full  Name" in message


@pytest.mark.parametrize(
    ("above", "line", "shown"),
    [
        ("sep=,\n", 2, "sep=,"),
        ("# generated\n", 2, "# generated"),
        ("Report of\x1b[31m January\n\n", 3, "Report of[U+001B][31m January"),
        ('it\'s "quoted" "\n', 2, 'it\'s "quoted" "'),
        ('"never closed\n', 2, '"never closed'),
        ("x" * 500 + "\n", 2, "x" * 60 + "…"),
        ("Title,of,many\nand another\n", 3, "Title,of,many"),
    ],
)
def test_a_line_above_the_names_is_shown(load: Load, above: str, line: int, shown: str) -> None:
    """With the key for the definition; the file is loaded with this key."""
    data = f"{above}number,name\n1,2\n"
    message = refusal(load, data)
    assert f"the column names are in line {line} and not in line 1: {shown};" in message
    assert f"set header_rows_to_ignore: {line - 1} and header: true" in message
    assert load(data, columns=("number", "name"), header_rows_to_ignore=line - 1, header=True) == ROW


def test_the_sep_line_of_excel_names_the_delimiter(load: Load) -> None:
    """If the definition has another one."""
    message = refusal(load, "sep=;\nnumber;name\n1;2\n")
    assert "set header_rows_to_ignore: 1 and header: true and delimiter: ';'" in message


@pytest.mark.parametrize("above", ["   \n", "\n\n", ",\n", '"",\n', "\r\n \r\n"])
def test_blank_lines_above_the_names_are_skipped(load: Load, above: str) -> None:
    """With all characters that are no value."""
    assert load(f"{above}number,name\n1,2\n", columns=("number", "name")) == ROW


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ("<!DOCTYPE html>\n<html><body>Sign in, please</body></html>\n", "an HTML page"),
        ("  <html>\n", "an HTML page"),
        ('<?xml version="1.0"?>\n<a/>\n', "XML"),
        ('{"a": 1, "b": 2}\n', "JSON"),
        ('[{"a": 1}]\n', "JSON"),
    ],
)
def test_an_html_page_instead_of_a_file_is_recognised(load: Load, data: str, kind: str) -> None:
    """A download often gives a sign-in page."""
    message = refusal(load, data)
    assert f"it looks like {kind}. Line 1: " in message
    assert "header_rows_to_ignore" in message


def test_a_line_that_has_too_few_fields_is_shown(load: Load) -> None:
    """It may be no line of the data."""
    message = refusal(load, "nothing to see\n1,2\n")
    assert "header_rows_to_ignore. Line 1: nothing to see" in message


def test_a_line_of_data_is_never_shown(load: Load) -> None:
    """A file without names has a record in its first line."""
    for data in ("secret\n1,2\n", '"secret\n', '{"secret": 1}\n'):
        assert "secret" not in refusal(load, data, header=False)
