"""What is written about delimited text in a first definition: its delimiter, its names and the lines above them."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.definitions.models import DelimitedSource
from shared.errors import UserError
from shared.sources import SourceContext
from shared.sources.first_look import FirstLook, look_at
from tests.unit.sources.conftest import load_source

ROWS = [(1, "1", "2"), (2, "3", "4")]


def seen(folder: Path, text: str) -> FirstLook:
    (folder / "a.csv").write_text(text, "utf-8", newline="")
    return look_at(str(folder / "a.csv"), SourceContext())


@pytest.mark.parametrize(
    ("text", "delimiter", "above"),
    [
        ("number,name\n1,2\n3,4\n", None, 0),
        ("number,name,\n1,2,\n3,4,\n", None, 0),
        ("\n\nnumber,name\n1,2\n3,4\n", None, 0),
        ("sep=;\nnumber;name\n1;2\n3;4\n", ";", 1),
        ('"SEP=|"\r\nnumber|name\r\n1|2\r\n3|4\r\n', "|", 1),
        ("Report of 2024\n\nnumber,name\n1,2\n3,4\n", None, 2),
        ("Report of 2024\nprinted, by hand\n\n\nnumber\tname\n1\t2\n3\t4\n", "\\t", 4),
    ],
)
def test_what_was_seen_loads_the_file(tmp_path: Path, text: str, delimiter: str | None, above: int) -> None:
    """Each row once, and the names are no row."""
    look = seen(tmp_path, text)
    assert look.names == ("number", "name")
    assert (look.source.get("delimiter"), look.source.get("header_rows_to_ignore", 0)) == (delimiter, above)
    assert any("the lines above it skipped" in each for each in look.remarks) == bool(above)
    columns = [{"name": name} for name in look.names]
    assert load_source(DelimitedSource.model_validate({**look.source, "columns": columns})) == (ROWS, [])


def test_lines_above_names_need_no_blank_line_where_there_are_several_columns(tmp_path: Path) -> None:
    """Then it cannot be text of one column."""
    look = seen(tmp_path, "Report of 2024\nnumber,name,city\n1,2,3\n")
    assert (look.names, look.source["header_rows_to_ignore"]) == (("number", "name", "city"), 1)


@pytest.mark.parametrize(
    ("text", "names"),
    [("name\nDoe, Jane\nRoe, Max\n", ("name",)), ("number,name\n1\n2,3,4\n5,6\n", ("number", "name"))],
)
def test_a_first_line_that_may_be_names_is_kept(tmp_path: Path, text: str, names: tuple[str, ...]) -> None:
    """A text with a delimiter in it, and rows that are too short or too long."""
    look = seen(tmp_path, text)
    assert (look.names, look.source.get("header_rows_to_ignore"), look.source.get("header")) == (names, None, None)


def test_a_first_line_with_numbers_is_a_row(tmp_path: Path) -> None:
    """Its columns are numbered; an empty last field is none of them."""
    look = seen(tmp_path, "A1,5,\nA2,6,\n")
    assert (look.names, look.source["header"]) == (("c1", "c2"), False)


@pytest.mark.parametrize("text", ["", " \n", "sep=;\n"])
def test_a_file_without_a_line_of_names_is_refused(tmp_path: Path, text: str) -> None:
    """A first definition is made from names and values."""
    with pytest.raises(UserError, match="is empty: a first definition needs a line of names"):
        seen(tmp_path, text)


def test_a_path_that_cannot_be_looked_at_is_told() -> None:
    """Its name is too long, or its folder may not be entered."""
    with pytest.raises(UserError, match="cannot be read: File name too long"):
        look_at("x" * 300, SourceContext())
