"""Parquet: types, partitions, several files that differ, columns that are not read, and files that are refused."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from shared.definitions.models import Column, ParquetSource
from shared.errors import DefinitionError, UserError
from shared.sources import Source, SourceContext, open_source
from shared.transform import ErrorType
from shared.transform.reading import read_columns, reading
from shared.workspace import Workspace, quoted
from tests.api_server import Reply, serving

Write = Callable[[str, str], Path]
moment = datetime.fromisoformat


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes the result of a query to a file in the test's folder."""

    def written(name: str, query: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as database:
            database.execute("SET TimeZone = 'Europe/Berlin'")
            database.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
        return path

    return written


def opened(path: Path | str, *columns: dict[str, Any], **keys: Any) -> Source:
    described = {"type": "parquet", "path": str(path), "columns": list(columns), **keys}
    return open_source(ParquetSource.model_validate(described), SourceContext())


def values(source: Source, *, in_place: bool = True) -> list[dict[str, Any]]:
    """The typed rows, as the steps of a run read them."""
    with Workspace.open(readable=source.readable if in_place else ()) as workspace:
        columns: list[Column] = [each for each in source.columns(workspace) if each.read]
        source.load(workspace)
        sql = read_columns(columns, [reading(each) for each in columns], ())
        labels = [each.label for each in columns]
        found = workspace.query(f"SELECT {', '.join(map(quoted, labels))} FROM ({sql}) ORDER BY _row")
        return [dict(zip(labels, row, strict=True)) for row in found]


def refused(source: Source) -> list[tuple[str, str]]:
    with pytest.raises(DefinitionError) as caught, Workspace.open(readable=source.readable) as workspace:
        source.columns(workspace)
    return [(problem.path, problem.message) for problem in caught.value.problems]


TYPES = {
    "TINYINT '-5'": Decimal(-5),
    "UBIGINT '18446744073709551615'": Decimal(18446744073709551615),
    "DECIMAL(10, 2) '5.50'": Decimal("5.50"),
    "FLOAT '0.1'": Decimal("0.1"),
    "DOUBLE '123456789012.34'": Decimal("123456789012.34"),
    "DATE '2024-01-31'": moment("2024-01-31T00:00:00"),
    "TIMESTAMP '2024-01-31 10:00:00.5'": moment("2024-01-31T10:00:00.500000"),
    "TIMESTAMPTZ '2024-01-31 10:00:00'": moment("2024-01-31T09:00:00"),
    "TIMESTAMP_NS '2024-12-31 23:59:59.999999999'": moment("2024-12-31T23:59:59.999999"),
    "TIMESTAMP_NS '1969-12-31 23:59:59.999999999'": moment("1969-12-31T23:59:59.999999"),
    "TIMESTAMPTZ_NS '2024-12-31 23:59:59.999999999'": moment("2024-12-31T22:59:59.999999"),
    "TIMESTAMPTZ_NS '1969-12-31 23:59:59.999999999+00'": moment("1969-12-31T23:59:59.999999"),
    "true": True,
    "'007'": "007",
    "UUID '12345678-1234-1234-1234-123456789abc'": "12345678-1234-1234-1234-123456789abc",
    "TIME '10:00:00'": "10:00:00",
    "NULL::INTEGER": None,
    "DATE 'infinity'": None,
}


@pytest.mark.parametrize("sql", TYPES)
def test_a_value_keeps_its_type(write: Write, sql: str) -> None:
    """The definition names no types; a binary number becomes the shortest equal decimal number."""
    (row,) = values(opened(write("a.parquet", f"SELECT {sql} AS x")))
    assert row["x"] == TYPES[sql]
    assert type(row["x"]) is type(TYPES[sql])


def test_the_definition_may_set_another_type(write: Write) -> None:
    """A number as text keeps its digits; text is read in the notation of the column."""
    path = write("a.parquet", "SELECT 5 AS n, '1.250,50' AS amount, '31/01/2024' AS day, 20240131 AS stamp")
    columns = (
        {"name": "n", "type": "text"},
        {"name": "amount", "type": "number", "decimal_separator": ",", "thousands_separator": "."},
        {"name": "day", "type": "date", "input_format": "dd/MM/yyyy"},
        {"name": "stamp", "type": "date", "input_format": "yyyyMMdd"},
    )
    january = moment("2024-01-31T00:00:00")
    assert values(opened(path, *columns)) == [
        {"n": "5", "amount": Decimal("1250.50"), "day": january, "stamp": january}
    ]


def test_moments_without_an_offset_can_have_a_time_zone(write: Write) -> None:
    """As in text; a moment with an offset stays the same."""
    path = write("a.parquet", "SELECT TIMESTAMP '2024-07-01 10:00' AS a, TIMESTAMPTZ '2024-07-01 10:00+02' AS b")
    columns = [{"name": name, "time_zone": "Europe/Berlin"} for name in "ab"]
    assert values(opened(path, *columns)) == [{"a": moment("2024-07-01T08:00:00"), "b": moment("2024-07-01T08:00:00")}]


def test_nanoseconds_are_cut_wherever_they_are_in_the_file(write: Write) -> None:
    """In a nested value, in a list, with keys that are about text; as text they keep their digits."""
    last = "TIMESTAMP_NS '2024-12-31 23:59:59.999999999'"
    path = write("a.parquet", f"SELECT {last} AS at, {{'at': {last}, 'all': [{last}]}} AS v")
    columns = (
        {"name": "$.v.at", "alias": "nested"},
        {"name": "$.v.all[0]", "alias": "listed", "type": "date"},
        {"name": "at", "alias": "zoned", "time_zone": "Europe/Berlin"},
    )
    assert values(opened(path, *columns)) == [
        {
            "nested": moment("2024-12-31T23:59:59.999999"),
            "listed": moment("2024-12-31T23:59:59.999999"),
            "zoned": moment("2024-12-31T22:59:59.999999"),
        }
    ]
    assert values(opened(path, {"name": "at", "type": "text"})) == [{"at": "2024-12-31 23:59:59.999999999"}]


def test_nanoseconds_with_an_offset_are_read_wherever_they_are_in_the_file(write: Write) -> None:
    """A time zone of the column does not move them; pandas writes its times with a zone so."""
    at = "TIMESTAMPTZ_NS '2024-07-01 10:00:00.123456789+02:00'"
    path = write("a.parquet", f"SELECT {at} AS at, {{'at': {at}, 'all': [{at}]}} AS v")
    columns = (
        {"name": "$.v.at", "alias": "nested"},
        {"name": "$.v.all[0]", "alias": "listed", "type": "date"},
        {"name": "at", "alias": "zoned", "time_zone": "America/New_York"},
    )
    eight = moment("2024-07-01T08:00:00.123456")
    assert values(opened(path, *columns)) == [{"nested": eight, "listed": eight, "zoned": eight}]
    assert values(opened(path, {"name": "at", "type": "text"})) == [{"at": "2024-07-01 08:00:00.123456789+00"}]


def test_files_with_other_parts_of_a_second_are_mixed(write: Write, tmp_path: Path) -> None:
    """Nanoseconds in one file and microseconds in the next, with an offset or without one."""
    write("set/a.parquet", "SELECT TIMESTAMP_NS '2024-12-31 23:59:59.999999999' AS at")
    write("set/b.parquet", "SELECT TIMESTAMP '2024-12-31 23:59:59.999999' AS at")
    write("set/c.parquet", "SELECT TIMESTAMPTZ_NS '2024-12-31 23:59:59.999999999+00' AS at")
    assert values(opened(tmp_path / "set")) == [{"at": moment("2024-12-31T23:59:59.999999")}] * 3


def test_replacements_and_null_values_work_on_the_text_of_a_value(write: Write) -> None:
    """A number can be one of the texts for null."""
    path = write("a.parquet", "SELECT unnest([-1, 12]) AS n")
    assert values(opened(path, {"name": "n", "null_values": ["-1"]})) == [{"n": None}, {"n": Decimal(12)}]


def test_names_are_compared_without_regard_to_case(write: Write) -> None:
    """As in delimited files; the file may have more columns than are read."""
    path = write("a.parquet", 'SELECT 1 AS "Customer No", 2 AS other')
    assert values(opened(path, {"name": "customer no", "alias": "number"})) == [{"number": Decimal(1)}]


def test_calculated_columns_join_all_columns_of_the_file(write: Write) -> None:
    """Columns that are read need not be named to add one that is calculated."""
    path = write("a.parquet", "SELECT 1 AS a, 'x' AS b")
    source = opened(path, {"name": "double", "type": "number", "formula": "a * 2"})
    with Workspace.open(readable=source.readable) as workspace:
        assert [(each.name, str(each.type)) for each in source.columns(workspace)] == [
            ("double", "number"),
            ("a", "number"),
            ("b", "text"),
        ]


def test_a_partitioned_folder_has_the_columns_of_its_folders(write: Write, tmp_path: Path) -> None:
    """Files below a folder in the order of their names; a value that the folder escapes is read as it was."""
    write("set/year=2024/city=S%C3%A3o%20Paulo/b.parquet", "SELECT 2 AS n")
    write("set/year=2023/city=__HIVE_DEFAULT_PARTITION__/a.parquet", "SELECT 1 AS n")
    (tmp_path / "set" / "_SUCCESS").write_text("")
    assert values(opened(tmp_path / "set")) == [
        {"n": Decimal(1), "year": "2023", "city": None},
        {"n": Decimal(2), "year": "2024", "city": "São Paulo"},
    ]
    typed = opened(tmp_path / "set" / "*" / "*" / "*.parquet", {"name": "year", "type": "number"})
    assert [row["year"] for row in values(typed)] == [Decimal(2023), Decimal(2024)]


def test_row_numbers_continue_from_file_to_file(write: Write, tmp_path: Path) -> None:
    """A name with brackets is a name, and no pattern."""
    write("a[1].parquet", "SELECT unnest([1, 2]) AS n")
    write("b.parquet", "SELECT 3 AS n")
    write("a1.parquet", "SELECT 9 AS n")
    assert values(opened(tmp_path / "a[1].parquet")) == [{"n": Decimal(1)}, {"n": Decimal(2)}]
    source = opened(tmp_path / "[ab]*.parquet")
    with Workspace.open(readable=source.readable) as workspace:
        source.load(workspace)
        assert workspace.query("SELECT _row, n FROM source_raw ORDER BY _row") == [(1, 9), (2, 1), (3, 2), (4, 3)]


def test_files_may_have_numbers_of_different_types(write: Write, tmp_path: Path) -> None:
    """An integer in one, a binary number in another: each keeps its exact value."""
    write("a.parquet", "SELECT 9007199254740993 AS n, DATE '2024-01-31' AS d")
    write("b.parquet", "SELECT 0.1::DOUBLE AS n, TIMESTAMP '2024-01-31 10:00' AS d")
    assert values(opened(tmp_path / "*.parquet")) == [
        {"n": Decimal(9007199254740993), "d": moment("2024-01-31T00:00:00")},
        {"n": Decimal("0.1"), "d": moment("2024-01-31T10:00:00")},
    ]


# One row, 'A' and nothing, as pyarrow and pandas write a column without any value: it has no type.
WITHOUT_TYPE = base64.b64decode(
    "UEFSMRUAFRYVFiwVAhUAFQYVBhwAAAACAAAAAgEBAAAAQRUAFQwVDCwVAhUAFQYVBhwAAAACAAAAAgAVBBk8NQAYBnNjaGVtYRUEABUMJQIYBm51"
    "bWJlciUATBwAAAAVAiUCGARzaXplbLwAAAAWAhkcGSwmABwVDBklBgAZGAZudW1iZXIVABYCFjwWPCYISRwVABUAFQIAPBYCGQYZJgACAAAAJgAc"
    "FQIZJQYAGRgEc2l6ZRUAFgIWMhYyJkRJHBUAFQAVAgA8KQYZJgIAAAAAFm4WAiYIFm4AKCBwYXJxdWV0LWNwcC1hcnJvdyB2ZXJzaW9uIDI2LjAu"
    "MRksHAAAHAAAAMsAAABQQVIx"
)


# One row with k = 'K0', v = 'V1', V = 'V2', V_1 = 'V_13', and one with two columns v: DuckDB cannot write them.
LIKE_NAMES = base64.b64decode(
    "UEFSMRUAFRgVGCwVAhUAFQYVBhwAAAACAAAAAgECAAAASzAVABUYFRgsFQIVABUGFQYcAAAAAgAAAAIBAgAAAFYxFQAVGBUYLBUCFQAVBhUGHAAA"
    "AAIAAAACAQIAAABWMhUAFRwVHCwVAhUAFQYVBhwAAAACAAAAAgEEAAAAVl8xMxUEGVw1ABgGc2NoZW1hFQgAFQwlAhgBayUATBwAAAAVDCUCGAF2"
    "JQBMHAAAABUMJQIYAVYlAEwcAAAAFQwlAhgDVl8xJQBMHAAAABYCGRwZTCYAHBUMGSUGABkYAWsVABYCFj4WPiYISRwVABUAFQIAPBYEGQYZJgAC"
    "AAAAJgAcFQwZJQYAGRgBdhUAFgIWPhY+JkZJHBUAFQAVAgA8FgQZBhkmAAIAAAAmABwVDBklBgAZGAFWFQAWAhY+Fj4mhAFJHBUAFQAVAgA8FgQZ"
    "BhkmAAIAAAAmABwVDBklBgAZGANWXzEVABYCFkIWQibCAUkcFQAVABUCADwWCBkGGSYAAgAAABb8ARYCJggW/AEAKCBwYXJxdWV0LWNwcC1hcnJv"
    "dyB2ZXJzaW9uIDI2LjAuMRlMHAAAHAAAHAAAHAAAAEEBAABQQVIx"
)
EQUAL_NAMES = base64.b64decode(
    "UEFSMRUAFRgVGCwVAhUAFQYVBhwAAAACAAAAAgECAAAASzAVABUYFRgsFQIVABUGFQYcAAAAAgAAAAIBAgAAAFYxFQAVGBUYLBUCFQAVBhUGHAAA"
    "AAIAAAACAQIAAABWMhUEGUw1ABgGc2NoZW1hFQYAFQwlAhgBayUATBwAAAAVDCUCGAF2JQBMHAAAABUMJQIYAXYlAEwcAAAAFgIZHBk8JgAcFQwZ"
    "JQYAGRgBaxUAFgIWPhY+JghJHBUAFQAVAgA8FgQZBhkmAAIAAAAmABwVDBklBgAZGAF2FQAWAhY+Fj4mRkkcFQAVABUCADwWBBkGGSYAAgAAACYA"
    "HBUMGSUGABkYAXYVABYCFj4WPiaEAUkcFQAVABUCADwWBBkGGSYAAgAAABa6ARYCJggWugEAKCBwYXJxdWV0LWNwcC1hcnJvdyB2ZXJzaW9uIDI2"
    "LjAuMRk8HAAAHAAAHAAAAP8AAABQQVIx"
)


@pytest.mark.parametrize("name", ["v", "V", "V_1"])
def test_columns_whose_names_differ_only_in_case_are_not_mixed_up(tmp_path: Path, name: str) -> None:
    """DuckDB calls the second one `V_1`. The other columns of the file can be read."""
    (tmp_path / "a.parquet").write_bytes(LIKE_NAMES)
    assert values(opened(tmp_path / "a.parquet", {"name": "k"})) == [{"k": "K0"}]
    for column in ({"name": name}, {"name": name, "type": "json"}, {"name": f"$.{name}", "alias": "x"}):
        ((_, message),) = refused(opened(tmp_path / "a.parquet", {"name": "k"}, column))
        assert "several columns are called" in message


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    """Also where all columns are read."""
    (tmp_path / "a.parquet").write_bytes(EQUAL_NAMES)
    assert values(opened(tmp_path / "a.parquet", {"name": "k"})) == [{"k": "K0"}]
    ((_, message),) = refused(opened(tmp_path / "a.parquet"))
    assert "several columns are called v" in message


@pytest.mark.parametrize(
    ("others", "value"), [("DOUBLE '1.5'", Decimal("1.5")), ("DATE '2024-01-31'", None), ("'x'", "x")]
)
@pytest.mark.parametrize("name", ["a.parquet", "z.parquet"])
def test_a_column_without_any_value_fits_every_type(
    write: Write, tmp_path: Path, others: str, value: object, name: str
) -> None:
    """Wherever its file is among the others; alone it is read as text or as the definition says."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(WITHOUT_TYPE)
    write("in/m.parquet", f"SELECT 'M' AS number, {others} AS size")
    found = {row["number"]: row["size"] for row in values(opened(tmp_path / "in"))}
    assert found == {"A": None, "M": value or moment("2024-01-31T00:00:00")}


@pytest.mark.parametrize("kind", [None, "number", "date", "bool", "json"])
def test_a_file_may_have_a_column_without_any_value(tmp_path: Path, kind: str | None) -> None:
    """It has no type, so that any type of the definition is right."""
    (tmp_path / "a.parquet").write_bytes(WITHOUT_TYPE)
    size = {"name": "size", **({"type": kind} if kind else {})}
    assert values(opened(tmp_path / "a.parquet", {"name": "number"}, size)) == [{"number": "A", "size": None}]


def test_files_that_differ_are_named(write: Write, tmp_path: Path) -> None:
    """A type that changed, a missing column, a new column."""
    first = write("a.parquet", "SELECT 1 AS n, 'x' AS t")
    second = write("b.parquet", "SELECT 'one' AS n")
    pattern = tmp_path / "[ab].parquet"
    assert refused(opened(pattern, {"name": "n"}, {"name": "t"})) == [
        ("source.columns[0].name", f"{second} has text values in n, and {first} has number values"),
        ("source.columns[1].name", f"{second} has no column t, which {first} has"),
    ]
    third = write("c.parquet", "SELECT 1 AS n, 'x' AS t, 2 AS further")
    with pytest.raises(UserError, match=rf"{third} has a column further, which {first} does not have"):
        values(opened(tmp_path / "[ac].parquet"))
    assert len(values(opened(tmp_path / "[ac].parquet", {"name": "n"}))) == 2


def test_nested_and_binary_columns_are_refused(write: Write) -> None:
    """Only if they are read; a file may have them."""
    path = write("a.parquet", "SELECT 1 AS n, {'a': 1} AS s, [1] AS l, 'x'::BLOB AS b")
    nested = "the values of the column {} are nested; write type: json to read them as documents"
    assert refused(opened(path, {"name": "s"}, {"name": "l"}, {"name": "b"})) == [
        ("source.columns[0].name", f"{path}: {nested.format('s')}"),
        ("source.columns[1].name", f"{path}: {nested.format('l')}"),
        ("source.columns[2].name", f"{path}: the values of the column b are binary, and such values cannot be read"),
    ]
    assert [path for path, _ in refused(opened(path))] == ["source"] * 3
    assert values(opened(path, {"name": "n"})) == [{"n": Decimal(1)}]


@pytest.mark.parametrize(
    "sql", ["{'z': 'x'::BLOB}", "['x'::BLOB]", "MAP {'a': 'x'::BLOB}", "[{'a': {'b': 'x'::BLOB}}]"]
)
def test_binary_values_within_documents_are_refused(write: Write, sql: str) -> None:
    """As text they would be other values. Other fields beside them can be read, and so can a field with such a name."""
    path = write("a.parquet", f"SELECT {sql} AS b, {{'BLOB': 'y', 'z': 'x'::BLOB}} AS s, {{'BLOB': 'y'}} AS t")
    ((_, message),) = refused(opened(path, {"name": "b", "type": "json"}))
    assert "the values of the column b are binary" in message
    field, named = {"name": "$.s.BLOB", "alias": "x"}, {"name": "t", "type": "json"}
    assert values(opened(path, field, named)) == [{"x": "y", "t": '{"BLOB":"y"}'}]


def test_a_missing_column_is_reported_with_the_existing_columns(write: Write) -> None:
    """All problems at once, each at its key."""
    path = write("a.parquet", "SELECT 1 AS number, DATE '2024-01-31' AS day, 'x' AS t")
    columns = (
        {"name": "nubmer"},
        {"name": "day", "input_format": "yyyy"},
        {"name": "t", "strip": "€"},
    )
    assert refused(opened(path, *columns)) == [
        ("source.columns[0].name", f"{path} has no column nubmer; did you mean number?"),
        ("source.columns[1].input_format", f"{path} has date values in day and not text: remove input_format"),
        ("source.columns[2].strip", f"{path} has text values in t: write type: number to use strip"),
    ]


def test_a_column_with_the_name_of_the_row_number_needs_an_alias(write: Write) -> None:
    """The tables of the run use this name."""
    path = write("a.parquet", "SELECT 1 AS _row, 2 AS n")
    ((place, message),) = refused(opened(path))
    assert place == "source"
    assert "_row, a name that is in use" in message


@pytest.mark.parametrize("content", [b"", b"number\n1\n", b"PAR1PAR1"])
def test_a_file_that_is_not_parquet_is_reported(tmp_path: Path, content: bytes) -> None:
    """Also if the file ends with the marker of Parquet."""
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.parquet cannot be read: it is damaged, or not a Parquet file"):
        values(opened(tmp_path / "a.parquet"))


def test_a_file_with_truncated_data_is_reported(write: Write) -> None:
    """The footer is complete, and a block of values is not."""
    path = write("a.parquet", "SELECT i AS n, md5(i::VARCHAR) AS t FROM range(20000) AS r(i)")
    content = bytearray(path.read_bytes())
    content[1000 : len(content) // 2] = b"\xff" * (len(content) // 2 - 1000)
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        values(opened(path))


def test_files_behind_urls_are_read(write: Write) -> None:
    """A folder and a pattern, copied into the workspace and removed from it."""
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/lake/year=2023/a.parquet", write("a.parquet", "SELECT 1 AS n").read_bytes())
    memory.pipe_file("/lake/year=2024/b.parquet", write("b.parquet", "SELECT 2 AS n").read_bytes())
    try:
        for url in ("memory://lake", "memory://lake/*/*.parquet"):
            assert values(opened(url)) == [{"n": Decimal(1), "year": "2023"}, {"n": Decimal(2), "year": "2024"}]
        with pytest.raises(UserError, match="does not exist"):
            values(opened("memory://sea"))
    finally:
        memory.rm("/lake", recursive=True)


@pytest.mark.parametrize(
    "query", ["", "?sig=SECRET/abc=", "?sv=2024&sig=ab/cd%3D&x=1", "?path=/lake/month=1/b", "#a=b/c"]
)
def test_only_folders_of_a_url_name_partitions(write: Write, query: str) -> None:
    """Its query may have the same signs, and may be a signature."""
    data = write("a.parquet", "SELECT 1 AS n").read_bytes()
    with serving(lambda _: Reply(body=data)) as server:
        assert values(opened(f"{server.url}/lake/year=2024/a.parquet{query}")) == [{"n": Decimal(1), "year": "2024"}]


def test_a_local_file_that_may_not_be_read_in_place_is_copied(write: Write) -> None:
    """The workspace allows only the files that were named when it was opened."""
    path = write("a.parquet", "SELECT DATE '2024-01-31' AS d")
    assert values(opened(path), in_place=False) == [{"d": moment("2024-01-31T00:00:00")}]


NESTED = """SELECT 1 AS n, {'city': 'Rome', 'geo': {'lat': 1.50::DECIMAL(18, 2)}, 'since': DATE '2024-01-31'} AS address,
[{'no': 'A', 'n': 1}, {'no': 'B', 'n': 2}] AS lines, MAP {'k': 'v'} AS extra, '{"a": {"b": 12345678901234567890}}' AS doc,
[{'p': 1234567890123456.78::DECIMAL(22, 3), 'q': 0.5::DOUBLE, 's': 'at 1234567890123456.780, "5"'},
 {'p': -99999999999999.995::DECIMAL(22, 3), 'q': 1.5::DOUBLE, 's': ''}] AS prices,
MAP {'k': 12345678901234567890.12::DECIMAL(22, 2)} AS amounts,
'{"a": [12345678901234567890.12, 1.5], "b" : 1.23456789012345678e-5, "c": "-Infinity"}' AS money,
'{"größe": 5, "\\u5ba2 户": [6], "a\\"b": 7, "*": 8, "a.b": 9, "t\\tb": 10}' AS odd,
[{'größe': 1}, {'größe': 2}] AS sizes, MAP {'größe': 'm', '"k"': 'n'} AS named, {'größe': 9} AS kept"""
PRICES = (
    '[{"p":1234567890123456.780,"q":0.5,"s":"at 1234567890123456.780, \\"5\\""},'
    '{"p":-99999999999999.995,"q":1.5,"s":""}]'
)
FIELDS = {
    ("$.address.city", None): "Rome",
    ("$.address.geo.lat", None): Decimal("1.5"),
    ("$.Address['since']", None): moment("2024-01-31T00:00:00"),
    ("$.lines[1].no", None): "B",
    ("$.lines[0].n", "number"): Decimal(1),
    ("$.lines[*].no", None): '["A","B"]',
    ("$.extra.k", None): "v",
    ("$.extra.other", None): None,
    ("$.doc.a.b", "number"): Decimal(12345678901234567890),
    ("$.prices[0].p", "number"): Decimal("1234567890123456.78"),
    ("$.prices[1].p", None): "-99999999999999.995",
    ("$.prices[1].q", None): "1.5",
    ("$.prices[*].p", None): "[1234567890123456.780,-99999999999999.995]",
    ("$.prices[0]", None): '{"p":1234567890123456.780,"q":0.5,"s":"at 1234567890123456.780, \\"5\\""}',
    ("$.prices[0].s", None): 'at 1234567890123456.780, "5"',
    ("$.prices", "json"): PRICES,
    ("$.amounts.k", None): "12345678901234567890.12",
    ("$.money.a[0]", None): "12345678901234567890.12",
    ("$.money.a[1]", "number"): Decimal("1.5"),
    ("$.money.b", None): "1.23456789012345678e-5",
    ("$.money.c", None): "-Infinity",
    ("$.odd['größe']", None): "5",
    ("$.odd['客 户'][0]", "number"): Decimal(6),
    ("$.odd['a\"b']", None): "7",
    ("$.odd['*']", None): "8",
    ("$.odd['a.b']", None): "9",
    ("$.odd['t\tb']", None): "10",
    ("$.sizes[*]['größe']", None): "[1,2]",
    ("$.sizes[1]['größe']", None): "2",
    ("$.named['größe']", None): "m",
    ("$.named['\"k\"']", None): "n",
    ("$.kept['größe']", None): Decimal(9),
    ("$.address.geo", "json"): '{"lat":1.50}',
    ("address", "json"): '{"city":"Rome","geo":{"lat":1.50},"since":"2024-01-31"}',
    ("lines", "json"): '[{"no":"A","n":1},{"no":"B","n":2}]',
    ("doc", "json"): '{"a": {"b": 12345678901234567890}}',
    ("n", "json"): "1",
    ("$.address.city", "json"): None,
}


@pytest.mark.parametrize(("name", "kind"), FIELDS)
def test_nested_values_are_read_by_path_and_as_json(write: Write, name: str, kind: str | None) -> None:
    """Fields of structs keep their types; values in lists, maps and documents are text, as in a JSON file."""
    column = {"name": name, "alias": "value"} | ({"type": kind} if kind else {})
    path = write("a.parquet", NESTED)
    assert values(opened(path, column)) == [{"value": FIELDS[name, kind]}]
    assert values(opened(path, column), in_place=False) == [{"value": FIELDS[name, kind]}]


def test_a_field_without_a_name_is_not_found(write: Write) -> None:
    """No path of DuckDB leads to it; a struct cannot have one."""
    path = write("a.parquet", """SELECT '{"": 1}' AS doc""")
    ((place, message),) = refused(opened(path, {"name": "$.doc['']", "alias": "a"}))
    assert (place, "has no column $.doc['']" in message) == ("source.columns[0].name", True)


TEXTS = """SELECT * FROM (VALUES (1, '{"x": 1}'), (2, 'Anna Maier, IBAN DE02'), (3, ''), (4, NULL), (5, '{"x": null}'),
(6, '{"x": '), (7, '{"y": "5"}')) AS t(n, doc)"""


@pytest.mark.parametrize("kind", ["text", "number", "json"])
@pytest.mark.parametrize("other", ["", "SELECT 8 AS n, [{'x': 2}] AS doc"], ids=["one file", "files that differ"])
def test_a_text_that_is_not_json_is_an_error_of_its_column(write: Write, kind: str, other: str) -> None:
    """All other values are read, and the message has nothing of the text."""
    path = write("1.parquet", TEXTS)
    if other:
        write("2.parquet", other)
    columns = [{"name": "n"}, {"name": "$.doc.x", "alias": "x", "type": kind}]
    source = opened(path.parent / "*.parquet", *columns)
    with Workspace.open(readable=source.readable) as workspace:
        read = [each for each in source.columns(workspace) if each.read]
        source.load(workspace)
        how = [reading(each) for each in read]
        sql = read_columns(read, how, ())
        found = [row[0] for row in workspace.query(f"SELECT CAST(x AS VARCHAR) FROM ({sql}) ORDER BY _row")]
        misfit, *others = how[1].misfits
        wrong = workspace.query(f"SELECT _row FROM ({sql}) WHERE {misfit.broken} ORDER BY _row")
        assert [workspace.query(f"SELECT _row FROM ({sql}) WHERE {each.broken}") for each in others] == [[]] * len(
            others
        )
    assert [value and Decimal(value) for value in found[:7]] == [Decimal(1), *[None] * 6]
    assert (wrong, misfit.error) == ([(2,), (6,)], ErrorType.INVALID_FORMAT)
    assert misfit.message == "the text that the path of the column looks into is not JSON; correct it at its origin"


def test_a_missing_field_is_reported(write: Write) -> None:
    """In one file, and in one of several; also a nested value that is not read as JSON."""
    first = write("1.parquet", NESTED)
    assert refused(opened(first, {"name": "$.address.zip", "alias": "a"})) == [
        ("source.columns[0].name", f"{first} has no column $.address.zip; did you mean address?")
    ]
    (problem,) = refused(opened(first, {"name": "$.address.geo", "alias": "a"}))
    assert problem[1].endswith("of the column $.address.geo are nested; write type: json to read them as documents")
    second = write("2.parquet", "SELECT {'town': 'Rome'} AS address")
    (problem,) = refused(opened(first.parent / "*.parquet", {"name": "$.address.city", "alias": "a"}))
    assert problem[1] == f"{second} has no column $.address.city, which {first} has"


def test_values_that_are_no_documents_are_not_read_as_documents(write: Write) -> None:
    """The message has their type and no wrong advice."""
    path = write("a.parquet", "SELECT 'POINT(1 2)'::GEOMETRY AS place")
    for kind in ("text", "json"):
        ((place, message),) = refused(opened(path, {"name": "place", "type": kind}))
        assert place == "source.columns[0].name"
        assert "the values of the column place are of the type GEOMETRY(" in message
        assert message.endswith("and such values cannot be read")


@pytest.mark.parametrize("in_place", [True, False])
def test_a_damaged_file_is_reported_with_the_reason_and_without_the_path_of_the_copy(
    write: Write, *, in_place: bool
) -> None:
    """Truncated, and with changed bytes in its footer."""
    path = write("a.parquet", "SELECT range AS n FROM range(1000)")
    whole = path.read_bytes()
    for data in (whole[:-20], whole[:-100] + bytes(80) + whole[-20:]):
        path.write_bytes(data)
        with pytest.raises(UserError) as caught:
            values(opened(path), in_place=in_place)
        assert caught.value.message.startswith(f"{path} cannot be read: it is damaged, or not a Parquet file")
        assert "workspace-" not in caught.value.message


# One row: s {b decimal(40,2)}, e decimal(38,2), n decimal(76,0), d double; DuckDB writes no such decimals.
WIDE = (
    "eNqFkk9LwzAUwF/DKKWH3V5YIGARGiZ0xQnbSVB3E3IopSfZpdsKCtrV1D9fwrN49DoEP4xHv4JfwKMvnUzmHIbkJfze75E/JDlJ+wgYYxwh"
    "o4WLrgQAZocNa60kIcJo03R+iY+U16j/F1ftJVs8fOz4b+RLlFsLP4+wJS4H0HHr6XlxlaMHA9ZxamSAbdxFWk9CH1uYRGMbqYR4YHnRcN1w"
    "veTHlpfEAZ8cStjJZvyQ+Aw4E1JoBRLbInRBdJ3amSBhnvFMeaeSCoB2PtxzxXB5zh+ZNmzUlKdqvKaqDbNsTMONenW2qP63OmvUER+pZ/aH"
    "yt8ZZ8qjCbpBlZvr2+KmN62qXm7M/D64K0x9MS+Dg2G8H/eFpudddTijuyf0Hb4AToo8LA=="
)


def test_decimals_of_more_than_38_digits_are_refused(tmp_path: Path) -> None:
    """DuckDB reads them as floating-point numbers: keys would be equal that are not, and amounts wrong."""
    path = tmp_path / "wide.parquet"
    path.write_bytes(zlib.decompress(base64.b64decode(WIDE)))
    assert values(opened(path, {"name": "e"}, {"name": "d"})) == [{"e": Decimal("1.50"), "d": Decimal("1.5")}]
    columns = [{"name": "n"}, {"name": "$.s.b", "alias": "b"}, {"name": "s", "type": "json"}]
    said = "; at most 38 can be read exactly: write it as text"
    assert [message for _, message in refused(opened(path, *columns))] == [
        f"{path}: the column n has a decimal of 76 digits{said}",
        f"{path}: the column $.s.b has a decimal of 40 digits{said}",
        f"{path}: the column s has a decimal of 40 digits{said}",
    ]
