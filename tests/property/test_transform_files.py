"""For any table: the file that a CSV writer makes of it loads as the same table."""

from __future__ import annotations

import csv
import io
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

WIDTH = 3
cells = st.one_of(
    st.sampled_from(
        ["", " ", '"', '""', "a,b", "\n", "\r\n", "\r", ' "x" ', "x\n\n,", "é😀", "'", "\\", "\t", "#x", "\ufeff"]
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
)
tables = st.lists(st.lists(cells, min_size=WIDTH, max_size=WIDTH), max_size=12)


@dataclass(frozen=True, slots=True)
class Loader:
    """One workspace for all examples, and one file that it may read in place."""

    workspace: Workspace
    path: Path

    def load(self, data: bytes, **options: Any) -> tuple[list[list[str]], list[int]]:
        """Cells with null as empty text, in order; and the numbers of malformed rows. Rows without a value are left out."""
        self.path.write_bytes(data)
        names = [{"name": name} for name in "abc"]
        described = {"type": "delimited", "path": str(self.path), "columns": names, **options}
        for table in ("source_raw", "source_errors"):
            self.workspace.execute(f"DROP TABLE IF EXISTS {table}")
        open_source(DelimitedSource.model_validate(described), SourceContext()).load(self.workspace)
        rows = self.workspace.query("SELECT * FROM source_raw ORDER BY _row")
        bad = [row for (row,) in self.workspace.query("SELECT _row FROM source_errors ORDER BY _row")]
        assert len({row for row, *_ in rows} | set(bad)) == len(rows) + len(bad)
        return [[cell or "" for cell in row] for _, *row in rows], bad


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loader]:
    """A workspace and its file."""
    path = tmp_path_factory.mktemp("files") / "written.csv"
    with Workspace.open(readable=[str(path)], threads=1) as workspace:
        yield Loader(workspace, path)


@settings(deadline=None, max_examples=80)
@given(
    rows=tables,
    delimiter=st.sampled_from([",", ";", "\t", "\x01", "|"]),
    # Python 3.11 leaves a carriage return bare unless it ends lines too or everything is quoted.
    style=st.sampled_from([("\r\n", csv.QUOTE_MINIMAL), ("\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_ALL)]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
@example(rows=[["\ufeff", "", ""]], style=("\r\n", csv.QUOTE_MINIMAL), delimiter=",", encoding="utf-8")
def test_what_a_csv_writer_writes_is_what_is_loaded(
    loader: Loader, rows: list[list[str]], style: tuple[str, Any], delimiter: str, encoding: str
) -> None:
    """Quotes, delimiters, line breaks and any Unicode within cells are unchanged."""
    text = io.StringIO(newline="")
    end, quoting = style
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerows([list("abc"), *rows])
    loaded = loader.load(text.getvalue().encode(encoding), delimiter=delimiter, encoding=encoding)
    assert loaded == ([row for row in rows if any(row)], [])


@settings(deadline=None, max_examples=60)
@given(
    rows=tables,
    bad=st.lists(st.sampled_from(["x", "x,y", "1,2,3,4", '"a"b,c,d', "1,,,,x"]), min_size=1, max_size=3),
    data=st.data(),
)
def test_malformed_rows_are_reported_and_the_others_loaded(
    loader: Loader, rows: list[list[str]], bad: list[str], data: st.DataObject
) -> None:
    """Each has its own number and affects no other row."""
    lines: list[tuple[str, bool]] = []
    for row in rows:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow(row)
        lines.append((text.getvalue(), True))
    for line in bad:
        lines.insert(data.draw(st.integers(0, len(lines))), (f"{line}\n", False))
    expected = [number for number, (_, good) in enumerate(lines, start=1) if not good]
    loaded = loader.load(("a,b,c\n" + "".join(line for line, _ in lines)).encode())
    assert loaded == ([row for row in rows if any(row)], expected)
