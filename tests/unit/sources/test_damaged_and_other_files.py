"""Files that are damaged, truncated or not of the kind in their name; and a full disk."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import fsspec  # type: ignore[import-untyped]  # fsspec ships no types
import pytest

from shared.errors import UserError
from shared.sources import SourceContext, open_source
from shared.workspace import Workspace
from tests.unit.sources.conftest import described, load_source

Load = Callable[..., tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]]
TEXT = b"A,B,C\n" + b"".join(b"%d,name %d,%d\n" % (n, n * n, n % 7) for n in range(20_000))
PACKED = gzip.compress(TEXT, mtime=0)


def changed(data: bytes, place: int) -> bytes:
    """The same bytes with one changed bit."""
    return data[:place] + bytes([data[place] ^ 1]) + data[place:][1:]


DAMAGED = {
    "checksum": (changed(PACKED, len(PACKED) - 8), "does not have the checksum that the file states"),
    "length": (changed(PACKED, len(PACKED) - 4), "does not have the length that the file states"),
    "no trailer": (PACKED[:-8], "it ends before its compressed data does"),
    "half": (PACKED[: len(PACKED) // 2], "it ends before its compressed data does"),
    "garbage": (PACKED + b"garbage", "there is other data after its compressed data"),
    "half of a second part": (PACKED + PACKED[:-100], "it ends before its compressed data does"),
}


@pytest.mark.parametrize("kind", DAMAGED)
@pytest.mark.parametrize("place", ["in place", "copied", "remote"])
def test_a_damaged_gzip_file_is_refused(tmp_path: Path, kind: str, place: str) -> None:
    """Wherever the damage is: none of its rows is used."""
    data, message = DAMAGED[kind]
    (tmp_path / "a.csv.gz").write_bytes(data)
    fsspec.filesystem("memory").pipe("/damaged/a.csv.gz", data)
    path = "memory://damaged/a.csv.gz" if place == "remote" else str(tmp_path / "a.csv.gz")
    with pytest.raises(UserError, match=rf"a\.csv\.gz cannot be read: .*{message}"):
        load_source(described(path), in_place=place == "in place")


def test_damage_anywhere_in_a_gzip_file_is_found(load: Load) -> None:
    """One changed bit is enough."""
    some = random.Random(1)
    for place in [some.randrange(20, len(PACKED) - 8) for _ in range(25)]:
        with pytest.raises(UserError, match=r"damaged|before its compressed data does|something else follows"):
            load(changed(PACKED, place), "a.csv.gz")


def test_a_gzip_file_may_have_several_parts_and_trailing_zeros(load: Load) -> None:
    """Tools that append or work in parallel write such files."""
    parts = gzip.compress(b"A,B,C\n1,2,3\n", mtime=0) + gzip.compress(b"4,5,6\n", mtime=0) + bytes(512)
    assert load(parts, "a.csv.gz") == ([(1, "1", "2", "3"), (2, "4", "5", "6")], [])


@pytest.fixture
def zstd(tmp_path: Path) -> Callable[[str], bytes]:
    """Compresses text line by line as it is."""

    def packed(text: str) -> bytes:
        target = tmp_path / "packed.zst"
        lines = ", ".join(f"({line!r})" for line in text.removesuffix("\n").split("\n")).replace(
            "\\r", "' || chr(13) || '"
        )
        duckdb.connect().execute(
            f"COPY (FROM (VALUES {lines})) TO '{target}' "
            "(FORMAT csv, COMPRESSION zstd, HEADER false, QUOTE '', ESCAPE '', DELIM '\x1f\x1e\x1f')"
        )
        return target.read_bytes()

    return packed


def test_a_truncated_zstd_file_is_refused(load: Load, zstd: Callable[[str], bytes]) -> None:
    """Its reader does not report this."""
    data = zstd(TEXT.decode())
    assert len(load(data, "a.csv.zst")[0]) == 20_000
    for end in (5, 20, len(data) // 2, len(data) - 4, len(data) - 1):
        with pytest.raises(UserError, match="it ends before its compressed data does"):
            load(data[:end], "a.csv.zst")
    with pytest.raises(UserError, match="there is other data after its compressed data"):
        load(data + b"garbage", "a.csv.zst")


def test_a_zstd_file_without_content_is_told_as_empty(load: Load) -> None:
    """As a gzip file is, with one frame or several; without a header it has no rows."""
    frame = bytes.fromhex("28b52ffd2000010000")  # one raw block without a byte
    for data in (frame, frame + frame):
        with pytest.raises(UserError, match=r"a\.csv\.zst is empty: is the delivery incomplete"):
            load(data, "a.csv.zst")
        assert load(data, "a.csv.zst", header=False) == ([], [])


def test_line_ends_of_a_zstd_file_are_kept_or_it_is_refused(load: Load, zstd: Callable[[str], bytes]) -> None:
    """It is decompressed line by line; a value never changes."""
    assert load(zstd('A,B,C\r\n1,"2\r\n",3\r\n'), "a.csv.zst") == ([(1, "1", "2\r\n", "3")], [])
    assert load(zstd('A,B,C\n1,"2\n",3\n'), "b.csv.zst") == ([(1, "1", "2\n", "3")], [])
    for mixed in ('A,B,C\n1,"2\r\n",3\n', 'A,B,C\r\n1,"2\n",3\r\n', 'A,B,C\n1,"2\r",3\n'):
        with pytest.raises(UserError, match="end with a mixture of LF and CR LF; compress it with gzip"):
            load(zstd(mixed), "c.csv.zst")


def zipped(*names: str) -> bytes:
    """A zip file with these names in it."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in names:
            archive.writestr(name, "content")
    return target.getvalue()


def parquet(folder: Path) -> bytes:
    """A small Parquet file."""
    duckdb.connect().execute(f"COPY (SELECT 1 AS a) TO '{folder / 'x.parquet'}' (FORMAT parquet)")
    return (folder / "x.parquet").read_bytes()


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (PACKED, "a gzip file; give it a name that ends in .gz"),
        (bz2.compress(TEXT), "a bzip2 file; unpack it"),
        (lzma.compress(TEXT), "an xz file; unpack it"),
        (zipped("a.csv"), "a zip file; unpack it"),
        (
            zipped("[Content_Types].xml", "xl/workbook.xml"),
            "an Excel file (xlsx); write type: excel, or export it as delimited text",
        ),
        (zipped("[Content_Types].xml", "word/document.xml"), "a Word file (docx); export it"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
            "an Excel file (xls) or another Office file; write type: excel, or export it",
        ),
        (
            zipped("mimetype/application/vnd.oasis.opendocument.spreadsheet"),
            "an OpenDocument spreadsheet (ods); write type: excel, or export it",
        ),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "a PDF document; export it"),
        (b"\x28\xb5\x2f\xfd\x00\x58", "a zstd file; give it a name that ends in .zst"),
    ],
)
def test_binary_data_is_recognised(load: Load, data: bytes, kind: str, *, header: bool) -> None:
    """In a file with the name of a text file, with a header or without."""
    with pytest.raises(UserError) as caught:
        load(data, header=header, encoding="windows-1252")
    assert f"a.csv is not delimited text: by its content it is {kind}" in caught.value.message


def test_a_parquet_file_is_recognised(load: Load, tmp_path: Path) -> None:
    """A text that begins like a Parquet file is still text."""
    with pytest.raises(
        UserError, match=r"by its content it is a Parquet file; write type: parquet, or export it as delimited text"
    ):
        load(parquet(tmp_path))
    assert load("PAR1,B\n1,2\n", columns=("PAR1", "B")) == ([(1, "1", "2")], [])


def test_a_file_that_is_compressed_twice_is_recognised(load: Load) -> None:
    """The content of a gzip file is checked too."""
    with pytest.raises(UserError, match="by its content it is a gzip file"):
        load(gzip.compress(PACKED), "a.csv.gz")


def test_zero_bytes_in_the_data_are_no_other_encoding(load: Load) -> None:
    """They are values."""
    assert load("A,B,C\n\0,\0,3\n") == ([(1, "\0", "\0", "3")], [])


full_disk = pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")


@full_disk
@pytest.mark.parametrize(("data", "in_place"), [("A,B,C\n1,2,3\n4,5\n", True), ("A,B,C\n1,2,3\n", False)])
def test_a_full_disk_is_not_reported_as_an_error_of_the_source(tmp_path: Path, data: str, *, in_place: bool) -> None:
    """Whether a file is copied or its rows are written: the message names the workspace's folder and its setting."""
    (tmp_path / "a.csv").write_text(data)
    opened = open_source(described(str(tmp_path / "a.csv")), SourceContext())
    with Workspace.open(readable=opened.readable if in_place else ()) as workspace:
        (workspace.folder / "source-0.csv").symlink_to("/dev/full")
        with pytest.raises(UserError, match=r"No space left on device.*WORKSPACE_TEMP") as caught:
            opened.load(workspace)
    assert "a.csv" not in caught.value.message


@full_disk
def test_a_full_disk_of_the_database_is_reported(tmp_path: Path) -> None:
    """DuckDB's own message names a temporary file that the user does not know."""
    with Workspace.open(readable=["/dev/full"]) as workspace:
        (workspace.folder / "x.csv").symlink_to("/dev/full")
        with pytest.raises(UserError, match=r"the workspace's disk is full.*WORKSPACE_TEMP"):
            workspace.execute(f"COPY (FROM range(100000)) TO '{workspace.folder / 'x.csv'}' (FORMAT csv)")


class _Breaks(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise ConnectionResetError("the connection was reset")


def test_a_truncated_file_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver's error in the middle of a file names the file."""
    memory = fsspec.filesystem("memory")
    memory.pipe("/breaks/a.csv", b"A,B,C\n1,2,3\n")
    monkeypatch.setattr(type(memory), "open", lambda *_args, **_options: _Breaks())
    with pytest.raises(UserError, match=r"memory:///breaks/a.csv cannot be reached: the connection was reset"):
        load_source(described("memory://breaks/a.csv"))
