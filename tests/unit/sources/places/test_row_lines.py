"""The line numbers of rows in their files."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import fsspec  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.definitions.models import DelimitedSource
from shared.errors import UserError
from shared.sources import SourceContext, plain
from shared.sources.delimited import DelimitedFiles
from shared.sources.places import row_lines
from shared.sources.places.row_lines import RowLine
from shared.workspace import Workspace

HEADER = "number,name\n"


def source_of(path: str, **more: object) -> DelimitedSource:
    columns = [{"name": "number"}, {"name": "name"}]
    return DelimitedSource.model_validate({"type": "delimited", "path": path, "columns": columns, **more})


def lines(
    path: str, text: bytes | None = None, *, rows: Iterable[int], context: SourceContext | None = None, **more: Any
) -> dict[int, RowLine]:
    """The lines of rows of a source that was loaded, which all are in error."""
    if text is not None:
        Path(path).write_bytes(text)
    files = DelimitedFiles(source_of(path, **more), context or SourceContext())
    with Workspace.open(readable=files.readable) as workspace:
        files.load(workspace)
        workspace.execute("INSERT INTO source_errors SELECT unnest(?::BIGINT[]), 'name', 'E', true, ''", [[*rows]])
        return dict(files.lines(workspace))


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
def test_lines_are_known_in_any_encoding_and_below_a_preamble(tmp_path: Path, name: str, more: dict[str, Any]) -> None:
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


def test_rows_without_values_at_the_end_of_a_file_do_not_move_the_next_one(tmp_path: Path) -> None:
    """Such rows have no number."""
    (tmp_path / "a.csv").write_text(HEADER + "1,a\n,\n")
    (tmp_path / "b.csv").write_text(HEADER + "3,c\n4,d\n")
    assert lines(str(tmp_path / "*.csv"), rows=(1, 2, 3)) == {
        1: RowLine(file="a.csv", line=2),
        2: RowLine(file="b.csv", line=2),
        3: RowLine(file="b.csv", line=3),
    }


def test_the_lines_of_a_zstd_file_are_known(tmp_path: Path) -> None:
    """It is decompressed only once, when it is loaded."""
    path = tmp_path / "a.csv.zst"
    duckdb.sql(
        f"COPY (SELECT range AS number, 'n' || range AS name FROM range(1, 9)) TO '{path}' (FORMAT csv, COMPRESSION zstd)"
    )
    assert {row: place.line for row, place in lines(str(path), rows=(1, 7)).items()} == {1: 2, 7: 8}


def test_a_column_with_the_name_of_the_file_is_not_in_the_file(tmp_path: Path) -> None:
    """The values of the row are compared without it."""
    columns = [{"name": "number"}, {"name": "name"}, {"name": "origin", "file_name": True}]
    assert lines(str(tmp_path / "a.csv"), b"number,name\n1,a\n2,b\n", rows=(2,), columns=columns)[2].line == 3


def test_a_footer_has_no_rows(tmp_path: Path) -> None:
    """The rows of the next file have their own lines."""
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(HEADER + "1,a\n2,b\nTotal,2\n")
    found = lines(str(tmp_path / "*.csv"), rows=range(1, 5), footer_rows_to_ignore=1)
    assert [place.line for place in found.values()] == [2, 3, 2, 3]


def test_rows_far_behind_in_a_large_file_have_their_lines(tmp_path: Path) -> None:
    """Behind the first blocks, with values over several lines before them."""
    rows = [f'{n},"a\n{n}"\n' if n % 5000 == 0 else f"{n},{'x' * 40}\n" for n in range(1, 100_001)]
    found = lines(str(tmp_path / "a.csv"), (HEADER + "".join(rows)).encode(), rows=(1, 5000, 5001, 99_999, 100_000))
    assert {row: place.line for row, place in found.items()} == {
        1: 2, 5000: 5001, 5001: 5003, 99_999: 100_019, 100_000: 100_020,
    }  # fmt: skip


@pytest.fixture
def remote() -> Iterator[Any]:
    """A file system in memory, which stands for any remote one."""
    system = fsspec.filesystem("memory")
    yield system
    system.rm("/", recursive=True)


def test_a_remote_file_is_read_again_up_to_a_bound(remote: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows behind it have only their numbers."""
    remote.pipe("/inbox/a.csv", (HEADER + "".join(f"{n},name\n" for n in range(1, 1001))).encode())
    context = SourceContext(open_url=lambda url: (remote, url.removeprefix("memory:/")))
    monkeypatch.setattr(plain, "BLOCK", 512)
    assert [each.line for each in lines("memory://inbox/a.csv", rows=(3, 999), context=context).values()] == [4, 1000]
    monkeypatch.setattr(row_lines, "MOST_READ_AGAIN", 1024)
    assert [*lines("memory://inbox/a.csv", rows=(3, 999), context=context)] == [3]


def test_a_file_that_has_changed_since_has_no_lines(tmp_path: Path) -> None:
    """They may be those of other rows."""
    path = tmp_path / "a.csv"
    path.write_text(HEADER + "1,a\n")
    files = DelimitedFiles(source_of(str(path)), SourceContext())
    with Workspace.open(readable=files.readable) as workspace:
        files.load(workspace)
        workspace.execute("INSERT INTO source_errors VALUES (1, 'name', 'E', true, '')")
        path.write_text(HEADER + "\n1,a\n")
        with pytest.raises(UserError, match="changed"):
            dict(files.lines(workspace))


PIECES = st.sampled_from(
    [
        ("{n},plain", 1, True),
        ('{n},"in quotes"', 1, True),
        ('{n},"over\ntwo lines"', 2, True),
        ('"{n}","a ""quote"",\n\nand more"', 3, True),
        ('{n},5" pipe', 1, True),
        ("{n},Müller", 1, True),
        ("\u00a0", 1, False),
        ("", 1, False),
        ('""', 1, False),
        ('{n}, "with blanks" ', 1, True),
        (",", 1, True),
        ("{n},too,many", 1, True),
        ('{n},"not closed', 1, True),
        ('{n},"x" y', 1, True),
    ]
)


@given(pieces=st.lists(PIECES, min_size=1, max_size=30), block=st.integers(1, 40), line_end=st.sampled_from("\n\r"))
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_row_has_the_line_on_which_it_was_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pieces: list[tuple[str, int, bool]],
    block: int,
    line_end: str,
) -> None:
    """Whatever stands before it, and however much of the file is read at a time."""
    line, text, expected, row = 2, HEADER, dict[int, int](), 0
    for n, (piece, height, is_record) in enumerate(pieces):
        row += is_record
        if is_record and piece != ",":
            expected[row] = line
        text, line = text + piece.format(n=n) + "\n", line + height
    path = tmp_path / "a.csv"
    path.write_text(text + "end,\n", "utf-8", newline=line_end)
    with monkeypatch.context() as patch:
        patch.setattr(plain, "BLOCK", block)
        found = lines(str(path), rows=expected)
    assert {row: place.line for row, place in found.items()} == expected
