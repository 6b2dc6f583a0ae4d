"""The first rows of a workbook in XML: the same as of a read of the whole sheet, without reading it."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

import pytest

from shared.definitions.models import ExcelSource
from shared.errors import DefinitionError, UserError
from shared.sources import SourceContext, open_source
from shared.sources.excel.workbook import Workbook
from shared.workspace import Workspace
from tests.workbooks.xlsx import Formula, Raw, write_xlsx

MANY: Final = 1500
MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
Rows = Sequence[Sequence[Any]]


def body(count: int = MANY) -> list[list[Any]]:
    """Rows of every type of cell, among them errors and formulas without a result."""
    moments = [datetime(2024, 2, 29, 12), date(2024, 2, 29), time(8, 30), timedelta(hours=30)]  # noqa: DTZ001
    return [
        [number, f"Name {number}", number / 7, number % 2 == 0, *moments, "#N/A" if number % 3 else "fine", Formula("A1")]
        for number in range(1, count + 1)
    ]  # fmt: skip


HEADER: Final = ["number", "name", "share", "even", "moment", "day", "time", "long", "error", "formula"]
TABLE: Final = [HEADER, *body()]


def first(path: Path, most: int, **keys: Any) -> tuple[Any, ...]:
    """What is loaded of the first rows, with the places of cells, and the columns."""
    definition = ExcelSource.model_validate({"type": "excel", "path": str(path), "columns": [], **keys})
    source = open_source(definition, SourceContext(rows=most))
    with Workspace.open(readable=source.readable) as workspace:
        columns = source.columns(workspace)
        source.load(workspace)
        rows = workspace.query("SELECT * FROM source_raw ORDER BY _row")
        places = workspace.query("SELECT * FROM source_places ORDER BY ALL")
        assert [each.name for each in workspace.folder.iterdir()] in ([], ["spill"])
        return rows, places, columns


class Reads:
    """Which sheets were read whole."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.whole: list[str] = []
        original = Workbook.sheet

        def sheet(book: Workbook, name: str) -> Any:
            self.whole.append(name)
            return original(book, name)

        monkeypatch.setattr(Workbook, "sheet", sheet)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(monkeypatch)


def of_the_whole(path: Path, most: int, **keys: Any) -> tuple[Any, ...]:
    """The same where the whole sheet is read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Workbook, "beginning", lambda *_about, **_more: None)
        return first(path, most, **keys)


SHAPES: Final[Mapping[str, tuple[Rows, Mapping[str, Any]]]] = {
    "a table": (TABLE, {}),
    "named columns": (TABLE, {"columns": [{"name": "Name"}, {"name": "error"}, {"name": "day"}]}),
    "no header": (body(), {"header": False, "columns": [{"name": name} for name in HEADER[:9]]}),
    "titles above": ([["A title"], [], *TABLE], {"header_rows_to_ignore": 2, "header": True}),
    "a footer": ([*TABLE, ["the sum"]], {"footer_rows_to_ignore": 3}),
    "a range": ([[], [], *([None, *row] for row in TABLE)], {"range": "B3:F900"}),
    "rows without a value": ([HEADER, *(row for each in body() for row in ([], each))], {}),
    "one column only": ([row[:1] for row in TABLE], {}),
    "wider rows behind": ([*TABLE[:1000], *([*row, "more"] for row in TABLE[1000:])], {}),
    "another type behind": ([*TABLE[:1000], *(["text", *row[1:]] for row in TABLE[1000:])], {}),
}


@pytest.mark.parametrize("most", [1, 7, 100])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_first_rows_are_those_of_the_whole_sheet(tmp_path: Path, reads: Reads, shape: str, most: int) -> None:
    """Values, types, errors and places of cells; and the whole sheet is not read for them."""
    rows, keys = SHAPES[shape]
    path = write_xlsx(tmp_path / "book.xlsx", {"Data": rows})
    found = first(path, most, **keys)
    assert reads.whole == []
    assert found == of_the_whole(path, most, **keys)
    assert len(found[0]) == most


@pytest.mark.parametrize(
    ("rows", "keys", "most"),
    [
        (TABLE, {}, MANY + 1),
        (TABLE[:50], {}, 10),
        ([HEADER, *([[]] * 1000), *body()], {}, 10),
        ([["a"], *([1] for _ in range(1000)), *([1, 2] for _ in range(9))], {"header": False, "columns": [{"name": "a"}, {"name": "b"}]}, 10),
        ([["a"], *([1] for _ in range(1000)), *([1, 2] for _ in range(9))], {"columns": [{"name": "B"}]}, 10),
    ],
    ids=["all rows", "a short sheet", "many blank rows", "a column that begins later", "the letter of such a column"],
)  # fmt: skip
def test_where_the_beginning_does_not_tell_enough_the_whole_sheet_is_read(
    tmp_path: Path, reads: Reads, rows: Rows, keys: Mapping[str, Any], most: int
) -> None:
    """With the same result."""
    path = write_xlsx(tmp_path / "book.xlsx", {"Data": rows})
    assert first(path, most, **keys) == of_the_whole(path, most, **keys)
    assert reads.whole == ["Data", "Data"]


def test_what_is_wrong_with_a_sheet_is_told_as_ever(tmp_path: Path) -> None:
    """With the place and the reason of a whole read."""
    path = write_xlsx(tmp_path / "book.xlsx", {"Data": TABLE})
    with pytest.raises(UserError, match="has no sheet 'Other'; it has: Data"):
        first(path, 10, sheet="Other")
    with pytest.raises((DefinitionError, UserError), match="nobody"):
        first(path, 10, columns=[{"name": "nobody"}])


@pytest.mark.parametrize("merged", [["A1:A2", "B1:C1"], ["A1:J3"], []])
def test_cells_that_are_merged_in_the_header_are_known(tmp_path: Path, reads: Reads, merged: Sequence[str]) -> None:
    """Though their list comes behind all rows."""
    rows: Rows = [["Number", "Name", *HEADER[2:]], [None, "first", "last", *HEADER[3:]], [None] * 10, *body()]
    path = write_xlsx(tmp_path / "book.xlsx", {"Data": rows}, merged={"Data": merged})
    assert first(path, 5) == of_the_whole(path, 5)
    assert reads.whole == ["Data"]


def test_several_sheets_and_hidden_ones(tmp_path: Path, reads: Reads) -> None:
    """Rows go on in the next sheet; the last one is read only as far as it is needed, the ones behind are not read."""
    sheets: Mapping[str, Rows] = {"Hidden": [["x"]], "A": TABLE[:4], "B": TABLE, "C": [["nothing of", "this"]]}
    path = write_xlsx(tmp_path / "book.xlsx", sheets, hidden=["Hidden"], epoch_1904=True)
    keys = {"sheet": ["A", "B", "C"]}
    found = first(path, 10, **keys)
    assert reads.whole == ["A"]
    assert found == of_the_whole(path, 10, **keys)


def with_strings(path: Path, rows: Rows, *, prefix: str = "", bom: str = "") -> Path:
    """Write a workbook whose texts are shared, as Excel does, also with an empty one and one in several formats."""
    p, known = prefix, {"": 0, "bold and not": 1}
    begin = f'{bom}<?xml version="1.0" encoding="UTF-8"?>'
    plain = write_xlsx(path.with_name("plain.xlsx"), {"Data": []})
    lines = []
    for row in rows:
        cells = [f'<{p}c t="s"><{p}v>{known.setdefault(text, len(known))}</{p}v></{p}c>' for text in row]
        lines.append(f"<{p}row>{''.join(cells)}</{p}row>")
    space = f"xmlns{':' if p else ''}{p.rstrip(':')}='{MAIN}'"
    texts = [
        f"<{p}si/>",
        f"<{p}si><{p}r><{p}t>bold</{p}t></{p}r><{p}r><{p}t xml:space='preserve'> and not</{p}t></{p}r></{p}si>",
    ]
    texts += [f"<{p}si><{p}t>{escape(text)}</{p}t></{p}si>" for text in list(known)[2:]]
    with zipfile.ZipFile(plain) as before, zipfile.ZipFile(path, "w") as out:
        for name in before.namelist():
            content = before.read(name).decode()
            if name.endswith("sheet1.xml"):
                content = f"{begin}<{p}worksheet {space}><{p}sheetData>{''.join(lines)}</{p}sheetData></{p}worksheet>"
            elif name.endswith("workbook.xml.rels"):
                kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings"
                added = f'<Relationship Id="s" Type="{kind}" Target="sharedStrings.xml"/></Relationships>'
                content = content.replace("</Relationships>", added)
            out.writestr(name, content)
        out.writestr("xl/sharedStrings.xml", f"{begin}<{p}sst {space}>{''.join(texts)}</{p}sst>")
    return path


TEXTS: Final = [["number", "name"], *([f"N-{n}", ("", "bold and not", f"<Name & {n}>")[n % 3]] for n in range(MANY))]


@pytest.mark.parametrize(("prefix", "bom"), [("", ""), ("x:", ""), ("", "\ufeff")])
def test_of_the_shared_texts_only_the_first_are_read(tmp_path: Path, reads: Reads, prefix: str, bom: str) -> None:
    """Also with prefixes; those that the first rows need have the same numbers."""
    path = with_strings(tmp_path / "book.xlsx", TEXTS, prefix=prefix, bom=bom)
    found = first(path, 10)
    assert reads.whole == []
    assert found == of_the_whole(path, 10)
    assert {row[2] for row in found[0]} >= {"bold and not", "<Name & 2>"}


def changed(path: Path, part: str, change: Callable[[bytes], bytes]) -> Path:
    """The same workbook with another part."""
    other = path.with_name("changed.xlsx")
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(other, "w") as out:
        for name in before.namelist():
            content = before.read(name)
            out.writestr(name, change(content) if name == part else content)
    return other


def test_what_is_damaged_behind_the_first_rows_is_not_seen(tmp_path: Path) -> None:
    """Of the sheet, and of its texts."""
    path = with_strings(tmp_path / "book.xlsx", TEXTS)
    path = changed(path, "xl/worksheets/sheet1.xml", lambda text: text.replace(b"<v>1400</v>", b"<v>1400<v>"))
    path = changed(path.rename(tmp_path / "once.xlsx"), "xl/sharedStrings.xml", lambda text: text.replace(b"N-900<", b"N-900>>/<<"))  # fmt: skip
    with pytest.raises(UserError, match="damaged"):
        first(path, MANY)
    assert [row[1] for row in first(path, 3)[0]] == ["N-0", "N-1", "N-2"]


def test_rows_in_another_order_are_those_of_the_whole_sheet(tmp_path: Path, reads: Reads) -> None:
    """A row behind the beginning may be one of the first."""
    rows: Rows = [["a", "b"], *([number, -number] for number in range(MANY))]
    path = write_xlsx(tmp_path / "book.xlsx", {"Data": rows})
    path = changed(path, "xl/worksheets/sheet1.xml", lambda text: text.replace(b'<row r="9">', b'<row r="2000">'))
    assert first(path, 5) == of_the_whole(path, 5)
    assert reads.whole == ["Data", "Data"]


def test_entities_are_refused_as_ever(tmp_path: Path) -> None:
    """They can make a small text a large one."""
    entity = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">]><worksheet'
    path = write_xlsx(tmp_path / "book.xlsx", {"Data": [["a", Raw("/>")], *([Formula("A1")] for _ in range(MANY))]})
    path = changed(path, "xl/worksheets/sheet1.xml", lambda text: text.replace(b"<worksheet", entity))
    with pytest.raises(UserError, match="document type"):
        first(path, 5)
