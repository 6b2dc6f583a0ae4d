"""The first rows of each kind of source: the same as of a whole read, and what comes behind them is not read."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import duckdb
import pytest
from fsspec.spec import AbstractFileSystem  # type: ignore[import-untyped]  # it ships no types

from shared.definitions import SyncDefinition
from shared.errors import UserError
from shared.sources import SourceContext, completed, open_source
from shared.transform import shape_steps
from shared.workspace import Workspace
from tests.api_server import Received, Reply, serving
from tests.contract import dynamics_kind
from tests.contract.source_kinds import FIELDS, KINDS, Kind, ready, rows, write_parquet
from tests.contract.test_sources import defined, expected, told
from tests.postgresql.fixtures import Database
from tests.workbooks.xlsx import write_xlsx

MANY: Final = 300_000
COLUMNS: Final = [{"name": "number"}, {"name": "name"}]
ENDLESS: Final = (
    "SELECT number, 'Name ' || number AS name FROM (WITH RECURSIVE counted(number) AS "
    "(SELECT 1 UNION ALL SELECT number + 1 FROM counted) SELECT number FROM counted) AS numbers"
)
Found = tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    return ready(request.param, request)


def shaped(definition: SyncDefinition, context: SourceContext, most: int | None, names: str) -> Found:
    """The first rows of a source, typed, and what is wrong with them."""
    source = open_source(definition.source, replace(context, rows=most))
    with Workspace.open(readable=source.readable) as workspace:
        whole = completed(definition, source, workspace)
        source.load(workspace)
        for step in shape_steps(whole):
            workspace.run(step)
        found = workspace.query(f"SELECT _row, {names} FROM source ORDER BY _row")
        return found, workspace.query("SELECT _row, message FROM source_errors ORDER BY _row")


def first(most: int | None, context: SourceContext | None = None, /, **keys: Any) -> Found:
    """The same for a source of two columns, by its keys."""
    kind = Kind(write=lambda _path, _rows: None, source=keys, place=lambda _path: {})
    return shaped(defined(kind, Path()), context or SourceContext(), most, "number, name")


def numbered(count: int) -> list[tuple[int, str, str]]:
    return [(number, str(number), f"Name {number}") for number in range(1, count + 1)]


@pytest.mark.parametrize("most", [1, 7, 100, 200])
def test_the_first_rows_are_those_of_a_whole_read(kind: Kind, tmp_path: Path, most: int) -> None:
    """Fewer than there are, all of them, and more than there are."""
    path = tmp_path / f"source{kind.ending}"
    kind.write(path, rows(100))
    found, errors = shaped(defined(kind, path), kind.context(path), most, ", ".join(FIELDS))
    assert (told(found), errors) == ([expected(row) for row in rows(min(most, 100))], [])


def delimited(number: int) -> bytes:
    return b"%d,Name %d\n" % (number, number)


def fixed(number: int) -> bytes:
    return b"%-10dName %-10d\n" % (number, number)


def lines(number: int) -> bytes:
    return b'{"number": %d, "name": "Name %d"}\n' % (number, number)


def items(number: int) -> bytes:
    return b'%b{"number": %d, "name": "Name %d"}\n' % (b"[" if number == 1 else b",", number, number)


FIXED: Final = [{"name": "number", "start": 1, "width": 10}, {"name": "name", "start": 11, "width": 20}]
TEXTS: Final[Mapping[str, tuple[Callable[[int], bytes], Mapping[str, Any]]]] = {
    "delimited": (delimited, {"type": "delimited", "header": False, "columns": COLUMNS}),
    "footer": (delimited, {"type": "delimited", "header": False, "columns": COLUMNS, "footer_rows_to_ignore": 3}),
    "fixed width": (fixed, {"type": "fixed_width", "columns": FIXED}),
    "lines of JSON": (lines, {"type": "json", "columns": COLUMNS}),
    "a list of JSON": (items, {"type": "json", "columns": COLUMNS}),
}


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("name", TEXTS)
def test_what_is_wrong_behind_the_first_rows_is_not_seen(name: str, packed: str, tmp_path: Path) -> None:
    """300,000 rows, then bytes that are in no encoding: a whole read ends with an error, the first rows do not."""
    line, keys = TEXTS[name]
    content = b"".join(map(line, range(1, MANY + 1))) + b'"\xff\xfe' * 100 + b"\n"
    path = tmp_path / f"source.txt{packed}"
    path.write_bytes(gzip.compress(content, 1)[:-100] if packed else content)
    with pytest.raises(UserError):
        first(None, path=str(path), **keys)
    assert first(10, path=str(path), **keys) == (numbered(10), [])


def test_of_a_zstd_file_only_the_beginning_is_decompressed(tmp_path: Path) -> None:
    """What is damaged behind it is not seen."""
    plain, path = tmp_path / "plain", tmp_path / "source.csv.zst"
    with plain.open("wb") as file:
        file.writelines(b"%d,Name %d,%b\n" % (number, number, (b"%d" % number**9)) for number in range(1, MANY + 1))
    line = "auto_detect = false, header = false, columns = {'line': 'VARCHAR'}, delim = '\x1f', quote = '', escape = ''"
    with duckdb.connect() as database:
        database.execute(
            f"COPY (SELECT line FROM read_csv('{plain}', {line})) TO '{path}' "
            "(FORMAT csv, COMPRESSION zstd, HEADER false, DELIM '\x1f', QUOTE '', ESCAPE '')"
        )
    content = path.read_bytes()
    keys = {"type": "delimited", "header": False, "columns": [*COLUMNS, {"name": "more"}], "path": str(path)}
    assert first(10, **keys) == (numbered(10), [])
    path.write_bytes(content[:-1_500_000] + b"\0" * 1_500_000)
    with pytest.raises(UserError, match="cannot be read"):
        first(None, **keys)
    assert first(10, **keys) == (numbered(10), [])


def test_rows_that_are_malformed_are_rows(tmp_path: Path) -> None:
    """They are among the first ones; blank rows are not."""
    path = tmp_path / "source.csv"
    path.write_bytes(b"number,name\n1,Name 1\n2,Name 2,more\n,\n3,Name 3\n4,Name 4\n")
    found, errors = first(3, type="delimited", path=str(path), columns=COLUMNS)
    assert [row[1:] for row in found] == [("1", "Name 1"), ("3", "Name 3")]
    assert errors == [(2, "3 fields instead of 2 (line 3 of source.csv)")]


@pytest.mark.parametrize("length", [10, 2_000_000])
def test_rows_of_several_lines_are_whole(tmp_path: Path, length: int) -> None:
    """Also where they are longer than what is read at first."""
    path = tmp_path / "source.csv"
    text = "line\n" * (length // 5)
    path.write_text("number,name\n" + "".join(f'{number},"{text}"\n' for number in range(1, 9)))
    found, errors = first(3, type="delimited", path=str(path), columns=COLUMNS)
    assert [(row[1], len(row[2])) for row in found] == [(str(number), length) for number in range(1, 4)]
    assert errors == []


def test_a_quote_that_is_never_closed_is_an_error_of_its_row(tmp_path: Path) -> None:
    """As in a whole read: the rows behind it are rows."""
    path = tmp_path / "source.csv"
    path.write_bytes(b'number,name\n1,Name 1\n2,"Name 2\n' + b"".join(map(delimited, range(3, MANY))))
    found, errors = first(4, type="delimited", path=str(path), columns=COLUMNS)
    assert [row[1] for row in found] == ["1", "3", "4"]
    assert errors == [(2, "its quotes are not balanced (line 3 of source.csv)")]


def test_footer_rows_are_left_out_of_a_short_file(tmp_path: Path) -> None:
    """Where the first rows reach to the end."""
    path = tmp_path / "source.csv"
    path.write_bytes(b"".join(map(delimited, range(1, 6))) + b"end\n" * 3)
    keys = {"type": "delimited", "header": False, "columns": COLUMNS, "footer_rows_to_ignore": 3, "path": str(path)}
    assert first(10, **keys) == (numbered(5), [])


def test_first_rows_go_on_in_the_next_file_and_end_before_the_one_behind(tmp_path: Path) -> None:
    """A file behind them need not be readable."""
    (tmp_path / "a.csv").write_bytes(b"number,name\n" + b"".join(map(delimited, range(1, 4))))
    (tmp_path / "b.csv").write_bytes(b"number,name\n" + b"".join(map(delimited, range(4, 9))))
    (tmp_path / "c.csv").write_bytes(b"another,header\n1,2\n")
    keys = {"type": "delimited", "path": str(tmp_path / "*.csv"), "columns": COLUMNS}
    assert first(6, **keys) == (numbered(6), [])
    with pytest.raises(UserError, match=r"c\.csv has no column number"):
        first(9, **keys)


def test_of_parquet_only_the_row_groups_and_files_of_the_first_rows_are_read(tmp_path: Path) -> None:
    """What is damaged behind them is not seen."""
    path = tmp_path / "a.parquet"
    write_parquet(path, rows(60_000))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 200_000] = b"\xff" * 200_000
    path.write_bytes(content)
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and nothing that can be read PAR1")
    definition = defined(KINDS["parquet"], path)
    folder = defined(KINDS["parquet"], tmp_path)
    with pytest.raises(UserError, match="damaged"):
        shaped(definition, SourceContext(), None, ", ".join(FIELDS))
    for each in (definition, folder):
        found, _ = shaped(each, SourceContext(), 10, ", ".join(FIELDS))
        assert told(found) == [expected(row) for row in rows(10)]


class Remote(AbstractFileSystem):  # type: ignore[misc]  # see above
    """A file system that counts what is read of its files, and that may fail."""

    protocol = "remote"
    cachable = False

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.content = path.read_bytes()
        self.taken = 0
        self.left = len(self.content) * 10
        self.seeks = True

    def _open(self, path: str, *_about: Any, **_options: Any) -> BytesIO:
        return _Counted(self, self.content)

    def exists(self, path: str, **_options: Any) -> bool:
        return path == "file"

    def isfile(self, path: str) -> bool:
        return path == "file"

    def info(self, path: str, **_options: Any) -> dict[str, Any]:
        return {"name": path, "size": len(self.content), "type": "file"}

    def opened(self, _url: str, _options: Any = None) -> tuple[Any, str]:
        return self, "file"


class _Counted(BytesIO):
    def __init__(self, system: Remote, content: bytes) -> None:
        super().__init__(content)
        self._system = system

    def seekable(self) -> bool:
        return self._system.seeks

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        self._system.taken += len(found)
        self._system.left -= len(found)
        if self._system.left < 0:
            raise OSError("the line is cut")
        return found


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    """A Parquet file of twenty row groups behind a URL."""
    path = tmp_path / "a.parquet"
    with duckdb.connect() as database:
        rows = "SELECT i + 1 AS number, 'Name ' || (i + 1) AS name, md5(i::VARCHAR) AS more FROM range(200000) AS r(i)"
        database.execute(f"COPY ({rows}) TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 10240)")
    return Remote(path)


def of_remote(remote: Remote, most: int | None) -> list[tuple[Any, ...]]:
    context = SourceContext(open_url=remote.opened)
    found, errors = first(most, context, type="parquet", path="remote://file", columns=COLUMNS)
    assert errors == []
    return [(row, int(number), name) for row, number, name in found]


def test_of_a_remote_parquet_file_only_the_blocks_of_the_first_rows_are_read(remote: Remote) -> None:
    """It is not copied, as it is for a whole read."""
    size = len(remote.content)
    assert of_remote(remote, 10) == [(number, number, f"Name {number}") for number in range(1, 11)]
    assert remote.taken < size / 4
    assert len(of_remote(remote, 10_250)) == 10_250
    remote.taken = 0
    assert len(of_remote(remote, None)) == 200_000
    assert remote.taken == size


def test_a_remote_parquet_file_that_is_read_from_its_beginning_only_is_copied(remote: Remote) -> None:
    """As some servers give files."""
    remote.seeks = False
    assert len(of_remote(remote, 10)) == 10
    assert remote.taken >= len(remote.content)


@pytest.mark.parametrize("after", [0, 4, 70_000])
def test_a_remote_parquet_file_that_cannot_be_reached_is_not_called_damaged(remote: Remote, after: int) -> None:
    """Wherever the reading ends."""
    remote.left = after
    with pytest.raises(UserError, match="cannot be reached: the line is cut"):
        of_remote(remote, 10)


def test_of_a_workbook_the_sheets_behind_the_first_rows_are_not_read(tmp_path: Path) -> None:
    """A sheet that ends a whole read with an error is not seen."""
    path = tmp_path / "source.xlsx"
    write_xlsx(path, {"One": [("number", "name"), *((row[1], row[2]) for row in numbered(20))], "Two": []})
    keys = {"type": "excel", "path": str(path), "sheet": ["One", "Two"], "columns": COLUMNS}
    assert first(10, **keys) == (numbered(10), [])
    with pytest.raises(UserError, match="Two is empty"):
        first(None, **keys)


def test_a_database_is_asked_for_the_first_rows_alone(tmp_path: Path, database: Database) -> None:
    """A query whose rows have no end gives them."""
    (tmp_path / "a.db").touch()
    for url in (f"sqlite:///{tmp_path / 'a.db'}", database.url):
        query = ENDLESS.replace("number,", "CAST(number AS text) AS number,", 1)
        context = SourceContext(secret=lambda _reference, url=url: url)  # type: ignore[misc]  # bound at once
        found = first(10, context, type="sql", connection={"env": "DATABASE"}, query=query)
        assert found == (numbered(10), [])


def test_of_an_api_only_the_pages_with_the_first_rows_are_asked_for() -> None:
    """Its pages have no end."""

    def answer(received: Received) -> Reply:
        begin = int(received.query.get("offset", 0))
        return Reply(body=[{"number": n + 1, "name": f"Name {n + 1}"} for n in range(begin, begin + 4)])

    pagination = {"type": "offset", "parameter": "offset"}
    with serving(answer) as server:
        assert first(10, type="rest", url=f"{server.url}/rows", pagination=pagination, columns=COLUMNS) == (
            numbered(10),
            [],
        )
        assert server.asked("offset") == [None, "4", "8"] or server.asked("offset") == ["0", "4", "8"]


FETCH: Final = (
    '<fetch{top}><entity name="row"><attribute name="number"/><attribute name="name"/>'
    '<order attribute="number"/></entity></fetch>'
)


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"fetch_xml": FETCH.format(top="")},
        {"fetch_xml": FETCH.format(top=' top="100"')},
        {"fetch_xml": FETCH.format(top=' count="3"')},
    ],
)
def test_of_a_table_of_dataverse_only_the_first_records_are_asked_for(tmp_path: Path, keys: dict[str, Any]) -> None:
    """The service has read few more of them."""
    kind = KINDS["dynamics"]
    path = tmp_path / "source"
    kind.write(path, rows(2000))
    before = dynamics_kind.emulator().stats()["rows"].get("read", 0)
    definition = defined(kind, path, **keys, **({"entity": None} if keys else {}))
    found, _ = shaped(definition, kind.context(path), 10, "number, name")
    assert [row[0] for row in found] == [*range(1, 11)]
    assert dynamics_kind.emulator().stats()["rows"]["read"] - before <= 20 + 3
