"""Kinds of workbooks, damaged and wrong files, and limits."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.definitions.models import ColumnType
from shared.errors import UserError
from shared.sources.excel import xlsx
from shared.sources.excel.archive import Archive
from shared.sources.excel.survey import MOST_CELLS, Survey
from shared.sources.excel.workbook import open_workbook
from shared.sources.files import find_files
from shared.transform.notation.faults import NO_RESULT, fault_message, fault_named
from shared.transform.reading import read_columns, reading
from shared.workspace import OutOfTimeError, Workspace
from tests.unit.sources.excel.conftest import load
from tests.workbooks.binary import Day, compound_file, write_xls, write_xlsb
from tests.workbooks.ods import write_ods
from tests.workbooks.xlsx import Formula, Raw, sheet_xml, write_xlsx

DAY = date(2024, 1, 31)
SERIAL = Day((DAY - date(1899, 12, 30)).days)
WRITERS: dict[str, tuple[Callable[[Path, Any], Path], Any]] = {
    "xlsx": (write_xlsx, DAY),
    "xls": (write_xls, SERIAL),
    "xlsb": (write_xlsb, SERIAL),
    "ods": (write_ods, DAY),
}
EXPECTED = [
    {"_row": 1, "n": Decimal(1), "t": "Müller", "d": Decimal(1), "ok": True},
    {"_row": 2, "n": Decimal("1.1"), "t": None, "d": None, "ok": False},
]


def content(day: Any) -> dict[str, Any]:
    return {"Data": [("n", "t", "d", "ok"), (1, "Müller", day, True), (1.1, "#N/A", None, False)]}


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("ending", [".xlsx", ".xls", "", ".xlsb.tmp"])
def test_the_content_decides_which_kind_a_workbook_is(tmp_path: Path, kind: str, ending: str) -> None:
    """Each kind gives the same rows, whatever the file name is; errors are recognised in each."""
    write, day = WRITERS[kind]
    rows, columns = load(write(tmp_path / f"book{ending}", content(day)))
    assert [str(column.type) for column in columns] == ["number", "text", "date", "bool"]
    assert [bool(column.model_dump()["faults"]) for column in columns] == [False, True, False, False]
    found = [row | {"d": row["d"] and Decimal(row["d"].date() == DAY)} for row in rows]
    assert found == EXPECTED


def test_a_formula_of_an_old_workbook_that_nobody_has_calculated_is_an_error(tmp_path: Path) -> None:
    """Its empty result would empty the column of a record; one that Excel has calculated is an empty value."""
    book = write_xls(tmp_path / "book.xls", {"Data": [("n", "v", "w"), (1, Formula("1"), Formula("")), (2, "x", "y")]})
    rows, (_, never, empty) = load(book)

    assert [(row["v"], row["w"]) for row in rows] == [(None, None), ("x", "y")]
    assert (len(never.model_dump()["faults"]), len(empty.model_dump()["faults"])) == (1, 0)


@pytest.mark.parametrize("kind", WRITERS)
def test_each_kind_says_which_error_a_cell_has(tmp_path: Path, kind: str) -> None:
    """Whatever the type of the column is, and nothing else about the cell."""
    errors, types = ["#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A"], list(ColumnType)
    columns = [{"name": each, "type": each, "max_length": 3} for each in types]
    book = WRITERS[kind][0](tmp_path / "book", {"Data": [types, *([error] * len(types) for error in errors)]})
    _, read = load(book, columns)
    for column in read:
        told = [misfit.message for misfit in reading(column).misfits]
        said = [f"the cell has the spreadsheet error {error}; correct it in the workbook" for error in errors]
        assert sorted(told[: len(errors)]) == sorted(said)
        with Workspace.open() as workspace:
            workspace.execute(
                f"CREATE TABLE source_raw AS SELECT 1 AS _row, unnest(?) AS {column.name}",
                [column.model_dump()["faults"]],
            )
            sql = read_columns([column], [reading(column)], ())
            broken = " + ".join(f"CAST(coalesce({each.broken}, false) AS INTEGER)" for each in reading(column).misfits)
            assert workspace.query(f"SELECT DISTINCT {broken} FROM ({sql})") == [(1,)]


def test_an_error_without_a_known_name_is_told_as_one() -> None:
    """What a file has in its place is not shown."""
    assert fault_message(fault_named(" #n/a ")) == "the cell has the spreadsheet error #N/A; correct it in the workbook"
    assert fault_message(fault_named("secret")) == "the cell has the spreadsheet error; correct it in the workbook"
    assert "without a stored result" in fault_message(NO_RESULT)


def refused(path: Path, **keys: Any) -> str:
    with pytest.raises(UserError) as caught:
        load(path, **keys)
    assert str(path) in caught.value.message
    return caught.value.message


OTHERS = {
    b"": "is empty",
    b"number,name\n1,2\n": "by its content it is text",
    b"<html><table></table></html>": "an HTML page",
    b'<?xml version="1.0"?><Workbook/>': "XML",
    b"%PDF-1.7\n%\xe2\xe3": "a PDF document",
    gzip.compress(b"x", mtime=0): "a gzip file",
}


@pytest.mark.parametrize("data", OTHERS)
def test_another_kind_of_file_is_named(tmp_path: Path, data: bytes) -> None:
    """Programs often save HTML and text with the extension of Excel."""
    path = tmp_path / "book.xlsx"
    path.write_bytes(data)
    assert OTHERS[data] in refused(path)


def zipped(**parts: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name, text in parts.items():
            made.writestr(name.replace("__", "/").replace("_xml", ".xml"), text)
    return out.getvalue()


def test_other_zip_and_office_files_are_no_workbooks(tmp_path: Path) -> None:
    """A Word file, a zip file with other content, a presentation of LibreOffice."""
    path = tmp_path / "book.xlsx"
    path.write_bytes(zipped(a_xml="<a/>"))
    assert "a zip file" in refused(path)
    path.write_bytes(compound_file({"WordDocument": b"x"}))
    assert "not a workbook, but another Office file" in refused(path)


@pytest.mark.parametrize("kind", WRITERS)
@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_gives_rows_or_one_clear_error(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    """Truncated or with changed bytes: no other exception."""
    write, day = WRITERS[kind]
    path = write(tmp_path / "book", content(day))
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(whole[: data.draw(st.sampled_from([len(whole), len(whole) // 2]))]))
    try:
        load(path)
    except UserError as error:
        assert str(path) in str(error) or error.message  # noqa: PT017 - both outcomes are right


@pytest.mark.parametrize("kind", WRITERS)
def test_a_truncated_file_is_damaged(tmp_path: Path, kind: str) -> None:
    """Nothing of it is read."""
    write, day = WRITERS[kind]
    path = write(tmp_path / "book", content(day))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "cannot be read" in refused(path)


def locked_xls(path: Path) -> None:
    write_xls(path, content(SERIAL))
    data = path.read_bytes()
    path.write_bytes(data.replace(struct.pack("<HHH", 0x42, 2, 1200), struct.pack("<HHH", 0x2F, 2, 1)))


def locked_xlsx(path: Path) -> None:
    path.write_bytes(compound_file({"EncryptionInfo": b"x", "EncryptedPackage": b"x"}))


def locked_ods(path: Path) -> None:
    manifest = "<manifest><x media-type='application/vnd.oasis.opendocument.spreadsheet'/><encryption-data/></manifest>"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("META-INF/manifest.xml", manifest)
        made.writestr("content.xml", b"\x01\x02")


@pytest.mark.parametrize("write", [locked_xls, locked_xlsx, locked_ods])
def test_a_password_is_reported(tmp_path: Path, write: Callable[[Path], None]) -> None:
    """With what to do."""
    write(tmp_path / "book")
    assert "it has a password; save it without one" in refused(tmp_path / "book")


def far_away_ods(path: Path, rows_repeated: str) -> Path:
    far = Raw('<table:table-cell office:value-type="float" office:value="1" table:number-columns-repeated="16384"/>')
    rows: list[Any] = [("a",), (far,)]
    write_ods(path, {"Data": rows})
    with zipfile.ZipFile(path) as made:
        parts = {name: made.read(name) for name in made.namelist()}
    repeated = f'<table:table-row table:number-rows-repeated="{rows_repeated}">'
    text = parts["content.xml"].replace(b"<table:table-row>", repeated.encode())
    with zipfile.ZipFile(path, "w") as again:
        for name, data in {**parts, "content.xml": text}.items():
            again.writestr(name, data)
    return path


def test_a_sheet_with_a_cell_far_away_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    """A rectangle of 17 thousand million cells: the message has the number and the limit."""
    far = Raw("/><c r='XFD1048576'><v>1</v></c>")
    message = refused(write_xlsx(tmp_path / "book.xlsx", {"Data": [("a",), (far,)]}))
    assert (
        f"sheet Data has 17,179,869,184 cells from its first to its last row and column; the limit is {MOST_CELLS:,}"
        in message
    )
    wide: Any = [tuple(range(200)), *([()] * 70_000), (1,)]
    assert "has 14,000,400 cells" in refused(write_xlsx(tmp_path / "wide.xlsx", {"Data": wide}))
    assert "has 29,491,200 cells" in refused(far_away_ods(tmp_path / "book.ods", "900"))
    wide_rows: Any = [tuple(range(250)), *([()] * 60_000), (1,)]
    assert "has 15,000,500 cells" in refused(write_xls(tmp_path / "book.xls", {"Data": wide_rows}))
    assert "has 15,000,500 cells" in refused(write_xlsb(tmp_path / "book.xlsb", {"Data": wide_rows}))


def test_a_number_of_a_place_that_no_sheet_has_is_refused(tmp_path: Path) -> None:
    """However many digits it has: a damaged file, or one that is made to do harm."""
    digits = "9" * 5000
    assert "the limit is" in refused(far_away_ods(tmp_path / "book.ods", digits))
    path = write_xlsx(tmp_path / "book.xlsx", {"Data": [("a",), (1,)]})
    with zipfile.ZipFile(path) as made:
        parts = {name: made.read(name) for name in made.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"].replace(b'<row r="2"><c r="A2"', f'<row r="{digits}"><c'.encode())
    assert digits.encode() in sheet
    with zipfile.ZipFile(path, "w") as again:
        for name, data in {**parts, "xl/worksheets/sheet1.xml": sheet}.items():
            again.writestr(name, data)
    assert "book.xlsx" in refused(path)


def test_other_sheets_of_a_workbook_do_not_count(tmp_path: Path) -> None:
    """Only sheets that are read need memory."""
    far = Raw("/><c r='XFD1048576'><v>1</v></c>")
    path = write_xlsx(tmp_path / "book.xlsx", {"Data": [("a",), (1,)], "Far": [(far,)]})
    assert len(load(path)[0]) == 1


@pytest.mark.parametrize("size", [1 << 20, (2 << 20) - 4096, 2 << 20, 5 << 20])
@pytest.mark.parametrize("back", [False, True])
def test_a_file_that_unpacks_to_too_much_is_refused(size: int, tmp_path: Path, *, back: bool) -> None:
    """Whatever size its parts declare, and in whatever order they are read."""
    path = write_xlsx(tmp_path / "book.xlsx", {"Data": [("a",), ("x" * size,)]})
    with (
        Archive(path, "book.xlsx", lambda: None, most_bytes=1 << 20) as archive,
        pytest.raises(UserError, match="its parts unpack to more than"),
    ):
        archive.pass_over(sorted(archive.names, reverse=back))


def test_an_xls_file_with_a_huge_declared_size_is_damaged(tmp_path: Path) -> None:
    """The memory for its cells is not allocated."""
    path = write_xls(tmp_path / "book.xls", {"Data": [("a", "b", "c", "d"), (1, 2, 3, 4)]})
    size = struct.pack("<HHIIHHH", 0x200, 14, 0, 0xFFFFFFF0, 0, 0xFFFF, 0)
    data = path.read_bytes()
    at = data.index(struct.pack("<HHHH", 0x809, 16, 0x600, 0x10)) + 20
    path.write_bytes(data[:at] + size + data[at + len(size) :])
    assert "the sheet Data says that it is larger than a sheet can be" in refused(path)


def test_entities_are_refused(tmp_path: Path) -> None:
    """A few of them can make a very long text."""
    path = write_ods(tmp_path / "book.ods", content(DAY))
    with zipfile.ZipFile(path) as made:
        parts = {name: made.read(name) for name in made.namelist()}
    parts["content.xml"] = b'<!DOCTYPE a [<!ENTITY b "c">]>' + parts["content.xml"]
    with zipfile.ZipFile(path, "w") as again:
        for name, data in parts.items():
            again.writestr(name, data)
    assert "its XML has a document type" in refused(path)


def test_cells_without_references_and_with_prefixes_are_counted(tmp_path: Path) -> None:
    """Other programs than Excel write them: their errors are found too."""
    path = write_xlsx(tmp_path / "book.xlsx", {"Data": [("a", "b"), (1, "#N/A")]})
    with zipfile.ZipFile(path) as made:
        parts = {name: made.read(name) for name in made.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"].decode()
    for old, new in [
        (' r="A2"', ""),
        (' r="B2"', ""),
        ("<c ", "<x:c "),
        ("<c>", "<x:c>"),
        ("</c>", "</x:c>"),
        ("worksheet x", 'worksheet xmlns:x="http://schemas.openxmlformats.org/spreadsheetml/2006/main" x'),
    ]:
        sheet = sheet.replace(old, new)
    with zipfile.ZipFile(path, "w") as again:
        for name, data in {**parts, "xl/worksheets/sheet1.xml": sheet.encode()}.items():
            again.writestr(name.replace("/", "\\") if name.endswith("sheet1.xml") else name, data)
    rows, columns = load(path)
    assert [bool(column.model_dump()["faults"]) for column in columns] == [False, True]
    assert (rows[0]["a"], rows[0]["b"]) == (1, None)


@given(size=st.integers(20, 400))
@settings(max_examples=30, deadline=None)
def test_a_sheet_written_by_excel_uses_the_fast_search(size: int) -> None:
    """For all positions of block ends; an error or a formula without a result needs the slow search."""
    plain = "".join(sheet_xml([("name", "n"), *(("Müller & Co", 1.5) for _ in range(50))])).encode()
    assert xlsx._quickly(blocks(plain, size)) == Survey(rows=1_100_000, columns=2)
    for cell in ("#N/A", Formula("A1")):
        text = "".join(sheet_xml([("name", "n"), *(("x", 1) for _ in range(30)), (cell, 1)])).encode()
        assert xlsx._quickly(blocks(text, size)) is None


def blocks(text: bytes, size: int) -> Iterator[bytes]:
    yield from (text[at : at + size] for at in range(0, len(text), size))


@pytest.mark.parametrize(("write", "name"), [(write_xlsx, "book.xlsx"), (write_xlsb, "book.xlsb")])
def test_a_sheet_is_not_parsed_after_the_end_of_the_time(tmp_path: Path, write: Callable[..., Path], name: str) -> None:
    """The parse cannot be interrupted, so the time is checked before it."""
    ended = False

    def tick() -> None:
        if ended:
            raise OutOfTimeError("the time is over")

    (file,) = find_files(str(write(tmp_path / name, {"Data": [("a",), (1,)]})))
    (tmp_path / "run").mkdir()
    with open_workbook(file, tmp_path / "run", tick) as book:
        assert book.sheet("Data").survey.cells
        ended = True
        with pytest.raises(OutOfTimeError):
            book.sheet("Data")
