"""Delimited files of all kinds, correct and malformed."""

from __future__ import annotations

import gzip
import os
import socket
from pathlib import Path
from typing import Any

import duckdb
import fsspec  # type: ignore[import-untyped]  # fsspec ships no types
import pytest

from shared.definitions.models import EventsSource
from shared.errors import SourceUnavailableError, UserError
from shared.sources import SourceContext, open_source
from tests.api_server import Reply, serving
from tests.unit.sources.conftest import Loaded, described, load_source

ONE: Loaded = ([(1, "1", "2", "3")], [])
ACCENTS: Loaded = ([(1, "é", "ß", "3")], [])
TEXT = "A,B,C\né,ß,3\n"


@pytest.mark.parametrize(
    ("data", "options", "expected"),
    [
        ("A,B,C\n1,2,3\n", {}, ONE),
        ("A,B,C\r\n1,2,3\r\n", {}, ONE),
        ("A,B,C\r1,2,3\r", {}, ONE),
        ("A,B,C\n1,2,3", {}, ONE),
        ("A,B,C\n\n1,2,3\n\n", {}, ONE),
        ("\n\nA,B,C\n1,2,3\n", {}, ONE),
        ("C, b ,A,X\n3,2,1,0\n", {}, ONE),
        ("A,B,C\n1,2,3,\n", {}, ONE),
        ("A,B,C\n1,2,3,,,\n", {}, ONE),
        ("A;B;C\n1;2;3\n", {"delimiter": ";"}, ONE),
        ("A\tB\tC\n1\t2\t3\n", {"delimiter": "\\t"}, ONE),
        ("A\x01B\x01C\n1\x012\x013\n", {"delimiter": "U+0001"}, ONE),
        ("A||B||C\n1||2||3\n", {"delimiter": "||"}, ONE),
        ("A,B,C\n'1','2,''x',3\n", {"text_qualifier": "'"}, ([(1, "1", "2,'x", "3")], [])),
        ('A,B,C\n"1,2",3\n', {"text_qualifier": ""}, ([(1, '"1', '2"', "3")], [])),
        ('A,B,C\n1,"2\r\n\nx","3"""\r\n', {}, ([(1, "1", "2\r\n\nx", '3"')], [])),
        ('A,B,C\r\n1,"2\nx",3\r\n4,5,6\r\n', {}, ([(1, "1", "2\nx", "3"), (2, "4", "5", "6")], [])),
        ('A,B,C\n,"", \n', {}, ([(1, None, None, " ")], [])),
        ("1,2,3,4\n", {"header": False}, ONE),
        ("", {"header": False}, ([], [])),
        ("A,B,C\n", {}, ([], [])),
        ('title "x\n\nA,B,C\n1,2,3\n', {"header": True, "header_rows_to_ignore": 2}, ONE),
        ("junk\n1,2,3\n", {"header_rows_to_ignore": 1}, ONE),
        ("A,B,C\n1,2,3\nTOTAL;1\n\n", {"footer_rows_to_ignore": 2}, ONE),
        ("A,B,C\n1,2,3\n", {"footer_rows_to_ignore": 9}, ([], [])),
        ("TRAILER;1\n", {"header": False, "footer_rows_to_ignore": 1}, ([], [])),
        ("junk\nTRAILER;1", {"header_rows_to_ignore": 1, "footer_rows_to_ignore": 1}, ([], [])),
        ("1,2,3\nTRAILER\n", {"header": False, "footer_rows_to_ignore": 1}, ONE),
        ("A,B,C\nTRAILER\n", {"footer_rows_to_ignore": 1}, ([], [])),
        ("one\ntwo", {"header_rows_to_ignore": 2}, ([], [])),
        ("one\r\ntwo\r", {"header_rows_to_ignore": 2}, ([], [])),
        ("one\rtwo\r\n", {"header_rows_to_ignore": 2}, ([], [])),
        ('"A\nx",B,C\n1,2,3\n', {"columns": ("A x", "B", "C")}, ONE),
        ("\ufeff" + TEXT, {}, ACCENTS),
        ("\ufeff1,2,3\n", {"header": False}, ONE),
        (TEXT.encode("latin-1"), {"encoding": "latin-1"}, ACCENTS),
        (TEXT.encode("cp1252"), {"encoding": "windows-1252"}, ACCENTS),
        (TEXT.encode("utf-16"), {"encoding": "utf-16"}, ACCENTS),
        (TEXT.encode("utf-8-sig"), {"encoding": "utf-8-sig"}, ACCENTS),
        (b"\xff\xfe" + "1,2,3\n".encode("utf-16-le"), {"encoding": "utf-16-le", "header": False}, ONE),
        (b"\xfe\xff" + "1,2,3\n".encode("utf-16-be"), {"encoding": "utf-16-be", "header": False}, ONE),
        ("\ufeff1,2,3\n".encode("gb18030"), {"encoding": "gb18030", "header": False}, ONE),
        ("A\n1\n\n2\n", {"columns": ("A",)}, ([(1, "1"), (2, "2")], [])),
        ("   \n,\nA,B,C\n1,2,3\n", {}, ONE),
        ("A,B,C\r\r\n1,2,3\r\r\n", {}, ONE),
    ],
)
def test_a_clean_file_is_loaded_as_it_was_written(
    load: Any, data: str | bytes, options: dict[str, Any], expected: Loaded
) -> None:
    """Line ends, delimiters, qualifiers, headers, footers, encodings; empty fields are null."""
    assert load(data, **options) == expected


BROKEN = "Malformed Row"


@pytest.mark.parametrize(
    ("data", "options", "rows", "bad"),
    [
        ('A,B,C\na,"b\n\nx",c\n1,2\n4,5,6\n7,8,9,10\n\n7,8,9\nx\n', {}, [1, 3, 5], [2, 4, 6]),
        ('A,B,C\na,b,c\na,"b,d\n1,2,3\n4,5,6\n', {}, [1, 3, 4], [2]),
        ('A,B,C\na,b,c\na,"b"x,d\n1,2,3\n4,5,"6"\n', {}, [1, 3, 4], [2]),
        ('A,B,C\n"a\n1,2,3\n"b\n4,5,6\n', {}, [2, 4], [1, 3]),
        ('A,B,C\n1,"2 ""x,3\n4,5,6\n', {}, [2], [1]),
        ("A,B,C\n1,2\n   \n4,5,6\n", {}, [2], [1]),
        ("A||B||C\n1||2\n4||5||6\n", {"delimiter": "||"}, [2], [1]),
        ("A,B,C\n1,2,3,,\n4,5,6,,x\n", {}, [1], [2]),
        ("A,B,C\n1,2\n4,5,6\n", {"text_qualifier": ""}, [2], [1]),
        ('A\n1\n\n"2"x\n3\n', {"columns": ("A",)}, [1, 3], [2]),
    ],
)
def test_a_malformed_row_affects_no_other_row(
    load: Any, data: str, options: dict[str, Any], rows: list[int], bad: list[int]
) -> None:
    """Too few or too many fields, unclosed or misplaced quotes: reported with the row number; the others are loaded."""
    found, errors = load(data, **options)
    assert [row for row, *_ in found] == rows
    assert [(row, error) for row, error, _ in errors] == [(row, BROKEN) for row in bad]


def test_messages_about_malformed_rows_say_what_is_wrong(load: Any) -> None:
    """The number of fields, or unpaired quotes; never the content of the row."""
    _, errors = load('A,B,C\n1,2\n"x,y,z\n')
    assert [message for *_, message in errors] == [
        "2 fields instead of 3 (line 2 of a.csv)",
        "its quotes are not balanced (line 3 of a.csv)",
    ]


def test_the_correct_rows_of_a_malformed_file_are_loaded_exactly(load: Any) -> None:
    """The slow parser reads like the fast one: quotes, line breaks, spaces around quotes, mixed line ends."""
    rows, errors = load('A,B,C\r\n1, "2, ""x""" ,a"b\n4,5\r\n" 4 ","\r\n",\u2028\n')
    assert rows == [(1, "1", '2, "x"', 'a"b'), (3, " 4 ", "\r\n", "\u2028")]
    assert [row for row, *_ in errors] == [2]


def test_both_parsers_give_the_same_rows(tmp_path: Path) -> None:
    """A file that has one bad row at its end loads the rows before it as the clean file does."""
    clean = "A,B,C\n" + "".join(f'{n},"x{n}\n""y""",z \n' for n in range(1, 3000))
    (tmp_path / "clean.csv").write_text(clean)
    (tmp_path / "bad.csv").write_text(clean + "oops\n")
    rows, errors = load_source(described(str(tmp_path / "bad.csv")))
    assert load_source(described(str(tmp_path / "clean.csv"))) == (rows, [])
    assert errors == [(3000, BROKEN, "1 field instead of 3 (line 6,000 of bad.csv)")]


def test_a_file_that_may_not_be_read_in_place_is_copied(tmp_path: Path) -> None:
    """The rows are the same."""
    (tmp_path / "a.csv").write_text("A,B,C\n1,2,3\n")
    assert load_source(described(str(tmp_path / "a.csv")), in_place=False) == ONE


def test_row_numbers_continue_from_file_to_file(tmp_path: Path) -> None:
    """Files in the order of their names; each has its own header; malformed rows keep their numbers."""
    (tmp_path / "x2.csv").write_text("C,B,A\n9,8,7\n")
    (tmp_path / "x1.csv").write_text("A,B,C\n1,2,3\n1,2\n")
    rows, errors = load_source(described(str(tmp_path / "x*.csv")))
    assert rows == [(1, "1", "2", "3"), (3, "7", "8", "9")]
    assert [row for row, *_ in errors] == [2]


def test_a_last_row_that_is_malformed_counts_for_the_next_file(tmp_path: Path) -> None:
    """No two rows have one number."""
    (tmp_path / "x1.csv").write_text("A,B,C\n1,2\n")
    (tmp_path / "x2.csv").write_text("A,B,C\n1\n1,2,3\n")
    rows, errors = load_source(described(str(tmp_path / "x?.csv")))
    assert ([row for row, *_ in rows], [row for row, *_ in errors]) == ([3], [1, 2])


def test_parameters_can_be_in_paths(tmp_path: Path) -> None:
    """As plain text."""
    (tmp_path / "20240131.csv").write_text("A,B,C\n1,2,3\n")
    opened = open_source(described(f"{tmp_path}/@day.csv"), SourceContext(parameters={"day": 20240131}))
    assert opened.readable == (f"{tmp_path}/20240131.csv",)


def test_compressed_files(tmp_path: Path, load: Any) -> None:
    """The file extension shows gzip and zstd; line breaks within quotes are kept."""
    assert load(gzip.compress(b'A,B,C\n1,"2\n",3\n', mtime=0), "a.csv.gz") == ([(1, "1", "2\n", "3")], [])
    packed = tmp_path / "a.csv.zst"
    duckdb.connect().execute(f"COPY (SELECT 1 AS A, '2\n' AS B, 3 AS C) TO '{packed}' (FORMAT csv, COMPRESSION zstd)")
    assert load_source(described(str(packed))) == ([(1, "1", "2\n", "3")], [])
    with pytest.raises(UserError, match="must be utf-8"):
        load_source(described(str(packed), encoding="latin-1"))


def test_remote_files() -> None:
    """An fsspec URL, one file or a pattern, compressed or not."""
    memory = fsspec.filesystem("memory")
    memory.pipe("/in/a.csv", b"A,B,C\n1,2,3\n")
    memory.pipe("/in/b.csv.gz", gzip.compress(b"A,B,C\n4,5,6\n7,8\n", mtime=0))
    assert load_source(described("memory://in/a.csv")) == ONE
    rows, errors = load_source(described("memory://in/*"))
    assert rows == [(1, "1", "2", "3"), (2, "4", "5", "6")]
    assert [row for row, *_ in errors] == [3]


@pytest.mark.parametrize(
    ("data", "name", "options", "message"),
    [
        (
            "A;B;C\n1;2;3\n",
            "a.csv",
            {},
            (
                "the header has one column and the definition names 3: is the delimiter ',' right? The delimiter is "
                "probably ';'"
            ),
        ),
        (
            "1|2|3\n",
            "a.csv",
            {"header": False},
            (
                "the first row has 1 field and the definition names 3: is the delimiter ',' right? The delimiter is "
                "probably '|'"
            ),
        ),
        ("Alpha,B,C\n", "a.csv", {"columns": ("Alfa", "B", "Zebra")}, "has no column Alfa; did you mean Alpha?"),
        ("A,B,C\n", "a.csv", {"columns": ("A", "Quite else")}, "has no column Quite else; it has A, B, C"),
        ("A,B,A,C\n1,2,3,4\n", "a.csv", {}, "has several columns named A"),
        ("", "a.csv", {}, "is empty: is the delivery incomplete?"),
        ("", "a.csv", {"header_rows_to_ignore": 1}, "is empty: is the delivery incomplete?"),
        ("\ufeff", "a.csv", {"header_rows_to_ignore": 1}, "is empty: is the delivery incomplete?"),
        (
            gzip.compress(b"", mtime=0),
            "a.csv.gz",
            {"header_rows_to_ignore": 1},
            "is empty: is the delivery incomplete?",
        ),
        ("", "a.csv", {"header": False, "footer_rows_to_ignore": 1}, "is empty: is the delivery incomplete?"),
        ("", "a.csv", {"header": True, "header_rows_to_ignore": 1}, "is empty: is the delivery incomplete?"),
        (
            "one\ntwo\n",
            "a.csv",
            {"header_rows_to_ignore": 3},
            "ends within its header lines: is the delivery incomplete?",
        ),
        (
            "one\r\n\r",
            "a.csv",
            {"header_rows_to_ignore": 3},
            "ends within its header lines: is the delivery incomplete?",
        ),
        (
            b"A,B,C\n1,2,3\n\xe9,5,6\n",
            "a.csv",
            {},
            "is not utf-8: the byte at offset 12 (line 3) is not valid there; set the source's encoding",
        ),
        (TEXT.encode("utf-16"), "a.csv", {}, "it looks like utf-16; set the source's encoding: utf-16"),
        (TEXT.encode("utf-16-le"), "a.csv", {}, "set the source's encoding: utf-16-le"),
        (TEXT.encode("utf-16-be"), "a.csv", {"header": False}, "set the source's encoding: utf-16-be"),
        (TEXT.encode("utf-16-le"), "a.csv", {"encoding": "utf-16"}, "set the source's encoding: utf-16-le"),
        (TEXT.encode("utf-16"), "a.csv", {"encoding": "utf-16-be"}, "set the source's encoding: utf-16"),
        (TEXT.encode("utf-16-be"), "a.csv", {"encoding": "utf-16-le"}, "set the source's encoding: utf-16-be"),
        (TEXT.encode("utf-16")[:-1], "a.csv", {"encoding": "utf-16"}, "the file is damaged or ends too early"),
        (TEXT.encode("utf-8"), "a.csv", {"encoding": "utf-16"}, "for example to utf-8, windows-1252, iso-8859-1"),
        ("日本,語\n".encode("utf-16-le"), "a.csv", {"encoding": "utf-16"}, "or utf-16-le"),
        (TEXT.encode() + TEXT.encode("cp1252"), "a.csv", {}, "correct the file at its origin"),
        (TEXT.encode("utf-32-le"), "a.csv", {}, "set the source's encoding: utf-32-le"),
        (TEXT.encode("utf-8-sig"), "a.csv", {"encoding": "windows-1252"}, "set the source's encoding: utf-8"),
        (b"A,B,C\n1,2,3\n", "a.csv.gz", {}, "its name says gzip, but its content is not compressed by gzip"),
        (b"", "a.csv.gz", {"header": False}, "it is empty"),
        (b"A,B,C\n1,2,3\n", "a.csv.zst", {}, "its name says zstd, but its content is not compressed by zstd"),
        (b"", "a.csv.zst", {"header": False}, "it is empty"),
    ],
)
def test_a_file_that_cannot_be_loaded(
    load: Any, data: str | bytes, name: str, options: dict[str, Any], message: str
) -> None:
    """The message names the file and says what to do."""
    with pytest.raises(UserError) as caught:
        load(data, name, **options)
    assert f"/{name}" in caught.value.message
    assert message in caught.value.message


def test_all_missing_columns_are_named_at_once(load: Any) -> None:
    """One run reports all of them."""
    with pytest.raises(UserError) as caught:
        load("A,B\n1,2\n", columns=("X", "A", "Y"))
    assert caught.value.message.count("has no column") == 2


def test_many_missing_columns_are_counted(load: Any) -> None:
    """A message of a thousand lines would be read by nobody."""
    with pytest.raises(UserError) as caught:
        load("A,B\n1,2\n", columns=("A", *(f"X{number}" for number in range(1_011))))
    lines = caught.value.message.splitlines()
    assert len(lines) == 11
    assert "has no column X9;" in lines[9]
    assert lines[10] == "and 1,001 more of the 1,012 columns of the definition are not there"


def test_an_invalid_byte_is_found_after_the_first_block(load: Any) -> None:
    """Offset and line are correct for large files, also if a character is divided between two blocks."""
    good = "A,B,C\n" + "é,ß,3\n" * 300_000
    with pytest.raises(UserError, match=f"offset {len(good.encode()):,} \\(line 300,002\\)"):
        load(good.encode() + b"\xff,5,6\n")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("{folder}/none.csv", "does not exist; check the path"),
        ("{folder}/none*.csv", "matches no file; check the pattern"),
        ("{folder}", "is a folder; name a file, or files by a pattern"),
        ("{folder}/" + "x" * 300, "cannot be read: File name too long"),
        ("memory://nowhere/none.csv", "does not exist"),
        ("nonsense://bucket/a.csv", "cannot be reached: Protocol not known"),
    ],
)
def test_a_path_that_does_not_exist(tmp_path: Path, path: str, message: str) -> None:
    """Each kind of path has its own message."""
    with pytest.raises(UserError, match=message):
        load_source(described(path.format(folder=tmp_path)))


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (404, "does not exist", UserError),
        (403, "cannot be read: the host answers with status 403", UserError),
        (429, "answers with status 429", SourceUnavailableError),
        (500, "answers with status 500", SourceUnavailableError),
    ],
)
def test_a_host_that_refuses_a_file_is_told_from_a_file_that_is_not_there(
    status: int, message: str, kind: type[UserError]
) -> None:
    """A URL may need a token, or its host may be out of order, which passes."""
    with serving(lambda _: Reply(status=status)) as server, pytest.raises(UserError, match=message) as caught:
        load_source(described(f"{server.url}/a.csv"))
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://127.0.0.1:{port}/a.csv", SourceUnavailableError),
        ("ftp://user:secret@127.0.0.1:{port}/a.csv", SourceUnavailableError),
        ("http://nowhere.invalid/a.csv", UserError),
        ("ftp://user:secret@nowhere.invalid/a.csv", UserError),
    ],
)
def test_a_host_that_is_away_is_told_from_one_that_does_not_exist(url: str, kind: type[UserError]) -> None:
    """The first one may be back some minutes later."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(UserError, match="cannot be") as caught:
            load_source(described(url.format(port=free.getsockname()[1])))
    assert type(caught.value) is kind
    assert "secret" not in caught.value.message


def test_a_server_that_sends_only_whole_files_is_read() -> None:
    """Many do, of reports that they make: the file comes in one answer, however large it is."""
    count = 120_000
    rows = b"A,B,C\n" + b"".join(b"%d,%s,c\n" % (number, b"b" * 50) for number in range(count))
    with serving(lambda _: Reply(body=rows)) as server:
        loaded, errors = load_source(described(f"{server.url}/a.csv"))
    assert ([row[1] for row in loaded], errors) == ([str(number) for number in range(count)], [])


def test_a_whole_file_that_is_cut_off_is_refused() -> None:
    """No row of it is used."""
    rows = b"A,B,C\n" + b"1,2,3\n" * 1_500_000
    with serving(lambda _: Reply(body=rows, cut=8_000_000)) as server, pytest.raises(UserError, match="cannot be"):
        load_source(described(f"{server.url}/a.csv"))


def test_a_pattern_leaves_out_the_files_that_office_makes(tmp_path: Path) -> None:
    """Beside each workbook that somebody has open, also one of text."""
    (tmp_path / "a.csv").write_text("A,B,C\n1,2,3\n")
    (tmp_path / "~$a.csv").write_bytes(b"\x04user")
    assert load_source(described(str(tmp_path / "*.csv")))[0] == [(1, "1", "2", "3")]
    (tmp_path / "a.csv").unlink()
    with pytest.raises(UserError, match="matches no file"):
        load_source(described(str(tmp_path / "*.csv")))


def test_a_host_that_is_away_is_told() -> None:
    """Its file may well be there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(UserError, match=r"a\.csv cannot be read: .*127\.0\.0\.1"):
            load_source(described(f"http://127.0.0.1:{free.getsockname()[1]}/a.csv"))


def test_a_folder_that_may_not_be_entered_is_told(tmp_path: Path) -> None:
    """The program runs as another user than the one who owns the files."""
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside").chmod(0)
    if os.access(tmp_path / "inside", os.X_OK):
        pytest.skip("this user may enter every folder")
    with pytest.raises(UserError, match=r"a\.csv cannot be read: Permission denied"):
        load_source(described(str(tmp_path / "inside" / "a.csv")))


def test_a_long_field_is_no_malformed_row(load: Any) -> None:
    """A text column of Dataverse can have a million characters."""
    long = "ä" * 1_048_576
    rows, errors = load(f"A,B,C\n1,{long},3\n4,5\n")
    assert rows == [(1, "1", long, "3")]
    assert len(errors) == 1


def test_a_source_of_events_cannot_be_loaded() -> None:
    """Only the listener fills it."""
    events = EventsSource.model_validate({"type": "events", "columns": [{"name": "a"}]})
    with pytest.raises(UserError, match="cannot run as a batch"):
        open_source(events, SourceContext())
