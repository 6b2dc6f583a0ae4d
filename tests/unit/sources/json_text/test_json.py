"""JSON: lines, lists and documents, values as they are written, paths, and what cannot be read."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.definitions.models import JsonSource
from shared.errors import UserError
from shared.sources import SourceContext, open_source
from shared.sources.files import BLOCK
from shared.sources.json_text.records import json_document
from shared.workspace import Workspace
from tests.unit.definitions.models.sources.test_kinds import problems

Loaded = tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Loaded]:
    """Writes a file and loads it; the column is `a` unless the test has others."""

    def write_and_load(
        data: str | bytes, *names: str, name: str = "a.json", path: str = "", records: str | None = None
    ) -> Loaded:
        (tmp_path / name).write_bytes(data.encode() if isinstance(data, str) else data)
        columns = [{"name": each, "alias": f"c{place}"} for place, each in enumerate(names or ("a",))]
        described = {"type": "json", "path": str(tmp_path / (path or name)), "columns": columns, "records": records}
        source = open_source(JsonSource.model_validate(described), SourceContext())
        with Workspace.open(readable=source.readable) as workspace:
            source.load(workspace)
            rows = workspace.query("SELECT * FROM source_raw ORDER BY _row")
            return rows, workspace.query("SELECT _row, message FROM source_errors ORDER BY _row")

    return write_and_load


FORMS = {
    "lines": '{"a": 1}\n{"a": 2}\n',
    "lines with blank lines": '\n{"a": 1}\r\n\r\n{"a": 2}',
    "a list": '[{"a": 1}, {"a": 2}]',
    "a list over lines": '\n [\n  {"a": 1},\n  {"a":\n 2}\n]\n',
    "a byte order mark": '\ufeff[{"a": 1}, {"a": 2}]',
}


@pytest.mark.parametrize("form", FORMS)
def test_records_are_found_in_each_form(load: Any, form: str) -> None:
    """The first characters decide which form it is."""
    assert load(FORMS[form]) == ([(1, "1"), (2, "2")], [])


@pytest.mark.parametrize("text", ["", " \n", "[]", "[ \n ]"])
def test_a_file_may_have_no_record(load: Any, text: str) -> None:
    """It has no row and no error."""
    assert load(text) == ([], [])


@pytest.mark.parametrize("order", [("a.json", "b.json"), ("b.json", "a.json")])
def test_an_empty_file_is_no_list(load: Any, tmp_path: Path, order: tuple[str, str]) -> None:
    """Its records would be dropped; of JSON lines it is a file without a record."""
    (tmp_path / order[0]).write_text("\n")
    with pytest.raises(UserError, match=rf"{order[0]} is empty: is the delivery incomplete\?"):
        load('[{"a": 1}]', name=order[1], path="*.json")
    assert load('{"a": 1}', name=order[1], path="*.json") == ([(1, "1")], [])


def test_an_empty_file_is_no_document(load: Any) -> None:
    """It has no place for `records`."""
    with pytest.raises(UserError, match=r"a\.json is empty"):
        load("", records="$.data[*]")


def test_a_document_of_several_lines_is_one_record(load: Any) -> None:
    """With indents, as programs write it."""
    assert load(json.dumps({"a": 1, "b": {"c": 2}}, indent=2), "a", "$.b.c") == ([(1, "1", "2")], [])


VALUES = {
    "12345678901234567890.1234567890": "12345678901234567890.1234567890",
    "1.50": "1.50",
    "-0.0": "-0.0",
    "1E+5": "1E+5",
    "true": "true",
    "false": "false",
    "null": "",
    '""': "",
    '"007"': "007",
    '"a \\"b\\", \\u00e9\\n,\\ud834\\udd1e"': 'a "b", é\n,𝄞',
    '{"x": [1.50, "é", null, true, {}]}': '{"x":[1.50,"é",null,true,{}]}',
    "[]": "[]",
}


@pytest.mark.parametrize("written", VALUES)
def test_a_value_is_read_as_it_is_written(load: Any, written: str) -> None:
    """Every digit of a number; nested values as JSON text."""
    for text in (f'{{"a": {written}}}', f'[{{"a": {written}}}]'):
        ((_, value),), errors = load(text)
        assert (value or "") == VALUES[written]
        assert errors == []


def test_paths_and_fields(load: Any) -> None:
    """A field name with a point is a name; a path with several results gives a list."""
    text = '{"a.b": 1, "b": {"c": [{"d": 2}, {"d": 3}]}}'
    names = ("a.b", "$.b.c[1].d", "$.b.c[*].d", "$.nothing.there")
    ((*_, last),) = rows = load(text, *names)[0]
    assert rows[0][1:4] == ("1", "3", "[2,3]")
    assert not last


@pytest.mark.parametrize("path", ["$.data.items[*]", "$.data.items", "$..items[*]"])
def test_records_are_found_in_documents(load: Any, path: str) -> None:
    """In a document over lines, and in one on each line."""
    document = {"data": {"items": [{"a": 1}, {"a": 2}]}}
    assert load(json.dumps(document, indent=1), records=path)[0] == [(1, "1"), (2, "2")]
    lines = f"{json.dumps(document)}\n{json.dumps({'data': {'items': [{'a': 3}]}})}\n"
    assert load(lines, records=path)[0] == [(1, "1"), (2, "2"), (3, "3")]


def test_an_element_that_is_no_record_is_reported_and_the_others_are_read(load: Any) -> None:
    """Each with its line, or with its place in the list."""
    rows, errors = load('{"a": 1}\n{"a": 2\n[3]\n{"a": NaN}\n{"a": "\\ud800"}\n{"a": 5}\n')
    assert rows == [(1, "1"), (6, "5")]
    assert errors == [
        (2, "not JSON: expecting ',' delimiter at character 8 (line 2 of a.json)"),
        (3, "not an object, but a list (line 3 of a.json)"),
        (4, "not JSON: NaN is not JSON (line 4 of a.json)"),
        (5, "a text has half of a surrogate pair, which is not a character (a.json)"),
    ]
    rows, errors = load('[{"a": 1}, null, 3, "x", true, {"a": 2}]')
    assert rows == [(1, "1"), (6, "2")]
    kinds = ("null", "a number", "text", "true or false")
    said = [f"not an object, but {kind} (record {place} of a.json)" for place, kind in enumerate(kinds, start=2)]
    assert [message for _, message in errors] == said


@pytest.mark.parametrize("path", ["$.data", "$.data[*]", "$['data'][?@.a]", "$.data[0:9]"])
def test_a_path_that_finds_nothing_is_reported(load: Any, path: str) -> None:
    """A service may answer with an error instead of records."""
    rows, errors = load('{"data": [{"a": 1}]}\n{"error": "busy"}\n', records=path)
    assert rows == [(1, "1")]
    assert errors == [(2, "the path of `records` finds nothing (line 2 of a.json)")]


@pytest.mark.parametrize("path", ["$.data", "$.data[*]", "$.data[?@.a == 9]"])
def test_a_list_may_have_no_record(load: Any, path: str) -> None:
    """It is there, and is no error."""
    assert load('{"data": []}', records=path) == ([], [])


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("@.n == 1", ["x", "y"]),
        ("@.n == 1.0", ["x", "y"]),
        ("@.n > 1", ["z"]),
        ("@.n <= 1.25", ["x", "y", "z"]),
        ("@.n == 1.25", ["z"]),
        ("@.n == '1'", ["w"]),
        ("@.n in [1, 2]", ["x", "y"]),
        ("1.25 in @.list", ["z"]),
    ],
)
def test_a_path_compares_numbers_by_their_values(load: Any, condition: str, found: list[str]) -> None:
    """Of records and of columns; a number is not equal to a text."""
    data = '[{"a":"x","n":1},{"a":"y","n":1.0},{"a":"z","n":1.25,"list":[1.25]},{"a":"w","n":"1"}]'
    assert [a for _, a in load(data, records=f"$[?{condition}]")[0]] == found
    assert load(f'{{"all": {data}}}', f"$.all[?{condition}].a")[0] == [(1, json.dumps(found, separators=(",", ":")))]


BROKEN = {
    "a list that is cut": ('[{"a": 1},\n {"a": 2}', r"the text ends within the list \(line 2\)"),
    "a record that is cut": ('[{"a": 1},\n\n {"a": "x', r"unterminated string \(line 3\)"),
    "no comma": ('[{"a": 1}\n {"a": 2}]', r", is expected \(line 2\)"),
    "text after the list": ('[{"a": 1}]\n{"a": 2}', r"more text after the list \(line 2\)"),
    "a document that is cut": ('{\n"a": 1,\n', r"\(line 3\)"),
    "no JSON": ("number,name\n1,One\n", r"expecting value \(line 1\)"),
    "depth": ("[" * 100_000, r"nested too deeply \(line 1\)"),
    "a depth in a document": ('{\n"a":' + "[" * 100_000, r"nested too deeply"),
    "a long line": ('{"a": 1}\n{"a": "' + "x" * (17 << 20), r"a line is longer than 16 million characters \(line 2\)"),
    "an Excel file": ("PK\x03\x04 xl/workbook", "not JSON: by its content it is an Excel file"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_text_that_is_not_json_ends_the_run(load: Any, name: str) -> None:
    """With its line, and no row of it is used."""
    text, message = BROKEN[name]
    with pytest.raises(UserError, match=message):
        load(text)


@pytest.mark.parametrize(("value", "said"), [("NaN", "NaN"), ("[" * 100_000, "nested too deeply")])
def test_a_document_that_is_read_whole_has_lines_too(value: str, said: str) -> None:
    """Where the fault has no place of its own, the line at which the document begins."""
    with pytest.raises(UserError, match=rf"{said}.*\(line 1\)"):
        json_document(iter([f'{{"data": [{{"a": {value}}}]}}']), "an answer")


def test_records_on_the_border_of_two_blocks(load: Any) -> None:
    """A record, a number and a line end that continue in the next block; line numbers stay correct."""
    filler = "x" * (BLOCK - 30)
    for shift in range(30):
        text = f'[{{"a": "{filler}{"y" * shift}"}},\r\n {{"a": 12345}},\r\n{{"a": 678}}]'
        assert [row[1][-5:] for row in load(text)[0]][1:] == ["12345", "678"]
    lines = f'{{"a": "{filler}"}}\r\n{{"a": 12345}}\r\n{{"a": \r\n'
    rows, errors = load(lines)
    assert rows[1] == (2, "12345")
    assert errors[0][1].endswith("(line 3 of a.json)")


def test_gzip_files_are_read_and_row_numbers_continue(load: Any, tmp_path: Path) -> None:
    """Files of a pattern in the order of their names; a row that was rejected counts."""
    (tmp_path / "a.json").write_text('{"a": 1}\n[]\n', "utf-8")
    rows, errors = load(gzip.compress(b'[{"a": 2}]'), name="b.json.gz", path="*.json*")
    assert rows == [(1, "1"), (3, "2")]
    assert [error[0] for error in errors] == [2]


def test_paths_are_checked_in_the_definition() -> None:
    """Of the records and of each column."""
    columns = "[{name: number}, {name: $.a}, {name: '$.a[', alias: b}]"
    found = problems(f"{{type: json, path: x, records: '$.[', columns: {columns}}}")
    assert [path for path, _ in found] == ["source.records", "source.columns[1].name", "source.columns[2].name"]


def test_numbers_and_booleans_are_what_they_are_in_a_column_with_another_notation(tmp_path: Path) -> None:
    """As in events: only texts have the notation of the column."""
    values = [1.125, 1234.5, 0, -0.5, "1.234,50", "1.125", None, True]
    flags = [True, False, "Ja", "no", None, 1, 0, "x"]
    records = [{"n": n, "b": b, "deep": {"n": n}} for n, b in zip(values, flags, strict=True)]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(records))
    german = {"type": "number", "decimal_separator": ",", "thousands_separator": "."}
    columns = [
        {"name": "n", **german},
        {"name": "$.deep.n", "alias": "d", **german},
        {"name": "b", "type": "bool", "true_values": ["Ja"]},
    ]
    source = open_source(
        JsonSource.model_validate({"type": "json", "path": str(path), "columns": columns}), SourceContext()
    )
    with Workspace.open(readable=source.readable) as workspace:
        source.load(workspace)
        rows = workspace.query("SELECT * EXCLUDE (_row) FROM source_raw ORDER BY _row")
    texts = ["1,125", "1234,5", "0", "-0,5", "1.234,50", "1.125", None, "true"]
    assert [row[0] for row in rows] == [row[1] for row in rows] == texts
    assert [row[2] for row in rows] == ["Ja", "false", "Ja", "no", None, "1", "0", "x"]
