"""The tool that compares the loader with Python's csv module, on a folder of nasty files."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.sources import records
from tests.tools import compare_csv
from tests.tools.compare_csv import compare, compare_folder, main

FILES: dict[str, tuple[str | bytes, str]] = {
    "clean.csv": ("a,b\n1,2\n", "equal"),
    "windows.csv": ('a;b\r\n1;"x\r\n""y"""\r\n;\r\n', "equal"),
    "mac.csv": ("a\tb\r1\t2\r", "equal"),
    "one.csv": ("a\n\n1\n \n2\n", "equal"),
    "latin.csv": ("a,b\né,2\n".encode("latin-1"), "equal"),
    "marked.csv": ("\ufeffa,b\n\ufeff1,2\n", "equal"),
    "wide.csv": ("a,b\n1,2\n3,4\n".encode("utf-16"), "equal"),
    "padded.csv": ('a,b\n 1, "2,3"\n', "equal"),
    "short.csv": ("a,b\n1\n1,2,3\n1,2,,\n", "equal"),
    "doubled.csv": ("a,b\r\r\n1,2\r\r\n", "equal"),
    "mixed.csv": ("a,b\r\n1,x\r\r\n3,4\n", "rejected"),
    "stray.csv": ("a,b\r\n1,x\ry\r\n3,4\n", "unread"),
    "open.csv": ('a,b\n1,"2\n3,4\n', "unread"),
    "page.csv": ("PK\x03\x04a,b\n", "refused"),
    "nul.csv": ("a,b,c\n1,\0,2\n", "equal"),
    "empty.csv": ("", "unread"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with every file, and one that is not compared."""
    for name, (data, _) in FILES.items():
        (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    (tmp_path / "notes.txt").write_text("no table")
    return tmp_path


def test_no_file_of_a_nasty_folder_is_different(folder: Path) -> None:
    """Each file has its word; what the loader does not take, it reports."""
    assert {path.name: verdict.kind for path, verdict in compare_folder(folder)} == {
        name: kind for name, (_, kind) in FILES.items()
    }


def test_the_summary_counts_the_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line a file, then a line for all."""
    assert main([str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(FILES) + 1
    assert lines[-1].startswith(f"{len(FILES)} files: 11 equal")


def test_a_difference_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loader that trims what it reads is caught, with row and field."""
    (tmp_path / "b.csv").write_text("a,b\n3,4 \n1\n")
    monkeypatch.setattr(
        records.Scanner, "record", lambda self, place, true=records.Scanner.record: _trimmed(true(self, place))
    )
    assert compare(tmp_path / "b.csv") == compare_csv.Verdict("different", "row 2: field 2: loaded '4', csv reads '4 '")


def _trimmed(record: records.Record | records.Broken) -> records.Record | records.Broken:
    if isinstance(record, records.Record):
        record.fields = [field.strip() for field in record.fields]
    return record


def test_a_file_that_takes_too_long_costs_no_other_file(tmp_path: Path) -> None:
    """It is reported as slow, and the next one is compared by a new process."""
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("a,b\n1,2\n")
    assert [verdict.kind for _, verdict in compare_folder(tmp_path, seconds=0)] == ["slow", "slow"]
