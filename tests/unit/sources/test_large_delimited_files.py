"""A large delimited file, which is read in several places at once: its rows are those of a small one."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from shared.definitions.models import DelimitedSource
from shared.sources import SourceContext, delimited, open_source
from shared.workspace import Workspace
from tests.unit.sources.conftest import Loaded, described, load_source

HEAD = ("A", "B", "C")
FILLER = "x" * 150
PART = 2 << 20  # bytes: the least that DuckDB reads in one place
PARTS = 2.2  # places in the middle of the file, and a rest


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few megabytes are large."""
    monkeypatch.setattr(delimited, "_PART", PART)
    monkeypatch.setattr(delimited, "_LARGE", PART)


def lines_of(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def large(values: Sequence[str]) -> list[tuple[str, str, str]]:
    """Rows of a large file; the second column has the given values in turn."""
    count = int(PART * PARTS / (len(FILLER) + 12))
    return [(str(number), values[number % len(values)], FILLER) for number in range(count)]


def written(folder: Path, text: str) -> Path:
    path = folder / "large.csv"
    path.write_text(text, "utf-8", newline="")
    assert path.stat().st_size >= PART
    return path


def loaded(path: Path, **options: Any) -> Loaded:
    return load_source(described(str(path), **options))


def is_view(path: Path, **options: Any) -> bool:
    """Whether the rows were read in several places at once."""
    source = open_source(described(str(path), **options), SourceContext())
    with Workspace.open(readable=source.readable) as workspace:
        source.load(workspace)
        return bool(workspace.query("SELECT count(*) FROM duckdb_views() WHERE view_name = 'source_raw'")[0][0])


@pytest.mark.parametrize(
    ("values", "line_end", "at_once"),
    [
        (["b"], "\n", True),
        (["b"], "\r\n", True),
        (["b, c", 'say "b"', "b"], "\n", True),
        (["b, c  ", ", ", "b"], "\n", True),
        (["b\nc", "b"], "\n", False),
    ],
    ids=["no quotes", "two characters end a line", "quotes", "blanks at quotes", "line breaks in values"],
)
def test_its_rows_and_their_numbers_are_those_of_the_file(
    tmp_path: Path, values: list[str], line_end: str, *, at_once: bool
) -> None:
    """Whether or not it can be read in several places."""
    rows = large(values)
    path = written(tmp_path, lines_of([HEAD, *rows]).replace("\n", line_end))
    found, errors = loaded(path)
    expected = [(number, *row) for number, row in enumerate(rows, 1)]
    assert [
        tuple(value.replace("\r\n", "\n") if isinstance(value, str) else value for value in row) for row in found
    ] == expected
    assert (errors, is_view(path)) == ([], at_once)


def test_a_value_whose_lines_look_like_rows_is_one_value(tmp_path: Path) -> None:
    """It comes behind what is looked at first, so several places are tried and given up."""
    rows = [*large(["b"]), *large(["1,inner,row\n2,inner,row\n3,"])]
    found, errors = loaded(written(tmp_path, lines_of([HEAD, *rows])))
    assert ([tuple(row[1:]) for row in found], errors) == (rows, [])


@pytest.mark.parametrize(
    ("more", "rows_more", "errors"),
    [
        ("1,2,3", 1, []),
        ("\n\n1,2,3\n\n", 1, []),
        (",,\n1,2,3\n", 1, []),
        ("1,2\n1,2,3\n", 1, ["Malformed Row"]),
        ('1,"2,3\n', 0, ["Malformed Row"]),
        ('1,"2"x,3\n1,2,3\n', 1, ["Malformed Row"]),
    ],
    ids=["no end", "blank lines", "blank row", "few fields", "no second quote", "text behind a quote"],
)
def test_what_is_special_at_its_end_is_as_in_a_small_file(
    tmp_path: Path, more: str, rows_more: int, errors: list[str]
) -> None:
    """Nothing is lost and every malformed row is reported."""
    rows = large(["b", "b, c"])
    found, reported = loaded(written(tmp_path, lines_of([HEAD, *rows]) + more))
    assert [tuple(row[1:]) for row in found] == [*rows, *[("1", "2", "3")] * rows_more]
    assert [error for _, error, _ in reported] == errors
    small = tmp_path / "small.csv"
    small.write_text(lines_of([HEAD, *rows[:2]]) + more, "utf-8", newline="")
    assert len(loaded(small)[0]) == 2 + rows_more


def test_several_files_are_numbered_on(tmp_path: Path) -> None:
    """None of them is read in several places: their rows are in one table."""
    rows = large(["b"])
    written(tmp_path, lines_of([HEAD, *rows])).rename(tmp_path / "1.csv")
    (tmp_path / "2.csv").write_text(lines_of([HEAD, ("z", "y", "x")]), "utf-8", newline="")
    found, _ = load_source(described(str(tmp_path / "*.csv")))
    assert (len(found), found[-1]) == (len(rows) + 1, (len(rows) + 1, "z", "y", "x"))


def test_a_column_with_the_name_of_the_numbers_of_rows_keeps_its_values(tmp_path: Path) -> None:
    """`rowid` is what DuckDB calls them."""
    rows = large(["b"])
    path = written(tmp_path, lines_of([("A", "rowid", "C"), *rows]))
    found, _ = loaded(path, columns=("A", "rowid", "C"))
    assert found[-1] == (len(rows), *rows[-1])


def test_a_column_with_the_name_of_the_file_is_filled(tmp_path: Path) -> None:
    """As in a small file."""
    path = written(tmp_path, lines_of([HEAD, *large(["b"])]))
    columns = [{"name": "A"}, {"name": "file", "file_name": True}]
    source = DelimitedSource.model_validate({"type": "delimited", "path": str(path), "columns": columns})
    found, _ = load_source(source)
    assert found[0] == (1, "0", "large.csv")
    assert len(found) == len(large(["b"]))


def test_blanks_before_a_quote_are_no_part_of_a_value(tmp_path: Path) -> None:
    """DuckDB alone would keep several of them, with the quotes."""
    rows = large(["b", "padded"])
    text = lines_of([HEAD, *rows]).replace(",padded,", ',   "padded",')
    path = written(tmp_path, text)
    found, errors = loaded(path)
    assert [row[1:] for row in found] == rows
    assert errors == []
