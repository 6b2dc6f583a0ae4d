"""The line numbers of rows in their files."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from shared.definitions.models import DelimitedSource
from shared.sources import SourceContext
from shared.sources.delimited import DelimitedFiles
from shared.sources.places.row_lines import RowLine
from shared.workspace import Workspace

HEADER = "number,name\n"


def lines(path: str, text: bytes | None = None, *, rows: tuple[int, ...], **more: object) -> dict[int, RowLine]:
    """The lines of rows of a source that was loaded."""
    if text is not None:
        Path(path).write_bytes(text)
    columns = [{"name": "number"}, {"name": "name"}]
    source = DelimitedSource.model_validate({"type": "delimited", "path": path, "columns": columns, **more})
    files = DelimitedFiles(source, SourceContext())
    with Workspace.open(readable=files.readable) as workspace:
        files.load(workspace)
        return dict(files.lines(rows, workspace))


def test_a_row_is_found_after_blank_lines_and_values_of_several_lines(tmp_path: Path) -> None:
    """Line numbers are those of an editor."""
    text = HEADER + '1,a\n\n2,"b\nb"\n3,c\n,\n4,d\n'
    found = lines(str(tmp_path / "a.csv"), text.encode(), rows=(1, 2, 3, 5))
    assert {row: place.line for row, place in found.items()} == {1: 2, 2: 4, 3: 6, 5: 8}
    assert found[1].file == "a.csv"


def test_a_row_that_cannot_be_read_has_a_line_too(tmp_path: Path) -> None:
    """So have the rows around it."""
    text = HEADER + "1,a\n2,b,too,many\n3,c\n"
    found = lines(str(tmp_path / "a.csv"), text.encode(), rows=(2, 3, 9))
    assert {row: place.line for row, place in found.items()} == {2: 3, 3: 4}


@pytest.mark.parametrize(
    ("name", "more"), [("a.csv", {"encoding": "windows-1252", "header_rows_to_ignore": 2}), ("a.csv.gz", {})]
)
def test_lines_are_known_in_any_encoding_and_below_a_preamble(
    tmp_path: Path, name: str, more: dict[str, object]
) -> None:
    """Also in files that are compressed with gzip."""
    above = "Export of today\n" if more else ""
    text = (above + HEADER + "1,Müller\n2,b\n").encode("cp1252" if more else "utf-8")
    found = lines(str(tmp_path / name), gzip.compress(text) if name.endswith("gz") else text, rows=(2,), **more)
    assert found[2].line == (4 if more else 3)


def test_rows_of_several_files_have_their_file(tmp_path: Path) -> None:
    """Row numbers continue, lines begin again."""
    (tmp_path / "a.csv").write_text(HEADER + "1,a\n2,b\n")
    (tmp_path / "b.csv").write_text(HEADER + "3,c\n4,d\n")
    assert lines(str(tmp_path / "*.csv"), rows=(2, 4)) == {
        2: RowLine(file="a.csv", line=3),
        4: RowLine(file="b.csv", line=3),
    }


def test_a_line_without_the_row_is_not_reported(tmp_path: Path) -> None:
    """Rows without values at the end of a file have no number, so later lines would be wrong: no line is better."""
    (tmp_path / "a.csv").write_text(HEADER + "1,a\n,\n")
    (tmp_path / "b.csv").write_text(HEADER + "3,c\n4,d\n")
    assert lines(str(tmp_path / "*.csv"), rows=(1, 2, 3)) == {1: RowLine(file="a.csv", line=2)}
