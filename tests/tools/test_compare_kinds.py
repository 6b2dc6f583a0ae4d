"""The comparison of the kinds of source, over a small file."""

from __future__ import annotations

import csv
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.tools import compare_kinds
from tests.tools.compare_kinds import Rows, compare

CONTENT = [
    ("symbol", "name", "city", "note"),
    ("A1", 'Müller "one", & Söhne', "Zürich", "x" * 1500),
    ("B,2", "007", "", "two\nlines"),
    ("C'3", "1.50", "München", None),
    ("D%4", "true", "N/A", "  blanks  "),
]


def rows(folder: Path) -> Rows:
    path = folder / "companies.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(CONTENT)
    return Rows.of(path, "symbol")


def test_the_same_rows_come_out_of_every_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No value differs, and no kind plans a change after another one was loaded."""
    with ExitStack() as stack:
        assert compare(rows(tmp_path), tmp_path, stack) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.partition(":")[0] for line in lines} >= {"delimited", "excel", "sqlite", "rest", "dynamics"}
    assert all(": 4 rows, equal; after " in line and ": 0 changes planned" in line for line in lines)


def test_a_value_that_differs_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if one kind had lost a text."""
    found = rows(tmp_path)
    other = Rows(
        names=found.names,
        key=found.key,
        widths=found.widths,
        rows=[*found.rows[:-1], (*found.rows[-1][:1], "lost", *found.rows[-1][2:])],
    )
    kinds = [
        ("one", lambda: compare_kinds.delimited(found, tmp_path)),
        ("two", lambda: compare_kinds.excel(other, tmp_path)),
    ]
    monkeypatch.setattr(compare_kinds, "places", lambda *_: iter(kinds))
    with ExitStack() as stack:
        assert compare(found, tmp_path, stack) == 1
    one, two = capsys.readouterr().out.splitlines()
    assert "equal; after two" in one
    assert two == "two: 4 rows, DIFFERENT; after one: 1 changes planned"
